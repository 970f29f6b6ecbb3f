"""PAGEMAP_SCAN (fs/proc/task_mmu.c: do_pagemap_scan): which pages are write-protected, huge, or written.

Only positive evidence counts. A page is protected if its entry is there (a page, a swap entry or a marker) and carries the uffd-wp bit.
What the kernel reports as "not written" is not enough: an empty page table is neither written nor protected, and some kernels pass over
it in silence.
"""

import ctypes
import fcntl
import struct
from collections.abc import Iterator

from breakcow.agent.abi import PAGE

PAGEMAP_SCAN = 0xC0606610
IS_WRITTEN, IS_FILE, IS_PRESENT, IS_SWAPPED, IS_HUGE = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 6
PM_SCAN_WP_MATCHING = 1 << 0
REGIONS = 512  # as many as the kernel hands out at a time (pagemap_scan_init_bounce_buffer)
Range = tuple[int, int]  # addresses: from, to


class Pagemap:
    """Asks /proc/PID/pagemap, open as `fd`. Addresses are multiples of a page; OSError with ENOTTY before Linux 6.7."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._argument = bytearray(96)
        self._regions = (ctypes.c_uint64 * (3 * REGIONS))()
        self._at = ctypes.addressof(self._regions)

    def whole(self, start: int, end: int) -> bool:
        """Every page from `start` to `end` is write-protected."""
        found = self._scan(start, end, 2, IS_WRITTEN, IS_WRITTEN, IS_PRESENT | IS_SWAPPED)
        return found == 1 and self._regions[0] == start and self._regions[1] == end

    def protected(self, start: int, end: int) -> Iterator[Range]:
        """The ranges of write-protected pages, in order."""
        return self._ranges(start, end, IS_WRITTEN, IS_WRITTEN, IS_PRESENT | IS_SWAPPED)

    def unprotected(self, start: int, end: int) -> Iterator[Range]:
        """The ranges of pages that are not write-protected, or not there at all, in order."""
        at = start
        for first, last in self.protected(start, end):
            if first > at:
                yield at, first
            at = last
        if at < end:
            yield at, end

    def own(self, start: int, end: int) -> list[Range]:
        """The ranges of pages that hold something that is in no file, in order."""
        return list(self._ranges(start, end, IS_FILE, IS_FILE, IS_PRESENT | IS_SWAPPED))

    def huge(self, start: int, end: int) -> Iterator[Range]:
        """The ranges that huge pages map, in order."""
        return self._ranges(start, end, 0, IS_HUGE, 0)

    def written(self, start: int, end: int, reset: bool) -> Iterator[Range]:
        """The ranges of pages without protection, in order; reset: each is protected as it is found, in one step (only with WP_ASYNC)."""
        return self._ranges(start, end, 0, IS_WRITTEN, 0, PM_SCAN_WP_MATCHING if reset else 0)

    def _ranges(self, start: int, end: int, inverted: int, mask: int, any_of: int, flags: int = 0) -> Iterator[Range]:
        """All matching ranges; neighbours that two calls report are joined."""
        before: Range | None = None
        while start < end:
            number = self._scan(start, end, REGIONS, inverted, mask, any_of, flags)
            for first, last in [(self._regions[3 * n], self._regions[3 * n + 1]) for n in range(number)]:
                if before and before[1] == first:
                    before = before[0], last
                else:
                    if before:
                        yield before
                    before = first, last
            start = struct.unpack_from("<Q", self._argument, 32)[0]  # walk_end
        if before:
            yield before

    def _scan(self, start: int, end: int, room: int, inverted: int, mask: int, any_of: int, flags: int = 0) -> int:
        """One PAGEMAP_SCAN into `_regions`: how many it holds."""
        shown = mask & (IS_WRITTEN | IS_HUGE)
        struct.pack_into("<12Q", self._argument, 0, 96, flags, start, end, 0, self._at, room, 0, inverted, mask, any_of, shown)
        return int(fcntl.ioctl(self.fd, PAGEMAP_SCAN, self._argument))


def pages(ranges: Iterator[Range]) -> int:
    """How many pages lie in the ranges."""
    return sum(end - start for start, end in ranges) // PAGE
