"""The backend over any byte stream to an agent: a pipe on the host, a serial port in a VM. breakcow.agent.controller has the protocol."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import IO, Self, TypeVar

import msgspec

from breakcow.agent.wire import Wire
from breakcow.backend.abilities import Abilities
from breakcow.backend.errors import Disturbed, LostBackend, RunFailed
from breakcow.backend.observation import Observation, ProcessSeen
from breakcow.backend.trace import Traced
from breakcow.litmus.program import Program

Told = TypeVar("Told")
Processes = dict[str, ProcessSeen]
Seen = tuple[Observation, ...]
ALIVE = ("running", "blocked")


class AgentBackend:
    """Runs programs through an agent.

    name: of the backend. answers, requests: binary streams from and to the agent; `requests` unbuffered or flushed by its write.
    notice: is told what the agent wants people to know while it works. slow: the streams are, so that lines are deflated.
    traced: action -> what the kernel did in it, of the last run.
    """

    def __init__(self, name: str, answers: IO[bytes], requests: IO[bytes], notice: Callable[[str], None], slow: bool = False) -> None:
        self.name = name
        self._wire = Wire(deflated=slow)
        self._answers = answers
        self._requests = requests
        self._notice = notice
        self.traced: dict[int, Traced] = {}
        self._unanswered = 0  # requests
        self._asked: deque[Future[Seen]] = deque()  # programs among them, in their order

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def probe(self) -> Abilities:
        """What the agent's kernel can do. Raises LostBackend."""
        self._send({"probe": {}})
        answer = self._receive()
        self._unanswered -= 1
        try:
            return msgspec.convert(answer, Abilities)
        except msgspec.ValidationError as error:
            raise LostBackend(f"the agent's answer to a probe is not one: {error}") from None

    def run(self, program: Program, step_seconds: float = 5, trace: Sequence[int] | None = None) -> Seen:
        """Run a program: one observation for each action, or fewer if the last is a hang.

        step_seconds: how long an action may take. trace: the actions to trace, none for all; None for no tracing.
        Raises LostBackend, which has the observations so far, and RunFailed if the agent cannot run it.
        """
        tracing = {} if trace is None else {"trace": list(trace)}
        self._send({"run": program.wire(), "step_seconds": step_seconds, **tracing})
        return self._observations()

    def ask(self, program: Program) -> Callable[[], Seen]:
        """Have a program run, after those that were asked for before: what is to be called for its observations, as `run` gives them.

        All of them come in one go, so a LostBackend has none.
        """
        self._send({"run": program.wire(), "together": True})
        future: Future[Seen] = Future()
        self._asked.append(future)
        return partial(self._answer_to, future)

    def _answer_to(self, future: Future[Seen]) -> Seen:
        """What was asked for, after the answers that come before it."""
        while not future.done():
            first = self._asked.popleft()
            try:
                first.set_result(self._observations())
            except (LostBackend, RunFailed) as error:
                first.set_exception(error)
        return future.result()

    def _observations(self) -> Seen:
        """The observations of one program, as they come."""
        observations: list[Observation] = []
        before: Processes = {}
        counted: dict[str, int] = {}
        self.traced = {}
        try:
            for answer in self._seen():
                if "trace" in answer:
                    self.traced[len(observations)] = _as(Traced, answer["trace"])
                before = _whole(_as(dict[str, ProcessSeen | None], answer.pop("processes", None)), before)
                seen = _as(Observation, answer | {"processes": {}})
                counted = counted | seen.counters
                now = counted if "counters" in answer else {}
                observations.append(msgspec.structs.replace(seen, processes=before, counters=now))
        except LostBackend as lost:
            lost.observations = tuple(observations)
            raise
        return tuple(observations)

    def _seen(self) -> Iterator[dict[str, object]]:
        """What the agent says of each action of a program: one by one, or together at the end."""
        while "done" not in (answer := self._receive()):
            yield answer
        self._unanswered -= 1
        yield from _as(list[dict[str, object]], answer.get("seen", []))

    def converse(self, request: dict[str, object], seconds: float) -> Iterator[dict[str, object]]:
        """The answers to a request that has many, up to and with the one that says it is done. seconds: of silence after which it is lost.

        Raises LostBackend, and RunFailed with what the agent says it cannot do. On the host it is waited for without limit: Ctrl-C ends it.
        """
        del seconds
        self._send(request)
        while "done" not in (answer := self._receive()):
            yield answer
        self._unanswered -= 1
        yield answer

    def close(self) -> None:
        """Let the agent end. Never raises for an agent that is gone."""
        for stream in (self._requests, self._answers):
            try:
                stream.close()
            except OSError:
                continue

    def _send(self, request: dict[str, object]) -> None:
        self._unanswered += 1
        try:
            self._requests.write(self._wire.pack(msgspec.json.encode(request) + b"\n"))
            self._requests.flush()
        except (OSError, ValueError) as error:
            raise LostBackend(f"the agent takes no request: {error}{self._last_words()}") from None

    def _receive(self) -> dict[str, object]:
        """The next answer that is no notice."""
        while True:
            line = self._answers.readline()
            if not line.endswith(b"\n"):
                raise LostBackend(f"the agent ended before it had answered{self._last_words()}")
            try:
                answer = msgspec.json.decode(self._wire.unpack(line), type=dict[str, object])
            except (msgspec.MsgspecError, ValueError):
                raise LostBackend(f"the agent said {line[:80]!r}, which is no answer") from None
            if "error" in answer:
                self._unanswered -= 1
                raise (Disturbed if "disturbed" in answer else RunFailed)(str(answer["error"]))
            if "notice" not in answer:
                return answer
            self._notice(str(answer["notice"]))

    def _last_words(self) -> str:
        """What else is known of an agent that is gone, to put behind a sentence."""
        return ""


def _whole(changed: dict[str, ProcessSeen | None], before: Processes) -> Processes:
    """The processes of an observation, of which the agent says what is not as it was before (breakcow.agent.changes)."""
    return {name: _same(before, name) if seen is None else _with_pages(seen, before.get(name)) for name, seen in changed.items()}


def _same(before: Processes, name: str) -> ProcessSeen:
    if name not in before:
        raise LostBackend(f"the agent says that process {name} is as before, but there was none")
    return before[name]


def _with_pages(seen: ProcessSeen, before: ProcessSeen | None) -> ProcessSeen:
    if before is None or seen.state not in ALIVE:
        return seen
    return msgspec.structs.replace(seen, pages=before.pages | seen.pages)


def _as(kind: type[Told], answer: object) -> Told:
    """What an agent says, as a value of that kind. Raises LostBackend for what is none."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise LostBackend(f"the agent's {getattr(kind, '__name__', 'answer').lower()} is not one: {error}") from None
