"""The text of a trace (Documentation/trace/ftrace.rst) turned into calls: each with how deep it is, its arguments and its result.

Every event comes with the path that led to it. A function whose return is seen as well is known to be open until then: what is called
meanwhile is below it, also where the path has lost it (a tail call, a return address that a kretprobe took).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

LINE = re.compile(r"^.*-(\d+) +\[\d+\] +\S+ +[\d.]+: (.*)$")
FRAME = re.compile(r"^ => ([\w.]+|\[\S+)")
RETURN = re.compile(r"\(.* <- (\w+)")
PROBED = re.compile(r"(\w+): \(")
NUMBER = re.compile(r"(\w+)=(0x[0-9a-f]+|-?\d+)")
ERROR = re.compile(r"\b(?:err|error) (-?\d+)")
LOST = re.compile(r"entries-in-buffer/entries-written: (\d+)/(\d+)")
SYSTEMS = {"ksm": "ksm_", "exceptions": "page_fault_"}  # of tracepoints, by how their names begin
RETURNED = "r_"  # how the event of a return begins; the rest is the function's name
ENTRIES = re.compile(r"entry_SYSCALL|do_syscall_64|x64_sys_call|ret_from_fork|kthread$|\[")
ASSEMBLER = "asm_"  # between a fault and what was interrupted: a system call, or nothing that has a name
FLAGS = 0x1FFF  # all FAULT_FLAG_* of every kernel

Place = Callable[[int], str | None]  # address -> name of the test's page there, None if it is none


@dataclass
class Call:
    """One call of a kernel function, or one event inside of it.

    asked: a probe was set on it; others are known from the path only. arguments: numbers by name; "page" is the name of a page.
    result: None if it did not return, or returns nothing. hidden: it is none of the test's business.
    """

    depth: int
    function: str
    asked: bool = False
    arguments: dict[str, int | str] = field(default_factory=dict)
    result: int | None = None
    open: bool = False
    hidden: bool = False


@dataclass
class Task:
    """What one task did. path: from the outermost call to the latest."""

    calls: list[Call] = field(default_factory=list)
    path: list[Call] = field(default_factory=list)


class Calls:
    """The calls in one piece of trace, by process id. place: names the pages of the test."""

    def __init__(self, text: str, place: Place) -> None:
        self.place = place
        self.tasks: dict[int, Task] = {}
        self.order: list[tuple[int, Call]] = []
        self.waiting: dict[int, str] = {}  # process id -> event whose path has not come yet
        match = LOST.search(text)
        self.lost = int(match[2]) - int(match[1]) if match else 0
        lines = text.split("\n")
        for number, line in enumerate(lines):
            match = LINE.match(line)
            if match:
                self._line(int(match[1]), match[2], lines, number + 1)

    def seen(self) -> list[tuple[int, Call]]:
        """(process id, call) of all that concerns the test and what led there, in order of beginning."""
        wanted: set[int] = set()
        for task in self.tasks.values():
            least = -1  # the depth that a call must be above to lead to the calls behind it
            for call in reversed(task.calls):
                if not call.hidden and (call.asked or call.depth < least):
                    wanted.add(id(call))
                    least = call.depth
        return [(pid, call) for pid, call in self.order if id(call) in wanted]

    def _line(self, pid: int, said: str, lines: list[str], following: int) -> None:
        """One event, or the path of the one before it."""
        task = self.tasks.setdefault(pid, Task())
        if said == "<stack trace>":
            event = self.waiting.pop(pid, "")
            if event:
                self._enter(pid, task, event, _frames(lines, following))
            return
        returned = RETURN.search(said)
        if said.startswith(RETURNED) and returned:
            self._leave(pid, task, returned[1], _numbers(said).get("result"))
        else:
            self.waiting[pid] = said

    def _enter(self, pid: int, task: Task, event: str, frames: list[str]) -> None:
        """A call begins, or an event inside of one happens."""
        name, arguments = _event(event)
        path = _path(name, frames)
        base = max((number + 1 for number, call in enumerate(task.path) if call.open), default=0)
        if base and task.path[base - 1].function in path[:-1]:
            path = path[len(path) - path[::-1].index(task.path[base - 1].function) :]
        elif base:
            path = path[-1:]  # the path has lost what is open
        while len(path) > 1 and base < len(task.path) and task.path[base].function == path[0]:
            base, path = base + 1, path[1:]
        del task.path[base:]
        for function in path:
            call = Call(len(task.path), function)
            call.hidden = bool(task.path) and task.path[-1].hidden and task.path[-1].asked
            task.path.append(call)
            task.calls.append(call)
            self.order.append((pid, call))
        call.asked, call.open = True, PROBED.match(event) is not None
        self._judge(task, call, arguments)

    def _judge(self, task: Task, call: Call, arguments: dict[str, int]) -> None:
        """Give a call its arguments in the words of the test, and hide what is about other memory."""
        above = task.path[-2] if len(task.path) > 1 else None
        if "address" in arguments:
            page = self.place(arguments.pop("address"))
            if page is None:
                call.hidden = True
            else:
                call.arguments["page"] = page
        if "early" in arguments:  # vmf->flags has two places: before v5.14 and since
            early, late = arguments.pop("early"), arguments.pop("late")
            arguments = {"flags": late if late <= FLAGS else early & FLAGS} | arguments
        call.arguments |= arguments
        call.hidden = call.hidden or (above is not None and above.hidden and above.asked)

    def _leave(self, pid: int, task: Task, function: str, result: int | None) -> None:
        """A call ends; one that began before this piece of trace is told by its end alone."""
        for number in range(len(task.path) - 1, -1, -1):
            call = task.path[number]
            if call.function == function and call.open:
                call.result, call.open = result, False
                del task.path[number:]
                return
        ended = Call(0, function, True, {"since": "an earlier step"}, result)
        task.calls.append(ended)
        self.order.append((pid, ended))


def _event(said: str) -> tuple[str, dict[str, int]]:
    """The name and the numbers of an event, of a probe or of a tracepoint."""
    name, _, rest = said.partition(": ")
    if not rest.startswith("("):
        name = next((f"{system}:{name}" for system, start in SYSTEMS.items() if name.startswith(start)), name)
    error = ERROR.search(rest)
    numbers = {key: number for key, number in _numbers(rest).items() if key != "ip"}
    return name, numbers | ({"error": int(error[1])} if error else {})


def _numbers(said: str) -> dict[str, int]:
    """name=number pairs."""
    return {name: int(number, 0) for name, number in NUMBER.findall(said)}


def _frames(lines: list[str], first: int) -> list[str]:
    """The functions of a path in the lines from `first` on, innermost first."""
    found = []
    for line in lines[first:]:
        match = FRAME.match(line)
        if match is None:
            break
        found.append(match[1].partition(".")[0] if match[1][0] != "[" else match[1])
    return found


def _path(name: str, frames: list[str]) -> list[str]:
    """The functions from the outermost to `name`, without what brings every system call, fault and thread into the kernel."""
    inner = frames.index(name) if name in frames else -1
    if inner < 0:  # an event: it happens in the innermost function that is none of the tracer
        inner = next((number for number, frame in enumerate(frames) if not re.match(r"trace_|perf_|event_|0x|kprobe|\[", frame)), 0)
        frames = [name, *frames[inner:]]
        inner = 0
    outer = next((number for number, frame in enumerate(frames) if number > inner and ENTRIES.match(frame)), len(frames))
    return [frame for frame in frames[inner:outer][::-1] if not frame.startswith(ASSEMBLER)]
