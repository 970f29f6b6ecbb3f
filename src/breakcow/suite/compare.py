"""What is different between two observations, two records, two runs. What one side cannot see is never a difference."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from breakcow.backend.observation import Observation, PageSeen, ProcessSeen
from breakcow.suite.record import Record
from breakcow.suite.wording import event_words, outcome_words, page_words


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs: between which records (A's first), where in the test, and both sides in words."""

    test: str
    where: str
    before: str
    after: str


def pages_differ(one: PageSeen, other: PageSeen) -> bool:
    """Do two looks at a page contradict each other?"""
    pairs = ((getattr(one, field), getattr(other, field)) for field in PageSeen.__struct_fields__)
    return any(left != right for left, right in pairs if left is not None and right is not None)


def observations(one: Observation, other: Observation) -> Iterator[tuple[str, str, str]]:
    """Where two observations of one action contradict each other: place, one side, other side."""
    for place, left, right in (
        ("outcome", outcome_words(one.outcome), outcome_words(other.outcome)),
        ("events", _events(one), _events(other)),
        ("resumed", _resumed(one), _resumed(other)),
    ):
        if left != right:
            yield place, left, right
    for name in sorted(one.counters.keys() & other.counters.keys()):
        if one.counters[name] != other.counters[name]:
            yield name, str(one.counters[name]), str(other.counters[name])
    for name in sorted(one.processes.keys() | other.processes.keys()):
        yield from _processes(name, one.processes.get(name), other.processes.get(name))


def _events(seen: Observation) -> str:
    """The events of an observation in words."""
    return ", ".join(event_words(event) for event in seen.events) or "no event"


def _resumed(seen: Observation) -> str:
    """The blocked operations that went on, in words."""
    return ", ".join(f"{name} {outcome_words(outcome)}" for name, outcome in sorted(seen.resumed.items())) or "nothing"


def _processes(name: str, one: ProcessSeen | None, other: ProcessSeen | None) -> Iterator[tuple[str, str, str]]:
    """Where two looks at a process contradict each other."""
    if one is None or other is None or one.state != other.state:
        yield name, one.state if one else "no process", other.state if other else "no process"
        return
    for what in ("merging", "pinned", "spliced"):
        left, right = getattr(one, what), getattr(other, what)
        if left != right and left is not None and right is not None:
            yield f"{name} {what}", str(left), str(right)
    for page in sorted(one.pages.keys() | other.pages.keys()):
        looks = one.pages.get(page, PageSeen("unmapped")), other.pages.get(page, PageSeen("unmapped"))
        if pages_differ(*looks):
            yield f"{name} {page}", page_words(looks[0]), page_words(looks[1])


def runs(before: Sequence[Record], after: Sequence[Record]) -> Iterator[Change]:
    """What changed from one run to another, verdicts and observations.

    Records belong together if test and backend are equal; if each run has one backend only, if the tests are: two kernels are compared.
    """
    by_test = len({record.backend for record in before}) == 1 == len({record.backend for record in after})
    left, right = (_keyed(records, by_test) for records in (before, after))
    for key in dict.fromkeys([*left, *right]):
        one, other = left.get(key), right.get(key)
        name = key[0] if by_test else f"{key[0]} on {key[1]}"
        if one is None or other is None:
            yield Change(name, "the test", one.verdict if one else "not run", other.verdict if other else "not run")
        else:
            yield from _records(name, one, other)


def _keyed(records: Iterable[Record], by_test: bool) -> dict[tuple[str, str], Record]:
    """The records by what tells them apart."""
    return {(record.test, "" if by_test else record.backend): record for record in records}


def _records(name: str, one: Record, other: Record) -> Iterator[Change]:
    """What differs between two records of one test: the verdict, the text, and the first step whose observations do."""
    if one.sha256 != other.sha256:
        yield Change(name, "the test's text", one.sha256[:12], other.sha256[:12])
        return
    if (one.verdict, one.why) != (other.verdict, other.why):
        yield Change(name, "verdict", f"{one.verdict} {one.why}".strip(), f"{other.verdict} {other.why}".strip())
    for number, pair in enumerate(zip(one.observations, other.observations, strict=False)):
        found = [Change(name, f"action {number + 1}, {place}", left, right) for place, left, right in observations(*pair)]
        if found:
            yield from found
            return
