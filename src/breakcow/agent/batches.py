"""The LRU batches of this CPU (mm/swap.c): they hold stray references to pages, which decide whether a write reuses a page or copies it."""

import mmap

from . import abi


class Batches:
    """Empties the batches of the CPU that the caller runs on: as all litmus processes run there, no other counts."""

    def __init__(self) -> None:
        self.hole = mmap.mmap(-1, abi.PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def drain(self) -> None:
        """MADV_COLD of a hole: madvise_cold() calls lru_add_drain() first, in every kernel since 5.4, and finds nothing to do."""
        self.hole.madvise(abi.MADV_COLD)
