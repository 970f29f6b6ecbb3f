"""Copying the pieces of a cut: each before its first store lands, each seen to be protected after it was copied, and only then released.

`Copying` does that between two lines of Python. compiled.py does the same in C, in two threads, where there is a compiler.
"""

import bisect
import fcntl
import os
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from breakcow.agent import uffd
from breakcow.agent.abi import PAGE

from .errors import LostError
from .layout import BLOCK
from .pagemap import Pagemap, Range

HUGE = 1 << 21
MESSAGES = 64  # that are read at once
SLOTS = 16  # pieces that are copied and not saved yet, at most: whoever waits is served first
PENDING, COPIED = 0, 1
PAGEFAULT = 0x12  # UFFD_EVENT_PAGEFAULT
MESSAGE = struct.Struct("<B7xQQQ")

Save = Callable[[int, memoryview], None]  # is given an address and the bytes that were there


class Tally:
    """What a cut did. freeze: seconds. stalls: faults. early_pages, pages: copied because of a fault, and at all. huge: huge pages.

    compiled: the copying was done in C.
    """

    def __init__(self) -> None:
        self.freeze = 0.0
        self.stalls = self.early_pages = self.pages = self.huge = 0
        self.compiled = False


class Memory(NamedTuple):
    """Descriptors that lead to the memory of a process: its userfaultfd, /proc/PID/mem and /proc/PID/pagemap."""

    uffd: int
    mem: int
    pagemap: int


class Plan(NamedTuple):
    """What is to be copied, and how. ranges: all that is protected. starts, ends: the pieces, in order.

    keep: what is copied stays protected, to tell the next cut that it has not changed.
    """

    ranges: Sequence[Range]
    starts: Sequence[int]
    ends: Sequence[int]
    keep: bool


class Copying:
    """Copies the pieces of a plan; `save` gets each of them once, in an order that the program's stores decide.

    Raises LostError from any method if a piece is lost. Whoever holds the userfaultfd then has to close it: that frees every writer.
    """

    def __init__(self, memory: Memory, plan: Plan, save: Save, tally: Tally) -> None:
        self.memory, self.plan, self.save, self.tally = memory, plan, save, tally
        self.scan = Pagemap(memory.pagemap)
        self.state = bytearray(len(plan.starts))
        self.next = 0  # the first piece that may be pending
        self._slots = [memoryview(bytearray(BLOCK)) for _ in range(SLOTS)]
        self._huge_slot = memoryview(bytearray(0))
        self._taken: deque[tuple[int, memoryview, memoryview]] = deque()  # address, what was there, the slot that holds it
        self._message = bytearray(32 * MESSAGES)
        self._expected = self._run = 0

    def fileno(self) -> int:
        """Readable when `attend` has something to do."""
        return self.memory.uffd

    def attend(self) -> None:
        """Answer until nobody waits and everything that was copied is saved."""
        while self.answer() or self._save_one():
            pass

    def step(self) -> bool:
        """Answer who waits, then copy one more piece; False when everything is copied and saved."""
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

    def stop(self) -> None:
        """Nothing is answered any more when this returns."""

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
                self._release(*self._window(address))
                continue
            start, end = self.plan.starts[piece], self.plan.ends[piece]
            self._take(piece)
            self._release(start, end)
            self.tally.early_pages += (end - start) // PAGE
        number = size // MESSAGE.size
        self.tally.stalls += number
        return number

    def _copy(self, piece: int) -> None:
        self._take(piece)
        if not self.plan.keep:
            self._release(self.plan.starts[piece], self.plan.ends[piece])

    def _window(self, address: int) -> Range:
        """What to release for a store to a page that need not be copied: the page, or its huge page if it is to be protected again.

        More of them if stores follow one another, as they then probably do.
        """
        page = address // PAGE * PAGE
        if not self.plan.keep:
            return page, page + PAGE
        huge = page // HUGE * HUGE
        if self.tally.huge and list(self.scan.huge(huge, huge + HUGE)) == [(huge, huge + HUGE)]:
            return huge, huge + HUGE
        self._run = min(2 * self._run, BLOCK) if page == self._expected else PAGE
        end = next(end for start, end in self.plan.ranges if start <= page < end)
        self._expected = self._before_pending(page, min(page + self._run, (page // BLOCK + 1) * BLOCK, end))
        return page, self._expected

    def _before_pending(self, start: int, end: int) -> int:
        """`end`, or where before it something begins that is still to be copied."""
        starts = self.plan.starts
        piece = bisect.bisect_right(starts, start)
        while piece < len(starts) and starts[piece] < end:
            if self.state[piece] == PENDING:
                return starts[piece]
            piece += 1
        return end

    def _pending(self, address: int) -> int:
        """The piece around the address that is still to be copied, or -1."""
        piece = bisect.bisect_right(self.plan.starts, address) - 1
        return piece if piece >= 0 and address < self.plan.ends[piece] and self.state[piece] == PENDING else -1

    def _take(self, piece: int) -> None:
        """Copy a piece, and prove that nobody wrote it before that."""
        start, end = self.plan.starts[piece], self.plan.ends[piece]
        slot = self._slot(end - start)
        room = slot[: end - start]
        try:
            done = os.preadv(self.memory.mem, [room], start)
        except OSError as error:
            raise unreadable(start, os.strerror(error.errno or 0)) from None
        if done != end - start:
            raise unreadable(start + done, "it ends there")
        if not self.scan.whole(start, end):
            raise unprotected(self.scan, start, end)
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

    def _release(self, start: int, end: int) -> None:
        """Let the writers of a range go on."""
        if not self._released(start, end):
            for page in range(start, end, PAGE):  # a part of it was unmapped since, and has nobody to wake; the kernel stops there
                self._released(page, page + PAGE)

    def _released(self, start: int, end: int) -> bool:
        try:
            writeprotect(self.memory.uffd, start, end, 0)
        except OSError:
            return False
        return True


def writeprotect(fd: int, start: int, end: int, mode: int) -> None:
    """UFFDIO_WRITEPROTECT. Raises OSError."""
    fcntl.ioctl(fd, uffd.UFFDIO_WRITEPROTECT, struct.pack("<QQQ", start, end - start, mode))


def unreadable(address: int, why: str) -> LostError:
    """A piece is gone."""
    return LostError(f"the memory at {address:#x} cannot be read any more ({why}): it was unmapped, or its process is gone")


def unprotected(scan: Pagemap, start: int, end: int) -> LostError:
    """A piece has lost its protection."""
    first, last = next(scan.unprotected(start, end), (start, start + PAGE))
    return LostError(
        f"{(last - first) // PAGE} pages at {first:#x} lost their write-protection before they were copied: they were discarded "
        "(MADV_DONTNEED), moved, mapped anew, or merged by KSM"
    )
