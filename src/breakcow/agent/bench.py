"""Benchmarks: how long this kernel takes to share, unshare, protect and tell. No verdict: whether that is good is for people to say.

Every benchmark makes its memory anew for each sample. Samples are taken in rounds, one of each benchmark, so that what else the machine
does meets them alike. The process is pinned to one CPU, ksmd to the others.
"""

import ctypes
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from . import abi, ksm, pagemap_scan, probe, uffd
from .abi import PAGE
from .bench_code import serve, stride
from .bench_memory import FILL, BenchError, Ksmd, Region, pin
from .program import RequestError

COW_PAGES = 4000  # as in the kernel's own ksm_tests -C
IOVECS = 1024  # of one call, at most (UIO_MAXIOV)
EVENTS = 4096
MAX_REPEATS, MAX_MIB = 1000, 1 << 16
MIB = 1 << 20

Json = dict[str, object]
Sample = tuple[int, int]  # nanoseconds; bytes, pages or events that they were spent on


class Timer:
    """The time between `start` and `stop`, by a clock that nobody corrects."""

    def start(self) -> None:
        """Now."""
        self._start = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)

    def stop(self) -> int:
        """Nanoseconds since."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - self._start


class Bench:
    """The benchmarks. mib: how much memory each works on, but those of COW and of events, which have a fixed number of pages."""

    def __init__(self, mib: int) -> None:
        self.size = mib * MIB
        self.timer = Timer()
        self.ksmd = Ksmd()

    def merge(self) -> Sample:
        """From MADV_MERGEABLE to the end of the second full scan, of equal pages."""
        with self._filled() as region:
            self.timer.start()
            self.ksmd.merge(region)
            return self.timer.stop(), region.size

    def merge_huge(self) -> Sample:
        """The same of transparent huge pages, which are split on the way."""
        with self._filled(huge=True) as region:
            if region.huge() < region.size:
                raise BenchError(f"only {region.huge() // MIB} of {region.size // MIB} MiB became huge pages")
            self.timer.start()
            self.ksmd.merge(region)
            return self.timer.stop(), region.size

    def unmerge(self) -> Sample:
        """MADV_UNMERGEABLE of merged pages, while ksmd goes on."""
        with self._filled() as region:
            self.ksmd.merge(region)
            self.timer.start()
            region.advise(abi.MADV_UNMERGEABLE)
            return self.timer.stop(), region.size

    def unshare(self) -> Sample:
        """process_vm_readv(2) of one byte of each merged page: a read pin, which unshares the page (since 5.19)."""
        with self._filled() as region:
            self.ksmd.merge(region)
            ksm.write("run", 0)
            buffer = bytearray(IOVECS)
            local = bytearray(struct.pack("<QQ", abi.address_of(buffer), IOVECS))
            remote = bytearray(b"".join(struct.pack("<QQ", region.start + page * PAGE, 1) for page in range(region.pages)))
            here, there = abi.address_of(local), abi.address_of(remote)
            pid = os.getpid()
            self.timer.start()
            for first in range(0, region.pages, IOVECS):
                abi.syscall(abi.PROCESS_VM_READV, pid, here, 1, there + first * 16, min(IOVECS, region.pages - first), 0)
            return self.timer.stop(), region.pages

    def cow_merged(self) -> Sample:
        """A store to one page of each of 2000 pairs of merged pages, while ksmd goes on."""
        with self._pairs() as region:
            self.ksmd.merge(region)
            return self._store_to_every_second(region)

    def cow_unmerged(self) -> Sample:
        """The same stores to pages that are not merged: no fault at all."""
        with Region(COW_PAGES * PAGE) as region:
            region.fill()
            return self._store_to_every_second(region)

    def cow_forked(self) -> Sample:
        """The same stores to pages that are shared with a child since fork: each is copied."""
        with self._pairs() as region, _child(signal.pause):
            return self._store_to_every_second(region)

    def uffd_protect(self) -> Sample:
        """UFFDIO_WRITEPROTECT of memory that is present."""
        with self._filled() as region, _registered(region) as fd:
            self.timer.start()
            outcome = uffd.protect(fd, region.start, region.size)
            return self._done(outcome), region.size

    def uffd_release(self) -> Sample:
        """UFFDIO_WRITEPROTECT without MODE_WP, of memory that is protected."""
        with self._filled() as region, _registered(region) as fd:
            uffd.protect(fd, region.start, region.size)
            self.timer.start()
            outcome = uffd.release(fd, region.start, region.size)
            return self._done(outcome), region.size

    def wp_round_trip(self) -> Sample:
        """A store to a protected page until it has landed: fault, message, a handler on another CPU that releases the page, wake-up."""
        with Region(EVENTS * PAGE) as region, _userfaultfd() as fd, _child(lambda: serve(fd, EVENTS)):
            region.fill()
            _register(fd, region)
            uffd.protect(fd, region.start, region.size)
            return stride(region.start, PAGE, EVENTS, FILL), EVENTS

    def wp_async(self) -> Sample:
        """A store to each page that is protected with WP_ASYNC: a fault that the kernel resolves by itself."""
        with self._filled() as region, _registered(region, probe.WP_ASYNC) as fd:
            uffd.protect(fd, region.start, region.size)
            return stride(region.start, PAGE, region.pages, FILL), region.pages

    def pagemap_scan(self) -> Sample:
        """PAGEMAP_SCAN that finds the written pages, every second one, and protects them again."""
        with self._filled() as region, _registered(region, probe.WP_ASYNC) as fd:
            uffd.protect(fd, region.start, region.size)
            stride(region.start, 2 * PAGE, region.pages // 2, FILL)
            found = bytearray(24 * region.pages)
            flags = pagemap_scan.WP_MATCHING | pagemap_scan.CHECK_WPASYNC
            head = (96, flags, region.start, region.start + region.size, 0, abi.address_of(found), region.pages)
            argument = bytearray(struct.pack("<12Q", *head, 0, 0, pagemap_scan.WRITTEN, 0, pagemap_scan.WRITTEN))
            pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
            try:
                self.timer.start()
                number = abi.syscall(abi.IOCTL, pagemap, pagemap_scan.PAGEMAP_SCAN, abi.address_of(argument))
                spent = self.timer.stop()
            finally:
                os.close(pagemap)
            if number != region.pages // 2:
                raise BenchError(f"PAGEMAP_SCAN found {number} of {region.pages // 2} ranges")
            return spent, region.size

    def _done(self, outcome: str) -> int:
        """The time, if the ioctl before has done what it was for."""
        spent = self.timer.stop()
        if outcome != "ok":
            raise BenchError(f"UFFDIO_WRITEPROTECT gives {outcome}")
        return spent

    @contextmanager
    def _filled(self, huge: bool = False) -> Iterator[Region]:
        """Memory with the same byte everywhere, and nothing merged."""
        self.ksmd.reset()
        with Region(self.size, huge) as region:
            region.fill()
            yield region

    @contextmanager
    def _pairs(self) -> Iterator[Region]:
        """Pages of which the first two are equal, the next two, and so on; and nothing merged."""
        self.ksmd.reset()
        with Region(COW_PAGES * PAGE) as region:
            region.fill()
            for page in range(COW_PAGES):
                ctypes.memset(region.start + page * PAGE, ord("+"), page // 2 + 1)
            yield region

    def _store_to_every_second(self, region: Region) -> Sample:
        return stride(region.start, 2 * PAGE, COW_PAGES // 2, ord("-")), COW_PAGES // 2


BENCHMARKS: dict[str, tuple[Callable[[Bench], Sample], tuple[str, ...]]] = {  # name -> what takes a sample, what it needs of the kernel
    "merge": (Bench.merge, ("ksm",)),
    "merge-huge": (Bench.merge_huge, ("ksm", "thp")),
    "unmerge": (Bench.unmerge, ("ksm",)),
    "unshare": (Bench.unshare, ("ksm",)),
    "cow-merged": (Bench.cow_merged, ("ksm",)),
    "cow-unmerged": (Bench.cow_unmerged, ()),
    "cow-forked": (Bench.cow_forked, ()),
    "uffd-protect": (Bench.uffd_protect, ("uffd-wp",)),
    "uffd-release": (Bench.uffd_release, ("uffd-wp",)),
    "wp-round-trip": (Bench.wp_round_trip, ("uffd-wp",)),
    "wp-async": (Bench.wp_async, ("uffd-wp-async",)),
    "pagemap-scan": (Bench.pagemap_scan, ("uffd-wp-async", "pagemap-scan")),
}


def bench(request: object, say: Callable[[Json], None]) -> None:
    """Take samples: says {"machine": ...}, then {"sample": ...} and {"skip": ...}, then {"done": true}. Raises RequestError."""
    names, repeats, mib = _wanted(request)
    found = probe.abilities()
    if lacking := found["root"] or found["ksm"]:
        raise RequestError(lacking)
    pin()
    say({"machine": machine()})
    lacks = {name: next((found[need] for need in BENCHMARKS[name][1] if found[need]), "") for name in names}
    for name, why in lacks.items():
        if why:
            say({"skip": {"name": name, "why": why}})
    usable = [name for name in names if not lacks[name]]
    benchmarks = Bench(mib)
    for number in range(repeats):
        for name in list(usable):
            try:
                nanoseconds, amount = BENCHMARKS[name][0](benchmarks)
            except BenchError as error:
                usable.remove(name)
                say({"skip": {"name": name, "why": str(error)}})
            else:
                say({"sample": {"name": name, "round": number, "nanoseconds": nanoseconds, "amount": amount}})
    say({"done": True})


def machine() -> Json:
    """What the samples are of: the kernel, the processor, how many CPUs, MiB of memory."""
    with open("/proc/cpuinfo") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    memory = os.sysconf("SC_PHYS_PAGES") * PAGE // MIB
    return {"kernel": os.uname().release, "processor": model, "cpus": os.cpu_count(), "memory": memory}


def _wanted(request: object) -> tuple[list[str], int, int]:
    """Names, rounds and MiB of a request. Raises RequestError."""
    values = request if isinstance(request, dict) else {}
    names, repeats, mib = values.get("names"), values.get("repeats"), values.get("mib")
    if not isinstance(names, list) or not names or not all(name in BENCHMARKS for name in names):
        raise RequestError(f"names are some of {', '.join(BENCHMARKS)}")
    if type(repeats) is not int or type(mib) is not int or not (1 <= repeats <= MAX_REPEATS and 2 <= mib <= MAX_MIB and mib % 2 == 0):
        raise RequestError(f"repeats is a number from 1 to {MAX_REPEATS}, mib an even one from 2 to {MAX_MIB}")
    return names, repeats, mib


@contextmanager
def _userfaultfd(feature: int = 0) -> Iterator[int]:
    """A userfaultfd of this process whose read(2) waits."""
    fd = abi.syscall(abi.USERFAULTFD, abi.O_CLOEXEC)
    try:
        outcome = abi.ioctl(fd, uffd.UFFDIO_API, bytearray(struct.pack("<QQQ", 0xAA, feature, 0)))
        if outcome != "ok":
            raise BenchError(f"UFFDIO_API gives {outcome}")
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _registered(region: Region, feature: int = 0) -> Iterator[int]:
    """A userfaultfd that the region is registered with, for write-protection."""
    with _userfaultfd(feature) as fd:
        _register(fd, region)
        yield fd


def _register(fd: int, region: Region) -> None:
    outcome = uffd.register(fd, region.start, region.size)
    if outcome != "ok":
        raise BenchError(f"UFFDIO_REGISTER gives {outcome}")


@contextmanager
def _child(work: Callable[[], object]) -> Iterator[None]:
    """A child that does `work`, on all CPUs but that of this process where there are others; it is gone afterwards."""
    here = os.sched_getaffinity(0)
    ready, tell = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            abi.syscall(abi.PRCTL, abi.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, (set(range(os.cpu_count() or 1)) - here) or here)
            os.write(tell, b"1")
            work()
        finally:
            os._exit(0)
    try:
        os.read(ready, 1)
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(tell)
