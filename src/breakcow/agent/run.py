"""One run of one program: each action is made, waited for until nothing moves any more, and observed."""

import os
import select
import signal
import time
from collections.abc import Iterator, Sequence

from . import abi, neighbours, stub, uffd
from .batches import Batches
from .ksm import KNOBS, Ksmd, KsmdError
from .observe import Observer, Seen
from .outside import OUTSIDE
from .process import FIRST_AREA, NAMES, PAGE_TABLE, Nursery, Outcome, Process, ProcessError, Reply
from .program import Program
from .rests import Rests
from .trace import Tracer
from .verbs import VERBS, Action

BUSY: Outcome = {"result": "busy"}


class HangError(Exception):
    """A step did not end within its time limit."""


class DisturbedError(Exception):
    """Memory of other processes, which KSM merges as well, kept the program from being what it says. The message is a sentence."""


class Run:
    """The processes of one program while it runs."""

    def __init__(
        self, program: Program, nursery: Nursery, ksmd: Ksmd | None, observer: Observer, step_seconds: float, tracer: Tracer | None = None
    ) -> None:
        self.program = program
        self.nursery = nursery
        self.ksmd = ksmd
        self.contents = observer.contents
        self.step_seconds = step_seconds
        self.processes: dict[str, Process] = {}
        self.areas = max(program.mappings, default=-1) + 1
        self.events: list[dict[str, str]] = []
        self.resumed: dict[str, Outcome] = {}
        self.batches = Batches()
        self.observer = observer
        self.tracer = tracer
        self.hung = False
        self.rests = Rests(observer.counters)
        self.base_pages = sum(program.sizes()) // abi.PAGE
        self.counts = program.merges and ksmd is not None and ksmd.alone
        before = observer.counters.read() if self.counts else {}
        self.cow_ksm, self.zero_pages = before.get("cow_ksm", 0), before.get("ksm_zero_pages", 0)

    def observations(self) -> Iterator[Seen]:
        """One observation for each action; the last is a hang if a step hangs."""
        self._birth()
        for number, action in enumerate(self.program.actions):
            traced = self.tracer if self.tracer and self.tracer.wants(number) else None
            self.events, self.resumed = [], {}
            self.batches.drain()
            if traced:
                traced.begin(self._tasks())
            try:
                outcome = self._act(action)
            except HangError:
                outcome, self.hung = {"result": "hang"}, True
                self._kill()
            trace = {"trace": traced.end(self._tasks(), self._page_of_any)} if traced else {}
            self.batches.drain()
            yield self._observation(outcome, action.process == "-") | trace
            if self.hung:
                return

    def close(self) -> None:
        """No process is left when this returns."""
        self._kill()

    def fresh_area(self) -> int:
        """The address of an area that no process has used."""
        self.areas += 1
        return FIRST_AREA + (self.areas - 1) * self.program.area

    def adopt(self, parent: Process, index: int, pid: int) -> None:
        """The child that a fork of `parent` made."""
        child = Process(NAMES[index], pid, self.nursery.sockets[1 + index], parent.addresses, parent.sizes, parent.mapped)
        self.processes[child.name] = child  # first: whatever goes wrong from here on, it is buried with the others
        child.read_mappings()
        child.uffd, parent.forked_uffd = parent.forked_uffd, -1
        child.prepare()

    def _birth(self) -> None:
        """Process A with the program's mappings."""
        addresses = self.program.addresses()
        process = self.nursery.birth(addresses, self.program.sizes())
        self.processes["A"] = process
        process.prepare()
        for start, length in self.program.spans():
            process.map(start, length)
        process.mapped = set(range(len(addresses)))
        if self.program.scans:
            self.keep_page_table(process)

    def keep_page_table(self, process: Process) -> None:
        """A written page that no test names, in the page table of those it names: to PAGEMAP_SCAN a hole in a page table that is there
        is another thing than one that lacks it, and page tables come and go unseen. KSM has no part in it: a process born under
        PR_SET_MEMORY_MERGE has all that it maps mergeable."""
        small = {at & -PAGE_TABLE for page, at in enumerate(self.program.addresses()) if page not in self.program.offsets()}
        for last in sorted(table + PAGE_TABLE - abi.PAGE for table in small):
            process.map(last, abi.PAGE)
            if self.program.merges:
                process.call(abi.MADVISE, last, abi.PAGE, abi.MADV_UNMERGEABLE)
            process.call(stub.COPY, last, stub.BUFFER, 1, payload=b"x")

    def _act(self, action: Action) -> Outcome:
        """Make one action and wait until nothing moves: its outcome."""
        end = time.monotonic() + self.step_seconds
        if action.process == "-":
            return self._kernel(action, end)
        process = self.processes.get(action.process)
        if process is None:
            return BUSY
        if action.verb in OUTSIDE:
            outcome = self._outside(process, action)
            self._settle(end)
            return outcome
        if process.state != "running":
            return BUSY
        self._check_span(process, action)
        process.steps = VERBS[action.verb](self, process, action)
        self._advance(process, None)
        self._settle(end)
        if process.blocked:
            return {"result": "blocked"}
        return self.resumed.pop(process.name)

    def _kernel(self, action: Action, end: float) -> Outcome:
        """Make an action of the kernel or an administrator: its outcome."""
        if self.ksmd is None:
            raise ProcessError("this kernel has no KSM to step")
        self.ksmd.limit = max(0.0, end - time.monotonic())
        try:
            outcome = self._ksm(self.ksmd, action)
        except KsmdError:
            self._blame_others("ksmd was at work on it until the time was over")
            raise HangError from None
        self._settle(end)
        return {"result": outcome}

    def _ksm(self, ksmd: Ksmd, action: Action) -> str:
        if action.verb == "ksm_scan":
            ksmd.scan(action.argument)
            return "ok"
        if action.verb == "ksm_run":
            return ksmd.set_run(action.argument)
        outcome = ksmd.set_knob(KNOBS[action.argument // 1000], action.argument % 1000)
        if outcome == "EBUSY":
            self._blame_others(f"{KNOBS[action.argument // 1000]} cannot be set while any of it is merged")
        return outcome

    def _blame_others(self, how: str) -> None:
        """DisturbedError if others have mergeable memory: then what has happened need not be the program's doing."""
        others = neighbours.mergeable([self.nursery.pid, *(process.pid for process in self.processes.values())])
        if others or (self.ksmd and not self.ksmd.alone):
            raise DisturbedError(f"memory of other processes is mergeable ({', '.join(others[:4]) or 'they have ended'}): {how}")

    def _check_span(self, process: Process, action: Action) -> None:
        """A run of pages must lie side by side: else the program was not flattened as breakcow.litmus.program does it."""
        for page in range(action.page + 1, action.page + action.count):
            if process.addresses[page] != sum(process.span(page - 1, 1)):
                raise ProcessError(
                    f"{action.verb} names {action.count} pages in a row that do not lie side by side in process {process.name}"
                )

    def _outside(self, process: Process, action: Action) -> Outcome:
        """Make an action on what the controller holds of the process."""
        if process.alive:  # what one had that has exited lies nowhere
            self._check_span(process, action)
        verb, needs_process = OUTSIDE[action.verb]
        if needs_process and process.state != "running":
            return BUSY
        outcome = verb(self.contents, process, action)
        if process.blocked and not process.asleep():
            process.blocked, process.state = False, "running"
        return {"result": outcome}

    def _advance(self, process: Process, reply: Reply | None) -> None:
        """Let the verb of `process` go on with a reply: it makes another request, or ends."""
        assert process.steps is not None
        try:
            request = process.steps.send(reply) if reply else next(process.steps)
        except StopIteration as stop:
            process.steps = None
            self.resumed[process.name] = stop.value
        else:
            process.ask(request)

    def _settle(self, end: float) -> None:
        """Wait until every process waits for the controller or sleeps in handle_userfault(). HangError if that lasts beyond `end`."""
        while moving := [process for process in self.processes.values() if process.steps and not process.blocked]:
            if not any(map(self._hear, moving)) and not self._read_events():
                self._wait(moving, end)
        self._read_events()

    def _hear(self, process: Process) -> bool:
        """Take what a moving process has answered, if it has."""
        reply = process.answer()
        if reply:
            self._advance(process, reply)
        return reply is not None

    def _wait(self, moving: Sequence[Process], end: float) -> None:
        """Until something happens that a moving process or its reader waits for; take notice of who is dead."""
        poll = select.poll()
        for process in moving:
            poll.register(process.socket, select.POLLIN)
            poll.register(process.pidfd, select.POLLIN)
        for process in self.processes.values():
            if process.uffd >= 0:
                poll.register(process.uffd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(max(0.0, end - time.monotonic()) * 1000)}
        if not ready:
            raise HangError
        for process in moving:
            if process.pidfd in ready and process.socket.fileno() not in ready:
                status = process.reap("exited" if process.leaving else "killed")
                killed = os.WIFSIGNALED(status) and not process.leaving
                self.resumed[process.name] = {"result": signal.Signals(os.WTERMSIG(status)).name if killed else "ok"}

    def _read_events(self) -> bool:
        """Read every message of every userfaultfd: whether there were any. A write-protect message says that its process sleeps."""
        before = len(self.events)
        for process in self.processes.values():
            for kind, value in uffd.read_messages(process.uffd) if process.uffd >= 0 else ():
                page = ""
                if kind == "fork":
                    process.forked_uffd = value
                else:
                    page = self._page_at(process, value)
                if kind == "wp" and process.steps:
                    process.blocked, process.state = True, "blocked"
                self.events.append({"kind": kind, "process": process.name, "page": page})
        return len(self.events) > before

    def _page_at(self, process: Process, address: int) -> str:
        """The name of the page at an address of a process, "" if there is none."""
        at = address & -abi.PAGE
        return self.program.pages[process.addresses.index(at)] if at in process.addresses else ""

    def _tasks(self) -> dict[int, str]:
        """Whose work a trace shows: process id -> name. "agent" is who writes to userfaultfds, rings and the files of KSM."""
        names = {os.getpid(): "agent"} | ({self.ksmd.pid: "ksmd"} if self.ksmd else {})
        return names | {process.pid: process.name for process in self.processes.values()}

    def _page_of_any(self, address: int) -> str | None:
        """The name of the page at an address, in whichever process; None if no page of the test is there."""
        return next((page for process in self.processes.values() if (page := self._page_at(process, address))), None)

    def _kill(self) -> None:
        """End every process."""
        for process in self.processes.values():
            process.bury()

    def _observation(self, outcome: Outcome, kernel: bool) -> Seen:
        """What is seen now, as JSON of backend.observation.Observation. kernel: after an action of the kernel."""
        if self.program.splits:
            self.rests.fill(self.processes.values())
        seen: Seen = {"outcome": outcome, "processes": self.observer.observe(self.processes.values(), kernel, self.counts)}
        if self.program.merges and self.observer.shared_with_others:
            self._blame_others("a page of the test was merged with one of it")
        if self.resumed:
            seen["resumed"] = self.resumed
        if self.events:
            seen["events"] = self.events
        if self.counts:
            counters = self.observer.counters.take(self.observer.reading.more)
            # what KSM counts can be ours, as it is not more than we have; once it is more, somebody else merges too
            self.counts = counters["scanned"] <= len(self.processes) * self.base_pages
            if self.counts:
                seen["counters"] = self._ours(counters)
        return seen

    def _ours(self, counters: dict[str, int]) -> dict[str, int]:
        """The counters of this run: cow_ksm as the difference over this action, ksm_zero_pages over this run.

        Before 6.18 ksm_zero_pages does not come back to 0 after a fork of zero pages that KSM placed, and would tell of earlier runs.
        """
        ours = {name: value for name, value in counters.items() if name != "scanned"}
        if "ksm_zero_pages" in ours:
            ours["ksm_zero_pages"] -= self.zero_pages
        if "cow_ksm" in ours:
            ours["cow_ksm"] -= self.cow_ksm
            self.cow_ksm = counters["cow_ksm"]
        return ours
