"""What a process of a stress run does: each operation makes its calls on an area, keeps what is known of the pages, and checks promises.

A page whose bits are missing is excused only where ksmd has changed its frame, or where that cannot be told (see Page.replaced).
"""

import ctypes
import errno
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from . import abi, uffd
from .abi import PAGE
from .reading import UFFD_WP
from .stress_area import Area, Page, frame
from .stress_slots import CHILD, NUMBER, PID, TOLD

if TYPE_CHECKING:
    from .stress_worker import Worker

WORDS = 6  # contents that pages share: 0, 1, ...
PATCHES = (0, 2048, PAGE - 8)  # where a store of one word goes
CONTENTS = tuple(struct.pack("<Q", 0x0101010101010101 * word) * (PAGE // 8) for word in range(WORDS))


def _differ(expected: bytes, found: bytes) -> tuple[str, str]:
    """The first word in which two pages differ, in words."""
    at = next(at for at in range(0, PAGE, 8) if expected[at : at + 8] != found[at : at + 8])
    return f"{expected[at : at + 8].hex()} at offset {at}", f"{found[at : at + 8].hex()} at offset {at}"


def write(worker: "Worker", area: Area) -> None:
    """Store to a page, in one of the ways that there are, and see that an event came first if it was protected."""
    number = worker.random.randrange(len(area.pages))
    page, address = area.pages[number], area.address(number)
    content, at, size = _content(worker, page)
    store = worker.random.choice(STORES)
    (before,) = worker.look(area, number, 1)
    shared = page.mergeable and worker.looker.shared(before, page.own)
    events = worker.slots.get(worker.slot, NUMBER["events"])
    if area.armed:
        worker.slots.begin_store(worker.slot, address, page.content)
    store(worker, address + at, content[at : at + size])
    if area.armed:
        worker.slots.end_store(worker.slot)
    heard = worker.slots.get(worker.slot, NUMBER["events"]) != events
    (after,) = worker.looker.entries(area, number, 1)
    if page.protected and not heard:
        _unheard(worker, area, number, before)
    worker.slots.count(worker.slot, "stores")
    if shared and frame(after) != frame(before):
        worker.slots.count(worker.slot, "breaks_seen")
    page.content, page.frame = content, frame(after)
    page.protected = page.left = page.stale = False
    page.present = page.stored = page.own = page.dirty = True
    page.replaced_dirty = page.read_at_fork = False
    if worker.looker.lost_dirt(after):
        page.replaced_dirty = page.mergeable  # merged between the store and the look
        _bits(worker, area, number, after)


def _content(worker: "Worker", page: Page) -> tuple[bytes, int, int]:
    """What a page shall hold, and which part of it is stored: the whole page, or one word."""
    if worker.random.random() < 0.7:
        return CONTENTS[worker.random.randrange(WORDS)], 0, PAGE
    at = worker.random.choice(PATCHES)
    word = struct.pack("<Q", worker.random.randrange(4) or worker.random.getrandbits(63))
    return page.content[:at] + word + page.content[at + 8 :], at, 8


def _unheard(worker: "Worker", area: Area, number: int, before: int) -> None:
    """A store to a protected page landed, and no event was raised."""
    page = area.pages[number]
    cause = ""
    if page.replaced_protected:
        cause = "merge-drops-uffd-wp"
    elif page.mergeable:  # the frame proves nothing: the copy may be put into the very frame that the merge has freed
        cause = "merge-drops-uffd-wp-just-now"
    elif page.read_at_fork:
        cause = "fork-skips-read-page"
    found = f"it landed without one; uffd-wp {'was set' if before & UFFD_WP else 'was not shown'} just before"
    worker.find(area, number, "protect-traps-every-write", cause, "an event before the store lands", found)


def _by_move(_: "Worker", address: int, data: bytes) -> None:
    """A store of the program."""
    ctypes.memmove(address, data, len(data))


def _by_read(worker: "Worker", address: int, data: bytes) -> None:
    """read(2) into the page: copy_to_user()."""
    os.pwrite(worker.common.source, data, worker.slot * PAGE)
    abi.syscall(abi.PREAD64, worker.common.source, address, len(data), worker.slot * PAGE)


def _by_vm_write(_: "Worker", address: int, data: bytes) -> None:
    """process_vm_writev(2) to itself: a transient write pin."""
    _process_vm(abi.PROCESS_VM_WRITEV, address, bytearray(data))


STORES: tuple[Callable[["Worker", int, bytes], None], ...] = (_by_move, _by_move, _by_move, _by_read, _by_vm_write)


def _process_vm(number: int, address: int, data: bytearray) -> None:
    """process_vm_readv(2) or process_vm_writev(2) between `data` and an address of this process."""
    iovecs = bytearray(struct.pack("<QQQQ", abi.address_of(data), len(data), address, len(data)))
    at = abi.address_of(iovecs)
    abi.syscall(number, os.getpid(), at, 1, at + 16, 1, 0)


def check(worker: "Worker", area: Area) -> None:
    """A page holds what it must: by a load, by /proc/self/mem or by a read pin, which unshares it."""
    number = worker.random.randrange(len(area.pages))
    way = worker.random.randrange(4)
    worker.look(area, number, 1)
    if way == 0:
        data = bytearray(PAGE)
        _process_vm(abi.PROCESS_VM_READV, area.address(number), data)
        found = bytes(data)
    else:
        found = os.pread(worker.looker.mem, PAGE, area.address(number)) if way == 1 else area.load(number)
    page = area.pages[number]
    if way == 0 or not page.present:
        page.present = True
        worker.relook(area, number, 1)
    worker.slots.count(worker.slot, "checks")
    if found != page.content:
        worker.find(area, number, "isolation", "", *_differ(page.content, found))
        page.content = found


def audit(worker: "Worker", area: Area) -> None:
    """All pages of an area: their content, where something is mapped, and the bits of their entries."""
    entries = worker.look(area, 0, len(area.pages))
    for number, (page, entry) in enumerate(zip(area.pages, entries, strict=True)):
        if page.present and (found := area.load(number)) != page.content:
            worker.find(area, number, "isolation", "", *_differ(page.content, found))
            page.content = found
        _bits(worker, area, number, entry)
        if not page.mergeable and page.own and not page.left and worker.looker.shared(entry, page.own):
            worker.find(area, number, "unmerge-leaves-no-ksm", "", "no KSM page where nothing is mergeable", "a KSM page")
    worker.slots.count(worker.slot, "audits")


def _bits(worker: "Worker", area: Area, number: int, entry: int) -> None:
    """The uffd-wp bit of what is protected and the soft-dirty bit of what was stored to are set."""
    page = area.pages[number]
    if page.mergeable and worker.looker.may_be_shared(entry, page.own):
        page.replaced()  # ksmd moves pages from one KSM page to another of the same content, and back
    if page.protected and worker.looker.lost_protection(entry):
        cause = "merge-drops-uffd-wp" if page.replaced_protected else "fork-skips-read-page" if page.read_at_fork else ""
        worker.find(area, number, "protect-traps-every-write", cause, "the uffd-wp bit of a protected page", "no such bit")
        page.protected = False
    if page.dirty and worker.looker.lost_dirt(entry):
        cause = "merge-drops-soft-dirty" if page.replaced_dirty else ""
        worker.find(area, number, "soft-dirty-is-complete", cause, "the soft-dirty bit of a page stored to", "no such bit")
        page.dirty = False


def protect(worker: "Worker", area: Area) -> None:
    """Write-protect some pages, after registering their area where that is to do."""
    if not _armed(worker, area):
        return
    first, count = worker.span(area)
    before = [frame(entry) for entry in worker.look(area, first, count)]
    if uffd.protect(worker.uffd, area.address(first), count * PAGE) != "ok":
        return  # EAGAIN: a fork of ours is still being told
    worker.slots.count(worker.slot, "protections")
    after = worker.looker.entries(area, first, count)
    for number, old, entry in zip(range(first, first + count), before, after, strict=True):
        page = area.pages[number]
        page.frame = frame(entry)
        if not page.stored and not old:
            continue  # of what is not mapped nothing is promised; fork need not copy what was only loaded (vma_needs_copy)
        page.protected, page.replaced_protected = True, False
        if page.mergeable and (old != frame(entry) or worker.looker.lost_protection(entry)):
            page.replaced()  # merged between the protection and a look
        _bits(worker, area, number, entry)


def _armed(worker: "Worker", area: Area) -> bool:
    """The area is registered with our own userfaultfd."""
    if area.armed:
        return area.ours
    if worker.uffd < 0:
        worker.uffd = abi.syscall(abi.USERFAULTFD, abi.O_CLOEXEC | abi.O_NONBLOCK)
        uffd.api(worker.uffd, 4 if worker.events == "fork" else 0)
        worker.tell({"uffd": worker.uffd, "slot": worker.slot, "pid": os.getpid()})
    outcome = uffd.register(worker.uffd, area.start, area.length)
    area.armed, area.ours = (worker.events, True) if outcome == "ok" else ("", False)
    area.opener = worker.name
    return area.ours


def merge(worker: "Worker", area: Area) -> None:
    """MADV_MERGEABLE of some pages, or of the area."""
    first, count = worker.span(area) if worker.random.random() < 0.5 else (0, len(area.pages))
    worker.look(area, first, count)
    for page in area.pages[first : first + count]:
        page.mergeable = True
    abi.syscall(abi.MADVISE, area.address(first), count * PAGE, abi.MADV_MERGEABLE)


def unmerge(worker: "Worker", area: Area) -> None:
    """MADV_UNMERGEABLE of some pages, and see that no KSM page is left."""
    first, count = worker.span(area)
    before = worker.look(area, first, count)
    shared = [worker.looker.shared(entry, page.own) for page, entry in zip(area.pages[first:], before, strict=False)]
    abi.syscall(abi.MADVISE, area.address(first), count * PAGE, abi.MADV_UNMERGEABLE)
    worker.slots.count(worker.slot, "unmerges")
    after = worker.relook(area, first, count)
    for number, old, was_shared, entry in zip(range(first, first + count), before, shared, after, strict=True):
        page = area.pages[number]
        if not page.mergeable:
            continue  # then the kernel does nothing
        page.mergeable = False
        if worker.looker.shared(entry, page.own):
            page.left = True
            stayed = not page.own and not was_shared and frame(old) == frame(entry)
            cause = "unmerge-uffd-wp" if _still_protected(worker, area, page, entry) else "shared-with-mergeable" if stayed else ""
            found = f"a KSM page, in {'the same' if frame(old) == frame(entry) else 'another'} frame as before"
            worker.find(area, number, "unmerge-leaves-no-ksm", cause, "no KSM page after MADV_UNMERGEABLE returned 0", found)
        elif page.stored and worker.looker.zero(entry):
            worker.find(area, number, "unmerge-leaves-no-ksm", "unmerge-zero-page", "no zero page that KSM placed", "the zero page")


def _still_protected(worker: "Worker", area: Area, page: Page, entry: int) -> bool:
    """A write fault on the page would end in handle_userfault()."""
    return bool(area.armed) and (bool(entry & UFFD_WP) if worker.common.bits.uffd_wp else page.protected or page.stale)


def forget(worker: "Worker", area: Area) -> None:
    """MADV_DONTNEED of some pages."""
    first, count = worker.span(area)
    abi.syscall(abi.MADVISE, area.address(first), count * PAGE, abi.MADV_DONTNEED)
    for number in range(first, first + count):
        area.pages[number] = replace(Page(), mergeable=area.pages[number].mergeable)


def read_only(worker: "Worker", area: Area) -> None:
    """mprotect(2) of some pages to read-only, a look at the area, and back."""
    first, count = worker.span(area)
    abi.syscall(abi.MPROTECT, area.address(first), count * PAGE, abi.PROT_READ)
    audit(worker, area)
    abi.syscall(abi.MPROTECT, area.address(first), count * PAGE, abi.PROT_RW)


def move(worker: "Worker", area: Area) -> None:
    """mremap(2) of an area that is one vma to another place; it is unmerged on the way, and its registration ends."""
    if not _one_vma(area):
        return
    worker.look(area, 0, len(area.pages))
    target = worker.place()
    abi.syscall(abi.MREMAP, area.start, area.length, area.length, abi.MREMAP_MAYMOVE | abi.MREMAP_FIXED, target)
    worker.slots.count(worker.slot, "moves")
    area.start, area.armed, area.ours = target, "", False
    for page in area.pages:
        page.protected, page.stale = False, page.protected or page.stale
    worker.relook(area, 0, len(area.pages))
    audit(worker, area)


def _one_vma(area: Area) -> bool:
    """The kernel keeps the area as one vma."""
    with open("/proc/self/maps", "rb") as maps:
        return any(line.startswith(b"%x-%x " % (area.start, area.start + area.length)) for line in maps)


def renew(worker: "Worker", area: Area) -> None:
    """munmap(2), and a new mapping elsewhere."""
    abi.syscall(abi.MUNMAP, area.start, area.length)
    area.start = worker.place()
    area.map()


def clear_refs(worker: "Worker", _: Area) -> None:
    """Write 4 to /proc/self/clear_refs: from now on no page was stored to."""
    if not worker.common.bits.soft_dirty:
        return
    with open("/proc/self/clear_refs", "wb", buffering=0) as file:
        file.write(b"4")
    for page in (page for area in worker.areas for page in area.pages):
        page.dirty = False


def fork(worker: "Worker", _: Area) -> "Worker | None":
    """fork(2), as a sibling (CLONE_PARENT): the child goes on with all that is known, if there is a slot for it."""
    slot = worker.slots.take()
    if slot is None:
        return None
    for page in (page for area in worker.areas for page in area.pages):
        page.own = False
    worker.children += 1
    worker.slots.set(worker.slot, CHILD, slot)
    told = worker.slots.get(worker.slot, TOLD) + len({area.opener for area in worker.areas if area.armed == "fork"})
    try:
        flags = abi.CLONE_PARENT | abi.CLONE_PARENT_SETTID | abi.SIGCHLD  # its slot says who it is before it can run, and be buried
        pid = abi.syscall(abi.CLONE, flags, 0, worker.slots.address(slot, PID), 0, 0)
    except OSError as error:
        worker.slots.free(slot)
        if error.errno in (errno.EAGAIN, errno.ENOMEM):
            return None
        raise
    if pid == 0:
        return worker.born(slot)
    worker.slots.count(worker.slot, "forks")
    while worker.slots.get(worker.slot, TOLD) != told:  # the supervisor has read the last event, but may still ask whose child it tells of
        os.sched_yield()
    return None


OPERATIONS: tuple[Callable[["Worker", Area], "Worker | None"], ...] = (
    write,
    check,
    protect,
    merge,
    unmerge,
    audit,
    fork,
    forget,
    read_only,
    move,
    renew,
    clear_refs,
)
WEIGHTS = (60, 12, 8, 6, 4, 3, 2, 2, 1, 0.6, 0.4, 1)
