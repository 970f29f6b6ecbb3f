"""Every transition of a bound on a real kernel: what the specification says it does, and what it did."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from breakcow.backend.measure import Kernel
from breakcow.backend.model import ModelBackend
from breakcow.backend.observation import Observation
from breakcow.conform.ahead import Ahead
from breakcow.conform.prologues import PROLOGUES, prologue
from breakcow.conform.random_programs import Finding, smallest
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
    inferred: pages of last states of which a read pin told whether they are exclusive, as the specification says."""

    transitions: int = 0
    confirmed: int = 0
    programs: int = 0
    steps: int = 0
    disturbed: int = 0
    inferred: int = 0


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
    dealt = ((one, one[1].program) for one in islice(enumerate(planned), shard[0], None, shard[1]))
    ahead = Ahead(kernel)
    for (number, tour), flat, seen in ahead.all(dealt):
        covered.transitions += tour.new
        if seen is None:
            covered.disturbed += 1
            continue
        covered.programs += 1
        covered.steps += len(seen)
        difference = model.check(flat, seen)
        if difference is None:
            covered.confirmed += tour.new
            covered.inferred += _pinned(tour, seen) if model.profile.gup_unshare else 0
        else:
            strayed = replace(flat, actions=flat.actions[: difference.step + 1])
            yield smallest(ahead, model, Finding(f"tour {number}", as_test(strayed), difference, False))
        progress()


def _program(found: Graph, steps: list[int]) -> Program:
    """The prologue and the steps of a walk, as backends take them."""
    operations = [*found.prologue, *(found.operations[index] for index in steps)]
    names = {one.process for one in operations} | {one.argument for one in operations if VERBS[one.verb].name in BIRTHS}
    actions = [_action(one, number) for number, one in enumerate(operations)]
    processes, pages = PROCESSES[: max(names) + 1], PAGES[: found.bound.pages]
    there = {"A"} | {PROCESSES[one.argument] for one in actions if one.verb in BIRTHS}
    living = sorted(there - {one.process for one in actions if one.verb == "exit"})
    return Program(processes, pages, found.bound.areas, (*actions, *_inference(living, len(pages), len(actions))))


def _inference(processes: Sequence[str], pages: int, number: int) -> Iterator[Action]:
    """A read pin of every page by every process that is there: since 5.19 a page that is not exclusive is copied for it, and one that is
    stays, so that the last state is held to the kernel with a bit that no file shows (gup_must_unshare())."""
    for process in processes:
        for page in range(pages):
            yield Action(process, "process_vm_readv", page, 1, 0, number)
            number += 1


def _pinned(tour: Tour, seen: tuple[Observation, ...]) -> int:
    """How many pages the read pins of the end met."""
    pins = next(number for number, one in enumerate(reversed(tour.program.actions)) if one.verb != "process_vm_readv")
    processes = {name: one for name, one in seen[-pins - 1].processes.items() if one.state == "running"}
    return sum(page.state == "page" for one in processes.values() for page in one.pages.values())


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
