"""A test made ready to run: canonical text, the tree whose lines are lines of that text, and the flat program."""

from dataclasses import dataclass

from breakcow import litmus
from breakcow.litmus.program import Program
from breakcow.litmus.syntax import Test
from breakcow.suite.record import Record, digest


@dataclass(frozen=True, slots=True)
class Trial:
    """test, text and program say the same. source: what the command line calls the test (its name, or the file it came from)."""

    test: Test
    text: str
    program: Program
    source: str

    def record(self, backend: str, kernel: str, verdict: str, why: str) -> Record:
        """A record that needs no observations: a skip, an error."""
        return Record(self.test.name, backend, kernel, verdict, digest(self.text), self.source, self.text, why)


def trial(test: Test, source: str) -> Trial:
    """Make `test` ready; `source`: what the command line calls it."""
    return from_text(litmus.to_text(test), source)


def from_text(text: str, source: str) -> Trial:
    """Make ready the one test of a canonical text, as a record holds it. Raises litmus.LitmusError."""
    (test,) = litmus.parse(text, "the text of a record")
    return Trial(test, text, litmus.program(test), source)
