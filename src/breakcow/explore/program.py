"""The programs of a bound on the plain specification: where they start, how they take a step, and how that is written down."""

import errno
from dataclasses import dataclass

from breakcow.explore.bound import Bound, Operation
from breakcow.kernel import Profile
from breakcow.litmus.syntax import Step
from breakcow.mm.actions import VERBS
from breakcow.mm.flags import BLOCKED, OK, SIGBUS, SIGSEGV
from breakcow.mm.ghost import follow
from breakcow.mm.schema import Bounds, State
from breakcow.mm.step import boot, step

PAGES = ("x", "y", "z", "w")
PROCESSES = ("A", "B", "C")
SIGNALS = {BLOCKED: "blocked", SIGBUS: "SIGBUS", SIGSEGV: "SIGSEGV", OK: "ok"}


@dataclass(frozen=True, slots=True)
class Taken:
    """One step of a program: the operation, the kernel's choices in it, what it gave, and what a load gave."""

    operation: Operation
    choices: int
    result: int
    value: int

    @property
    def written(self) -> Step:
        """The step in the litmus language, its outcome stated."""
        operation = self.operation
        verb = VERBS[operation.verb]
        process = "-" if verb.kernel else PROCESSES[operation.process]
        pages = PAGES[operation.page : operation.page + operation.pages]
        outcome = SIGNALS.get(self.result) or errno.errorcode[-self.result]
        return Step(process, verb.name, pages, operation.argument, outcome)


def start(bounds: Bounds, areas: tuple[int, ...], profile: Profile) -> State:
    """The state before the first step of every program; areas: in which mapping each page is."""
    state = State(bounds, profile)
    for v, area in enumerate(areas):
        state.vma[0, v].area = area
    boot(state)
    return state


def take(state: State, operation: Operation, argument: int, choices: int) -> Taken:
    """Take `operation` in `state`, with another argument than its own, and the kernel's choices."""
    action = (operation.verb, operation.process, operation.page, operation.pages, argument)
    state.step.choices = choices
    step(state, *action)
    result, value = state.step.result, state.step.value
    follow(state, *action)
    return Taken(Operation(*action, 0), choices, result, value)


def memory(bound: Bound) -> tuple[tuple[str, ...], ...]:
    """The pages of each mapping, by name."""
    mappings: dict[int, tuple[str, ...]] = {}
    for page, area in zip(PAGES[: bound.pages], bound.areas, strict=True):
        mappings[area] = (*mappings.get(area, ()), page)
    return tuple(mappings.values())
