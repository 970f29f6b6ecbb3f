"""Telling KSM pages where KPF_KSM lies: from the `KSM:` line of /proc/PID/smaps (since 6.7), which counts them in each vma."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .abi import PAGE
from .process import Process

VMA = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) .*\n(?:[A-Z].*\n)*?KSM: +([0-9]+) kB", re.MULTILINE)

Count = tuple[int, Counter[int]]  # KSM pages of a vma, pfn -> how often it is mapped there


@dataclass(frozen=True)
class Area:
    """A vma: its addresses, and how many KSM pages are mapped in it."""

    start: int
    end: int
    ksm: int


def areas(pid: int) -> list[Area]:
    """The vmas of a process; none if this kernel does not count KSM pages."""
    with open(f"/proc/{pid}/smaps", "rb") as file:
        said = file.read()
    return [Area(int(start, 16), int(end, 16), int(kib) * 1024 // PAGE) for start, end, kib in VMA.findall(said)]


def huge_areas(pid: int) -> list[tuple[int, int]]:
    """The (start, end) of each vma in which a PMD maps anonymous memory: with the regions of a program, all of that vma."""
    found: list[tuple[int, int]] = []
    start = end = 0
    with open(f"/proc/{pid}/smaps", "rb") as file:
        for line in file:
            word = line.split(None, 1)[0]
            if word == b"AnonHugePages:" and int(line.split()[1]):
                found.append((start, end))
            elif not word.endswith(b":"):
                start, end = (int(address, 16) for address in word.split(b"-"))
    return found


def ksm_frames(mapped: Iterable[tuple[Process, dict[int, int]]], before: dict[int, bool]) -> dict[int, bool]:
    """pfn -> is it a KSM page, for as many as can be told.

    mapped: for each process, address -> pfn of its present pages. before: what was known of frames that have stayed where they were.
    A frame that one process maps twice is a KSM page. A vma settles its pages if none or all of those not yet known must be KSM pages; a
    frame in several vmas carries it on to the next. Where that is not enough, all is as before if that gives the right counts: a page
    becomes a KSM page only by merging, and ceases to be one only by a copy.
    """
    counts: list[Count] = []
    known: dict[int, bool] = {}
    for process, pages in mapped:
        times = Counter(pages.values())
        known |= {pfn: True for pfn, number in times.items() if number > 1}
        for area in areas(process.pid):
            inside = Counter(pfn for address, pfn in pages.items() if area.start <= address < area.end)
            counts += [(area.ksm, inside)] if inside else []
    known = settle(counts, known)
    supposed = settle(counts, before | known)
    right = all(sum(times for pfn, times in inside.items() if supposed.get(pfn)) == ksm for ksm, inside in counts)
    return supposed if right else known


def settle(counts: list[Count], known: dict[int, bool]) -> dict[int, bool]:
    """`known`, and what the counts of KSM pages of each vma say of its other frames."""
    while new := {pfn: answer for ksm, inside in counts for pfn, answer in _settled(ksm, inside, known) if pfn not in known}:
        known = known | new
    return known


def _settled(ksm: int, inside: Counter[int], known: dict[int, bool]) -> list[tuple[int, bool]]:
    """What one vma with `ksm` KSM pages says of its frames (pfn -> how often it is mapped there)."""
    left = ksm - sum(times for pfn, times in inside.items() if known.get(pfn))
    unknown = {pfn: times for pfn, times in inside.items() if pfn not in known}
    if left == 0:
        return [(pfn, False) for pfn in unknown]
    return [(pfn, True) for pfn in unknown] if left == sum(unknown.values()) else []
