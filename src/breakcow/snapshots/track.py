"""`breakcow.track()`: which parts of memory were written, found by WP_ASYNC and PAGEMAP_SCAN: no store waits, and nobody handles a
fault.
"""

import os
from typing import Self

from breakcow.agent import uffd

from . import features, maps
from .buffers import Export, page_ranges
from .errors import SnapshotError, UntrustedKernelError
from .increments import joined
from .pagemap import Pagemap, Range


class Tracker:
    """Watches buffers from the making of this to `close`. A page counts as written if it may have been: KSM and MADV_DONTNEED count."""

    def __init__(self, things: tuple[object, ...]) -> None:
        found = features.measured()
        if lacking := features.lacking(found):
            raise UntrustedKernelError(lacking)
        if not found.offered & features.WP_ASYNC:
            raise UntrustedKernelError("UFFD_FEATURE_WP_ASYNC is not offered: it needs Linux 6.7")
        self._exports = [Export(thing) for thing in things]
        self._shapes = [export.shape for export in self._exports]
        self._ranges = page_ranges(self._shapes)
        if why := maps.strange(self._ranges):
            raise SnapshotError(why)
        self._uffd, _ = features.open_userfaultfd()
        self._pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        self._scan = Pagemap(self._pagemap)
        try:
            features.negotiate(self._uffd, features.NEEDED | features.WP_ASYNC)
            for start, end in self._ranges:
                self._demand(uffd.register(self._uffd, start, end - start))
                self._demand(uffd.protect(self._uffd, start, end - start))
        except BaseException:
            self.close()
            raise

    def dirty(self, reset: bool = False) -> list[Range]:
        """The pages that were written since this was made, or since the last reset, as (from, to) offsets in bytes in order.

        Offsets are those of the buffers one behind the other; a page at the edge of a buffer counts with the part that belongs to it.
        """
        written = [found for start, end in self._ranges for found in self._written(start, end, reset)]
        found, before = [], 0
        for shape in self._shapes:
            for start, end in written:
                first, last = max(start, shape.address), min(end, shape.address + shape.length)
                if first < last:
                    found.append((before + first - shape.address, before + last - shape.address))
            before += shape.length
        return found

    def _written(self, start: int, end: int, reset: bool) -> list[Range]:
        """The pages without protection. Where the kernel does not report those of an empty page table, they are looked for, too.

        What was mapped anew has to be watched first.
        """
        self._demand(uffd.register(self._uffd, start, end - start))
        if features.measured().holes:
            return list(self._scan.written(start, end, reset))
        written = list(self._scan.written(start, end, reset=True)) if reset else []
        rest = list(self._scan.unprotected(start, end))
        if reset:
            for first, last in rest:
                self._demand(uffd.protect(self._uffd, first, last - first))
        return joined(written + rest)

    def _demand(self, outcome: str) -> None:
        if outcome != "ok":
            raise SnapshotError(f"the memory cannot be watched ({outcome}): another userfaultfd watches it, or it was unmapped")

    def close(self) -> None:
        """Nothing is watched any more."""
        for start, end in self._ranges if self._uffd >= 0 else []:
            uffd.unregister(self._uffd, start, end - start)  # a child of a fork may have the userfaultfd open still
        for fd in (self._uffd, self._pagemap):
            if fd >= 0:
                os.close(fd)
        self._uffd = self._pagemap = -1
        for export in self._exports:
            export.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
