"""What this kernel can do and show, found by trying it in a litmus process: never by its version.

Each probe gives "" if the ability is there, else a sentence that says what is missing and how to get it.
"""

import os
import struct
from collections.abc import Callable

from . import abi, ksm, neighbours, pagemap_scan, pins, settings, stub, thp, uffd
from .observe import KPF_KSM, Bits
from .process import FIRST_AREA, Nursery
from .reading import PFN, SOFT_DIRTY, UFFD_WP

WP_UNPOPULATED, WP_ASYNC = 1 << 13, 1 << 15
ROOT = "tests of a real kernel need the superuser (they read page frame numbers and step ksmd): run as root, or in a VM"


class Bench:
    """A litmus process with one written page, to try things on."""

    def __init__(self) -> None:
        self.nursery = Nursery()
        self.process = self.nursery.birth([FIRST_AREA], [abi.PAGE])
        self.process.prepare()
        flags = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS | abi.MAP_FIXED_NOREPLACE
        self.call(abi.MMAP, FIRST_AREA, abi.PAGE, abi.PROT_RW, flags, -1, 0)
        self.store()

    def call(self, number: int, *arguments: int, payload: bytes = b"") -> int:
        """A system call of the process: its result, or OSError."""
        return self.process.call(number, *arguments, payload=payload)

    def store(self) -> None:
        """Write the page."""
        self.call(stub.COPY, FIRST_AREA, stub.BUFFER, 1, payload=b"x")

    def entry(self) -> int:
        """The pagemap entry of the page."""
        return int(struct.unpack("<Q", os.pread(self.process.files[0], 8, FIRST_AREA // abi.PAGE * 8))[0])

    def frame(self, file: str) -> int:
        """What /proc/kpageflags or /proc/kpagecount says of the page."""
        with open(f"/proc/{file}", "rb", buffering=0) as opened:
            opened.seek((self.entry() & PFN) * 8)
            return int(struct.unpack("<Q", opened.read(8))[0])

    def userfaultfd(self, flags: int = 0, features: int = 0) -> int:
        """A userfaultfd of the process, after UFFDIO_API. OSError with what it says; the caller closes it."""
        number = self.call(abi.USERFAULTFD, abi.O_CLOEXEC | abi.O_NONBLOCK | flags)
        fd = self.process.take(number)
        self.call(abi.CLOSE, number)
        outcome = abi.ioctl(fd, uffd.UFFDIO_API, bytearray(struct.pack("<QQQ", 0xAA, features, 0)))
        if outcome != "ok":
            os.close(fd)
            raise OSError(0, outcome)
        return fd

    def close(self) -> None:
        """Nothing is left of it."""
        self.process.bury()
        self.nursery.close()


def _root(bench: Bench) -> str:
    return "" if bench.entry() & PFN else ROOT


def _ksm(bench: Bench) -> str:
    if not ksm.has("run"):
        return "this kernel is built without CONFIG_KSM, or /sys is not mounted"
    if not os.access(f"{ksm.DIRECTORY}/run", os.W_OK):
        return f"{ksm.DIRECTORY} cannot be written: this is a container, or /sys is read-only"
    ksm.find()
    bench.call(abi.MADVISE, FIRST_AREA, abi.PAGE, abi.MADV_MERGEABLE)
    bench.call(abi.MADVISE, FIRST_AREA, abi.PAGE, abi.MADV_UNMERGEABLE)
    return ""


def _merge_any(bench: Bench) -> str:
    try:
        bench.call(abi.PRCTL, abi.PR_SET_MEMORY_MERGE, 1, 0, 0, 0)
        bench.call(abi.PRCTL, abi.PR_SET_MEMORY_MERGE, 0, 0, 0, 0)
    except OSError as error:
        return f"prctl(PR_SET_MEMORY_MERGE) gives {abi.errno_name(error.errno)}: it needs Linux 6.4"
    return ""


def _file(name: str, since: str) -> Callable[[Bench], str]:
    def probe(_: Bench) -> str:
        return "" if ksm.has(name) else f"{ksm.DIRECTORY}/{name} does not exist: it needs Linux {since}"

    return probe


def _feature(feature: int, what: str, flags: int = 0) -> Callable[[Bench], str]:
    def probe(bench: Bench) -> str:
        try:
            os.close(bench.userfaultfd(flags, feature))
        except OSError as error:
            return f"{what} is not offered here ({error.strerror})"
        return ""

    return probe


def _uffd_wp(bench: Bench) -> str:
    fd = bench.userfaultfd(0, uffd.PAGEFAULT_FLAG_WP)
    try:
        outcome = uffd.register(fd, FIRST_AREA, abi.PAGE)
    finally:
        os.close(fd)
    return "" if outcome == "ok" else f"userfaultfd does not write-protect anonymous memory here ({outcome}): it needs Linux 5.7 and x86-64"


def _uffd_wp_bit(bench: Bench) -> str:
    fd = bench.userfaultfd(0, uffd.PAGEFAULT_FLAG_WP)
    try:
        uffd.register(fd, FIRST_AREA, abi.PAGE)
        before = bench.entry()
        uffd.protect(fd, FIRST_AREA, abi.PAGE)
        after = bench.entry()
        uffd.unregister(fd, FIRST_AREA, abi.PAGE)
    finally:
        os.close(fd)
    return "" if after & ~before & UFFD_WP else "bit 57 of /proc/PID/pagemap does not show write-protection: it needs Linux 5.14"


def _soft_dirty(bench: Bench) -> str:
    fd = bench.call(abi.OPEN, stub.BUFFER, abi.O_WRONLY | abi.O_CLOEXEC, payload=b"/proc/self/clear_refs\0")
    try:
        bench.call(abi.WRITE, fd, stub.BUFFER, 1, payload=b"4")
    finally:
        bench.call(abi.CLOSE, fd)
    before = bench.entry()
    bench.store()
    reacts = bench.entry() & ~before & SOFT_DIRTY
    return "" if reacts else "bit 55 of /proc/PID/pagemap does not react to a write: this kernel is built without CONFIG_MEM_SOFT_DIRTY"


def _io_uring(bench: Bench) -> str:
    bench.process.ask(stub.request(abi.IO_URING_SETUP, (1, stub.BUFFER), bytes(pins.PARAMS_BYTES), pins.PARAMS_BYTES))
    ring, params = bench.process.reply()
    if ring < 0:
        return f"io_uring_setup(2) gives {abi.errno_name(-ring)}: set kernel.io_uring_disabled to 0, or use a kernel with CONFIG_IO_URING"
    try:
        bench.call(abi.IO_URING_REGISTER, ring, 0, stub.BUFFER, 1, payload=struct.pack("<QQ", FIRST_AREA, abi.PAGE))
        pin = pins.Pin(bench.process.take(ring), params, FIRST_AREA)
        try:
            pin.content()
        finally:
            pin.close()
    finally:
        bench.call(abi.CLOSE, ring)
    return ""


def _populate(bench: Bench) -> str:
    try:
        bench.call(abi.MADVISE, FIRST_AREA, abi.PAGE, abi.MADV_POPULATE_READ)
    except OSError as error:
        return f"MADV_POPULATE_READ gives {abi.errno_name(error.errno)}: it needs Linux 5.14"
    return ""


def _proc_mem_force(bench: Bench) -> str:
    fd = bench.call(abi.OPEN, stub.BUFFER, abi.O_RDWR | abi.O_CLOEXEC, payload=b"/proc/self/mem\0")
    bench.call(abi.MPROTECT, FIRST_AREA, abi.PAGE, 1)
    try:
        bench.call(abi.PWRITE64, fd, stub.BUFFER, 1, FIRST_AREA, payload=b"x")
    except OSError as error:
        return f"a write to read-only memory through /proc/self/mem gives {abi.errno_name(error.errno)}: see proc_mem.force_override="
    finally:
        bench.call(abi.MPROTECT, FIRST_AREA, abi.PAGE, 3)
        bench.call(abi.CLOSE, fd)
    return ""


def _ksm_bit(bench: Bench) -> str:
    if bench.frame("kpageflags") & KPF_KSM:
        return "KPF_KSM of /proc/kpageflags is set for pages that KSM never saw; smaps tells KSM pages instead, where it can"
    return ""


def _mapcount(bench: Bench) -> str:
    return "" if bench.frame("kpagecount") == 1 else "/proc/kpagecount does not count mappings on this kernel"


def _pagemap_scan(bench: Bench) -> str:
    outcome, _ = pagemap_scan.scan(bench.process.files[0], FIRST_AREA, abi.PAGE, 0)
    return "" if outcome == "ok" else f"PAGEMAP_SCAN gives {outcome}: it needs Linux 6.7"


def _thp(_: Bench) -> str:
    if not os.path.exists(thp.path("enabled")):
        return "this kernel is built without CONFIG_TRANSPARENT_HUGEPAGE"
    if not os.access(thp.path("enabled"), os.W_OK) or not ksm.has("run"):
        return f"{thp.DIRECTORY} cannot be written, or there is no KSM, with whose settings those of huge pages are held"
    return ""


def _swap(_: Bench) -> str:
    with open("/proc/swaps") as file:
        areas = file.read().splitlines()[1:]
    return "" if areas else "no swap area is in use: see swapon(8)"


PROBES: dict[str, Callable[[Bench], str]] = {
    "root": _root,
    "ksm": _ksm,
    "ksm-zero-pages": _file("ksm_zero_pages", "6.6"),
    "uffd": _feature(0, "userfaultfd(2)"),
    "uffd-wp": _uffd_wp,
    "uffd-event-fork": _feature(uffd.FEATURES[4], "UFFD_FEATURE_EVENT_FORK"),
    "uffd-user-mode-only": _feature(0, "UFFD_USER_MODE_ONLY", uffd.USER_MODE_ONLY),
    "uffd-wp-unpopulated": _feature(WP_UNPOPULATED, "UFFD_FEATURE_WP_UNPOPULATED"),
    "uffd-wp-async": _feature(WP_ASYNC, "UFFD_FEATURE_WP_ASYNC"),
    "soft-dirty": _soft_dirty,
    "io-uring": _io_uring,
    "populate": _populate,
    "proc-mem-force": _proc_mem_force,
    "ksm-bit": _ksm_bit,
    "uffd-wp-bit": _uffd_wp_bit,
    "merge-any": _merge_any,
    "smart-scan": _file("smart_scan", "6.7"),
    "pagemap-scan": _pagemap_scan,
    "thp": _thp,
    "swap": _swap,
    "mapcount": _mapcount,
}


def abilities() -> dict[str, str]:
    """Requirement word (and "mapcount") -> "" or the sentence."""
    bench = Bench()
    try:
        lacking = _try(_root, bench)
        return {word: lacking or _try(probe, bench) for word, probe in PROBES.items()}
    finally:
        bench.close()


def _try(probe: Callable[[Bench], str], bench: Bench) -> str:
    """What a probe says; a system call that fails where it should not says it too."""
    try:
        return probe(bench)
    except OSError as error:
        return f"it could not be tried: {error.strerror or error}"


def bits(found: dict[str, str]) -> Bits:
    """What `abilities` says of the bits that can be observed."""
    return Bits(
        ksm=not found["ksm-bit"], uffd_wp=not found["uffd-wp-bit"], soft_dirty=not found["soft-dirty"], mapcount=not found["mapcount"]
    )


def answer() -> dict[str, object]:
    """The answer to a probe request: backend.abilities.Abilities as JSON."""
    return {
        "release": os.uname().release,
        "abilities": abilities() | {"model-only": "a real kernel does not show what this test is about"},
        "notes": [*settings.notes(), *neighbours.notes()],
    }
