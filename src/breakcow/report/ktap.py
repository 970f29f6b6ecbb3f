"""KTAP version 1, as Documentation/dev-tools/ktap.rst has it: a subtest for each backend, a result line for each test."""

from collections.abc import Callable, Iterable, Mapping
from typing import TextIO

from breakcow.report.printable import printable
from breakcow.suite.record import GOOD, Record

Explain = Callable[[Record], Iterable[str]]


class Ktap:
    """Writes KTAP to `out` as records come.

    plan: backend -> how many tests it will run, in order. explain: the diagnostic lines for a record that is not good.
    """

    def __init__(self, out: TextIO, plan: Mapping[str, int], explain: Explain) -> None:
        self._out, self._plan, self._explain = out, plan, explain
        self._backend, self._number, self._good = "", 0, True
        self._write("KTAP version 1", f"1..{len(plan)}")

    def record(self, record: Record) -> None:
        """Write the result line of one test, its diagnostics before it."""
        if record.backend != self._backend:
            self._finish()
            self._begin(record.backend)
        self._number += 1
        self._good &= record.verdict in GOOD
        diagnostics = [] if record.verdict in GOOD else [f"# {printable(text)}".rstrip() for text in self._explain(record)]
        self._write(*[f"  {text}" for text in [*diagnostics, result(record, self._number)]])

    def end(self, interrupted: bool) -> None:
        """Write the result line of the last backend."""
        self._finish()
        if interrupted:
            self._write("# interrupted: not all tests of the plan were run")

    def _begin(self, backend: str) -> None:
        """Open the subtest of a backend."""
        self._backend, self._number, self._good = backend, 0, True
        self._write("  KTAP version 1", f"  # Subtest: {_name(backend)}", f"  1..{self._plan[backend]}")

    def _finish(self) -> None:
        """Close the subtest that is open, if one is."""
        if self._backend:
            complete = self._number == self._plan[self._backend]
            position = list(self._plan).index(self._backend) + 1
            self._write(f"{'ok' if self._good and complete else 'not ok'} {position} {_name(self._backend)}")

    def _write(self, *texts: str) -> None:
        """Write lines, at once."""
        self._out.write("".join(f"{text}\n" for text in texts))
        self._out.flush()


def result(record: Record, number: int) -> str:
    """The result line of a record: `not ok 3 ksm/unmerge-uffd-wp # XFAIL known, fixed in 6.2`."""
    status = "ok" if record.verdict in {"ok", "skip"} else "not ok"
    why = _name(record.why)
    directive = {
        "skip": f" # SKIP {why}",
        "known": f" # XFAIL known, {why}",
        "differs": f" # differs from model, {why}",
        "error": f" # ERROR {why}",
    }
    return f"{status} {number} {_name(record.test)}{directive.get(record.verdict, '')}".rstrip()


def _name(text: str) -> str:
    """Text that no parser takes for a directive."""
    return printable(text).replace("#", "\\x23")
