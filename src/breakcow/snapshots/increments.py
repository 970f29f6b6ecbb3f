"""Cuts of the same memory, one after the other, each of which copies only what was written since the one before.

What was copied stays protected. The first store to it afterwards is a fault that releases its page, so that at the next cut exactly the
pages that were written (or lost their protection in any other way) are found without it. A page that is seen protected after the last
protecting ioctl of a cut was protected since it was copied: it is what it was.
"""

import bisect
import os
import select
import threading
import time
from collections.abc import Callable, Sequence

from breakcow.agent.abi import PAGE

from .cut import HUGE, PENDING, Cut, Memory, Save
from .errors import SnapshotError
from .layout import BLOCK
from .pagemap import Range

ROUNDS = 100  # that a cut is tried while pages go on losing their protection


class Increments(Cut):
    """After `register`, each `freeze` is a cut, and `step` copies what it needs. `changed` is what that is, as ranges."""

    def __init__(self, memory: Memory, ranges: Sequence[Range], save: Save) -> None:
        super().__init__(memory, ranges, save)
        self.changed: list[Range] = []
        self._owed: list[Range] = []  # frozen by a cut that was lost before all of it was saved
        self._expected = self._run = 0

    def freeze(self) -> None:
        """Protect all that is not protected; the image is the memory at the return of this. Answers no fault."""
        begin = time.perf_counter()
        found = [each for start, end in self.ranges for each in self.scan.written(start, end, reset=False)]  # quicker, and nearly all
        changed: list[Range] = []
        for _ in range(ROUNDS):
            for start, end in found:
                self.protect(start, end)
            changed += found
            found = self._unprotected()
            if not found:
                break
        else:
            raise SnapshotError(
                "the memory loses its write-protection as fast as it gets it: it is discarded, moved or merged all the time"
            )
        self.tally.freeze = time.perf_counter() - begin
        owed = [(max(a, start), min(b, end)) for a, b in self._owed for start, end in self.ranges if a < end and start < b]
        self.changed = self._owed = joined(changed + owed)
        self._taken.clear()
        self.divide(self.changed)

    def saved(self) -> None:
        """Everything that `changed` is safe: the next cut need not copy it again."""
        self._owed = []

    def let_go(self, start: int, end: int) -> None:
        """It stays protected, to tell the next cut that it has not changed."""

    def window(self, address: int) -> Range:
        """The page of a store, or its huge page; more of them if stores follow one another, as they then probably do."""
        page = address // PAGE * PAGE
        huge = page // HUGE * HUGE
        if self.tally.huge and list(self.scan.huge(huge, huge + HUGE)) == [(huge, huge + HUGE)]:
            return huge, huge + HUGE
        self._run = min(2 * self._run, BLOCK) if page == self._expected else PAGE
        end = next(end for start, end in self.ranges if start <= page < end)
        self._expected = self._before_pending(page, min(page + self._run, (page // BLOCK + 1) * BLOCK, end))
        return page, self._expected

    def _before_pending(self, start: int, end: int) -> int:
        """`end`, or where before it something begins that is still to be copied."""
        piece = bisect.bisect_right(self.starts, start)
        while piece < len(self.starts) and self.starts[piece] < end:
            if self.state[piece] == PENDING:
                return self.starts[piece]
            piece += 1
        return end

    def _unprotected(self) -> list[Range]:
        return [found for start, end in self.ranges for found in self.scan.unprotected(start, end)]


def meanwhile(cut: Cut, work: Callable[[], None]) -> None:
    """Do what takes long, as fsync(2), while the stores to what stays protected are answered. Raises OSError if the work does."""
    ended = os.eventfd(0, os.EFD_CLOEXEC)
    failed: list[OSError] = []

    def run() -> None:
        try:
            work()
        except OSError as error:
            failed.append(error)
        os.eventfd_write(ended, 1)

    thread = threading.Thread(target=run)
    thread.start()
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(cut.memory.uffd, select.POLLIN)
    while ended not in [fd for fd, _ in poll.poll()]:
        cut.attend()
    thread.join()
    os.close(ended)
    if failed:
        raise failed[0]


def joined(ranges: list[Range]) -> list[Range]:
    """The same addresses as ranges in order that neither meet nor overlap."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found
