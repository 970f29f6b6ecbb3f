"""The promises, checked on what any backend observed: the ghost follows the program, the observation stands in for the state."""

import errno
from dataclasses import dataclass

from breakcow.backend.observation import Observation, Outcome, PageSeen, ProcessSeen
from breakcow.backend.observe import RESULTS
from breakcow.kernel import PROFILES
from breakcow.litmus.program import Action, Program
from breakcow.mm.actions import BIRTHS, VERBS
from breakcow.mm.flags import EVENT_PAGEFAULT_WP, PROCESS_EXITED, PROCESS_RUNNING
from breakcow.mm.ghost import begin, follow
from breakcow.mm.pgtable import pte_clear
from breakcow.mm.promises import PROMISES, broken_on_page
from breakcow.mm.schema import Bounds, State

NUMBER = {verb.name: number for number, verb in enumerate(VERBS)}
RESULT = {word: number for number, word in RESULTS.items()}
UNSEEN = -2  # a content that cannot be read, see promises.holds_value()


@dataclass(frozen=True, slots=True)
class Broken:
    """step: index of the action after which it shows. promise: its name. process, page: where. sentence: what it means."""

    step: int
    promise: str
    process: str
    page: str
    sentence: str


def broken(program: Program, observations: tuple[Observation, ...]) -> tuple[Broken, ...]:
    """Every promise that the observations break, each once for each page, at the step where it first shows."""
    state = State(Bounds(len(program.processes), len(program.pages)), PROFILES["5.10"])
    state.proc[0].state = PROCESS_RUNNING
    begin(state)
    for v, mapping in enumerate(program.mappings):
        for p in range(len(program.processes)):
            state.vma[p, v].huge = program.mappings.index(mapping) + 1 if mapping in program.huge else 0
    found: dict[tuple[str, str, str], Broken] = {}
    for step, (action, seen) in enumerate(zip(program.actions, observations, strict=False)):
        _show(state, program, seen)
        _follow(state, program, action)
        for p, process in enumerate(program.processes):
            if state.proc[p].state != PROCESS_RUNNING:
                continue
            for v, page in enumerate(program.pages):
                for promise, sentence in _names(broken_on_page(state, p, v)):
                    found.setdefault((promise, process, page), Broken(step, promise, process, page, sentence))
    return tuple(found.values())


def _names(bits: int) -> list[tuple[str, str]]:
    return [promise for number, promise in enumerate(PROMISES) if bits >> number & 1]


def _follow(state: State, program: Program, action: Action) -> None:
    p = 0 if action.process == "-" else program.processes.index(action.process)
    argument = action.argument
    if action.verb in BIRTHS:
        argument = program.processes.index(chr(ord("A") + argument))
    follow(state, NUMBER[action.verb], p, action.page, action.count, argument)


def _show(state: State, program: Program, seen: Observation) -> None:
    """Put what was observed where the promises look for it."""
    _show_outcome(state.step, seen.outcome)
    state.step.events = min(len(seen.events), state.event.shape[0])
    for k, event in enumerate(seen.events[: state.event.shape[0]]):
        state.event[k].kind = EVENT_PAGEFAULT_WP if event.kind == "wp" else 0  # the others say nothing of a page's protection
        state.event[k].process = program.processes.index(event.process)
        state.event[k].page = program.pages.index(event.page) if event.page else 0
    pages = [page for process in seen.processes.values() for page in process.pages.values()]
    state.seen.soft_dirty = int(all(page.soft_dirty is not None for page in pages if page.state != "unmapped"))
    state.seen.uffd_wp = int(all(page.uffd_wp is not None for page in pages if page.state != "unmapped"))
    frames = _Frames(state, seen)
    for p, name in enumerate(program.processes):
        ended = seen.resumed.get(name)
        state.resumed[p].ended = int(ended is not None)
        if ended is not None:
            _show_outcome(state.resumed[p], ended)
        process = seen.processes.get(name)
        if process is not None:
            _show_process(state, p, program, process, frames)


def _show_outcome(target: object, outcome: Outcome) -> None:
    target.result = RESULT.get(outcome.result) or -getattr(errno, outcome.result, 0)  # type: ignore[attr-defined]
    target.value = UNSEEN if outcome.value is None else outcome.value  # type: ignore[attr-defined]


class _Frames:
    """Frames of the observed state: those observed first, then one for each content that is seen without its frame."""

    def __init__(self, state: State, seen: Observation) -> None:
        self.state = state
        labels = [page.frame for process in seen.processes.values() for page in process.pages.values() if page.frame is not None]
        self.next = max(labels, default=-1) + 2

    def extra(self, content: int) -> int:
        """A frame of its own that holds `content`."""
        self.state.page[self.next].content = content
        self.next += 1
        return self.next - 1


def _show_process(state: State, p: int, program: Program, process: ProcessSeen, frames: _Frames) -> None:
    gone = process.state in ("exited", "killed")
    state.proc[p].state = PROCESS_EXITED if gone else PROCESS_RUNNING
    labels = [page.frame for page in process.pages.values() if page.frame is not None]
    for v, name in enumerate(program.pages):
        page = process.pages.get(name)
        if page is not None:
            _show_page(state, p, v, page, frames, twice=page.frame is not None and labels.count(page.frame) > 1)
        held = process.pinned.get(name)
        state.ref[p, v].pinned = 0 if held is None else frames.extra(held) + 1
        held = process.spliced.get(name)
        state.ref[p, v].spliced = 0 if held is None else frames.extra(held) + 1


def _show_page(state: State, p: int, v: int, page: PageSeen, frames: _Frames, *, twice: bool) -> None:
    """One page. Where the KSM bit cannot be seen, a frame that one process maps twice is a KSM page: nothing else does that."""
    pte = state.pte[p, v]
    pte_clear(pte)
    pte.uffd_wp = int(bool(page.uffd_wp))
    pte.soft_dirty = int(bool(page.soft_dirty))
    pte.huge = int(bool(page.huge))
    if page.state == "marker":
        pte.marker = 1
    if page.state not in ("page", "zero", "swap"):
        return
    pte.present = 1
    if page.state == "zero":
        return
    if page.frame is None:
        pte.frame = frames.extra(UNSEEN)
        return
    pte.frame = page.frame + 1
    state.page[pte.frame].content = UNSEEN if page.content is None else page.content
    state.page[pte.frame].ksm = int(twice if page.ksm is None else page.ksm)
