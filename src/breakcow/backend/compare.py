"""What two observations of the same step disagree on. What either side cannot observe is not compared."""

from dataclasses import dataclass
from typing import Any

from breakcow.backend.observation import Observation, Outcome, PageSeen, ProcessSeen


@dataclass(frozen=True, slots=True)
class Difference:
    """step: index of the action. process, page: where, "" if not there. field: what. expected: the specification. observed: the kernel."""

    step: int
    process: str
    page: str
    field: str
    expected: str
    observed: str


Found = list[tuple[str, str, str, Any, Any]]


def difference(step: int, expected: Observation, observed: Observation) -> list[Difference]:
    """All disagreements of one step, the telling ones (outcome, events) first."""
    found: Found = []
    _compare_outcomes(found, "", "outcome", expected.outcome, observed.outcome)
    names = sorted(expected.resumed.keys() | observed.resumed.keys())
    for name in names:
        _compare_outcomes(found, name, "resumed", expected.resumed.get(name), observed.resumed.get(name))
    if expected.events != observed.events:
        found.append(("", "", "events", _events(expected), _events(observed)))
    for name in sorted(expected.processes.keys() | observed.processes.keys()):
        _compare_processes(found, name, expected.processes.get(name), observed.processes.get(name))
    for name, value in observed.counters.items():
        if expected.counters.get(name, value) != value:
            found.append(("", "", name, expected.counters[name], value))
    return [Difference(step, process, page, field, str(a), str(b)) for process, page, field, a, b in found]


def _events(observation: Observation) -> str:
    return ", ".join(f"{e.kind} {e.process}.{e.page}".rstrip(".") for e in observation.events) or "none"


def _compare_outcomes(found: Found, process: str, field: str, a: Outcome | None, b: Outcome | None) -> None:
    if a is None or b is None or a.result != b.result:
        found.append((process, "", field, a.result if a else "none", b.result if b else "none"))
    elif a.value is not None and b.value is not None and a.value != b.value:
        found.append((process, "", "value", a.value, b.value))
    elif a.pages is not None and b.pages is not None and a.pages != b.pages:
        found.append((process, "", "reported", " ".join(a.pages), " ".join(b.pages)))
    elif a.faults is not None and b.faults is not None and a.faults != b.faults:
        found.append((process, "", "faults", a.faults, b.faults))


def _compare_processes(found: Found, name: str, a: ProcessSeen | None, b: ProcessSeen | None) -> None:
    if a is None or b is None:
        found.append((name, "", "process", a.state if a else "none", b.state if b else "none"))
        return
    if a.state != b.state:
        found.append((name, "", "process", a.state, b.state))
    for page in sorted(a.pages.keys() & b.pages.keys()):
        _compare_pages(found, name, page, a.pages[page], b.pages[page])
    for field, held, seen in (("pinned", a.pinned, b.pinned), ("spliced", a.spliced, b.spliced)):
        found.extend((name, page, field, held.get(page), value) for page, value in sorted(seen.items()) if held.get(page) != value)
    if a.merging is not None and b.merging is not None and a.merging != b.merging:
        found.append((name, "", "ksm_merging_pages", a.merging, b.merging))


def _compare_pages(found: Found, process: str, page: str, a: PageSeen, b: PageSeen) -> None:
    for field in PageSeen.__struct_fields__:
        expected, observed = getattr(a, field), getattr(b, field)
        if expected is not None and observed is not None and expected != observed:
            found.append((process, page, field, expected, observed))
            if field == "state":
                return
