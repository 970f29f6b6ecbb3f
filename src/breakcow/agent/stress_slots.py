"""What the processes of a stress run share: a slot of counters for each, in memory that all of them map.

Each number has one writer: the process in the slot, or the supervisor for events and TOLD. Numbers that count are never put back, so that
their sum over all slots is what happened since the run began, whoever has died meanwhile.
"""

import mmap
import os
import struct

from . import abi
from .abi import PAGE

COUNTED = (
    "operations",
    "stores",
    "events",
    "forks",
    "protections",
    "unmerges",
    "moves",
    "checks",
    "audits",
    "merges_seen",
    "breaks_seen",
)
CAUSES = (
    "merge-drops-uffd-wp",
    "merge-drops-uffd-wp-just-now",
    "merge-drops-soft-dirty",
    "unmerge-uffd-wp",
    "unmerge-zero-page",
    "shared-with-mergeable",
    "fork-skips-read-page",
)
PID, LOW, HIGH, DOING, CHILD, TOLD = range(6)
"""Of a slot: process id; addresses of the store under way; its operation; slot of the child that it forks; forks told by userfaultfds."""
FIELDS = 6 + len(COUNTED) + len(CAUSES)
STOP, UNMERGED = 0, 1  # of the run: it ends; how often all was unmerged by run = 2
FIRST_COUNT = 6
FIRST_CAUSE = FIRST_COUNT + len(COUNTED)
NUMBER = {name: FIRST_COUNT + index for index, name in enumerate(COUNTED)} | {
    name: FIRST_CAUSE + index for index, name in enumerate(CAUSES)
}


class Slots:
    """The slots of `number` processes. A slot that is free lies in a pipe; whoever reads it has it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._numbers = mmap.mmap(-1, (8 * (2 + number * FIELDS) + PAGE - 1) & -PAGE)
        self.view = memoryview(self._numbers).cast("q")
        self._old = mmap.mmap(-1, number * PAGE)
        self._free, self._give = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for slot in range(number):
            self.free(slot)

    def take(self) -> int | None:
        """A slot that was free, if there is one."""
        try:
            return int(struct.unpack("<H", os.read(self._free, 2))[0])
        except BlockingIOError:
            return None

    def free(self, slot: int) -> None:
        """The process in it is gone."""
        for field in (PID, LOW, HIGH, CHILD):
            self.set(slot, field, 0)
        os.write(self._give, struct.pack("<H", slot))

    def get(self, slot: int, field: int) -> int:
        """A number of a slot."""
        return int(self.view[2 + slot * FIELDS + field])

    def set(self, slot: int, field: int, value: int) -> None:
        """Write it."""
        self.view[2 + slot * FIELDS + field] = value

    def address(self, slot: int, field: int) -> int:
        """Where a number lies."""
        return abi.address_of(self._numbers) + 8 * (2 + slot * FIELDS + field)

    def count(self, slot: int, name: str, by: int = 1) -> None:
        """Something happened: a name of COUNTED or CAUSES."""
        self.view[2 + slot * FIELDS + NUMBER[name]] += by

    def total(self, name: str) -> int:
        """How often it happened in all slots."""
        return sum(self.get(slot, NUMBER[name]) for slot in range(self.number))

    def begin_store(self, slot: int, page: int, old: bytes) -> None:
        """A store to the page at that address begins, which holds `old`."""
        self._old[slot * PAGE : (slot + 1) * PAGE] = old
        self.set(slot, HIGH, page + PAGE)
        self.set(slot, LOW, page)

    def end_store(self, slot: int) -> None:
        """It has landed."""
        self.set(slot, LOW, 0)
        self.set(slot, HIGH, 0)

    def old(self, slot: int) -> bytes:
        """What the page of the store under way held before."""
        return self._old[slot * PAGE : (slot + 1) * PAGE]

    def close(self) -> None:
        """Release all of it."""
        self.view.release()
        self._numbers.close()
        self._old.close()
        os.close(self._free)
        os.close(self._give)
