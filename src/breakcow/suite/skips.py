"""Skips that are no news, and skips that hide something: a kernel that is too old lacks what came later, all else could be there."""

from collections.abc import Sequence

from breakcow.backend.abilities import Abilities
from breakcow.suite.release import predates

SINCE = {  # requirement -> the first release that has it, however it is built
    "uffd-wp": "5.7",
    "uffd-user-mode-only": "5.11",
    "populate": "5.14",
    "uffd-wp-bit": "5.14",
    "uffd-wp-unpopulated": "6.4",
    "ksm-zero-pages": "6.6",
    "uffd-wp-async": "6.7",
    "smart-scan": "6.7",
    "pagemap-scan": "6.7",
}
OF_THE_KERNEL = ("model-only", "ksm-bit")  # what nobody can give a kernel that lacks it


def unexpected(words: Sequence[str], abilities: Abilities) -> tuple[str, ...]:
    """Those of the requirements `words` that a kernel of this release can have, and that are lacking here.

    The superuser, a build option, a boot parameter, a swap area. Where everything is lacking, whatever is required: all of that.
    """
    lacking = [word for word in words if abilities.abilities.get(word, "unknown")] or list(abilities.abilities)
    return tuple(word for word in lacking if word not in OF_THE_KERNEL and not predates(abilities.release, SINCE.get(word, "0.0")))
