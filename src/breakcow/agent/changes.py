"""What goes over the wire of an observation: only what is not as it was in the one before, for a serial port and its JSON are slow."""

from .observe import Seen

Processes = dict[str, Seen]


def changes(now: Processes, before: Processes) -> dict[str, Seen | None]:
    """The processes of an observation: None for one that is as before, and of its pages those alone that are not.

    breakcow.backend.agent_link puts them together again.
    """
    return {name: _change(seen, before.get(name, {})) for name, seen in now.items()}


def changed(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """The counters of an observation that are not as before."""
    return {name: value for name, value in now.items() if before.get(name) != value}


def _change(seen: Seen, before: Seen) -> Seen | None:
    if seen == before:
        return None
    pages, old = seen.get("pages"), before.get("pages")
    if not isinstance(pages, dict) or not isinstance(old, dict):
        return seen
    return seen | {"pages": {name: page for name, page in pages.items() if old.get(name) != page}}
