"""JSON lines: the records themselves, one a line, written as they come."""

from typing import TextIO

from breakcow.suite.record import Record, line


class Jsonl:
    """Writes each record to `out` at once, so that a run that dies leaves what it did."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def record(self, record: Record) -> None:
        """Write one line."""
        self._out.write(line(record) + "\n")
        self._out.flush()

    def end(self, interrupted: bool) -> None:  # noqa: ARG002 (every line is complete by itself)
        """Nothing is left to write."""
        self._out.flush()
