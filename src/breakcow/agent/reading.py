"""What the kernel's files say of processes and of the page frames that they map, read in two goes: the page tables, then the frames."""

import errno
import itertools
import os
import struct
from collections.abc import Sequence

from .abi import PAGE
from .gather import Again, Read
from .process import Process

SOFT_DIRTY, UFFD_WP, SWAP, PRESENT = 1 << 55, 1 << 57, 1 << 62, 1 << 63
PFN = (1 << 55) - 1
BITS = SOFT_DIRTY | UFFD_WP | SWAP | PRESENT
MIXED = 1 << 64  # our own, of what stands for many base pages: they are not alike
NUMBER = 32  # bytes, at most, of a file with one number
NO_FILE = -1  # what stands for many base pages has no one content
FRAME = struct.Struct(f"<QQ{PAGE}s")

Numbers = tuple[tuple[int, ...], bytes]  # results and data of reads
Look = tuple[int, int, bytes | None]  # flags, mapcount, content; None where this kernel refuses to read it


class Reading:
    """entries: process -> pagemap entry of each page. merging: process -> ksm_merging_pages, where there is such a file.
    frames: pfn -> what was seen of it, in the order of processes and pages. kpageflags, kpagecount: the open files. huge: some pages stand
    for many. more: the results and the data of what else was wanted."""

    def __init__(self, kpageflags: int, kpagecount: int, huge: bool) -> None:
        self.kpageflags, self.kpagecount, self.huge = kpageflags, kpagecount, huge
        self.names: list[str] = []
        self.entries: dict[str, list[int]] = {}
        self.merging: dict[str, int] = {}
        self.frames: dict[int, Look] = {}
        self.more: Numbers = ((), b"")
        self._tables, self._looks = Again(), Again()

    def again(self, living: Sequence[Process], more: Sequence[Read]) -> bool:
        """Read what is to be seen of these processes, and `more`: whether it is what was read the last time."""
        names = [process.name for process in living]
        tables = [_tables(process) for process in living]
        same = self._tables.read((*itertools.chain.from_iterable(tables), *more)) and names == self.names
        count = len(self._tables.results) - len(more)
        self.more = self._tables.results[count:], self._tables.data[len(self._tables.data) - sum(size for _, size, _ in more) :]
        same = same and not self.huge  # of these the tables say only how they begin
        if not same:
            self.names = names
            self._read_tables(living)
            wanted = self._frames_of(living)
        else:
            wanted = self._looks.reads
        if self._looks.read(wanted) and same:
            return True
        self._read_looks()
        return False

    def _read_tables(self, living: Sequence[Process]) -> None:
        """Take the page tables apart."""
        at = 0
        self.entries, self.merging = {}, {}
        pieces = iter(zip(self._tables.reads, self._tables.results, strict=True))
        for process in living:
            (_, size, _), read = next(pieces)
            _demand(read == size, read)
            self.entries[process.name] = _entries(process, self._tables.data[at : at + size])
            at += size
            if process.merging >= 0:
                _, read = next(pieces)
                _demand(read > 0, read)
                self.merging[process.name] = int(self._tables.data[at : at + read])
                at += NUMBER

    def _frames_of(self, living: Sequence[Process]) -> tuple[Read, ...]:
        """The reads that look at every frame once; notes which frames these are."""
        self.frames = {}
        wanted: list[Read] = []
        for process in living:
            for page, entry in enumerate(self.entries[process.name]):
                pfn = entry & PFN
                if entry & PRESENT and pfn not in self.frames:
                    self.frames[pfn] = (0, 0, None)
                    wanted += (
                        (self.kpageflags, 8, pfn * 8),
                        (self.kpagecount, 8, pfn * 8),
                        (process.files[1] if process.sizes[page] == PAGE else NO_FILE, PAGE, process.addresses[page]),
                    )
        return tuple(wanted)

    def _read_looks(self) -> None:
        """Take apart what was read of the frames."""
        results = iter(self._looks.results)
        for pfn, (flags, mapcount, data) in zip(self.frames, FRAME.iter_unpack(self._looks.data), strict=True):
            _demand(next(results) == next(results) == 8, -errno.EIO)
            self.frames[pfn] = (flags, mapcount, data if next(results) == PAGE else None)


def _demand(read: bool, result: int) -> None:
    """OSError for a read that has failed."""
    if not read:
        raise OSError(-result if result < 0 else errno.EIO, os.strerror(-result if result < 0 else errno.EIO))


def _tables(process: Process) -> Sequence[Read]:
    """The pagemap of the span that all pages of a process lie in, and the number of its pages that KSM has merged."""
    first, last = min(process.addresses) // PAGE, max(process.addresses) // PAGE
    entries = (process.files[0], (last + 1 - first) * 8, first * 8)
    return (entries, (process.merging, NUMBER, 0)) if process.merging >= 0 else (entries,)


def _entries(process: Process, data: bytes) -> list[int]:
    """The pagemap entry of each page, from those of the span that they lie in."""
    first = min(process.addresses) // PAGE
    entries = struct.unpack(f"<{len(data) // 8}Q", data)
    found = [entries[at // PAGE - first] for at in process.addresses]
    for page, size in enumerate(process.sizes):
        if size > PAGE and any((entry ^ found[page]) & BITS for entry in process.entries(page)):
            found[page] |= MIXED
    return found
