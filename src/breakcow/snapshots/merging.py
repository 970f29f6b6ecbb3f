"""Keeps ksmd away from memory while it is write-protected.

ksmd drops the uffd-wp bit of a page that it merges (mm/ksm.c: replace_page, docs/finds/ksm-merge-drops-uffd-wp.md), so that the next
store lands unseen. A cut finds out and refuses the image; this sees to it that there is something to save: the ranges are unmerged before
they are frozen, and may be merged again afterwards. That costs the memory that merging saved.
"""

from collections.abc import Callable
from contextlib import suppress

from breakcow.agent import abi

from . import maps
from .pagemap import Range

Advise = Callable[[int, int, int], None]  # madvise(2) of the process in question: address, bytes, advice. Raises OSError


class Apart:
    """The ranges are not mergeable from the making of this to `restore`. Raises OSError, as with ENOMEM where there is no memory to
    unmerge into.
    """

    def __init__(self, ranges: list[Range], pid: int | str = "self", advise: Advise | None = None) -> None:
        self._advise = advise or madvise
        self.ranges = maps.mergeable(ranges, pid)
        for start, end in self.ranges:
            self._advise(start, end - start, abi.MADV_UNMERGEABLE)

    def restore(self) -> None:
        """What was mergeable is so again; what is gone by now is left alone."""
        for start, end in self.ranges:
            with suppress(OSError):
                self._advise(start, end - start, abi.MADV_MERGEABLE)
        self.ranges = []


def madvise(address: int, length: int, advice: int) -> None:
    """madvise(2) of this process. Raises OSError."""
    abi.syscall(abi.MADVISE, address, length, advice)
