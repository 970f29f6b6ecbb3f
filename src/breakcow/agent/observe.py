"""Reading back, from outside and without disturbing it, the state of every page of every live litmus process.

/proc/PID/pagemap (fs/proc/task_mmu.c: pagemap_read), /proc/kpagecount and /proc/kpageflags (fs/proc/page.c), and the content of what is
present through /proc/PID/mem: a hole is never touched. Then the canonical form of backend.observation.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import ksm, smaps
from .contents import Contents
from .gather import Again
from .process import Held, Process
from .reading import MIXED, NUMBER, PFN, PRESENT, SOFT_DIRTY, SWAP, UFFD_WP, Numbers, Reading
from .thp import HUGE

SWAP_TYPE = SWP_PTE_MARKER = 31  # the last type, which no swap area can have (include/linux/swap.h)
KPF_WRITEBACK, KPF_KSM, KPF_THP, KPF_ZERO_PAGE = 1 << 8, 1 << 21, 1 << 22, 1 << 24
WRITEBACK_SECONDS = 2

SCANNED = ("pages_shared", "pages_sharing", "pages_unshared")
COW_KSM = re.compile(rb"\ncow_ksm (\d+)\n")
LINE = 64  # bytes, at most, of a line of /proc/vmstat

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
        self.reading = Reading(counters.kpageflags, counters.kpagecount, bool(offsets))
        self.before: dict[Place, int] = {}
        self.frames: dict[int, Frame] = {}
        self.ksm: dict[int, bool] = {}
        self.huge: dict[str, list[tuple[int, int]]] = {}
        self.mapped: list[set[int]] = []
        self.pages: dict[str, Seen] = {}  # of each process, as they were seen last
        self.still = False  # and nothing had moved
        self.shared_with_others = False  # a page is mapped more often than by the processes that are observed
        self.seen: dict[tuple[object, ...], Seen] = {}  # what was said of pages, to be said again

    def observe(self, processes: Iterable[Process], merged: bool, counting: bool) -> dict[str, Seen]:
        """The processes, as they are now. merged: ksmd may have merged pages since the last time. counting: read `counters` too."""
        everybody = sorted(processes, key=lambda process: process.name)
        living = [process for process in everybody if process.alive]
        same = (
            self.reading.again(living, self.counters.wanted if counting else ()) and [process.mapped for process in living] == self.mapped
        )
        if not same or not self.still or self.offsets or (merged and not self.bits.ksm):
            self._look_anew(living, merged)
        return {process.name: self._process(process) for process in everybody}

    def _look_anew(self, living: list[Process], merged: bool) -> None:
        """Say what is to be seen of the pages of these processes, as they were just read."""
        if self.offsets:
            self.huge = {process.name: smaps.huge_areas(process.pid) for process in living}
        self._number_frames()
        now = self._places()
        if not self.bits.ksm:
            if merged or any(self.before.get(place) != pfn for place, pfn in now.items()):
                self._ask_smaps(living, now)
            for pfn, frame in self.frames.items():  # a frame that has stayed is a KSM page if it was one
                frame.ksm = self.ksm.get(pfn) if frame.number >= 0 else False
        self.pages = {process.name: self._pages(process, self.reading.entries[process.name]) for process in living}
        self.mapped = [process.mapped for process in living]
        self.before, self.still = now, self.before == now
        if self.bits.mapcount and not self.offsets:
            ours = Counter(now.values())
            self.shared_with_others = any(frame.mapcount > ours[pfn] for pfn, frame in self.frames.items() if frame.number >= 0)

    def frames_of(self, process: Process, pages: Iterable[int]) -> list[int]:
        """The pfns of those pages that are present now, of each base page."""
        return [entry & PFN for page in pages for entry in process.entries(page) if entry & PRESENT]

    def await_writeback(self, frames: Iterable[int]) -> None:
        """Wait until none of the frames is being written to the swap area."""
        end = time.monotonic() + WRITEBACK_SECONDS
        while time.monotonic() < end and any(self.counters.frame(pfn)[0] & KPF_WRITEBACK for pfn in frames):
            os.sched_yield()

    def _number_frames(self) -> None:
        """Number the frames in the order of processes and pages: all but zero pages."""
        self.frames, numbered = {}, 0
        for pfn, (flags, mapcount, data) in self.reading.frames.items():
            if flags & KPF_ZERO_PAGE:
                self.frames[pfn] = Frame(-2 if flags & KPF_THP else -1, mapcount, False, None)
            else:
                content = self.contents.value(data) if data else None
                self.frames[pfn] = Frame(numbered, mapcount, bool(flags & KPF_KSM), content)
                numbered += 1

    def _places(self) -> dict[Place, int]:
        """(process, page) -> pfn, wherever something but a zero page is present."""
        return {
            (name, page): entry & PFN
            for name, entries in self.reading.entries.items()
            for page, entry in enumerate(entries)
            if entry & PRESENT and self.frames[entry & PFN].number >= 0
        }

    def _ask_smaps(self, processes: list[Process], now: dict[Place, int]) -> None:
        """Put what smaps says in the place of KPF_KSM."""
        mapped = [
            (process, {process.addresses[page]: pfn for (name, page), pfn in now.items() if name == process.name}) for process in processes
        ]
        stayed = {pfn for place, pfn in now.items() if self.before.get(place) == pfn}
        self.ksm = smaps.ksm_frames(mapped, {pfn: ksm for pfn, ksm in self.ksm.items() if pfn in stayed})

    def _pages(self, process: Process, entries: list[int]) -> Seen:
        return {name: self._page(process, page, entries[page]) for page, name in enumerate(self.names)}

    def _process(self, process: Process) -> Seen:
        seen: Seen = {"state": process.state}
        if not process.alive:
            return seen
        seen["pages"] = self.pages[process.name]
        held: dict[str, Mapping[int, Held]] = {"pinned": process.pins, "spliced": process.pipes}
        for key, pages in held.items():
            if pages:
                seen[key] = {self.names[page]: self.contents.value(each.content()) for page, each in sorted(pages.items())}
        if process.name in self.reading.merging:
            seen["merging"] = self.reading.merging[process.name]
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


class Counters:
    """The open files of the counters, kept for many runs."""

    def __init__(self) -> None:
        self.files = {name: _open(f"{ksm.DIRECTORY}/{name}") for name in dict.fromkeys((*ksm.COUNTERS, *SCANNED)) if ksm.has(name)}
        self.vmstat = _open("/proc/vmstat")
        self.kpageflags = _open("/proc/kpageflags")
        self.kpagecount = _open("/proc/kpagecount")
        self._aim()
        self.numbers = Again()
        self.taken: Numbers = ((), b"")
        self.values: dict[str, int] = {}  # what was taken last

    def read(self) -> dict[str, int]:
        """The counters of KSM, and cow_ksm of /proc/vmstat since boot, as far as this kernel has them; "scanned" is how many pages KSM
        counts as merged or as seen without a partner."""
        self.numbers.read(self.wanted)
        return self.take((self.numbers.results, self.numbers.data))

    def take(self, read: Numbers) -> dict[str, int]:
        """The same, from what somebody else has read of `wanted`."""
        if read == self.taken:
            return self.values
        self.taken = read
        (line, *lengths), data = read
        starts = range(LINE, len(data), NUMBER)
        texts = (data[start : start + length] for start, length in zip(starts, lengths, strict=True))
        values = {name: int(text) for name, text in zip(self.files, texts, strict=True)}
        self.values = {name: values[name] for name in ksm.COUNTERS if name in values}
        self.values["scanned"] = sum(values.get(name, 0) for name in SCANNED)
        if not self.cow_ksm:
            return self.values
        cow_ksm = COW_KSM.match(data[:line])
        if cow_ksm is None:  # a number before it has got longer
            self._aim()
            return self.read()
        self.values["cow_ksm"] = int(cow_ksm[1])
        return self.values

    def frame(self, pfn: int) -> tuple[int, int]:
        """The flags and the mapcount of a page frame."""
        flags = os.pread(self.kpageflags, 8, pfn * 8)
        count = os.pread(self.kpagecount, 8, pfn * 8)
        return int.from_bytes(flags, "little"), int.from_bytes(count, "little")

    def close(self) -> None:
        """Release the files."""
        for file in (*self.files.values(), self.vmstat, self.kpageflags, self.kpagecount):
            os.close(file)

    def _aim(self) -> None:
        """Find where in /proc/vmstat the line of cow_ksm begins, with the end of the line before it; 0 if this kernel has none."""
        with open("/proc/vmstat", "rb") as file:
            found = COW_KSM.search(file.read())
        self.cow_ksm = found.start() if found else 0
        self.wanted = ((self.vmstat, LINE, self.cow_ksm), *((file, NUMBER, 0) for file in self.files.values()))


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _inside(address: int, areas: Sequence[tuple[int, int]]) -> bool:
    return any(start <= address < end for start, end in areas)


def _is_marker(field: int) -> bool:
    """Whether the frame field of a pagemap entry that is not present shows a pte marker (pte_to_pagemap_entry, fs/proc/task_mmu.c).

    The field holds the swap type in its low five bits and the offset above. Swap areas count from type 0 and from offset 1; markers have
    one of the types at the end (MAX_SWAPFILES and more, include/linux/swap.h), or show no field at all.
    """
    return field == 0 or field & 31 >= 16
