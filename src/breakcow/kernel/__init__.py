"""Which kernel behaves how: named behaviours, and profiles that give each a value."""

from breakcow.kernel.behaviours import BEHAVIOURS, Behaviour
from breakcow.kernel.profiles import PROFILES, Profile, nearest, profile_for

__all__ = ["BEHAVIOURS", "PROFILES", "Behaviour", "Profile", "nearest", "profile_for"]
