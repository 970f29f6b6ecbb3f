"""Memory that benchmarks work on, and the ksmd that merges it."""

import contextlib
import ctypes
import os
import time

from . import abi, ksm
from .abi import PAGE

HUGE = 2 << 20
MADV_HUGEPAGE, MADV_NOHUGEPAGE = 14, 15
FILL = ord("*")
LIMIT_SECONDS = 300
HIGHEST = -20  # nice
PAGES_TO_SCAN = 1000


class BenchError(Exception):
    """A benchmark cannot be made here; the message is a sentence."""


class Region:
    """Private anonymous memory, aligned to huge pages and made of base pages, or of huge pages only; in a `with` block."""

    def __init__(self, size: int, huge: bool = False) -> None:
        self.size = size
        self._length = size + HUGE
        self._start = abi.syscall(abi.MMAP, 0, self._length, abi.PROT_RW, abi.MAP_PRIVATE | abi.MAP_ANONYMOUS, -1, 0)
        self.start = (self._start + HUGE - 1) & -HUGE
        self.advise(MADV_HUGEPAGE if huge else MADV_NOHUGEPAGE)

    def __enter__(self) -> "Region":
        return self

    def __exit__(self, *_: object) -> None:
        abi.syscall(abi.MUNMAP, self._start, self._length)

    @property
    def pages(self) -> int:
        """How many base pages it has."""
        return self.size // PAGE

    def advise(self, advice: int) -> None:
        """madvise(2) of all of it."""
        abi.syscall(abi.MADVISE, self.start, self.size, advice)

    def fill(self) -> None:
        """Store the same byte everywhere."""
        ctypes.memset(self.start, FILL, self.size)

    def huge(self) -> int:
        """How many bytes of it are huge pages."""
        inside = False
        with open("/proc/self/smaps", "rb") as file:
            for line in file:
                word = line.split(None, 1)[0]
                if not word.endswith(b":"):
                    start, end = (int(address, 16) for address in word.split(b"-"))
                    inside = start <= self.start < end
                elif inside and word == b"AnonHugePages:":
                    return int(line.split()[1]) * 1024
        return 0


class Ksmd:
    """ksmd, running on other CPUs than this process where there are some. Call `reset` before each use."""

    def __init__(self) -> None:
        self._alone = len(os.sched_getaffinity(0) | os.sched_getaffinity(ksm.find())) == 1

    def reset(self) -> None:
        """Nothing is merged, ksmd is stopped, and will not pause when it starts."""
        ksm.write("run", 2)
        if ksm.has("advisor_mode"):
            ksm.write("advisor_mode", "none")
        for name, value in {"sleep_millisecs": 0, "pages_to_scan": PAGES_TO_SCAN, "use_zero_pages": 0, "merge_across_nodes": 1}.items():
            ksm.write(name, value)

    def merge(self, region: Region) -> None:
        """MADV_MERGEABLE, start ksmd, and wait for two full scans; it goes on scanning."""
        region.advise(abi.MADV_MERGEABLE)
        ksm.write("run", 1)
        last = ksm.read("full_scans") + 2
        end = time.monotonic() + LIMIT_SECONDS
        while ksm.read("full_scans") < last:
            if self._alone:
                time.sleep(0.001)  # on a single CPU whoever asks again and again keeps ksmd from it
            if time.monotonic() > end:
                raise BenchError(f"ksmd made no two scans of {region.size >> 20} MiB in {LIMIT_SECONDS} s")


def pin() -> None:
    """This process to the last CPU that it may use, ksmd to the others if there are others, and both before everybody else's work."""
    ksmd = ksm.find()
    cpus = sorted(os.sched_getaffinity(0) | os.sched_getaffinity(ksmd))  # all, also where both have been pinned before
    os.sched_setaffinity(ksmd, set(cpus[:-1]) or set(cpus))
    os.sched_setaffinity(0, {cpus[-1]})
    for pid in (0, ksmd):
        os.setpriority(os.PRIO_PROCESS, pid, HIGHEST)
    with contextlib.suppress(PermissionError):  # it leads one already
        os.setsid()  # so that what follows is of this process alone, and gone with it
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as group:  # among sessions, where those share the CPU first
        group.write(str(HIGHEST))
