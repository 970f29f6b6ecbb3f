"""The record: all that is kept of one test on one backend, as one JSON line. Reports and later judgements need nothing else."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from breakcow.backend.observation import Observation
from breakcow.backend.trace import Traced

VERDICTS = ("ok", "known", "skip", "broken", "differs", "error")  # from best to worst
GOOD = frozenset({"ok", "known", "skip"})


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is not as it should be.

    kind: "outcome" (how an operation ended), "expect" (a claim of the test), "promise" (one that holds for every test), "console" (the
        kernel warned), "model" (an observation that the model of this kernel does not allow).
    step: index of the action, and so of its observation. line: in the record's text. claim: what was claimed, or the promise's name.
    process, page: where, empty if it is no matter of one page. expected, observed: side by side, in words.
    """

    kind: str
    step: int
    line: int
    claim: str
    expected: str
    observed: str
    process: str = ""
    page: str = ""

    def sentence(self) -> str:
        """The reason in one line: place, what was promised, what was seen."""
        where = f"{self.process} {self.page}".strip()
        place = f"line {self.line}" + (f", {where}" if where else "")
        if self.kind == "promise":
            return f"{place}: {self.claim}: {self.observed}"
        source = "the model allows" if self.kind == "model" else "expected"
        return f"{place}: {source} {self.expected}, observed {self.observed}"


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One test on one backend.

    test: its name. backend: "model:6.1", "host", "vm:6.1". kernel: uname release, or the profile's release. verdict: one of VERDICTS.
    why: the verdict in one sentence, empty for ok. sha256: of `text`. source: what the command line calls the test.
    text: the test in canonical form; line numbers in reasons are lines of it.
    reasons: all that is not as it should be, in order of steps. unobserved: claims that this kernel cannot show: neither kept nor broken.
    profile: the behaviours measured on a real kernel, as the model was asked for; empty for a model.
    observations: one for each action; fewer, or none, if the run ended early. console: of a kernel that was lost, since the test began.
    trace: action -> what the kernel itself did in it, of the step that the first reason names, where that was asked for.
    unexpected: for a skip on a real kernel, what is lacking though a kernel of its release can have it: requirement words.
    seconds: wall time, the only field that differs between runs.
    """

    test: str
    backend: str
    kernel: str
    verdict: str
    sha256: str
    source: str
    text: str
    why: str = ""
    reasons: tuple[Reason, ...] = ()
    unobserved: tuple[str, ...] = ()
    profile: dict[str, int] = {}
    observations: tuple[Observation, ...] = ()
    console: str = ""
    trace: dict[int, Traced] = {}
    unexpected: tuple[str, ...] = ()
    seconds: float = 0.0


class BadRecordsError(Exception):
    """A file of records that cannot be read; the message is a sentence."""


def digest(text: str) -> str:
    """The sha256 of a test's canonical text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def line(record: Record) -> str:
    """The record as one line of JSON, without the newline."""
    return msgspec.json.encode(record).decode()


def lines(records: Iterable[Record]) -> Iterator[str]:
    """The records as lines of JSON, without newlines."""
    return (line(record) for record in records)


def read(path: Path) -> tuple[Record, ...]:
    """The records of a file of JSON lines. Raises BadRecordsError naming file and line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadRecordsError(f"{path}: {error.strerror}") from None
    records = []
    for number, encoded in enumerate(content.splitlines(), 1):
        try:
            record = msgspec.json.decode(encoded, type=Record)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise BadRecordsError(f"{path}:{number}: not a record of breakcow: {error}") from None
        if record.verdict not in VERDICTS:
            raise BadRecordsError(f"{path}:{number}: unknown verdict {record.verdict!r}")
        records.append(record)
    return tuple(records)
