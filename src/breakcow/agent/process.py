"""Litmus processes, as the controller sees them: how they are born, asked and buried."""

import os
import select
import signal
import socket
import struct
from collections.abc import Generator, Iterable, Sequence

from . import abi, stub, thp
from .pins import Pin, Spliced

NAMES = "ABCDEF"
FIRST_AREA = 0x1000000000
PAGE_TABLE = 0x200000  # bytes that one page table maps: all areas but those of the longest tests
AREA = 0x10000  # a mapping has at most 12 pages, so no two mappings touch and no two vmas can merge
DEATH_SECONDS = 10
ANSWER = stub.HEADER + stub.BUFFER_BYTES

Held = Pin | Spliced
Outcome = dict[str, object]  # backend.observation.Outcome as JSON
Reply = tuple[int, bytes]  # result of the system call, what was asked for of the buffer
Steps = Generator[bytes, Reply, Outcome]  # a verb: yields requests, is sent replies, returns the outcome


class ProcessError(Exception):
    """A litmus process did something that no kernel lets it do: the run is void. The message is a sentence."""


class Process:
    """One litmus process.

    addresses: where each page of the program is. sizes: in bytes. mapped: the pages that have a vma. steps: the verb under way, if any.
    blocked: that verb sleeps in handle_userfault. uffd: the controller's descriptor of its userfaultfd, -1 if none.
    forked_uffd: what the last EVENT_FORK brought, for the child that is being born.
    """

    def __init__(self, name: str, pid: int, end: socket.socket, addresses: Sequence[int], sizes: Sequence[int], mapped: set[int]) -> None:
        self.name = name
        self.pid = pid
        self.socket = end
        self.addresses = list(addresses)
        self.sizes = list(sizes)
        self.mapped = set(mapped)
        self.state = "running"
        self.leaving = False
        self.steps: Steps | None = None
        self.blocked = False
        self.uffd = -1
        self.forked_uffd = -1
        self.loaded: set[int] = set()  # pages that a processor may have translations of since it last stored to them
        self.unflushed: set[int] = set()  # of these, where the kernel may have made the entry writable since, for an access of its own
        self.pins: dict[int, Pin] = {}
        self.pipes: dict[int, Spliced] = {}
        self.pidfd = os.pidfd_open(pid)
        self.files = self._opened()
        self.stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.merging = os.open(f"/proc/{pid}/ksm_merging_pages", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.merging = -1  # before 5.19

    def span(self, page: int, count: int) -> tuple[int, int]:
        """The address and the length of `count` pages side by side from `page` on."""
        return self.addresses[page], sum(self.sizes[page : page + count])

    def entries(self, page: int) -> list[int]:
        """The pagemap entry of each base page of a page."""
        start, length = self.span(page, 1)
        data = os.pread(self.files[0], length // abi.PAGE * 8, start // abi.PAGE * 8)
        return [int(entry) for (entry,) in struct.iter_unpack("<Q", data)]

    def rests(self) -> list[int]:
        """The pages that stand for all that is left of a huge region."""
        return [page for page in self.mapped if self.sizes[page] > abi.PAGE]

    def _opened(self) -> list[int]:
        """The files that are read after each step; they are of the memory that it has when they are opened."""
        return [os.open(f"/proc/{self.pid}/{file}", how | os.O_CLOEXEC) for file, how in (("pagemap", os.O_RDONLY), ("mem", os.O_RDWR))]

    @property
    def alive(self) -> bool:
        """It has not died."""
        return self.state in ("running", "blocked")

    def ask(self, request: bytes) -> None:
        """Send a request; the reply comes when it is done."""
        os.write(self.socket.fileno(), request)

    def reply(self) -> Reply:
        """The reply to a request, waited for as long as the socket's time limit."""
        return _reply(self.socket.recv(ANSWER))

    def answer(self) -> Reply | None:
        """The reply to a request, if it is there: mostly it is, as whoever is asked runs before who asks."""
        try:
            return _reply(os.read(self.socket.fileno(), ANSWER))
        except BlockingIOError:
            return None

    def call(self, number: int, *arguments: int, payload: bytes = b"") -> int:
        """A system call that cannot block, made by the process: its result, or OSError. Not while a verb is under way."""
        self.ask(stub.request(number, arguments, payload))
        result, _ = self.reply()
        if result < 0:
            raise OSError(-result, f"system call {number} of a litmus process: {os.strerror(-result)}")
        return result

    def take(self, fd: int) -> int:
        """A copy, here, of a file descriptor of the process (pidfd_getfd). It is close-on-exec."""
        return abi.syscall(abi.PIDFD_GETFD, self.pidfd, fd, 0)

    def loads(self, page: int) -> None:
        """It loads the page, and a processor that goes on to the next one ahead of it brings the translation of that as well."""
        behind = self.addresses[page] + self.sizes[page]
        self.loaded |= {page, *(other for other, address in enumerate(self.addresses) if address == behind)}

    def reached(self, pages: Iterable[int]) -> None:
        """The kernel has written to these pages for it, by GUP."""
        self.unflushed |= self.loaded.intersection(pages)

    def stored(self, page: int) -> bool:
        """It has stored to the page: whether the faults of that tell anything."""
        told = page not in self.unflushed
        self.loaded.discard(page)
        self.unflushed.discard(page)
        return told

    def faults(self) -> int:
        """How many page faults of it were resolved, minor and major ones (mm_account_fault(), mm/memory.c)."""
        fields = self._status()
        return int(fields[7]) + int(fields[9])

    def _status(self) -> list[bytes]:
        """The fields of /proc/PID/stat (fs/proc/array.c: do_task_stat()) behind the name: the state first, which proc(5) counts as the
        third."""
        return os.pread(self.stat, 512, 0).rpartition(b")")[2].split()

    def read_mappings(self) -> None:
        """Bring `mapped` up to date, from /proc/PID/maps."""
        with open(f"/proc/{self.pid}/maps", "rb") as file:
            ranges = [line.split(b" ", 1)[0].split(b"-") for line in file]
        spans = [(int(start, 16), int(end, 16)) for start, end in ranges]
        self.mapped = {page for page, at in enumerate(self.addresses) if any(start <= at < end for start, end in spans)}

    def prepare(self) -> None:
        """It dies when the controller dies, even where it sleeps."""
        self.call(abi.PRCTL, abi.PR_SET_PDEATHSIG, signal.SIGKILL)

    def map(self, start: int, length: int) -> None:
        """Map memory: private, anonymous, read-write, where nothing is yet. What is as long as a huge page is to become one."""
        flags = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS | abi.MAP_FIXED_NOREPLACE
        self.call(abi.MMAP, start, length, abi.PROT_RW, flags, -1, 0)
        if length == thp.HUGE:
            self.call(abi.PRCTL, abi.PR_SET_THP_DISABLE, 0, 0, 0, 0)
            self.call(abi.MADVISE, start, length, abi.MADV_HUGEPAGE)

    def execute(self) -> None:
        """execve(2) of its own program, after which every page is mapped afresh where it was. No userfaultfd is left.

        The new program listens on descriptor SOCKET, and the first thing it answers is the request after the one to execve(2).
        """
        self.call(abi.DUP2, stub.SOCKET + 1 + NAMES.index(self.name), stub.SOCKET)
        arguments = struct.pack("<32sQQ", b"/proc/self/exe", stub.BUFFER, 0)
        self.ask(stub.request(abi.EXECVE, (stub.BUFFER, stub.BUFFER + 32, 0), arguments))
        self.prepare()
        for number, payload in handlers():
            self.call(abi.RT_SIGACTION, number, stub.BUFFER, 0, 8, payload=payload)
        for fd in (*self.files, self.uffd):
            if fd >= 0:
                os.close(fd)
        self.files, self.uffd = self._opened(), -1
        for start, length in runs(self.addresses, self.sizes):
            self.map(start, length)
        self.mapped = set(range(len(self.addresses)))
        for start, length in self.others():
            self.call(abi.MADVISE, start, length, abi.MADV_UNMERGEABLE)

    def others(self) -> list[tuple[int, int]]:
        """The (address, length) of all that it has mapped besides the program's pages: code, data, stack."""
        with open(f"/proc/{self.pid}/maps", "rb") as file:
            ranges = [line.split(b" ", 1)[0].split(b"-") for line in file]
        spans = [(int(first, 16), int(end, 16)) for first, end in ranges]
        ours = [(first, end) for first, end in spans if any(first <= at < end for at in self.addresses)]
        return [(first, end - first) for first, end in spans if (first, end) not in ours and end < 1 << 47]

    def asleep(self) -> bool:
        """It sleeps in handle_userfault() still, after something that may have woken it.

        A wake-up makes it runnable before the ioctl that woke it returns. If it has already run, it has answered or raised an event.
        """
        if self._status()[0] not in (b"S", b"D"):
            return False
        poll = select.poll()
        for fd in (self.socket.fileno(), self.pidfd, *([self.uffd] if self.uffd >= 0 else [])):
            poll.register(fd, select.POLLIN)
        return not poll.poll(0)

    def reap(self, state: str) -> int:
        """It is dead, or dying: wait for that and release all but the userfaultfd: its wait status. ProcessError if it does not die."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(DEATH_SECONDS * 1000):
            raise ProcessError(f"process {self.name} cannot be killed: it is stuck in the kernel")
        status = os.waitpid(self.pid, 0)[1]
        held: list[Held] = [*self.pins.values(), *self.pipes.values()]
        for each in held:
            each.close()
        for fd in (self.pidfd, self.stat, *self.files, self.merging, self.forked_uffd):
            if fd >= 0:
                os.close(fd)
        self.state, self.steps, self.blocked = state, None, False
        self.pins, self.pipes, self.files = {}, {}, []
        self.pidfd, self.stat, self.merging, self.forked_uffd = -1, -1, -1, -1
        return status

    def bury(self) -> None:
        """Whatever it does, it is gone when this returns, and nothing is left of it."""
        if self.alive:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            self.reap("killed")
        if self.uffd >= 0:
            os.close(self.uffd)
            self.uffd = -1


class Nursery:
    """The process that every process A is forked from: it has the code, a page of data, and nothing else.

    memfd: a file that the processes inherit at descriptor `MEMFD`; the controller writes what copy_to_user shall read.
    """

    MEMFD = stub.SOCKET + 1 + len(NAMES)

    def __init__(self) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(1 + len(NAMES))]
        self.sockets = [pair[0] for pair in pairs]
        for end in self.sockets:
            end.settimeout(DEATH_SECONDS)
        self.memfd = os.memfd_create("breakcow", os.MFD_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            _become_stub([pair[1].fileno() for pair in pairs] + [self.memfd])
        for pair in pairs:
            pair[1].close()
        self._prepare()

    def _prepare(self) -> None:
        """No huge pages, and SIGSEGV and SIGBUS handled: children inherit both."""
        self.ask(abi.PRCTL, abi.PR_SET_PDEATHSIG, signal.SIGKILL)
        self.ask(abi.PRCTL, abi.PR_SET_THP_DISABLE, 1)
        self.ask(abi.PRCTL, abi.PR_SET_NAME, stub.BUFFER, payload=b"breakcow-test\0")
        for number, payload in handlers():
            self.ask(abi.RT_SIGACTION, number, stub.BUFFER, 0, 8, payload=payload)

    def ask(self, number: int, *arguments: int, payload: bytes = b"") -> int:
        """A system call of the nursery itself: its result, or OSError."""
        self.sockets[0].send(stub.request(number, arguments, payload))
        answer = self.sockets[0].recv(stub.HEADER)
        if not answer:
            raise ProcessError("the first process did not start: this system does not run programs from a memfd (see vm.memfd_noexec)")
        result = int(struct.unpack("<q", answer)[0])
        if result < 0:
            raise OSError(-result, f"system call {number} of the first process: {os.strerror(-result)}")
        return result

    def birth(self, addresses: Sequence[int], sizes: Sequence[int]) -> Process:
        """Process A, with nothing mapped yet, and to be prepared."""
        flags = abi.CLONE_PARENT | abi.SIGCHLD
        pid = self.ask(abi.CLONE, flags, 0, 0, 0, 0, stub.SOCKET + 1)
        return Process("A", pid, self.sockets[1], addresses, sizes, set())

    def close(self) -> None:
        """The nursery is gone when this returns."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.memfd)
        for end in self.sockets:
            end.close()


def _reply(answer: bytes) -> Reply:
    return struct.unpack_from("<q", answer)[0], answer[stub.HEADER :]


def runs(addresses: Sequence[int], sizes: Sequence[int]) -> list[tuple[int, int]]:
    """The (address, length) of each run of pages that lie side by side."""
    found: list[tuple[int, int]] = []
    for at, size in zip(addresses, sizes, strict=True):
        start, length = found[-1] if found else (0, 0)
        if found and at == start + length:
            found[-1] = (start, length + size)
        else:
            found.append((at, size))
    return found


def handlers() -> list[tuple[int, bytes]]:
    """Each signal that a litmus process handles, and its struct sigaction."""
    action = struct.pack("<QQQQ", stub.address("handler"), abi.SA_SIGINFO | abi.SA_RESTORER, stub.address("restorer"), 0)
    return [(number, action) for number in (signal.SIGSEGV, signal.SIGBUS)]


def _become_stub(fds: list[int]) -> None:
    """In the child of a fork: put `fds` at descriptors 3, 4, ... and turn into the stub. Never returns."""
    try:
        flags = getattr(os, "MFD_EXEC", 0x10)
        try:
            program = os.memfd_create("breakcow-process", os.MFD_CLOEXEC | flags)
        except OSError:
            program = os.memfd_create("breakcow-process", os.MFD_CLOEXEC)  # before 6.3
        os.write(program, stub.image())
        high = [abi.syscall(72, fd, 1030, 100) for fd in (*fds, program)]  # fcntl(F_DUPFD_CLOEXEC)
        for number, fd in enumerate(high[:-1], stub.SOCKET):
            os.dup2(fd, number, inheritable=True)
        os.closerange(stub.SOCKET + len(fds), 100)
        os.execve(high[-1], ["breakcow-process"], {})
    finally:
        os._exit(127)
