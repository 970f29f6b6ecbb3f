"""The controller: takes requests, one JSON line each, and answers in JSON lines (wire.py). It lives as long as there are requests.

    {"probe": {}}                                         -> what this kernel can do, see probe.py
    {"run": PROGRAM, "step_seconds": 5, "nonce": "hex", "trace": [0], "console": true}
        -> one observation a line, of its processes and counters what is not as in the line before (changes.py), then {"done": true}.
           All but "run" are optional: "trace" names the actions whose observations
           shall tell what the kernel did in them, [] for all; "console" asks for what the kernel printed during each action; "together"
           asks for all observations in one line, {"done": true, "seen": [...]}: where the kernel is lost, they are.
    {"stress": {"seconds": 10, "operations": 0, "seed": 1, "processes": 8}}
        -> {"progress": ...}, {"finding": ...}, {"console": ...}, then {"done": true, "summary": ...}, see stress.py
    {"bench": {"names": ["merge"], "repeats": 9, "mib": 64}}
        -> {"machine": ...}, {"sample": ...} and {"skip": ...}, then {"done": true}, see bench.py
Whatever is wrong with a request is answered {"error": sentence}, with "disturbed" if other processes are why.
{"notice": sentence} can come at any time.
"""

import json
import mmap
import os
import select
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from . import abi, ksm, neighbours, probe, thp
from .changes import Processes, changed, changes
from .contents import Contents
from .kmsg import Kmsg
from .ksm import Ksmd, KsmdError
from .observe import Bits, Counters, Observer
from .process import Nursery, ProcessError
from .program import RequestError, program
from .run import DisturbedError, Run
from .settings import Settings
from .trace import Tracer
from .tracefs import TraceError
from .wire import Wire

MAX_LINE = 1 << 20  # bytes of a request
MAX_STEP_SECONDS = 600
KINDS = {"run", "stress", "bench", "probe"}

Json = dict[str, object]


class Controller:
    """What is kept between requests. `say`: sends one answer."""

    def __init__(self, say: Callable[[Json], None]) -> None:
        self.say = say
        self.nursery: Nursery | None = None
        self.settings: Settings | None = None
        self.ksmd: Ksmd | None = None
        self.counters: Counters | None = None
        self.bits: Bits | None = None
        self.walked: mmap.mmap | None = None
        self.registered: mmap.mmap | None = None
        self.found: dict[str, str] = {}
        self.told = False

    def answer(self, line: bytes, unpack: Callable[[bytes], bytes] = bytes) -> None:
        """Execute one request, which `unpack` makes of what was sent."""
        try:
            request = json.loads(unpack(line))
            if not isinstance(request, dict) or not KINDS & request.keys():
                raise RequestError('a request is {"run": ...}, {"stress": ...}, {"bench": ...} or {"probe": {}}')
            if "probe" in request:
                self.say(probe.answer())
            elif "stress" in request:
                self._stress(request["stress"])
            elif "bench" in request:
                self._bench(request["bench"])
            else:
                self._run(request)
        except DisturbedError as error:
            self.say({"error": str(error), "disturbed": True})
        except (RequestError, ProcessError, KsmdError, TraceError) as error:
            self._fail(str(error))
        except (ValueError, RecursionError):
            self._fail("a request is one line of JSON")
        except BrokenPipeError:
            raise  # nobody listens
        except (OSError, EOFError) as error:
            self._fail(f"the run failed: {error}")

    def close(self) -> None:
        """No process is left, and all settings are as they were, when this returns."""
        for memory in (self.walked, self.registered):
            if memory:
                memory.close()  # or it stays mergeable for whoever comes after, in this process
        self.walked = self.registered = None
        if self.nursery:
            self.nursery.close()
            self.nursery = None
        if self.ksmd:
            self.ksmd.close()
        if self.settings:
            self.settings.restore()

    def _fail(self, sentence: str) -> None:
        self.say({"error": sentence})

    def _run(self, request: Json) -> None:
        """Run a program, and say what is observed."""
        wanted = program(request["run"])
        nonce = bytes.fromhex(str(request.get("nonce", "")))
        seconds = request.get("step_seconds", 5)
        if not isinstance(seconds, int | float) or not 0 < seconds <= MAX_STEP_SECONDS:
            raise RequestError(f"step_seconds is a number up to {MAX_STEP_SECONDS}")
        self._prepare()
        assert self.nursery and self.counters and self.bits
        if wanted.merges:
            self._begin(seconds)
        if wanted.huge:
            self._begin_huge()
        observer = Observer(self.bits, wanted.pages, self.counters, Contents(nonce), wanted.offsets())
        tracer = _tracer(request)
        run = Run(wanted, self.nursery, self.ksmd, observer, seconds, tracer)
        log = Kmsg() if request.get("console") else None
        whole = False
        seen: list[Json] = []
        tell = seen.append if request.get("together") else self.say
        try:
            for observation in _short(run.observations()):
                if log and (news := log.news()):
                    observation["console"] = news
                tell(observation)
            whole = not run.hung
        finally:
            run.close()
            if tracer:
                tracer.close()
            if log:
                log.close()
            if not whole:  # something may be left in its sockets
                self.nursery.close()
                self.nursery = None
        self.say({"done": True, "seen": seen} if seen else {"done": True})

    def _stress(self, request: object) -> None:
        """Many processes at once, see stress.py."""
        from .stress import Stress, options  # what only this needs would make every guest start later

        wanted = options(request)
        self._hold_settings()
        stress = Stress(wanted, self.say)
        try:
            stress.run()
        finally:
            stress.close()

    def _bench(self, request: object) -> None:
        """How long things take, see bench.py."""
        from .bench import bench

        self._hold_settings()
        bench(request, self.say)

    def _hold_settings(self) -> None:
        """Hold the machine's KSM settings, if it has them, until this is closed."""
        if self.settings is None and ksm.has("run"):
            self.settings = Settings(lambda sentence: self.say({"notice": sentence}), _wanted)

    def _begin(self, seconds: float) -> None:
        """Bring KSM into the state that every program starts in."""
        if self.ksmd is None:
            raise RequestError(f"ksmd cannot be stepped: {self.found['ksm']}")
        self.ksmd.limit = seconds
        self.ksmd.begin()
        if not self.ksmd.alone and not self.told:
            self.told = True
            for note in neighbours.notes():
                self.say({"notice": note})

    def _begin_huge(self) -> None:
        """Bring transparent huge pages into the state that a program with memory for them starts in."""
        if self.found["thp"] or self.settings is None:
            raise RequestError(f"there are no huge pages: {self.found['thp'] or self.found['ksm']}")
        thp.begin()
        if self.registered is None:
            self.registered = thp.register()

    def _prepare(self) -> None:
        """What every run needs, made at the first."""
        if self.bits is None:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            self.found = probe.abilities()
            self.bits = probe.bits(self.found)
        if self.found["root"]:
            raise RequestError(self.found["root"])
        if self.settings is None and not self.found["ksm"]:
            self.settings = Settings(lambda sentence: self.say({"notice": sentence}), _wanted)
            self.ksmd = Ksmd()
            self.walked = mmap.mmap(-1, abi.PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            self.walked.madvise(abi.MADV_MERGEABLE)  # or full_scans would stand still while no test has mergeable memory
            self.walked.madvise(abi.MADV_DONTFORK)  # a tracer's watcher outlives this process for a moment, with all that it inherits
        if self.counters is None:
            self.counters = Counters()
        if self.nursery is None:
            self.nursery = Nursery()


def _short(observations: Iterable[Json]) -> Iterator[Json]:
    """The observations, each with what is not as in the one before."""
    before: Processes = {}
    counted: dict[str, int] = {}
    for observation in observations:
        now = cast(Processes, observation["processes"])
        observation["processes"], before = changes(now, before), now
        if "counters" in observation:
            counters = cast(dict[str, int], observation["counters"])
            observation["counters"], counted = changed(counters, counted), counters
        yield observation


def _tracer(request: Json) -> Tracer | None:
    """The tracer that a request asks for, if it does. Raises RequestError, TraceError."""
    if "trace" not in request:
        return None
    actions = request["trace"]
    if not isinstance(actions, list) or not all(type(action) is int for action in actions):
        raise RequestError("trace is a list of numbers of actions")
    return Tracer(actions)


def _wanted() -> bool:
    """Whoever sends requests has not hung up."""
    poll = select.poll()
    poll.register(0, 0)
    return not poll.poll(0)


def main() -> None:
    """Answer the requests on standard input until it ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever prints does not print between the answers
    encode = json.JSONEncoder(separators=(",", ":")).encode
    wire = Wire()

    def say(answer: Json) -> None:
        left = memoryview(wire.pack(encode(answer).encode() + b"\n"))
        while left:  # a ring that is gone wakes who made it (pins.py), also out of a write to a full pipe
            left = left[answers.write(left) :]

    controller = Controller(say)
    try:
        while line := sys.stdin.buffer.readline(MAX_LINE):
            controller.answer(line, wire.unpack)
    except BrokenPipeError:
        pass
    finally:
        controller.close()
