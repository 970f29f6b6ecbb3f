"""The verbs of the action table that a litmus process executes itself: each as the system calls that it makes.

A verb is a generator: it yields requests to its process and is sent the replies, so that it can sleep in the middle (a store to a page
that a userfaultfd protects) and go on later. It returns the outcome.
"""

import os
import signal
import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import abi, pagemap_scan, pins, stub, uffd
from .process import NAMES, Outcome, Process, Reply, Steps

if TYPE_CHECKING:
    from .run import Run

IOVECS = stub.BUFFER + abi.PAGE  # behind a page of data


@dataclass(frozen=True)
class Action:
    """One action of the program: as breakcow.litmus.program.Action, without the line."""

    process: str
    verb: str
    page: int
    count: int
    argument: int


Verb = Callable[["Run", Process, Action], Steps]


def result(number: int) -> Outcome:
    """The outcome of a system call or copy that gave `number`."""
    if number >= 0:
        return {"result": "ok"}
    if number < stub.SIGNAL_BASE + 100:
        return {"result": signal.Signals(stub.SIGNAL_BASE - number).name}
    return {"result": abi.errno_name(-number)}


def write(run: "Run", process: Process, action: Action) -> Steps:
    """Store to every byte of the page, and count the page faults of that: none if the entry was writable. A request brings the content
    first, as the pages that requests lie in fault too, after a fork or clear_refs.

    They are not told where the kernel may have made the entry writable for an access of its own since the page, or the one before it,
    was loaded: it flushes no translation for that (ptep_set_access_flags(), arch/x86/mm/pgtable.c), and with a read-only one left a
    store takes a fault for nothing.
    """
    yield stub.request(stub.COPY, (0, 0, 0), run.contents.page(action.argument))
    before = process.faults()
    number, _ = yield stub.request(stub.COPY, (process.addresses[action.page], stub.BUFFER, abi.PAGE))
    outcome = result(number)
    if outcome["result"] == "ok" and process.stored(action.page):
        outcome["faults"] = process.faults() - before
    return outcome


def read(run: "Run", process: Process, action: Action) -> Steps:
    """Load every byte of the page."""
    process.loads(action.page)
    arguments = (stub.BUFFER, process.addresses[action.page], abi.PAGE)
    number, data = yield stub.request(stub.COPY, arguments, wanted=abi.PAGE)
    return _loaded(run, number, data)


def _loaded(run: "Run", number: int, data: bytes) -> Outcome:
    """The outcome of what read a page."""
    return result(number) if number < 0 else {"result": "ok", "value": run.contents.value(data)}


def copy_to_user(run: "Run", process: Process, action: Action) -> Steps:
    """pread(2) of a memfd straight into the page."""
    at = NAMES.index(process.name) * abi.PAGE  # a page of the file for each process: one that sleeps in here reads on later
    os.pwrite(run.nursery.memfd, run.contents.page(action.argument), at)
    arguments = (run.nursery.MEMFD, process.addresses[action.page], abi.PAGE, at)
    number, _ = yield stub.request(abi.PREAD64, arguments)
    return result(number)


def mem_write(run: "Run", process: Process, action: Action) -> Steps:
    """pwrite(2) to /proc/self/mem."""
    process.reached((action.page,))
    fd, _ = yield stub.request(abi.OPEN, (stub.BUFFER, abi.O_RDWR | abi.O_CLOEXEC), b"/proc/self/mem\0")
    if fd < 0:
        return result(fd)
    arguments = (fd, stub.BUFFER, abi.PAGE, process.addresses[action.page])
    number, _ = yield stub.request(abi.PWRITE64, arguments, run.contents.page(action.argument))
    yield stub.request(abi.CLOSE, (fd,))
    return result(number)


def process_vm_readv(run: "Run", process: Process, action: Action) -> Steps:
    """process_vm_readv(2) of its own page: a transient read pin."""
    number, data = yield from _process_vm(abi.PROCESS_VM_READV, process, action, b"")
    return _loaded(run, number, data)


def process_vm_writev(run: "Run", process: Process, action: Action) -> Steps:
    """process_vm_writev(2) to its own page: a transient write pin."""
    process.reached((action.page,))
    number, _ = yield from _process_vm(abi.PROCESS_VM_WRITEV, process, action, run.contents.page(action.argument))
    return result(number)


def _process_vm(number: int, process: Process, action: Action, data: bytes) -> Generator[bytes, Reply, Reply]:
    iovecs = struct.pack("<QQQQ", stub.BUFFER, abi.PAGE, process.addresses[action.page], abi.PAGE)
    arguments = (process.pid, IOVECS, 1, IOVECS + 16, 1, 0)
    return (yield stub.request(number, arguments, data.ljust(abi.PAGE, b"\0") + iovecs, abi.PAGE))


def _range_call(number: int, *arguments: int) -> Verb:
    """A system call (address, length, *arguments) on a run of pages."""

    def verb(_: "Run", process: Process, action: Action) -> Steps:
        done, _data = yield stub.request(number, (*process.span(action.page, action.count), *arguments))
        return result(done)

    return verb


def pageout(run: "Run", process: Process, action: Action) -> Steps:
    """MADV_PAGEOUT, and then the end of the writing that it begins: a page is not the same to the kernel while it is under way."""
    frames = run.observer.frames_of(process, range(action.page, action.page + action.count))
    outcome = yield from _range_call(abi.MADVISE, abi.MADV_PAGEOUT)(run, process, action)
    run.observer.await_writeback(frames)
    return outcome


def populate_write(run: "Run", process: Process, action: Action) -> Steps:
    """MADV_POPULATE_WRITE."""
    process.reached(range(action.page, action.page + action.count))
    outcome = yield from _range_call(abi.MADVISE, abi.MADV_POPULATE_WRITE)(run, process, action)
    if run.program.splits and outcome["result"] == "ok":
        for page in set(process.rests()).intersection(range(action.page, action.page + action.count)):
            run.rests.number(process, page)
    return outcome


def mprotect(_: "Run", process: Process, action: Action) -> Steps:
    """mprotect(2)."""
    arguments = (*process.span(action.page, action.count), action.argument)
    number, _data = yield stub.request(abi.MPROTECT, arguments)
    return result(number)


def mremap(run: "Run", process: Process, action: Action) -> Steps:
    """mremap(2) of a run of pages to an area where nothing was before."""
    start, length = process.span(action.page, action.count)
    target = run.fresh_area()
    flags = abi.MREMAP_MAYMOVE | abi.MREMAP_FIXED
    number, _ = yield stub.request(abi.MREMAP, (start, length, length, flags, target))
    if number >= 0:
        for page in range(action.page, action.page + action.count):
            process.addresses[page] += target - start
    process.read_mappings()
    return result(number)


def munmap(_: "Run", process: Process, action: Action) -> Steps:
    """munmap(2)."""
    number, _data = yield stub.request(abi.MUNMAP, process.span(action.page, action.count))
    process.read_mappings()
    return result(number)


def fork(run: "Run", process: Process, action: Action) -> Steps:
    """fork(2), as clone(2): CLONE_PARENT makes the controller the parent, so that a child outlives the process that made it."""
    flags = abi.CLONE_PARENT | abi.SIGCHLD
    number, _ = yield stub.request(abi.CLONE, (flags, 0, 0, 0, 0, stub.SOCKET + 1 + action.argument))
    if number > 0:
        run.adopt(process, action.argument, number)
        if run.program.splits:
            run.rests.born(process, run.processes[NAMES[action.argument]])
    return result(number)


def spawn(run: "Run", process: Process, action: Action) -> Steps:
    """fork(2), and execve(2) in the child, of the program that it is."""
    outcome = yield from fork(run, process, action)
    if outcome["result"] == "ok":
        child = run.processes[NAMES[action.argument]]
        child.execute()
        if run.program.scans:
            run.keep_page_table(child)
    return outcome


def merge_any(_: "Run", process: Process, action: Action) -> Steps:
    """prctl(PR_SET_MEMORY_MERGE). What the process has besides the program's pages is left out again: KSM must not count it."""
    number, _data = yield stub.request(abi.PRCTL, (abi.PR_SET_MEMORY_MERGE, action.argument, 0, 0, 0))
    if number >= 0 and action.argument:
        for start, length in process.others():
            yield stub.request(abi.MADVISE, (start, length, abi.MADV_UNMERGEABLE))
    return result(number)


def exit_(_: "Run", process: Process, _action: Action) -> Steps:
    """exit_group(2). No reply comes; the run ends the verb when the process is gone."""
    process.leaving = True
    yield stub.request(abi.EXIT_GROUP, (0,))
    return {"result": "ok"}


def clear_refs(_: "Run", _process: Process, _action: Action) -> Steps:
    """Write 4 to /proc/self/clear_refs."""
    fd, _data = yield stub.request(abi.OPEN, (stub.BUFFER, abi.O_WRONLY | abi.O_CLOEXEC), b"/proc/self/clear_refs\0")
    if fd < 0:
        return result(fd)
    number, _data = yield stub.request(abi.WRITE, (fd, stub.BUFFER, 1), b"4")
    yield stub.request(abi.CLOSE, (fd,))
    return result(number)


def scan_pagemap(run: "Run", process: Process, action: Action) -> Steps:
    """ioctl(PAGEMAP_SCAN) of the process's pagemap, by the controller: no request is made."""
    yield from ()
    outcome, found = pagemap_scan.scan(process.files[0], *process.span(action.page, action.count), action.argument)
    if outcome != "ok":
        return {"result": outcome}
    pages = range(action.page, action.page + action.count)
    return {"result": "ok", "pages": [run.program.pages[page] for page in pages if process.addresses[page] in found]}


def uffd_open(_: "Run", process: Process, action: Action) -> Steps:
    """userfaultfd(2) in the process, UFFDIO_API by the controller, which keeps the only descriptor. "busy" if it has one."""
    if process.uffd >= 0:
        return {"result": "busy"}
    number, _data = yield stub.request(abi.USERFAULTFD, (uffd.flags(action.argument),))
    if number < 0:
        return result(number)
    fd = process.take(number)
    yield stub.request(abi.CLOSE, (number,))
    outcome = uffd.api(fd, action.argument)
    if outcome == "ok":
        process.uffd = fd
    else:
        os.close(fd)
    return {"result": outcome}


def pin(_: "Run", process: Process, action: Action) -> Steps:
    """Register the page as fixed buffer of a new io_uring. "busy" if it has one."""
    if action.page in process.pins:
        return {"result": "busy"}
    try:
        ring, params = pins.ring()
    except OSError as error:
        return {"result": abi.errno_name(error.errno)}
    address = process.addresses[action.page]
    process.reached((action.page,))
    number = -1
    try:
        number = yield from _register(ring, address)
    finally:
        if number < 0:  # also where the process has died in its fault
            os.close(ring)
    if number >= 0:
        process.pins[action.page] = pins.Pin(ring, params, address)
    return result(number)


def _register(ring: int, address: int) -> Generator[bytes, Reply, int]:
    """The process registers a page of its own in a ring of the controller's: what the system call gives."""
    controller, _data = yield stub.request(abi.PIDFD_OPEN, (os.getpid(), 0))
    copy, _data = yield stub.request(abi.PIDFD_GETFD, (controller, ring, 0))
    yield stub.request(abi.CLOSE, (controller,))
    if copy < 0:
        return copy
    arguments = (copy, pins.IORING_REGISTER_BUFFERS, stub.BUFFER, 1)
    number, _data = yield stub.request(abi.IO_URING_REGISTER, arguments, struct.pack("<QQ", address, abi.PAGE))
    yield stub.request(abi.CLOSE, (copy,))
    return number


def vmsplice(_: "Run", process: Process, action: Action) -> Steps:
    """vmsplice(2) of the page into a new pipe. "busy" if a pipe holds it."""
    if action.page in process.pipes:
        return {"result": "busy"}
    number, data = yield stub.request(abi.PIPE2, (stub.BUFFER, abi.O_CLOEXEC), bytes(8), 8)
    if number < 0:
        return result(number)
    output, into = struct.unpack("<II", data)
    iovec = struct.pack("<QQ", process.addresses[action.page], abi.PAGE)
    number, _data = yield stub.request(abi.VMSPLICE, (into, stub.BUFFER, 1, 0), iovec)
    if number >= 0:
        process.pipes[action.page] = pins.Spliced(process.take(output))
    for fd in (output, into):
        yield stub.request(abi.CLOSE, (fd,))
    return result(number)


VERBS: dict[str, Verb] = {
    "write": write,
    "read": read,
    "copy_to_user": copy_to_user,
    "mem_write": mem_write,
    "process_vm_readv": process_vm_readv,
    "process_vm_writev": process_vm_writev,
    "mergeable": _range_call(abi.MADVISE, abi.MADV_MERGEABLE),
    "unmergeable": _range_call(abi.MADVISE, abi.MADV_UNMERGEABLE),
    "dontneed": _range_call(abi.MADVISE, abi.MADV_DONTNEED),
    "dontfork": _range_call(abi.MADVISE, abi.MADV_DONTFORK),
    "dofork": _range_call(abi.MADVISE, abi.MADV_DOFORK),
    "pageout": pageout,
    "populate_read": _range_call(abi.MADVISE, abi.MADV_POPULATE_READ),
    "populate_write": populate_write,
    "mprotect": mprotect,
    "mremap": mremap,
    "munmap": munmap,
    "fork": fork,
    "spawn": spawn,
    "merge_any": merge_any,
    "exit": exit_,
    "clear_refs": clear_refs,
    "pagemap_scan": scan_pagemap,
    "uffd_open": uffd_open,
    "pin": pin,
    "vmsplice": vmsplice,
}
