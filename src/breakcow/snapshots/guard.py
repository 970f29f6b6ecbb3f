"""guard.c: a second holder of the userfaultfd, so that nobody waits long where the first, the process that copies, is killed.

The kernel frees what a dead process had protected in one go, 15 to 30 us for a MiB, and wakes nobody before it is done
(fs/userfaultfd.c: userfaultfd_release). A guard wakes them first. It does nothing else, and holds nothing else; where it is killed too,
the kernel does as it would without it.
"""

import ctypes
import errno
import os
from array import array
from collections.abc import Sequence
from contextlib import suppress

from . import compiled
from .pagemap import Range


class State(ctypes.Structure):
    """struct guard, as far as Python knows it."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("uffd", "asked", "kept")),
        ("ranges", ctypes.c_uint64),
        *((name, ctypes.c_void_p) for name in ("first", "last")),
    )


class Guard:
    """Ready from the making of this to `end`, over ranges that are registered. kept: a descriptor that it closes last.

    OSError if there can be no process.
    """

    def __init__(self, library: ctypes.CDLL, uffd: int, ranges: Sequence[Range], kept: int) -> None:
        self._library = library
        self._arrays = [array("Q", each) for each in zip(*ranges, strict=True)]
        self._at = library.guard_make()
        shared = State.from_address(self._at)
        asked, self._alive = os.pipe2(os.O_CLOEXEC)
        shared.uffd, shared.asked, shared.kept = uffd, asked, kept
        shared.ranges = len(ranges)
        shared.first, shared.last = (each.buffer_info()[0] for each in self._arrays)
        self.pid = library.guard_start(self._at)
        os.close(asked)
        if self.pid < 0:
            os.close(self._alive)
            library.guard_drop(self._at)
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def dismiss(self) -> None:
        """It is gone when this returns, and has done nothing."""
        with suppress(BrokenPipeError):
            os.write(self._alive, b"-")
        self.end()

    def end(self) -> None:
        """Nothing is protected or registered any more when this returns."""
        os.close(self._alive)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self._library.guard_drop(self._at)


def over(uffd: int, ranges: Sequence[Range], kept: int) -> Guard | None:
    """A guard, where there is a compiler."""
    library = compiled.found()
    return Guard(library, uffd, ranges, kept) if library and ranges else None
