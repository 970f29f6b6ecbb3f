"""breakcow: does this kernel share and unshare memory pages the way it promised?

Beside that question, live snapshots of a program's memory: `snapshot`, `series`, `track`, `load`.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["SnapshotError", "load", "series", "snapshot", "track"]

_PLACES = {"snapshot": "api", "series": "api", "track": "api", "load": "image", "SnapshotError": "errors"}


def __getattr__(name: str) -> Any:
    """Import the snapshots when they are first asked for: nothing else needs them."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.snapshots.{_PLACES[name]}"), name)
