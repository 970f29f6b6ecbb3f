"""One cut through memory that others go on writing: protect everything, copy each piece before its first store lands, prove it, let go.

Three rules make it exact (docs/snapshot.md has the argument, tests/snapshot the tests):
- No fault is answered before the last protecting ioctl has returned. Whoever writes early waits, so the image is the memory at that return.
- A piece is copied, then seen to be protected still, and only then released. Protection, once lost, does not come back by itself: a piece
that has it
  after the copy had it all the time. One that has not is lost, and with it the image.
- Copies are made with pread(2) of /proc/PID/mem: a range that has vanished is an error and not a signal, and no page is unshared by being
read.
"""

import bisect
import fcntl
import os
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from breakcow.agent import abi, uffd
from breakcow.agent.abi import PAGE

from .errors import LostError, SnapshotError
from .layout import BLOCK, blocks
from .pagemap import Pagemap, Range

HUGE = 1 << 21
MESSAGES = 64  # that are read at once
SLOTS = 24  # pieces that are copied and not saved yet, at most: whoever waits is served first
PENDING, COPIED = 0, 1
PAGEFAULT = 0x12  # UFFD_EVENT_PAGEFAULT
MESSAGE = struct.Struct("<B7xQQQ")

Save = Callable[[int, memoryview], None]  # is given an address and the bytes that were there


class Tally:
    """What a cut did. freeze: seconds. stalls: faults. early_pages, pages: copied because of a fault, and at all. huge: huge pages."""

    def __init__(self) -> None:
        self.freeze = 0.0
        self.stalls = self.early_pages = self.pages = self.huge = 0


class Memory(NamedTuple):
    """Descriptors that lead to the memory of a process: its userfaultfd, /proc/PID/mem and /proc/PID/pagemap."""

    uffd: int
    mem: int
    pagemap: int


class Cut:
    """The state of `ranges` at the return of `freeze`; `save` gets every piece of it once, in an order that the program's stores decide.

    Raises SnapshotError from any method if the image is lost. Whoever holds the userfaultfd then has to close it: that frees every writer.
    """

    def __init__(self, memory: Memory, ranges: Sequence[Range], save: Save) -> None:
        self.memory, self.ranges, self.save = memory, list(ranges), save
        self.scan = Pagemap(memory.pagemap)
        self.tally = Tally()
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.state = bytearray()
        self.next = 0  # the first piece that may be pending
        self._slots = [memoryview(bytearray(BLOCK)) for _ in range(SLOTS)]
        self._huge_slot = memoryview(bytearray(0))
        self._taken: deque[tuple[int, memoryview, memoryview]] = deque()  # address, what was there, the slot that holds it
        self._range = bytearray(24)
        self._message = bytearray(32 * MESSAGES)

    def register(self) -> None:
        """Put the ranges under the userfaultfd: nothing is protected yet."""
        for start, end in self.ranges:
            _demand(uffd.register(self.memory.uffd, start, end - start), "registered", start, end)

    def freeze(self) -> None:
        """Protect everything: the image is the memory at the return of this. Answers no fault."""
        begin = time.perf_counter()
        for start, end in self.ranges:
            self.protect(start, end)
        self.tally.freeze = time.perf_counter() - begin
        self.divide(self.ranges)

    def protect(self, start: int, end: int) -> None:
        """Write-protect a range. SnapshotError if that cannot be."""
        try:
            self._writeprotect(start, end, uffd.WRITEPROTECT_MODE_WP)
        except OSError as error:
            _demand(abi.errno_name(error.errno), "write-protected", start, end)

    def divide(self, ranges: Iterable[Range]) -> None:
        """What is to be copied, in pieces: a huge page is one, so that it stays one; the rest by 64 KiB."""
        self.starts, self.ends, self.next = [], [], 0
        for start, end in sorted(ranges):
            at = start
            for first, last in self._huge(start, end):
                self._pieces(blocks([(at, first)]))
                self._pieces((address, address + HUGE) for address in range(first, last, HUGE))
                at = last
            self._pieces(blocks([(at, end)]))
        self.state = bytearray(len(self.starts))

    def _pieces(self, ranges: Iterable[Range]) -> None:
        for start, end in ranges:
            self.starts.append(start)
            self.ends.append(end)

    def _huge(self, start: int, end: int) -> Iterator[Range]:
        """The parts that whole huge pages map."""
        for from_, to in self.scan.huge(start, end):
            first, last = -(-from_ // HUGE) * HUGE, to // HUGE * HUGE
            if first < last:
                self.tally.huge += (last - first) // HUGE
                yield first, last

    def answer(self) -> int:
        """Copy and release what others wait to write: how many faults that were. What was copied is saved later, when nobody waits."""
        try:
            size = os.readv(self.memory.uffd, [self._message])
        except BlockingIOError:
            return 0
        for event, _, address, _ in MESSAGE.iter_unpack(memoryview(self._message)[:size]):
            piece = self._pending(address)
            if event != PAGEFAULT:
                continue
            if piece < 0:
                self._release(*self.window(address))
                continue
            start, end = self.starts[piece], self.ends[piece]
            self._take(piece)
            self._release(start, end)
            self.tally.early_pages += (end - start) // PAGE
        number = size // MESSAGE.size
        self.tally.stalls += number
        return number

    def attend(self) -> None:
        """Answer until nobody waits and everything that was copied is saved."""
        while self.answer() or self._save_one():
            pass

    def step(self) -> bool:
        """Answer who waits, then copy one more piece; False when there is none."""
        self.attend()
        self.next = self.state.find(PENDING, self.next)
        if self.next >= 0:
            self._copy(self.next)
        return self.next >= 0

    def copy(self, address: int) -> None:
        """Copy the piece that begins at this address now, if it has not been, and save it."""
        piece = self._pending(address)
        if piece >= 0:
            self._copy(piece)
            self.attend()

    def _copy(self, piece: int) -> None:
        self._take(piece)
        self.let_go(self.starts[piece], self.ends[piece])

    def let_go(self, start: int, end: int) -> None:
        """A piece is copied that nobody waits for: it need not be protected any longer."""
        self._release(start, end)

    def window(self, address: int) -> Range:
        """What to release for a store to a page that need not be copied."""
        return address // PAGE * PAGE, address // PAGE * PAGE + PAGE

    def _pending(self, address: int) -> int:
        """The piece around the address that is still to be copied, or -1."""
        piece = bisect.bisect_right(self.starts, address) - 1
        return piece if piece >= 0 and address < self.ends[piece] and self.state[piece] == PENDING else -1

    def _take(self, piece: int) -> None:
        """Copy a piece, and prove that nobody wrote it before that."""
        start, end = self.starts[piece], self.ends[piece]
        slot = self._slot(end - start)
        room = slot[: end - start]
        try:
            done = os.preadv(self.memory.mem, [room], start)
        except OSError as error:
            raise LostError(f"the memory at {start:#x} cannot be read any more ({error.strerror}): it was unmapped") from None
        if done != end - start:
            raise LostError(f"the memory at {start:#x} ends at {start + done:#x}: it was unmapped, or its process is gone")
        if not self.scan.whole(start, end):
            raise LostError(self._lost(start, end))
        self.state[piece] = COPIED
        self._taken.append((start, room, slot))
        self.tally.pages += (end - start) // PAGE

    def _slot(self, size: int) -> memoryview:
        """Room for a piece: what was copied first is saved if there is none."""
        if size > BLOCK and not len(self._huge_slot):
            self._huge_slot = memoryview(bytearray(HUGE))
            self._slots.append(self._huge_slot)
        while True:
            for number, slot in enumerate(self._slots):
                if (len(slot) == HUGE) == (size > BLOCK):
                    return self._slots.pop(number)
            self._save_one()

    def _save_one(self) -> bool:
        """Save what was copied first; False if everything is saved."""
        if not self._taken:
            return False
        start, room, slot = self._taken.popleft()
        self._slots.append(slot)
        self.save(start, room)
        return True

    def _lost(self, start: int, end: int) -> str:
        first, last = next(self.scan.unprotected(start, end), (start, start + PAGE))
        return (
            f"{(last - first) // PAGE} pages at {first:#x} lost their write-protection before they were copied: they were discarded "
            "(MADV_DONTNEED), moved, mapped anew, or merged by KSM"
        )

    def _release(self, start: int, end: int) -> None:
        """Let the writers of a range go on."""
        if not self._released(start, end):
            for page in range(start, end, PAGE):  # a part of it was unmapped since, and has nobody to wake; the kernel stops there
                self._released(page, page + PAGE)

    def _released(self, start: int, end: int) -> bool:
        try:
            self._writeprotect(start, end, 0)
        except OSError:
            return False
        return True

    def _writeprotect(self, start: int, end: int, mode: int) -> None:
        """UFFDIO_WRITEPROTECT. Raises OSError."""
        struct.pack_into("<QQQ", self._range, 0, start, end - start, mode)
        fcntl.ioctl(self.memory.uffd, uffd.UFFDIO_WRITEPROTECT, self._range)


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
