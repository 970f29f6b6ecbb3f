"""Every transition of a bound on a real kernel: what the specification says it does, and what it did."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from breakcow.backend.measure import Kernel
from breakcow.backend.model import ModelBackend
from breakcow.conform.prologues import PROLOGUES, prologue
from breakcow.conform.random_programs import Finding, smallest, undisturbed
from breakcow.conform.tour import tours
from breakcow.conform.transitions import Graph
from breakcow.explore.bound import Bound, Operation
from breakcow.explore.program import PAGES, PROCESSES
from breakcow.kernel import Profile
from breakcow.litmus.program import Action, Program
from breakcow.litmus.syntax import Step, Test
from breakcow.mm.actions import BIRTHS, VERBS


@dataclass(frozen=True, slots=True)
class Tour:
    """program: as it runs. new: transitions that no program before it takes."""

    program: Program
    new: int


@dataclass
class Covered:
    """transitions: of the bound, of all programs dealt out. confirmed: taken by programs that the kernel ran as the specification says.
    programs, steps: run so far. disturbed: programs that memory of other processes kept from being what they say: nothing is confirmed.
    """

    transitions: int = 0
    confirmed: int = 0
    programs: int = 0
    steps: int = 0
    disturbed: int = 0


def plan(profile: Profile, bound: Bound) -> Iterator[Tour]:
    """The programs that take every transition within `bound.depth` steps of each prologue, each transition counted once."""
    taken: set[tuple[int, int]] = set()
    for name, steps in PROLOGUES.items():
        if any(verb not in bound.operations for _, verb, _ in steps):
            continue
        # processes that are never born are not in the state: it is as large for all, so that names are the same
        found = Graph(profile, bound, prologue(name, bound))
        for walked in tours(found, taken):
            yield Tour(_program(found, walked.steps), walked.new)


def run(
    kernel: Kernel, model: ModelBackend, planned: Iterator[Tour], shard: tuple[int, int], covered: Covered, progress: Callable[[], None]
) -> Iterator[Finding]:
    """Run every `shard[1]`-th program from `shard[0]` on, and yield each that the kernel left, shrunk. Raises LostBackend."""
    for number, tour in enumerate(planned):
        if number % shard[1] != shard[0]:
            continue
        seen = undisturbed(kernel, tour.program)
        covered.transitions += tour.new
        if seen is None:
            covered.disturbed += 1
            continue
        covered.programs += 1
        covered.steps += len(seen)
        difference = model.check(tour.program, seen)
        if difference is None:
            covered.confirmed += tour.new
        else:
            strayed = replace(tour.program, actions=tour.program.actions[: difference.step + 1])
            yield smallest(kernel, model, f"tour {number}", as_test(strayed))
        progress()


def _program(found: Graph, steps: list[int]) -> Program:
    """The prologue and the steps of a walk, as backends take them."""
    operations = [*found.prologue, *(found.operations[index] for index in steps)]
    names = {one.process for one in operations} | {one.argument for one in operations if VERBS[one.verb].name in BIRTHS}
    actions = tuple(_action(one, number) for number, one in enumerate(operations))
    return Program(PROCESSES[: max(names) + 1], PAGES[: found.bound.pages], found.bound.areas, actions)


def _action(one: Operation, number: int) -> Action:
    verb = VERBS[one.verb]
    process = "-" if verb.kernel else PROCESSES[one.process]
    return Action(process, verb.name, one.page, one.pages, one.argument, number)


def as_test(program: Program) -> Test:
    """A tour as a litmus test, without claims."""
    pages = [program.pages[v] for v in range(len(program.pages))]
    mappings = tuple(
        tuple(page for page, area in zip(pages, program.mappings, strict=True) if area == wanted)
        for wanted in sorted(set(program.mappings))
    )
    steps = (Step(one.process, one.verb, program.pages[one.page : one.page + one.count], one.argument) for one in program.actions)
    return Test("tour/strayed", "A tour on which kernel and specification part.", (), mappings, tuple(steps))
