"""Cuts of the same memory, one after the other, each of which copies only what was written since the one before.

What was copied stays protected. The first store to it afterwards is a fault that releases its page, so that at the next cut exactly the
pages that were written (or lost their protection in any other way) are found without it. A page that is seen protected after the last
protecting ioctl of a cut was protected since it was copied: it is what it was.
"""

import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from .copying import Memory, Save
from .cut import Cut
from .errors import LostError, SnapshotError
from .pagemap import Range

BATCH = 64  # ranges that are protected before stores that wait are looked for


class Increments(Cut):
    """After `register`, each `freeze` is a cut, and `divide` says what it has to copy. `changed` is what that is, as ranges."""

    keep = True

    def __init__(self, memory: Memory, ranges: Sequence[Range], save: Save) -> None:
        super().__init__(memory, ranges, save)
        self._owed: list[Range] = []  # protected again, and not saved yet: ahead of a cut, or by one that was lost

    def watch(self, ranges: Sequence[Range]) -> None:
        """From the next cut on it is of these ranges."""
        self.ranges = list(ranges)
        self._owed = [(max(a, start), min(b, end)) for a, b in self._owed for start, end in ranges if a < end and start < b]

    def ahead(self) -> None:
        """Protect what was written since the cut before, while stores go on and are answered: so much less is left for `freeze`.

        What cannot be protected is left to it, too.
        """
        if not self.frozen:
            return
        written = self.written()
        self._owed = joined(self._owed + written)
        for number in range(0, len(written), BATCH):
            with suppress(SnapshotError):
                self.protect(written[number : number + BATCH])
            self.copying.attend()

    def freeze(self) -> None:
        """Protect all that was written since the cut before; the image is the memory at the return of this. Answers no fault.

        Every cut begins with `stop`, and is one only when `prove` has found nothing wrong, before `divide`.
        """
        begin = time.perf_counter()
        written = self.written()
        self.protect(written)
        self.tally.freeze = time.perf_counter() - begin
        self.changed = self._owed = joined(written + self._owed) if written else self._owed

    def prove(self) -> None:
        """See that everything was protected at the return of `freeze`, for it still is. LostError if it is not.

        What `written` finds is not enough: it passes over memory that was unmapped, or mapped anew and is not watched.
        """
        lost = [found for start, end in self.ranges for found in self.scan.unprotected(start, end)]
        if lost:
            self._owed = joined(self._owed + lost)
            with suppress(SnapshotError):
                self.protect(lost)  # the next try may find it so
            raise LostError(
                f"the memory from {lost[0][0]:#x} to {lost[0][1]:#x} lost its write-protection while the image was taken: it was discarded "
                "(MADV_DONTNEED), moved, unmapped, mapped anew, or merged by KSM"
            )

    def written(self) -> list[Range]:
        """What was written since the cut before, in order: it has no protection."""
        return [found for start, end in self.ranges for found in self.scan.written(start, end, reset=False)]

    def saved(self) -> None:
        """Everything that `changed` is safe: the next cut need not copy it again."""
        self._owed = []


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
    poll.register(cut.copying, select.POLLIN)
    while ended not in [fd for fd, _ in poll.poll()]:
        cut.copying.attend()
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
