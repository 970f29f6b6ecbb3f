"""A stress run: many processes that share and unshare memory at random under ksmd at full speed, while what they were promised is checked.

The supervisor forks the first processes, answers every userfaultfd (it holds a copy of each, taken through pidfd_getfd), watches the
kernel's log, and counts. An event must come while the process is in a store to that page, and before the store has landed. At the end no
process is left, and KSM's counters must come back to what they were.
"""

import json
import mmap
import os
import random
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from . import abi, ksm, probe, stress_worker, uffd
from .abi import PAGE
from .kmsg import Kmsg
from .neighbours import mergeable
from .observe import Bits
from .program import RequestError
from .stress_operations import OPERATIONS
from .stress_slots import CAUSES, CHILD, COUNTED, DOING, HIGH, LOW, NUMBER, PID, STOP, TOLD, UNMERGED, Slots

BROKEN_LIMIT = 20  # findings that nothing explains, after which a run ends
STALL_SECONDS = 120  # without an operation, after which a process hangs
SWEEP_SECONDS = (1.0, 5.0)  # between two times that all is unmerged by run = 2
SETTLE_SCANS = 4
ZEROED = ("pages_shared", "pages_sharing", "pages_unshared", "pages_volatile", "ksm_zero_pages")
MAX_PROCESSES = 64
NEEDS = ("root", "ksm", "uffd-wp")

Json = dict[str, object]
Say = Callable[[Json], None]


class StressError(RequestError):
    """The run cannot be made or went wrong by our own doing; the message is a sentence."""


@dataclass(frozen=True)
class Options:
    """seconds, operations: the first that is reached ends the run; 0 for no such limit. processes: at most at a time."""

    seconds: int
    operations: int
    seed: int
    processes: int


def options(request: object) -> Options:
    """The options in a request. Raises StressError."""
    names = ("seconds", "operations", "seed", "processes")
    values = [request.get(name) if isinstance(request, dict) else None for name in names]
    numbers = [value for value in values if type(value) is int and value >= 0]
    if len(numbers) < len(names) or not 1 <= numbers[3] <= MAX_PROCESSES:
        raise StressError(f"a stress request has seconds, operations, seed and processes, the last from 1 to {MAX_PROCESSES}")
    return Options(*numbers)


@dataclass(frozen=True)
class Handled:
    """A userfaultfd that the supervisor answers. slot: of the process it belongs to."""

    fd: int
    slot: int


class Stress:
    """One run. say: sends an answer."""

    def __init__(self, options: Options, say: Say) -> None:
        self.options = options
        self.say = say
        self.found = probe.abilities()
        lacking = [self.found[need] for need in NEEDS if self.found[need]]
        if lacking:
            raise StressError(lacking[0])
        self.random = random.Random(options.seed)
        self.slots = Slots(options.processes)
        self.messages, tell = os.pipe2(os.O_CLOEXEC)
        self.source = os.memfd_create("breakcow-stress", os.MFD_CLOEXEC)
        self.frames = (os.open("/proc/kpageflags", os.O_RDONLY | os.O_CLOEXEC), os.open("/proc/kpagecount", os.O_RDONLY | os.O_CLOEXEC))
        self.common = self._common(tell, probe.bits(self.found))
        self.log = Kmsg()
        self.poll = select.epoll()
        self.poll.register(self.messages, select.EPOLLIN)
        self.handled: dict[int, Handled] = {}
        self.waiting = b""
        self.broken = self.roots = 0
        self.living: dict[int, tuple[int, float]] = {}  # slot -> operations at a time

    def _common(self, tell: int, bits: Bits) -> stress_worker.Common:
        fork_events = not self.found["uffd-event-fork"]
        return stress_worker.Common(str(self.options.seed), self.slots, tell, self.source, os.getpid(), bits, self.frames, fork_events)

    def run(self) -> None:
        """All of it: findings and progress are said on the way, the summary at the end."""
        before = self._counters()
        neighbours = mergeable()
        knobs = self._start_ksmd()
        start = time.monotonic()
        try:
            self._work(start)
            seconds = time.monotonic() - start
        finally:
            self._kill()
        self._events(0)
        self._settle(before, neighbours)
        summary = self._summary(seconds, before) | {"knobs": knobs, "neighbours": neighbours}
        self.say({"done": True, "summary": summary})

    def close(self) -> None:
        """No process is left, and no file."""
        self._kill()
        for fd in (self.messages, self.common.tell, self.source, *self.frames):
            os.close(fd)
        self.poll.close()
        self.log.close()
        self.slots.close()

    def _start_ksmd(self) -> dict[str, int]:
        """ksmd at full speed, with nothing merged: the settings."""
        knobs = {"max_page_sharing": self.random.choice((2, 8, 256)), "use_zero_pages": 1, "smart_scan": 0, "sleep_millisecs": 0}
        knobs |= {"pages_to_scan": 100000, "merge_across_nodes": 1}
        ksm.write("run", 2)
        if ksm.has("advisor_mode"):
            ksm.write("advisor_mode", "none")
        for name, value in knobs.items():
            if ksm.has(name) and ksm.read(name) != value:
                ksm.write(name, value)
        ksm.write("run", 1)
        return knobs

    def _work(self, start: float) -> None:
        """Keep the processes busy until the run is over."""
        told = start
        sweep = start + self.random.uniform(*SWEEP_SECONDS)
        while not self._over(time.monotonic() - start):
            while len(self._pids()) < max(1, self.options.processes // 2) and self._birth():
                pass
            self._events(0.05)
            now = time.monotonic()
            if now > sweep:
                self._sweep()
                sweep = now + self.random.uniform(*SWEEP_SECONDS)
            if now - told > 1:
                self._watch(now)
                self.say({"progress": self._summary(now - start, {})})
                told = now
        self.slots.view[STOP] = 1
        end = time.monotonic() + STALL_SECONDS
        while self._pids() and time.monotonic() < end:
            self._events(0.05)
            self._watch(time.monotonic())

    def _over(self, seconds: float) -> bool:
        """A limit is reached, or enough is broken."""
        if self.broken >= BROKEN_LIMIT or (self.options.seconds and seconds >= self.options.seconds):
            return True
        return bool(self.options.operations) and self.slots.total("operations") >= self.options.operations

    def _pids(self) -> list[int]:
        """The processes that live."""
        return [pid for slot in range(self.slots.number) if (pid := self.slots.get(slot, PID))]

    def _birth(self) -> bool:
        """Fork a process with memory of its own, if there is a slot."""
        slot = self.slots.take()
        if slot is None:
            return False
        self.roots += 1
        pid = os.fork()
        if pid == 0:
            stress_worker.work(self.common, slot, str(self.roots))
        self.slots.set(slot, PID, pid)
        return True

    def _sweep(self) -> None:
        """Unmerge all there is, as an administrator does: run = 2, then 1."""
        self.slots.view[UNMERGED] += 1
        ksm.write("run", 2)
        self.slots.view[UNMERGED] += 1
        ksm.write("run", 1)

    def _events(self, seconds: float) -> None:
        """Answer what there is to answer, and bury the dead."""
        for fd, _ in self.poll.poll(seconds):
            if fd == self.messages:
                self._hear()
            elif fd in self.handled:
                self._answer(self.handled[fd])
        for pid, status in _dead():
            self._bury(pid, status)

    def _hear(self) -> None:
        """The messages of the processes."""
        *lines, self.waiting = (self.waiting + os.read(self.messages, 1 << 16)).split(b"\n")
        for message in map(json.loads, lines):
            if "uffd" in message:
                self._adopt(message["slot"], message["pid"], message["uffd"])
            elif "finding" in message:
                self._find(message["finding"])
            else:
                raise StressError(message["error"])

    def _adopt(self, slot: int, pid: int, number: int) -> None:
        """Take a copy of a userfaultfd of a process; of one that has died meanwhile there is nothing to answer."""
        with suppress(OSError):
            pidfd = os.pidfd_open(pid)
            try:
                self._handle(Handled(abi.syscall(abi.PIDFD_GETFD, pidfd, number, 0), slot))
            finally:
                os.close(pidfd)

    def _handle(self, handled: Handled) -> None:
        self.handled[handled.fd] = handled
        self.poll.register(handled.fd, select.EPOLLIN)

    def _answer(self, handled: Handled) -> None:
        """The messages of a userfaultfd: a store that waits is checked and let go, a child's userfaultfd is taken."""
        for kind, value in uffd.read_messages(handled.fd):
            if kind == "fork":
                self._handle(Handled(value, self.slots.get(handled.slot, CHILD)))
                self.slots.set(handled.slot, TOLD, self.slots.get(handled.slot, TOLD) + 1)
            elif kind == "wp":
                self._check(handled, value)
                self.slots.count(handled.slot, "events")
                outcome = uffd.release(handled.fd, value & -PAGE, PAGE)
                if outcome not in ("ok", "ESRCH"):  # ESRCH: it was killed
                    raise StressError(f"a page could not be released: {outcome}")

    def _check(self, handled: Handled, address: int) -> None:
        """An event: it must be of the store that is under way, and the page must hold what it held before."""
        slot, page = handled.slot, address & -PAGE
        if not self.slots.get(slot, LOW) <= address < self.slots.get(slot, HIGH):
            self._promise(slot, page, "no-event-without-a-write", "no event", "an event of a page that is not being stored to")
            return
        old = self.slots.old(slot)
        found = self._read(self.slots.get(slot, PID), page)
        if found is not None and found != old:
            at = next(at for at in range(PAGE) if old[at] != found[at]) & -8
            words = (f"{each[at : at + 8].hex()} at offset {at}" for each in (old, found))
            self._promise(slot, page, "protect-traps-every-write", *(f"{word}, when the event comes" for word in words))

    def _read(self, pid: int, address: int) -> bytes | None:
        """A page of a process, through /proc/PID/mem; None if it is gone."""
        with suppress(OSError):
            fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(fd, PAGE, address)
            finally:
                os.close(fd)
        return None

    def _promise(self, slot: int, address: int, promise: str, expected: str, found: str) -> None:
        """The supervisor sees a promise broken."""
        place: Json = {"process": f"slot {slot}", "pid": self.slots.get(slot, PID), "page": 0, "address": address}
        place["operation"] = OPERATIONS[self.slots.get(slot, DOING)].__name__
        self._find(place | {"promise": promise, "cause": "", "expected": expected, "found": found, "known": ""})

    def _find(self, finding: Json) -> None:
        self.broken += not finding["cause"]
        self.say({"finding": finding})

    def _watch(self, now: float) -> None:
        """See that every process gets on, and what the kernel prints."""
        for slot in range(self.slots.number):
            done = self.slots.get(slot, NUMBER["operations"])
            if not self.slots.get(slot, PID) or self.living.get(slot, (-1, now))[0] != done:
                self.living[slot] = (done, now)
            elif now - self.living[slot][1] > STALL_SECONDS:
                self._hang(slot)
                self.living[slot] = (done, now)
        if said := self.log.news():
            self.say({"console": said})

    def _hang(self, slot: int) -> None:
        """A process makes no step: say where it is, and end it."""
        pid = self.slots.get(slot, PID)
        where = " ".join(_text(f"/proc/{pid}/stack").split()) or _text(f"/proc/{pid}/wchan")
        page = self.slots.get(slot, LOW)
        self._promise(slot, page, "progress", f"an operation in {STALL_SECONDS} s", f"none; it is in {where}")
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)

    def _bury(self, pid: int, status: int) -> None:
        """A process has ended: its slot is free."""
        slot = next(slot for slot in range(self.slots.number) if self.slots.get(slot, PID) == pid)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
            name = signal.Signals(os.WTERMSIG(status)).name
            self._promise(slot, self.slots.get(slot, LOW), "isolation", "a process that lives", f"killed by {name}")
        for handled in [handled for handled in self.handled.values() if handled.slot == slot]:
            self.poll.unregister(handled.fd)
            os.close(handled.fd)
            del self.handled[handled.fd]
        self.slots.free(slot)

    def _kill(self) -> None:
        """No process is left when this returns."""
        self.slots.view[STOP] = 1
        while pids := self._pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._events(0.01)

    def _counters(self) -> dict[str, int]:
        """KSM's counters that must come back, its scans, and the copies of KSM pages since boot."""
        values = {name: ksm.read(name) for name in (*ZEROED, "full_scans") if ksm.has(name)}
        words = _text("/proc/vmstat").split()
        return values | {name: int(value) for name, value in zip(words[::2], words[1::2], strict=True) if name == "cow_ksm"}

    def _settle(self, before: dict[str, int], neighbours: list[str]) -> None:
        """Nobody is left: after some scans the counters must be what they were; where others merge, nobody can tell."""
        if neighbours:
            return
        with _Walked():
            first = ksm.read("full_scans")
            end = time.monotonic() + STALL_SECONDS
            while ksm.read("full_scans") < first + SETTLE_SCANS and time.monotonic() < end:
                time.sleep(0.01)
        after = self._counters()
        for name in ZEROED:
            if after.get(name, 0) != (before.get(name, 0) if name == "ksm_zero_pages" else 0):
                cause = "zero-pages-miscounted" if name == "ksm_zero_pages" and self.slots.total("forks") else ""
                place = {"process": "", "pid": 0, "operation": "end", "page": 0, "address": 0, "known": ""}
                words = {"expected": f"{name} as before the run: {before.get(name, 0)}", "found": str(after[name])}
                self._find(place | words | {"promise": "counters-come-back", "cause": cause})

    def _summary(self, seconds: float, before: dict[str, int]) -> Json:
        """What was done until now. before: the counters when it began; with them those of the kernel are told too."""
        summary: Json = {"seconds": seconds, **{name: self.slots.total(name) for name in COUNTED}}
        summary["known"] = {cause: number for cause in CAUSES if (number := self.slots.total(cause))}
        summary["processes"] = len(self._pids())
        if before:
            after = self._counters()
            summary |= {"born": self.roots, "scans": after["full_scans"] - before["full_scans"]}
            if "cow_ksm" in after:
                summary["cow_ksm"] = after["cow_ksm"] - before["cow_ksm"]
        return summary


class _Walked:
    """A mergeable page, for as long as this is open: ksmd makes no scans where nobody has mergeable memory."""

    def __enter__(self) -> None:
        self.page = mmap.mmap(-1, PAGE, flags=abi.MAP_PRIVATE | abi.MAP_ANONYMOUS)
        self.page.madvise(abi.MADV_MERGEABLE)

    def __exit__(self, *_: object) -> None:
        self.page.close()


def _dead() -> Iterator[tuple[int, int]]:
    """The children that have ended: process id, wait status."""
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found


def _text(path: str) -> str:
    """A file of /proc, "" if it cannot be read."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
