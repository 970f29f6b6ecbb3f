"""Whether this kernel, and this program's rights, can give an exact image: measured, not assumed from a version."""

import ctypes
import fcntl
import functools
import os
import struct
from dataclasses import dataclass

from breakcow.agent import abi, uffd

from .pagemap import Pagemap

WP_UNPOPULATED, WP_ASYNC = 1 << 13, 1 << 15  # UFFD_FEATURE_*
NEEDED = uffd.PAGEFAULT_FLAG_WP | WP_UNPOPULATED
TABLE = 1 << 21  # bytes that one page table maps
DEVICE = "/dev/userfaultfd"
USERFAULTFD_IOC_NEW = 0xAA00
FULL, USER_MODE_ONLY = "full", "user-mode-only"
LIMITED = (
    "userfaultfd is limited to user mode here: while a snapshot runs, read(2), recv(2) and readinto() into the memory fail with EFAULT. "
    "Run with CAP_SYS_PTRACE, or give this user access to /dev/userfaultfd, or set vm.unprivileged_userfaultfd to 1"
)


@dataclass(frozen=True)
class Features:
    """What was measured. mode: "full", "user-mode-only", or "" with `refusal`. offered: UFFD_FEATURE_* bits. scan: what PAGEMAP_SCAN said.

    moves: mremap(2) takes the protection of a page along. holes: PAGEMAP_SCAN reports an empty page table as written.
    """

    mode: str
    offered: int = 0
    scan: str = "ok"
    moves: bool = False
    refusal: str = ""
    holes: bool = False


@functools.cache
def measured() -> Features:
    """What this program can do on this kernel."""
    try:
        fd, mode = open_userfaultfd()
    except OSError as error:
        return Features("", refusal=abi.errno_name(error.errno))
    with os.fdopen(fd, "rb", buffering=0):
        api = bytearray(struct.pack("<QQQ", 0xAA, 0, 0))
        outcome = abi.ioctl(fd, uffd.UFFDIO_API, api)
    if outcome != "ok":
        return Features("", refusal=outcome)
    offered = struct.unpack_from("<Q", api, 8)[0]
    if offered & NEEDED != NEEDED:
        return Features(mode, offered)
    scan, moves = _tried()
    return Features(mode, offered, scan, moves, holes=scan == "ok" and _holes())


def lacking(found: Features) -> str:
    """Why no exact image can be had with this, as a sentence; empty if one can."""
    if found.refusal == "ENOSYS":
        return "this kernel is built without userfaultfd (CONFIG_USERFAULTFD)"
    if found.refusal:
        return f"userfaultfd(2) gives {found.refusal}: a sandbox forbids it, or this kernel is before Linux 5.11 and needs root for it"
    why = ""
    if not found.offered & uffd.PAGEFAULT_FLAG_WP:
        why = "userfaultfd does not write-protect memory here: it needs Linux 5.7 and x86-64"
    elif not found.offered & WP_UNPOPULATED:
        why = "UFFD_FEATURE_WP_UNPOPULATED is not offered, so a first store to untouched memory would not be seen: it needs Linux 6.4"
    elif found.scan != "ok":
        why = f"PAGEMAP_SCAN gives {found.scan}, so a store that went past the protection would not be seen: it needs Linux 6.7"
    elif found.moves:
        why = "mremap(2) takes write-protection along, so that memory moved into place would pass for unchanged: it needs Linux 6.13"
    return why


def open_userfaultfd(flags: int = 0) -> tuple[int, str]:
    """A new userfaultfd and its mode, from the best way that is open to this program. Raises OSError."""
    flags |= abi.O_CLOEXEC | abi.O_NONBLOCK
    try:
        return abi.syscall(abi.USERFAULTFD, flags), FULL
    except PermissionError:
        pass
    try:
        return _from_device(flags), FULL
    except OSError:
        return abi.syscall(abi.USERFAULTFD, flags | uffd.USER_MODE_ONLY), USER_MODE_ONLY


def _from_device(flags: int) -> int:
    """A userfaultfd from /dev/userfaultfd (since 6.1). Raises OSError."""
    device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(device, USERFAULTFD_IOC_NEW, flags)
    finally:
        os.close(device)


def negotiate(fd: int, features: int) -> None:
    """UFFDIO_API with these features. Raises OSError."""
    fcntl.ioctl(fd, uffd.UFFDIO_API, bytearray(struct.pack("<QQQ", 0xAA, features, 0)))


def _tried() -> tuple[str, bool]:
    """What PAGEMAP_SCAN says of a protected page ("ok" or the errno's name), and whether the page is protected still where it was moved
    to.
    """
    flags = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS
    fd, _ = open_userfaultfd()
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    scan = Pagemap(pagemap)
    at, there = (abi.syscall(abi.MMAP, 0, abi.PAGE, abi.PROT_RW, flags, -1, 0) for _ in range(2))
    try:
        ctypes.memset(at, 1, 1)
        negotiate(fd, NEEDED)
        uffd.register(fd, at, abi.PAGE)
        uffd.protect(fd, at, abi.PAGE)
        if not scan.whole(at, at + abi.PAGE):
            return "no protected page where one is", False
        abi.syscall(abi.MREMAP, at, abi.PAGE, abi.PAGE, abi.MREMAP_MAYMOVE | abi.MREMAP_FIXED, there)
        return "ok", scan.whole(there, there + abi.PAGE)
    except OSError as error:
        return abi.errno_name(error.errno), False
    finally:
        os.close(fd)
        os.close(pagemap)
        for address in (at, there):
            abi.syscall(abi.MUNMAP, address, abi.PAGE)


def _holes() -> bool:
    """PAGEMAP_SCAN reports memory as written that is watched, and has no page table (fs/proc/task_mmu.c: pagemap_scan_pte_hole)."""
    fd, _ = open_userfaultfd()
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    at = abi.syscall(abi.MMAP, 0, 2 * TABLE, abi.PROT_RW, abi.MAP_PRIVATE | abi.MAP_ANONYMOUS, -1, 0)
    start = -(-at // TABLE) * TABLE
    try:
        negotiate(fd, NEEDED)
        uffd.register(fd, start, TABLE)
        return list(Pagemap(pagemap).written(start, start + TABLE, reset=False)) == [(start, start + TABLE)]
    finally:
        os.close(fd)
        os.close(pagemap)
        abi.syscall(abi.MUNMAP, at, 2 * TABLE)
