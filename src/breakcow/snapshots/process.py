"""Images of another process, which need not know: stopped for the freeze, and copied while it runs on. Its memory is held by nobody but
this process.
"""

import os
import select
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from breakcow.agent import abi
from breakcow.agent.watcher import Watcher

from . import features, layout, maps
from .attach import Stopped, stopped
from .copying import Memory, Tally
from .errors import LostError, SnapshotError, UntrustedKernelError
from .increments import Increments, joined, meanwhile
from .layout import Draft
from .maps import Mapping
from .merging import Apart
from .pagemap import Pagemap, Range
from .sink import Pack, Sink

SYSCTL = "/proc/sys/vm/unprivileged_userfaultfd"
PIDFD_OPEN = 434
TRIES = 10
CAP_SYS_PTRACE = 1 << 19


@dataclass
class Extent:
    """What of a process is in an image. watched: protected, and copied while it runs. still: private pages of files, copied while it
    stands still.

    shared: bytes of mappings that others may write, which are left out.
    """

    watched: list[Range] = field(default_factory=list)
    still: list[Range] = field(default_factory=list)
    shared: int = 0


class Process:
    """Takes cuts of process `pid` from the making of this to `close`. Raises SnapshotError.

    wanted: ranges of addresses, or none for all its private memory.
    """

    def __init__(self, pid: int, wanted: list[Range]) -> None:
        if lacking := features.lacking(features.measured()):
            raise UntrustedKernelError(lacking)
        self.pid, self.wanted = pid, wanted
        self.pause = 0.0
        self.tries = 0
        self.extent = Extent()
        self.end = 0
        self._sink: Sink | None = None
        self._cut: Increments | None = None
        self._apart: list[Range] = []
        self._files = ExitStack()
        _demand_open(pid)
        try:
            self.mem, self.pagemap = self._open("mem"), self._open("pagemap")
        except OSError as error:
            raise SnapshotError(f"the memory of process {pid} cannot be read: {error.strerror}") from None
        self.scan = Pagemap(self.pagemap)

    def take(self, file: int, said: dict[str, Any], pack: Pack | None) -> None:
        """Stop it, freeze it, let it go on, and copy what changed since the last take, appended to `file`.

        A process gives memory back to the kernel whenever it likes. An image that lost a page so is dropped, and a new one taken.
        """
        for self.tries in range(1, TRIES + 1):
            try:
                return self._take(file, said, pack)
            except LostError:
                os.ftruncate(file, self.end)
                if self._cut:
                    self._cut.stop()  # what it had begun to copy
                if self.tries == TRIES:
                    raise

    def _take(self, file: int, said: dict[str, Any], pack: Pack | None) -> None:
        """One try."""
        if self._cut:
            self._cut.ahead()
        with stopped(self.pid) as process:
            begin = time.perf_counter()
            self.extent = self._look()
            if why := maps.pinned(self.pid):
                raise SnapshotError(why)
            cut = self._cut or Increments(Memory(self._userfaultfd(process), self.mem, self.pagemap), [], self._save)
            self._cut = cut
            cut.watch(self.extent.watched)
            self._keep_apart(process)
            cut.stop()
            cut.register()
            cut.freeze()
            cut.prove()
            still = [(start, os.pread(self.mem, end - start, start)) for start, end in layout.blocks(self.extent.still)]
            self.pause = time.perf_counter() - begin
        cut.divide()
        whole = joined(self.extent.watched + self.extent.still)
        about = said | {"whole": whole, "buffers": []}
        draft = Draft(layout.aligned(self.end), sorted(cut.changed + self.extent.still), about, pack is not None)
        self._sink = Sink(file, draft, (), pack)
        self._sink.open()
        for start, data in still:
            self._save(start, memoryview(bytearray(data)))
        while cut.copying.step():
            pass
        meanwhile(cut, self._sink.close)
        cut.saved()
        self.end = draft.end

    @property
    def tally(self) -> Tally:
        """What all takes did together."""
        return self._cut.tally if self._cut else Tally()

    def command(self) -> str:
        """The command line of the process."""
        with open(f"/proc/{self.pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()

    @property
    def sink(self) -> Sink:
        """Where the last take went."""
        assert self._sink
        return self._sink

    def attend(self, seconds: float) -> None:
        """Let the process store to what was copied, for so long. SnapshotError if it has ended."""
        assert self._cut
        end = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._cut.copying, select.POLLIN)
        pidfd = abi.syscall(PIDFD_OPEN, self.pid, 0)
        poll.register(pidfd, select.POLLIN)
        try:
            while (left := end - time.monotonic()) > 0:
                ready = [fd for fd, _ in poll.poll(left * 1000)]
                if pidfd in ready:
                    raise SnapshotError(f"process {self.pid} has ended")
                if ready:
                    self._cut.copying.attend()
        finally:
            os.close(pidfd)

    def close(self) -> None:
        """Nothing of it is protected any more, and what KSM might merge it may again."""
        if self._cut:
            self._cut.end()
        self._files.close()
        if self._apart:
            with suppress(SnapshotError), stopped(self.pid) as process:
                for start, end in self._apart:
                    with suppress(OSError):
                        process.call(abi.MADVISE, start, end - start, abi.MADV_MERGEABLE)
            self._apart = []

    def _save(self, address: int, view: memoryview) -> None:
        self.sink.save(address, view)

    def _open(self, name: str) -> int:
        fd = os.open(f"/proc/{self.pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        self._files.callback(os.close, fd)
        return fd

    def _look(self) -> Extent:
        """What there is now. Reserved addresses that hold nothing are left alone."""
        extent = Extent()
        for mapping in maps.mappings(self.pid):
            for start, end in self._inside(mapping):
                if mapping.permissions[3] == "s":
                    extent.shared += end - start
                elif not mapping.anonymous:
                    extent.still += [] if mapping.name.startswith("[") else self.scan.own(start, end)
                elif mapping.permissions[:3] != "---" or any(self.scan.own(start, end)):
                    extent.watched.append((start, end))
        extent.watched = joined(extent.watched)
        if not extent.watched:
            raise SnapshotError(f"process {self.pid} has no private memory there")
        return extent

    def _inside(self, mapping: Mapping) -> Iterator[Range]:
        """The parts of a mapping that are wanted."""
        if not self.wanted:
            yield mapping.start, mapping.end
        for start, end in self.wanted:
            if start < mapping.end and mapping.start < end:
                yield max(start, mapping.start), min(end, mapping.end)

    def _userfaultfd(self, process: Stopped) -> int:
        """A userfaultfd of the process, of which this process has the only descriptor."""
        with _allowed(process) as flags:
            number = process.call(abi.USERFAULTFD, flags)
        try:
            pidfd = abi.syscall(PIDFD_OPEN, self.pid, 0)
            try:
                fd = abi.syscall(abi.PIDFD_GETFD, pidfd, number, 0)
            finally:
                os.close(pidfd)
        finally:
            process.call(abi.CLOSE, number)
        self._files.callback(os.close, fd)
        features.negotiate(fd, features.NEEDED)
        return fd

    def _keep_apart(self, process: Stopped) -> None:
        """What is mergeable is unmerged, and stays so until `close`."""

        def advise(address: int, length: int, advice: int) -> None:
            process.call(abi.MADVISE, address, length, advice)

        self._apart = joined(self._apart + Apart(self.extent.watched, self.pid, advise).ranges)


@contextmanager
def _allowed(process: Stopped) -> Iterator[int]:
    """The flags with which the process may call userfaultfd(2). A user who may not is allowed to for the one call, whatever happens
    then.
    """
    flags = abi.O_CLOEXEC | abi.O_NONBLOCK
    with open(SYSCTL) as file:
        before = file.read()
    with open(f"/proc/{process.pid}/status") as file:
        capabilities = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    if before.strip() != "0" or capabilities & CAP_SYS_PTRACE:
        yield flags
        return
    watcher = Watcher(lambda: _set(before), ())
    try:
        _set("1")
        yield flags
    except PermissionError:
        raise SnapshotError(f"process {process.pid} may not use userfaultfd, and {SYSCTL} cannot be set: run as root") from None
    finally:
        watcher.close()


def _set(text: str) -> None:
    with open(SYSCTL, "w") as file:
        file.write(text)


def _demand_open(pid: int) -> None:
    """The process is one that a system call can be made in."""
    try:
        with open(f"/proc/{pid}/status") as file:
            seccomp = next((line.split()[1] for line in file if line.startswith("Seccomp:")), "0")
    except FileNotFoundError:
        raise SnapshotError(f"there is no process {pid}") from None
    if seccomp != "0":
        raise SnapshotError(f"process {pid} runs under seccomp, which may kill it for a system call that it does not make itself")
    if pid == os.getpid():
        raise SnapshotError("that is this process")
