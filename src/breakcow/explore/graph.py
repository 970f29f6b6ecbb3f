"""The state graph of a small bound: every state, the program that leads to it, and every step from it, on the plain specification."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from breakcow.backend.observation import Observation
from breakcow.backend.observe import observe
from breakcow.explore.bound import Bound, Operation, operations
from breakcow.explore.counterexample import claims
from breakcow.explore.expand import breaches, next_choices, next_process
from breakcow.explore.normal import normalise, swap_contents
from breakcow.explore.program import PAGES, PROCESSES, Taken, memory, start, take
from breakcow.kernel import Profile
from breakcow.litmus.program import Program
from breakcow.litmus.syntax import Expect, Step, Test
from breakcow.mm.actions import VERBS
from breakcow.mm.flags import BUSY
from breakcow.mm.promises import PROMISES, broken, broken_on_page
from breakcow.mm.schema import LAYOUT, RECORDS, TRANSIENT, State
from breakcow.mm.step import FORK, SPAWN, may_act

MOST = 400  # states of a picture that one can still walk through
NOBODY = 1 << 10  # a content that no program stores
Key = tuple[tuple[int, ...], int]


class TooManyStatesError(Exception):
    """The bound has more states than a picture shows; the message says how to shrink it."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A step from a state to a state; contents are those of the state it leaves. choices: of the kernel in it."""

    source: int
    target: int
    step: Step
    choices: int


@dataclass(frozen=True, slots=True)
class Change:
    """A field that a step changed. place: as `ghost A x`. meaning: what the schema says of it."""

    place: str
    field: str
    before: int
    after: int
    meaning: str


@dataclass(frozen=True, slots=True)
class Node:
    """A state. depth: steps of the shortest program to it. before: the state that this program comes through, -1 for the first. promises:
    broken here, and no program goes on. seen: by a perfect observer, after the last step. changes: by it. test: the program."""

    number: int
    depth: int
    before: int
    steps: tuple[Taken, ...]
    promises: tuple[str, ...]
    state: State
    seen: Observation
    changes: tuple[Change, ...]
    test: Test


@dataclass
class Graph:
    """The nodes by their numbers, in the order they are found, and the edges by their sources."""

    profile: Profile
    bound: Bound
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)


def graph(profile: Profile, bound: Bound, picked: int, symmetric: bool) -> Graph:
    """Breadth-first, as the search goes, with the same states. picked: promises to check, a bit each. symmetric: contents are
    interchangeable: an edge may lead to a state whose own program stores other contents. Raises TooManyStatesError."""
    drawn = Graph(profile, bound)
    numbers: dict[Key, int] = {}
    _add(drawn, numbers, _key(start(bound.state, bound.areas, profile), symmetric, 0), start(bound.state, bound.areas, profile), None, ())
    for node in drawn.nodes:  # which grow meanwhile
        if node.depth == bound.depth or node.promises:
            continue
        for taken, after in _successors(drawn, node.state, symmetric):
            bits = (breaches(after) | broken(after)) & picked
            key = _key(after, symmetric, bits)
            if key not in numbers:
                _add(drawn, numbers, key, after, node, (*node.steps, taken))
            drawn.edges.append(Edge(node.number, numbers[key], taken.written, taken.choices))
    return drawn


def _successors(drawn: Graph, state: State, symmetric: bool) -> Iterator[tuple[Taken, State]]:
    """Every step from `state`: one of each set that leads to the same but for the names of contents."""
    contents = _contents(state, drawn.bound.contents) if symmetric else set(range(drawn.bound.contents + 1))
    for one in operations(drawn.bound, drawn.profile):
        if one.content and one.content not in contents:
            continue
        if not may_act(state, one.verb, one.process, one.argument) or (one.verb in (FORK, SPAWN) and not next_process(state, one.argument)):
            continue
        yield from _ways(state, one)


def _ways(state: State, operation: Operation) -> Iterator[tuple[Taken, State]]:
    """The step with every choice of the kernel."""
    choices = 0
    while choices >= 0:
        after = state.copy()
        taken = take(after, operation, operation.argument, choices)
        if taken.result == BUSY:
            return
        choices = next_choices(choices, after.step.drawn)
        yield taken, after


def _contents(state: State, most: int) -> set[int]:
    """The contents that the state names, zeros, and one that stands for all others."""
    named = {0}
    for content in range(1, most + 1):
        twin = state.copy()
        swap_contents(twin, content, NOBODY)
        if twin.pack() != state.pack():
            named.add(content)
    return named | {min(set(range(most + 2)) - named)}


def _key(state: State, symmetric: bool, bits: int) -> Key:
    """What tells a state from others. bits: promises that are broken."""
    twin = state.copy()
    normalise(twin, int(symmetric))
    return twin.pack(), bits


def _add(drawn: Graph, numbers: dict[Key, int], key: Key, after: State, before: Node | None, steps: tuple[Taken, ...]) -> None:
    """A new node. `after` is brought into its normal form, contents keep their names."""
    number = numbers[key] = len(drawn.nodes)
    if number >= MOST:
        raise TooManyStatesError(
            f"this bound has more than {MOST} states, too many for a picture: name fewer --operations, a smaller --depth, --pages 1 or "
            "--contents 1"
        )
    promises = tuple(name for bit, (name, _) in enumerate(PROMISES) if key[1] >> bit & 1)
    test = _test(drawn, number, after, key[1], promises, steps)
    seen = observe(after, _names(drawn.bound), VERBS[steps[-1].operation.verb].name if steps else "", {})
    normalise(after, 0)
    changes = tuple(_changes(before.state, after)) if before else ()
    depth, parent = (before.depth + 1, before.number) if before else (0, -1)
    drawn.nodes.append(Node(number, depth, parent, steps, promises, after, seen, changes, test))


def _names(bound: Bound) -> Program:
    """What processes and pages are called."""
    return Program(PROCESSES[: bound.processes], PAGES[: bound.pages], bound.areas, ())


def _test(drawn: Graph, number: int, state: State, bits: int, promises: tuple[str, ...], steps: tuple[Taken, ...]) -> Test:
    """The program as a litmus test; what is broken at its end is claimed."""
    body: list[Step | Expect] = [taken.written for taken in steps]
    processes, pages = state.pte.shape
    places = tuple((p, v) for p in range(processes) for v in range(pages) if broken_on_page(state, p, v) & bits)
    body += claims(promises, places, state)
    description = f"A shortest program to state {number} of the rules of {drawn.profile.name}."
    return Test(f"explore/state-{number}", description, (), memory(drawn.bound), tuple(body))


def _changes(before: State, after: State) -> Iterator[Change]:
    """The fields that differ, in the order of the schema."""
    for name, (record, axes) in LAYOUT.items():
        if name in TRANSIENT:
            continue
        mine, other = getattr(before, name), getattr(after, name)
        cells = zip(mine.cells, other.cells, strict=True) if axes else [(mine, other)]
        for index, (old, new) in enumerate(cells):
            for name_, (_, meaning) in RECORDS[record].items():
                if getattr(old, name_) != getattr(new, name_):
                    place = _place(name, axes, index, before.bounds.pages)
                    yield Change(place, name_, getattr(old, name_), getattr(new, name_), meaning)


def _place(name: str, axes: str, index: int, pages: int) -> str:
    """A cell of the state in words."""
    if axes == "pv":
        return f"{name} {PROCESSES[index // pages]} {PAGES[index % pages]}"
    return f"{name} {PROCESSES[index]}" if axes == "p" else f"{name} {index}" if axes else name
