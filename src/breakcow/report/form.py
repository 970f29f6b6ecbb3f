"""What every form of output has in common."""

from typing import Protocol

from breakcow.suite.record import Record


class Report(Protocol):
    """A form of output, fed one record at a time: backend after backend, in order."""

    def record(self, record: Record) -> None:
        """Take the next record."""

    def end(self, interrupted: bool) -> None:
        """No record follows; `interrupted`: some were still to come."""
