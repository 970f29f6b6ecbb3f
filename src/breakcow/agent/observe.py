"""Reading back, from outside and without disturbing it, the state of every page of every live litmus process.

/proc/PID/pagemap (fs/proc/task_mmu.c: pagemap_read), /proc/kpagecount and /proc/kpageflags (fs/proc/page.c), and the content of what is
present through /proc/PID/mem: a hole is never touched. Then the canonical form of backend.observation.
"""

import os
import struct
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import ksm, smaps
from .abi import PAGE
from .contents import Contents
from .process import Held, Process
from .thp import HUGE

SOFT_DIRTY, UFFD_WP, SWAP, PRESENT = 1 << 55, 1 << 57, 1 << 62, 1 << 63
PFN = (1 << 55) - 1
SWAP_TYPE = SWP_PTE_MARKER = 31  # the last type, which no swap area can have (include/linux/swap.h)
KPF_WRITEBACK, KPF_KSM, KPF_THP, KPF_ZERO_PAGE = 1 << 8, 1 << 21, 1 << 22, 1 << 24
BITS = SOFT_DIRTY | UFFD_WP | SWAP | PRESENT
MIXED = 1 << 64  # our own, of what stands for many base pages: they are not alike
WRITEBACK_SECONDS = 2

SCANNED = ("pages_shared", "pages_sharing", "pages_unshared")

Place = tuple[str, int]  # process name, page
Seen = dict[str, object]  # of backend.observation, as JSON


@dataclass(frozen=True)
class Bits:
    """Which bits this kernel shows, found by probing."""

    ksm: bool
    uffd_wp: bool
    soft_dirty: bool
    mapcount: bool


@dataclass
class Frame:
    """What one observation knows of a page frame. number: its canonical name, -1 for the zero page, -2 for the huge zero page."""

    number: int
    mapcount: int
    ksm: bool | None
    content: int | None


class Observer:
    """Observes the processes of one run. `names`: of the pages. `offsets`: where in its huge region a page of one begins."""

    def __init__(self, bits: Bits, names: Sequence[str], counters: "Counters", contents: Contents, offsets: Mapping[int, int]) -> None:
        self.bits = bits
        self.offsets = offsets
        self.names = names
        self.counters = counters
        self.contents = contents
        self.before: dict[Place, int] = {}
        self.frames: dict[int, Frame] = {}
        self.numbered = 0
        self.ksm: dict[int, bool] = {}
        self.huge: dict[str, list[tuple[int, int]]] = {}
        self.seen: dict[tuple[object, ...], Seen] = {}  # what was said of pages, to be said again

    def observe(self, processes: Iterable[Process], merged: bool) -> dict[str, Seen]:
        """The processes, as they are now. merged: ksmd may have merged pages since the last time."""
        self.frames, self.numbered = {}, 0
        living = sorted((process for process in processes), key=lambda process: process.name)
        entries = {process.name: _pagemap(process) for process in living if process.alive}
        if self.offsets:
            self.huge = {process.name: smaps.huge_areas(process.pid) for process in living if process.alive}
        now = self._frames_of(living, entries)
        if not self.bits.ksm:
            if merged or any(self.before.get(place) != pfn for place, pfn in now.items()):
                self._ask_smaps(living, now)
            for pfn, frame in self.frames.items():  # a frame that has stayed is a KSM page if it was one
                frame.ksm = self.ksm.get(pfn) if frame.number >= 0 else False
        seen = {process.name: self._process(process, entries.get(process.name, [])) for process in living}
        self.before = now
        return seen

    def shared_with_others(self) -> bool:
        """Whether a page of the last observation is mapped more often than by those observed."""
        if self.offsets or not self.bits.mapcount:
            return False
        ours = Counter(self.before.values())
        return any(frame.mapcount > ours[pfn] for pfn, frame in self.frames.items() if frame.number >= 0)

    def frames_of(self, process: Process, pages: Iterable[int]) -> list[int]:
        """The pfns of those pages that are present now."""
        entries = _pagemap(process)
        return [entries[page] & PFN for page in pages if entries[page] & PRESENT]

    def await_writeback(self, frames: Iterable[int]) -> None:
        """Wait until none of the frames is being written to the swap area."""
        end = time.monotonic() + WRITEBACK_SECONDS
        while time.monotonic() < end and any(self.counters.frame(pfn)[0] & KPF_WRITEBACK for pfn in frames):
            time.sleep(0.001)

    def _frames_of(self, processes: list[Process], entries: dict[str, list[int]]) -> dict[Place, int]:
        """(process, page) -> pfn of every page but the zero page; numbers the frames on the way."""
        now: dict[Place, int] = {}
        for process in processes:
            for page, entry in enumerate(entries.get(process.name, ())):
                if entry & PRESENT and self._frame(process, page, entry & PFN).number >= 0:
                    now[process.name, page] = entry & PFN
        return now

    def _frame(self, process: Process, page: int, pfn: int) -> Frame:
        """What is known of a frame that the process maps."""
        if pfn in self.frames:
            return self.frames[pfn]
        flags, mapcount = self.counters.frame(pfn)
        if flags & KPF_ZERO_PAGE:
            return self.frames.setdefault(pfn, Frame(-2 if flags & KPF_THP else -1, mapcount, False, None))
        content = self._content(process, process.addresses[page]) if process.sizes[page] == PAGE else None
        self.numbered += 1
        number = self.numbered - 1
        return self.frames.setdefault(pfn, Frame(number, mapcount, bool(flags & KPF_KSM), content))

    def _ask_smaps(self, processes: list[Process], now: dict[Place, int]) -> None:
        """Put what smaps says in the place of KPF_KSM."""
        mapped = [
            (process, {process.addresses[page]: pfn for (name, page), pfn in now.items() if name == process.name})
            for process in processes
            if process.alive
        ]
        stayed = {pfn for place, pfn in now.items() if self.before.get(place) == pfn}
        self.ksm = smaps.ksm_frames(mapped, {pfn: ksm for pfn, ksm in self.ksm.items() if pfn in stayed})

    def _process(self, process: Process, entries: list[int]) -> Seen:
        seen: Seen = {"state": process.state}
        if not process.alive:
            return seen
        seen["pages"] = {name: self._page(process, page, entries[page]) for page, name in enumerate(self.names)}
        held: dict[str, Mapping[int, Held]] = {"pinned": process.pins, "spliced": process.pipes}
        for key, pages in held.items():
            if pages:
                seen[key] = {self.names[page]: self.contents.value(each.content()) for page, each in sorted(pages.items())}
        if process.merging >= 0:
            seen["merging"] = int(os.pread(process.merging, 32, 0))
        return seen

    def _page(self, process: Process, page: int, entry: int) -> Seen:
        """What is seen of a page, made once for all that look alike: to make it is what takes the time."""
        if self.offsets:
            return self._look(process, page, entry)
        frame = self.frames.get(entry & PFN) if entry & PRESENT else None
        moved = self.before.get((process.name, page), entry & PFN) != entry & PFN
        known = (frame.number, frame.mapcount, frame.ksm, frame.content, moved) if frame else ()
        look = (page in process.mapped, entry if not frame else entry & ~PFN, *known)
        if look not in self.seen:
            self.seen[look] = self._look(process, page, entry)
        return self.seen[look]

    def _look(self, process: Process, page: int, entry: int) -> Seen:
        if page not in process.mapped:
            return {"state": "unmapped"}
        if entry & MIXED:
            return {"state": "mixed"}
        seen: Seen = {"state": "none"}
        if entry & PRESENT:
            seen = self._present(process.name, page, entry & PFN)
        elif entry & SWAP:
            seen = {"state": "marker" if entry & UFFD_WP and _is_marker(entry & PFN) else "swap"}
        at = process.addresses[page]
        if page in self.offsets and at % HUGE == self.offsets[page]:
            zero = entry & PRESENT and self.frames[entry & PFN].number == -2
            seen["huge"] = bool(zero) or _inside(at, self.huge[process.name])
        if self.bits.uffd_wp:
            seen["uffd_wp"] = bool(entry & UFFD_WP)
        if self.bits.soft_dirty:
            seen["soft_dirty"] = bool(entry & SOFT_DIRTY)
        return seen

    def _present(self, name: str, page: int, pfn: int) -> Seen:
        """What is seen of the frame of a page of the process `name`."""
        frame = self.frames[pfn]
        if frame.number < 0:
            return {"state": "zero", "ksm": False}
        seen: Seen = {"state": "page", "frame": frame.number}
        if self.before.get((name, page), pfn) != pfn:
            seen["moved"] = True
        mapcount = frame.mapcount if self.bits.mapcount else None
        known = {"content": frame.content, "mapcount": mapcount, "ksm": frame.ksm}
        return seen | {key: value for key, value in known.items() if value is not None}

    def _content(self, process: Process, address: int) -> int | None:
        """The value of a present page; None where this kernel refuses to read what the process may not read itself."""
        try:
            return self.contents.value(os.pread(process.files[1], PAGE, address))
        except OSError:
            return None


class Counters:
    """The open files of the counters, kept for many runs."""

    def __init__(self) -> None:
        self.files = {name: _open(f"{ksm.DIRECTORY}/{name}") for name in (*ksm.COUNTERS, *SCANNED) if ksm.has(name)}
        self.vmstat = _open("/proc/vmstat")
        self.kpageflags = _open("/proc/kpageflags")
        self.kpagecount = _open("/proc/kpagecount")

    def read(self) -> dict[str, int]:
        """The counters of KSM, and cow_ksm of /proc/vmstat since boot, as far as this kernel has them."""
        values = {name: int(os.pread(self.files[name], 32, 0)) for name in ksm.COUNTERS if name in self.files}
        os.lseek(self.vmstat, 0, os.SEEK_SET)
        text = b""
        while part := os.read(self.vmstat, 65536):  # the kernel gives a page at a time
            text += part
            _, found, rest = text.partition(b"\ncow_ksm ")
            if found and b"\n" in rest:
                return values | {"cow_ksm": int(rest.split(b"\n", 1)[0])}
        return values

    def scanned(self) -> int:
        """How many pages KSM counts as merged or as seen without a partner."""
        return sum(int(os.pread(self.files[name], 32, 0)) for name in SCANNED)

    def frame(self, pfn: int) -> tuple[int, int]:
        """The flags and the mapcount of a page frame."""
        flags = os.pread(self.kpageflags, 8, pfn * 8)
        count = os.pread(self.kpagecount, 8, pfn * 8)
        return int.from_bytes(flags, "little"), int.from_bytes(count, "little")

    def close(self) -> None:
        """Release the files."""
        for file in (*self.files.values(), self.vmstat, self.kpageflags, self.kpagecount):
            os.close(file)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _pagemap(process: Process) -> list[int]:
    """The pagemap entry of each page, in one read of the span that they lie in."""
    first = min(process.addresses) // PAGE
    count = max(process.addresses) // PAGE + 1 - first
    data = os.pread(process.files[0], count * 8, first * 8)
    entries = struct.unpack(f"<{len(data) // 8}Q", data)
    found = [entries[at // PAGE - first] for at in process.addresses]
    for page, size in enumerate(process.sizes):
        if size > PAGE and any((entry ^ found[page]) & BITS for entry in process.entries(page)):
            found[page] |= MIXED
    return found


def _inside(address: int, areas: Sequence[tuple[int, int]]) -> bool:
    return any(start <= address < end for start, end in areas)


def _is_marker(field: int) -> bool:
    """Whether the frame field of a pagemap entry that is not present shows a pte marker (pte_to_pagemap_entry, fs/proc/task_mmu.c).

    The field holds the swap type in its low five bits and the offset above. Swap areas count from type 0 and from offset 1; markers have
    one of the types at the end (MAX_SWAPFILES and more, include/linux/swap.h), or show no field at all.
    """
    return field == 0 or field & 31 >= 16
