"""Every transition of a bound on a real kernel: what the specification says it does, and what it did."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

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
    """program: as it runs. walked: its actions until it is where it ends; what follows finds out what cannot be seen of that state.
    new: transitions that no program before it takes. ends: it is the first to end there, in a state of the bound."""

    program: Program
    walked: int
    new: int
    ends: bool


@dataclass
class Covered:
    """transitions: of the bound, of all programs dealt out. confirmed: taken by programs that the kernel ran as the specification says.
    states, told: states of the bound in which such programs end, and those of them of which the kernel told what cannot be seen, as the
    specification says. writable, inferred: of how many pages a store told whether they are writable, and a read pin whether they are
    exclusive. programs, steps: run so far. disturbed: programs that memory of other processes kept from being what they say: nothing is
    confirmed."""

    transitions: int = 0
    confirmed: int = 0
    states: int = 0
    told: int = 0
    writable: int = 0
    inferred: int = 0
    programs: int = 0
    steps: int = 0
    disturbed: int = 0


def plan(profile: Profile, bound: Bound) -> Iterator[Tour]:
    """The programs that take every transition within `bound.depth` steps of each prologue, and end in every state that is reached; each
    counted once."""
    taken: set[tuple[int, int]] = set()
    ended: set[int] = set()
    for name, steps in PROLOGUES.items():
        if any(verb not in bound.operations for _, verb, _ in steps):
            continue
        # processes that are never born are not in the state: it is as large for all, so that names are the same
        found = Graph(profile, bound, prologue(name, bound))
        for walk in tours(found, taken, ended):
            yield Tour(_program(found, walk.steps), len(found.prologue) + len(walk.steps), walk.new, walk.ends)


def run(
    kernel: Kernel, model: ModelBackend, planned: Iterator[Tour], shard: tuple[int, int], covered: Covered, progress: Callable[[], None]
) -> Iterator[Finding]:
    """Run every `shard[1]`-th program from `shard[0]` on, and yield each that the kernel left, shrunk. Raises LostBackend."""
    dealt = ((one, one[1].program) for one in islice(enumerate(planned), shard[0], None, shard[1]))
    ahead = Ahead(kernel)
    for (number, tour), flat, seen in ahead.all(dealt):
        covered.transitions += tour.new
        covered.states += tour.ends
        if seen is None:
            covered.disturbed += 1
            continue
        covered.programs += 1
        covered.steps += len(seen)
        difference = model.check(flat, seen)
        if difference is None:
            covered.confirmed += tour.new
            covered.told += tour.ends
            pages = _pages(tour, seen)
            covered.writable += pages
            covered.inferred += pages if model.profile.gup_unshare else 0
        else:
            strayed = replace(flat, actions=flat.actions[: difference.step + 1])
            yield smallest(ahead, model, Finding(f"tour {number}", as_test(strayed), difference, False))
        progress()


def _program(found: Graph, steps: list[int]) -> Program:
    """The prologue and the steps of a walk, as backends take them."""
    operations = [*found.prologue, *(found.operations[index] for index in steps)]
    names = {0} | {one.process for one in operations} | {one.argument for one in operations if VERBS[one.verb].name in BIRTHS}
    actions = [_action(one, number) for number, one in enumerate(operations)]
    processes, pages = PROCESSES[: max(names) + 1], PAGES[: found.bound.pages]
    there = {"A"} | {PROCESSES[one.argument] for one in actions if one.verb in BIRTHS}
    living = sorted(there - {one.process for one in actions if one.verb == "exit"})
    protected = any(one.verb == "uffd_open" for one in actions)
    inference = _inference(living, len(pages), protected, len(actions))
    return Program(processes, pages, found.bound.areas, (*actions, *inference))


def _inference(processes: Sequence[str], pages: int, protected: bool, number: int) -> Iterator[Action]:
    """What holds the last state to the kernel with bits that no file shows, by every process that is there, of every page.

    A read pin: since 5.19 a page that is not exclusive is copied for it, and one that is stays (gup_must_unshare()). Neither makes an entry
    writable, or read-only. Then a store: it takes no page fault where the entry is writable, and else as many as the specification says.
    protected: a userfaultfd may be there, so that a store may wait; it is let go on before the next.
    """
    store = (("write", 1), ("uffd_release", 0)) if protected else (("write", 1),)
    for operations in ((("process_vm_readv", 0),), store):
        for process, page, (verb, argument) in product(processes, range(pages), operations):
            yield Action(process, verb, page, 1, argument, number)
            number += 1


def _pages(tour: Tour, seen: tuple[Observation, ...]) -> int:
    """How many pages there are in the state that a tour ends in, of processes that can say what they are."""
    processes = seen[tour.walked - 1].processes.values() if tour.walked else ()
    return sum(page.state == "page" for one in processes if one.state == "running" for page in one.pages.values())


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
