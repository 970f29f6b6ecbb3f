"""What changed between two runs, or is different on two kernels. What one side cannot see is never a difference."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from breakcow.backend.compare import difference
from breakcow.suite.record import Record


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs: between which records (A's first), where in the test, and both sides in words."""

    test: str
    where: str
    before: str
    after: str


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
        found = difference(number, *pair)
        if found:
            yield from (Change(name, _where(number, d.process, d.page, d.field), d.expected, d.observed) for d in found)
            return


def _where(number: int, *words: str) -> str:
    """A place in an observation: `action 2, A x content`."""
    return f"action {number + 1}, {' '.join(word for word in words if word)}"
