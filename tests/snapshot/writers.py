"""Threads that write memory and keep a log of it, and the check that an image is what replaying a log gives, with zero wrong pages.

Each writer has cells of its own (those whose number has its remainder), and the n-th of its stores writes n, so the greatest number in
its cells of an image tells how much of its log the image has: exactly that prefix must be there, of every writer.
"""

import bisect
import ctypes
import mmap
import os
import random
import threading
from collections.abc import Callable
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from breakcow.agent import abi

Cells = NDArray[np.int64]
MREMAP_DONTUNMAP = 4
PAGE_CELLS = abi.PAGE // 8
Operation = Callable[["Writer", int, int], None]  # (writer, cell, number): changes the cell to the number, and logs what else it changes


def private(size: int, huge: bool = False) -> Cells:
    """Private anonymous memory, untouched."""
    memory = mmap.mmap(-1, size + (4 << 20 if huge else 0), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    cells: Cells = np.frombuffer(memory, dtype=np.int64)
    if not huge:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        return cells
    memory.madvise(mmap.MADV_HUGEPAGE)
    skip = -cells.ctypes.data % (2 << 20) // 8
    return cells[skip : skip + size // 8]


class Writer(threading.Thread):
    """Stores to its cells of `cells`, one operation after the other, until `stop`."""

    def __init__(self, cells: Cells, seed: int, remainder: int = 0, writers: int = 1, operations: tuple[Operation, ...] = ()) -> None:
        super().__init__(daemon=True)
        self.cells, self.remainder, self.writers = cells, remainder, writers
        self.random = random.Random(seed)
        self.operations = operations or (scalar,)
        self.log: list[
            tuple[int, int, int, str]
        ] = []  # from cell, to cell, number of the store, what happened to those that are this writer's
        self.number = 0
        self.base = cells.copy()
        self.ended = threading.Event()

    def run(self) -> None:
        """Write."""
        mine = len(self.cells) // self.writers
        while not self.ended.is_set():
            cell = self.random.randrange(mine) * self.writers + self.remainder
            self.random.choice(self.operations)(self, cell, self.number + 1)
            self.number += 1

    def stop(self) -> None:
        """No more stores; its error, if it had one, is not lost."""
        self.ended.set()
        self.join(60)
        assert not self.is_alive(), "a writer hangs"

    def check(self, image: Cells) -> int:
        """Zero wrong pages, or AssertionError: how many stores of this writer the image has.

        The last of them may have been under way: then its first cells are written and the rest are not.
        """
        mine = slice(self.remainder, None, self.writers)
        number = int(image[mine].max())
        expected = self.base.copy()
        wrong = np.flatnonzero(image[mine] != expected[mine])
        before = bisect.bisect_left(self.log, number, key=itemgetter(2))
        kept = self._replayed(expected, before)
        for start, end, value, what in [*self.log[before:], (0, 0, 1 << 62, "store")]:
            if value > number or (value == number and what == "store"):
                wrong = np.flatnonzero(image[mine] != expected[mine])
                if not len(wrong) or value > number + 2:
                    break
            part = slice(start + (self.remainder - start) % self.writers, end, self.writers)
            if what == "gone":
                kept = expected[part].copy()
                expected[part] = 0
            elif what == "back":
                expected[part] = kept
            else:
                new = image[part] == value
                stop = len(new) if value != number or new.all() else int(new.argmin())
                assert not new[stop:].any(), "the last store is there in part, and not its first part"
                expected[part][:stop] = value
        pages = sorted({int(cell) * self.writers // PAGE_CELLS for cell in wrong})
        assert not pages, f"{len(pages)} wrong pages after {number} of {self.number} stores: {pages[:8]}"
        return number

    def _replayed(self, expected: Cells, entries: int) -> Cells:
        """Do to `expected` what the first entries of the log say, stores of one cell many at a time: what was moved away last."""
        kept = self.base[:0]
        cells: list[int] = []
        values: list[int] = []
        for start, end, value, what in self.log[:entries]:
            if what == "store" and end == start + 1:
                cells.append(start)
                values.append(value)
                continue
            expected[cells] = values
            cells, values = [], []
            part = slice(start + (self.remainder - start) % self.writers, end, self.writers)
            if what == "gone":
                kept = expected[part].copy()
            expected[part] = kept if what == "back" else 0 if what == "gone" else value
        expected[cells] = values
        return kept


def scalar(writer: Writer, cell: int, number: int) -> None:
    """A store of one cell."""
    writer.log.append((cell, cell + 1, number, "store"))
    writer.cells[cell] = number


def slices(writer: Writer, cell: int, number: int) -> None:
    """A store of up to three pages, which may run over their edges."""
    end = min(len(writer.cells), cell + writer.writers * writer.random.randrange(1, 3 * PAGE_CELLS))
    writer.log.append((cell, end, number, "store"))
    writer.cells[cell : end : writer.writers] = number


def readinto(writer: Writer, cell: int, number: int) -> None:
    """read(2) into one page and a bit: a store by the kernel. Only for a writer that is alone."""
    end = min(len(writer.cells), cell + PAGE_CELLS + 3)
    writer.log.append((cell, end, number, "store"))
    data = np.full(end - cell, number, np.int64)
    fd = os.memfd_create("source")
    try:
        os.write(fd, data.tobytes())
        assert os.preadv(fd, [writer.cells[cell:end].data.cast("B")], 0) == data.nbytes
    finally:
        os.close(fd)


def _page(writer: Writer, cell: int) -> tuple[int, int]:
    """The first cell and the address of the page of a cell."""
    address = (writer.cells.ctypes.data + cell * 8) // abi.PAGE * abi.PAGE
    return (address - writer.cells.ctypes.data) // 8, address


def mprotected(writer: Writer, cell: int, number: int) -> None:
    """mprotect(2) to read-only or nothing and back, then a store. Only for a writer that is alone."""
    _, address = _page(writer, cell)
    abi.syscall(abi.MPROTECT, address, abi.PAGE, writer.random.choice((0, abi.PROT_READ)))
    abi.syscall(abi.MPROTECT, address, abi.PAGE, abi.PROT_RW)
    scalar(writer, cell, number)


def dontneed(writer: Writer, cell: int, number: int) -> None:
    """MADV_DONTNEED of a page, then a store to it. Only for a writer that is alone, and on pages of the memory alone."""
    if writer.random.randrange(50):
        return scalar(writer, cell, number)
    first, address = _page(writer, cell)
    writer.log.append((first, first + PAGE_CELLS, number, "gone"))
    abi.syscall(abi.MADVISE, address, abi.PAGE, abi.MADV_DONTNEED)
    scalar(writer, cell, number)


def moved(writer: Writer, cell: int, number: int) -> None:
    """mremap(2) of a page to elsewhere, and back, then a store. Only for a writer that is alone."""
    if writer.random.randrange(50):
        return scalar(writer, cell, number)
    first, address = _page(writer, cell)
    flags = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS
    there = abi.syscall(abi.MMAP, 0, abi.PAGE, 0, flags, -1, 0)
    writer.log.append((first, first + PAGE_CELLS, number, "gone"))
    abi.syscall(abi.MREMAP, address, abi.PAGE, abi.PAGE, abi.MREMAP_MAYMOVE | abi.MREMAP_FIXED | MREMAP_DONTUNMAP, there)
    abi.syscall(abi.MREMAP, there, abi.PAGE, abi.PAGE, abi.MREMAP_MAYMOVE | abi.MREMAP_FIXED, address)
    writer.log.append((first, first + PAGE_CELLS, number, "back"))
    scalar(writer, cell, number)


def forked(writer: Writer, cell: int, number: int) -> None:
    """A fork whose child scribbles over everything that it inherited, and a store of the parent while the child has the page too."""
    if writer.random.randrange(200):
        return scalar(writer, cell, number)
    child = os.fork()
    if child == 0:
        try:
            ctypes.memset(writer.cells.ctypes.data, 0x55, writer.cells.nbytes)
        finally:
            os._exit(0)
    scalar(writer, cell, number)
    os.waitpid(child, 0)
