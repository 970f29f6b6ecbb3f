"""Whether a real kernel does what a program found on the specification does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event

from breakcow.explore.counterexample import Counterexample
from breakcow.kernel import Profile
from breakcow.suite.execute import on_kernel
from breakcow.suite.record import Record
from breakcow.suite.trial import trial

DOES = "the kernel does it too"
WRONG = "the kernel does not: the specification is wrong here"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """found: the program. record: what the kernel did. words: the verdict in a sentence. wrong: the specification says what is not so."""

    found: Counterexample
    record: Record
    words: str
    wrong: bool


def confirm(found: Sequence[Counterexample], explored: Profile, name: str, notice: Callable[[str], None]) -> Iterator[Confirmation]:
    """Run each program on the kernel that `--on` calls `name`. explored: the behaviours under which they were found."""
    records = on_kernel(name, [trial(one.test, one.test.name) for one in found], Event(), notice)
    for one, record in zip(found, records, strict=False):
        words, wrong = _verdict(one, record, explored)
        yield Confirmation(one, record, words, wrong)


def _verdict(found: Counterexample, record: Record, explored: Profile) -> tuple[str, bool]:
    """The sentence, and whether the specification is wrong."""
    if record.verdict in ("skip", "error"):
        return f"not run: {record.why}", False
    if any(reason.kind == "promise" and reason.claim in found.promises for reason in record.reasons):
        return DOES, False
    if _lacks_sight(found, record):
        return "this kernel cannot show it", False
    other = [name for name, value in record.profile.items() if explored.values[name] != value]
    if other:
        return f"the kernel does not: it is not the one that was explored ({', '.join(other)})", False
    return WRONG, True


def _lacks_sight(found: Counterexample, record: Record) -> bool:
    """A claim on the place where the promise is broken could not be observed, or the promise is about what no program sees."""
    return bool(record.unobserved) or found.promises == ("internal-consistency",)
