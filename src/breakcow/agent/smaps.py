"""Telling KSM pages where KPF_KSM lies: from the `KSM:` line of /proc/PID/smaps (since 6.7), which counts them in each vma."""

from collections.abc import Iterable
from dataclasses import dataclass

from .abi import PAGE
from .process import Process


@dataclass(frozen=True)
class Area:
    """A vma: its addresses, and how many KSM pages are mapped in it."""

    start: int
    end: int
    ksm: int


def areas(pid: int) -> list[Area]:
    """The vmas of a process; none if this kernel does not count KSM pages."""
    found: list[Area] = []
    start = end = 0
    with open(f"/proc/{pid}/smaps", "rb") as file:
        for line in file:
            word = line.split(None, 1)[0]
            if word == b"KSM:":
                found.append(Area(start, end, int(line.split()[1]) * 1024 // PAGE))
            elif not word.endswith(b":"):
                start, end = (int(address, 16) for address in word.split(b"-"))
    return found


def ksm_frames(mapped: Iterable[tuple[Process, dict[int, int]]]) -> dict[int, bool]:
    """pfn -> is it a KSM page, for as many as the counts settle. `mapped`: for each process, address -> pfn of its present pages.

    A vma settles its pages if none or all of those not yet known must be KSM pages; a frame in several vmas carries it on to the next.
    """
    counts = [
        (area.ksm, {pfn: sum(each == pfn for each in inside) for pfn in inside})
        for process, pages in mapped
        for area in areas(process.pid)
        if (inside := [pfn for address, pfn in pages.items() if area.start <= address < area.end])
    ]
    known: dict[int, bool] = {}
    while new := {pfn: answer for ksm, pfns in counts for pfn, answer in _settled(ksm, pfns, known) if pfn not in known}:
        known |= new
    return known


def _settled(ksm: int, pfns: dict[int, int], known: dict[int, bool]) -> Iterable[tuple[int, bool]]:
    """What one vma with `ksm` KSM pages says of its frames (pfn -> how often it is mapped there)."""
    left = ksm - sum(times for pfn, times in pfns.items() if known.get(pfn))
    unknown = {pfn: times for pfn, times in pfns.items() if pfn not in known}
    if left == 0:
        return [(pfn, False) for pfn in unknown]
    return [(pfn, True) for pfn in unknown] if left == sum(unknown.values()) else []
