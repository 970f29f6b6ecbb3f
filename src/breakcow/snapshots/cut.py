"""One cut through memory that others go on writing: protect everything, copy each piece before its first store lands, prove it, let go.

Three rules make it exact (docs/snapshot.md has the argument, tests/snapshot the tests):
- No fault is answered before the last protecting ioctl has returned. Whoever writes early waits, so the image is the memory at that return.
- A piece is copied, then seen to be protected still, and only then released. Protection, once lost, does not come back by itself: a piece
that has it
  after the copy had it all the time. One that has not is lost, and with it the image.
- Copies are made with pread(2) of /proc/PID/mem: a range that has vanished is an error and not a signal, and no page is unshared by being
read.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from breakcow.agent import abi, uffd
from breakcow.agent.abi import PAGE

from . import compiled, guard
from .compiled import Compiled
from .copying import HUGE, Copying, Memory, Plan, Save, Tally, writeprotect
from .errors import SnapshotError
from .layout import blocks
from .pagemap import Pagemap, Range

LARGE = 1 << 25  # bytes that are worth a second processor


class Cut:
    """The state of `ranges` at the return of `freeze`; `save` gets every piece of it once, in an order that the program's stores decide.

    Faults are answered from `divide` to `stop`. Raises SnapshotError from any method if the image is lost. Whoever holds the userfaultfd
    then has to `stop`, and to close it: that frees every writer.
    """

    keep = False  # what is copied stays protected

    def __init__(self, memory: Memory, ranges: Sequence[Range], save: Save) -> None:
        self.memory, self.ranges, self.save = memory, list(ranges), save
        self.changed: list[Range] = []  # what there is to copy
        self.scan = Pagemap(memory.pagemap)
        self.tally = Tally()
        self.starts: list[int] = []
        self.ends: list[int] = []
        self._copying: Copying | Compiled | None = None
        self._refused: list[SnapshotError] = []
        self._guard: guard.Guard | None = None

    def register(self, kept: int = -1) -> None:
        """Put the ranges under the userfaultfd: nothing is protected yet. kept: a descriptor that is open until nothing is, even if this
        process is killed.
        """
        for start, end in self.ranges:
            _demand(uffd.register(self.memory.uffd, start, end - start), "registered", start, end)
        before, self._guard = self._guard, guard.over(self.memory.uffd, self.ranges, kept)
        if before:
            before.dismiss()

    def freeze(self) -> None:
        """Protect everything: the image is the memory at the return of this. Answers no fault."""
        begin = time.perf_counter()
        middle = sum(end - start for start, end in self.ranges) // 2
        if middle < LARGE:
            self._protect_all(self.ranges)
        else:
            first, second = halves(self.ranges, middle)
            meanwhile = threading.Thread(target=self._protect_all, args=(second,))
            meanwhile.start()
            self._protect_all(first)
            meanwhile.join()
        if self._refused:
            raise self._refused[0]
        self.tally.freeze = time.perf_counter() - begin
        self.changed = self.ranges

    def _protect_all(self, ranges: Sequence[Range]) -> None:
        try:
            self.protect(ranges)
        except SnapshotError as error:
            self._refused.append(error)

    def protect(self, ranges: Sequence[Range]) -> None:
        """Write-protect the ranges, in order. SnapshotError if that cannot be."""
        for start, end in ranges[compiled.protect(self.memory.uffd, ranges) :]:
            try:
                writeprotect(self.memory.uffd, start, end, uffd.WRITEPROTECT_MODE_WP)
            except OSError as error:
                _demand(abi.errno_name(error.errno), "write-protected", start, end)

    def divide(self) -> None:
        """Say in which pieces it is copied, and begin to answer faults. A huge page is one, so that it stays one; the rest by 64 KiB."""
        self.starts, self.ends = [], []
        for start, end in sorted(self.changed):
            at = start
            for first, last in self._huge(start, end):
                self._pieces(blocks([(at, first)]))
                self._pieces((address, address + HUGE) for address in range(first, last, HUGE))
                at = last
            self._pieces(blocks([(at, end)]))
        self._copying = compiled.copying(self.memory, Plan(self.ranges, self.starts, self.ends, self.keep), self.save, self.tally)

    @property
    def frozen(self) -> bool:
        """Faults are being answered."""
        return self._copying is not None

    @property
    def copying(self) -> Copying | Compiled:
        """Who answers faults and copies. SnapshotError if nothing is frozen."""
        if self._copying is None:
            raise SnapshotError("nothing is frozen")
        return self._copying

    def stop(self) -> None:
        """No fault is answered any more when this returns."""
        if self._copying:
            self._copying.stop()
            self._copying = None

    def end(self) -> None:
        """No fault is answered any more, and the userfaultfd may be closed."""
        self.stop()
        if self._guard:
            self._guard.end()
            self._guard = None

    def _pieces(self, ranges: Iterable[Range]) -> None:
        for start, end in ranges:
            self.starts.append(start)
            self.ends.append(end)

    def _huge(self, start: int, end: int) -> Iterator[Range]:
        """The parts that whole huge pages map. Where there is room for none nobody is asked."""
        for from_, to in self.scan.huge(start, end) if -(-start // HUGE) * HUGE + HUGE <= end else ():
            first, last = -(-from_ // HUGE) * HUGE, to // HUGE * HUGE
            if first < last:
                self.tally.huge += (last - first) // HUGE
                yield first, last


def halves(ranges: Sequence[Range], middle: int) -> tuple[list[Range], list[Range]]:
    """The first `middle` bytes of the ranges, to a page, and the rest."""
    first, second = [], []
    for start, end in ranges:
        at = min(max(start + middle // PAGE * PAGE, start), end)
        middle -= end - start
        first += [(start, at)] if start < at else []
        second += [(at, end)] if at < end else []
    return first, second


def _demand(outcome: str, what: str, start: int, end: int) -> None:
    if outcome == "ok":
        return
    why = {
        "EBUSY": "another userfaultfd watches it",
        "EINVAL": "it is no private anonymous memory, or is unmapped",
        "EPERM": "it may never be written",
        "ENOENT": "it is unmapped",
    }.get(outcome, "the kernel refuses")
    raise SnapshotError(f"the memory from {start:#x} to {end:#x} cannot be {what} ({outcome}): {why}")
