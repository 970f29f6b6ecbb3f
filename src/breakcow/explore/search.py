"""The search: breadth-first over the compiled specification, a level at a time, by as many threads as there are processors to use."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from breakcow.explore import compiled
from breakcow.explore.bound import Bound, Operation, operations
from breakcow.explore.expand import BLOCK, FINDS, FOUND, KINDS, LOST, MOST_CHOICES, PROMISES_CHECKED
from breakcow.explore.groups import groups
from breakcow.explore.program import start
from breakcow.explore.recall import TRANSITIONS
from breakcow.kernel import Profile
from breakcow.mm.actions import VERBS
from breakcow.mm.promises import PROMISES

Array = npt.NDArray[np.int64]
PARENTS = 64  # states that are expanded together, at most
ROOM = 16 * BLOCK  # new states of one call
SLOTS = 1 << 18  # footprints whose steps are kept, by each thread
ARENA = 1 << 22  # words that they take, at most
FULLEST = 0.7  # of the table
ALONE = np.zeros(1, np.int64)  # nothing is sent to anybody
ALL = (1 << len(PROMISES)) - 1
assert len(PROMISES) == PROMISES_CHECKED


class SearchError(Exception):
    """The search itself is wrong: a bug of ours."""


class NoClusterError(Exception):
    """There is no cluster that is large enough; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Find:
    """A broken promise. depth: steps of the program. parent: the state before the last step. operation: index of the last step among the
    operations. choices: of the kernel in it. promises: broken, bit k for PROMISES[k]."""

    depth: int
    parent: int
    operation: int
    choices: int
    promises: int


@dataclass
class Level:
    """The states of one depth: (parent, operation, choices) of each, in the order they were found; `base` is the number of the first.

    deepest: none of its states will be expanded, and no find begins at one. So they are counted and not kept.
    """

    base: int
    deepest: bool = False
    size: int = 0
    origins: list[Array] = field(default_factory=list)
    states: list[Array] = field(default_factory=list)

    def add(self, states: Array, origins: Array) -> None:
        """States that were found, packed, and their origins; copied."""
        self.size += len(states)
        if len(states) and not self.deepest:
            self.states.append(states.copy())
            self.origins.append(origins.astype(np.int32))

    @property
    def kept(self) -> int:
        """How many of its states are kept, or were until they had been expanded."""
        return 0 if self.deepest else self.size


@dataclass
class Tally:
    """What is known so far. stopped: why the search ended before its depth, empty if it did not. closed: no state was left to expand.
    groups: of operations whose steps are remembered.
    level_left: seconds until the level that is being expanded is done, as far as one can tell. bytes: that the search holds."""

    states: int = 1
    transitions: int = 0
    depth: int = 0
    frontier: int = 1
    closed: bool = False
    stopped: str = ""
    seconds: float = 0.0
    level_left: float = 0.0
    bytes: int = 0
    groups: int = 0
    finds: list[Find] = field(default_factory=list)

    @property
    def chance_of_a_miss(self) -> float:
        """The chance that any two of the states have one hash, so that one of them was not looked at, or that a footprint has the hash of
        the one that it was compared with, so that a state took the steps of another."""
        return min(1.0, self.states * ((self.states - 1) / 2 + self.groups) / 2**64)


class Search:
    """All programs of `bound` on the kernel of `profile`, checked for the promises of the mask `picked`.

    symmetric: contents are interchangeable. threads: how many processors. memory: bytes that the search may take. most_states: it goes no
    deeper once it has seen this many states. among: the operations that the rules are compiled for, where other searches need more.
    Raises ValueError as `schema.dtype()` for a bound too large.
    """

    def __init__(
        self,
        profile: Profile,
        bound: Bound,
        picked: int = ALL,
        *,
        symmetric: bool = True,
        threads: int = 1,
        memory: int = 8 << 30,
        most_states: int = 1 << 31,
        among: frozenset[str] | None = None,
    ) -> None:
        self.profile, self.bound, self.picked = profile, bound, picked
        self.symmetric, self.threads, self.memory, self.most_states = int(symmetric), threads, memory, most_states
        self.operations = operations(bound, profile)
        self.among = among or frozenset(bound.operations)
        part = compiled.Part(self.among, bound.areas)
        self.state = part.bounds(profile, bound.processes, bound.pages)
        self.rules = compiled.load(profile, self.state, bound.contents, part)
        self.groups, self.masks = (
            ({}, np.zeros((0, self.rules.WORDS), np.int64))
            if symmetric
            else groups(self.rules, self.state, bound.contents, ((one.verb, one.process) for one in self.operations))
        )
        self.levels: list[Level] = []
        self.tally = Tally(groups=len(self.masks))
        self._table = np.zeros(1 << 16, np.int64)
        self._spare: list[Scratch] = []
        self._gate = threading.Condition()
        self._inside = 0
        self._growing = False
        self._stop = ""
        self._start = self._level_start = 0.0
        self._expanded = 0
        self._seen_kinds = np.zeros(len(VERBS) * PROMISES_CHECKED * KINDS, np.int64)

    def run(self, progress: Callable[[Tally], None] = lambda _: None, deadline: float = float("inf")) -> Tally:
        """Search to the end of the bound. progress: called after each piece of work. deadline: of time.monotonic().

        On KeyboardInterrupt what is known so far is in `tally`, and the interrupt goes on.
        """
        self._start = start = time.monotonic()
        try:
            self._begin()
            while self.tally.depth < self.bound.depth and not self.tally.closed and not self._stop:
                if self.tally.states > self.most_states:
                    self._stop = f"more than {self.most_states} states were seen"
                else:
                    self._next_level(progress, deadline)
        finally:
            self.tally.stopped = self._stop
            self.tally.seconds = time.monotonic() - start
        return self.tally

    def _begin(self) -> None:
        first = np.zeros((1, self.rules.WORDS), np.int64)
        number = self.first_state(Scratch(self), first)
        self._table[number & len(self._table) - 1] = number
        self.levels = [Level(0)]
        self.levels[0].add(first, np.zeros((1, 3), np.int64))

    def first_state(self, scratch: "Scratch", out: Array) -> int:
        """Pack the state in which a program starts into row 0 of `out`; its hash."""
        compiled.fill(scratch.work[0], start(self.state, self.bound.areas, self.profile), self.rules.LEFT_OUT)
        return int(self.rules.start(scratch.work, scratch.raw, out, self.symmetric))

    def _next_level(self, progress: Callable[[Tally], None], deadline: float) -> None:
        """Expand the last level by all threads."""
        last = self.levels[-1]
        level = self.next_level()
        tasks = self._tasks(last)
        self._expanded, self._level_start = 0, time.monotonic()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                scratch = self._spare.pop() if self._spare else Scratch(self)
                while not self._stop and (task := self._take(tasks)) is not None:
                    self._expand(scratch, level, *task)
                    progress(self.tally)
                    if time.monotonic() > deadline:
                        self._stop = "the time is over"
                self._spare.append(scratch)
            except BaseException as error:
                failures.append(error)
                self._stop = "interrupted"

        crew = [threading.Thread(target=work) for _ in range(self.threads - 1)]
        for thread in crew:
            thread.start()
        work()
        for thread in crew:
            thread.join()
        if failures:
            raise failures[0]
        if not self._stop:
            self._done_with(last, level)

    def next_level(self) -> Level:
        """The level after the last, with no state yet."""
        last = self.levels[-1]
        return Level(last.base + last.size, deepest=len(self.levels) == self.bound.depth)

    def _tasks(self, level: Level) -> Iterator[tuple[Array, int, int, int]]:
        """Pieces of a level: states, first, last, number of the state in row 0."""
        base = level.base
        for states in level.states:
            piece = 4096 if self.threads > 1 else len(states)
            for first in range(0, len(states), piece):
                yield states, first, min(first + piece, len(states)), base
            base += len(states)

    def _take(self, tasks: Iterator[tuple[Array, int, int, int]]) -> tuple[Array, int, int, int] | None:
        with self._gate:
            return next(tasks, None)

    def _expand(self, scratch: "Scratch", level: Level, states: Array, first: int, last: int, base: int) -> None:
        """Expand a piece of a level; what is new goes to `level`."""
        while first < last and not self._stop:
            self._enter()
            begun = first
            first = self.rules.expand(
                *(states, first, last, base, scratch.operations, self.picked, self.symmetric, self._table, *scratch.steps),
                *(scratch.out, scratch.origins, scratch.finds, self._seen_kinds, scratch.counts, ALONE, 0, 1),
            )
            self._leave(scratch, level, first - begun)

    def _enter(self) -> None:
        """Wait for a table with room for what this thread may find."""
        with self._gate:
            while self._growing:
                self._gate.wait()
            if self.tally.states + (self._inside + 1) * ROOM > FULLEST * len(self._table):
                self._growing = True
                while self._inside:
                    self._gate.wait()
                try:
                    self._grow()
                finally:
                    self._growing = False
                    self._gate.notify_all()
            self._inside += 1

    def _grow(self) -> None:
        size = 2 * len(self._table)
        while self.tally.states + self.threads * ROOM > FULLEST * size:
            size *= 2
        if self.tally.bytes + 8 * size > self.memory:
            self._stop = f"the memory is full: {self.memory >> 20} MiB"
            return
        larger = np.zeros(size, np.int64)
        self.rules.move_all(self._table, larger)
        self._table = larger

    def _leave(self, scratch: "Scratch", level: Level, expanded: int) -> None:
        """Note what one call found that expanded so many states."""
        found, transitions, lost = (int(scratch.counts[index]) for index in (FOUND, TRANSITIONS, LOST))
        finds = scratch.finds[: scratch.counts[FINDS]].tolist()
        with self._gate:
            self._inside -= 1
            self._gate.notify_all()
            if lost:
                self._stop = "a state does not fit"
                raise SearchError("a state has a value that its packed form cannot hold, or more successors than there is room for")
            level.add(scratch.out[:found], scratch.origins[:found])
            self.tally.states += found
            self.tally.transitions += transitions
            self.tally.frontier = level.size
            self.tally.finds += [Find(self.tally.depth + 1, *find) for find in finds]
            self.tally.bytes = self._bytes(level)
            self._clock(expanded)
            if self.tally.bytes > self.memory:
                self._stop = f"the memory is full: {self.memory >> 20} MiB"
        scratch.counts[:] = 0

    def _clock(self, expanded: int) -> None:
        """Note the time, and what is left of this level."""
        now = time.monotonic()
        self.tally.seconds = now - self._start
        self._expanded += expanded
        left = self.levels[-1].size - self._expanded
        self.tally.level_left = (now - self._level_start) * left / max(self._expanded, 1)

    def _bytes(self, level: Level) -> int:
        """What the search holds: the table, where each state came from, and the states of two levels."""
        origins = 12 * (level.base + level.kept)
        row = 8 * self.rules.WORDS
        return int(self._table.nbytes + origins + row * (self.levels[-1].size + level.kept))

    def _done_with(self, last: Level, level: Level) -> None:
        last.states = []
        self.levels.append(level)
        self.tally.depth += 1
        self.tally.frontier = level.size
        self.tally.closed = not level.size

    def trace(self, find: Find) -> list[tuple[Operation, int]]:
        """The operations from the start to `find`, each with the kernel's choices, in the names of normal states."""
        path = [(self.operations[find.operation], find.choices)]
        number = find.parent
        for level in reversed(self.levels[: find.depth]):
            if level.base == 0:
                break
            parent, operation, choices = _row(level, number)
            path.append((self.operations[operation], choices))
            number = parent
        return path[::-1]


class Scratch:
    """The memory that one thread works in. steps: what expand() takes a step in, and what it keeps of steps."""

    def __init__(self, search: Search) -> None:
        groups, masks = search.groups, search.masks
        self.operations = np.array(
            [
                (one.verb, one.process, one.page, one.pages, one.argument, one.content, groups.get((one.verb, one.process), -1))
                for one in search.operations
            ],
            np.int64,
        ).reshape(-1, 7)
        together = BLOCK if len(masks) else ROOM  # the steps of a group are looked at together
        self.parents = max(1, min(PARENTS, together // (MOST_CHOICES * len(self.operations))))
        self.work: Any = np.zeros(self.parents + BLOCK, search.rules.RECORD)
        self.raw: Array = self.work.view(np.int64).reshape(self.parents + BLOCK, -1)
        self.made = np.zeros((ROOM, 5), np.int64)
        self.fresh = np.zeros((ROOM, search.rules.WORDS), np.int64)
        self.probes = np.zeros((PARENTS, 6), np.int64)
        keys, places, arena = (np.zeros(size if len(masks) else 2, np.int64) for size in (SLOTS, SLOTS, ARENA))
        arena[0] = 1
        self.steps = (self.work, self.raw, self.made, self.fresh, masks, keys, places, arena, self.probes)
        self.out = np.zeros((ROOM, search.rules.WORDS), np.int64)
        self.origins = np.zeros((ROOM, 3), np.int64)
        self.finds = np.zeros((4 * BLOCK, 4), np.int64)
        self.counts = np.zeros(4, np.int64)


def _row(level: Level, number: int) -> tuple[int, int, int]:
    """Parent, operation and choices of the state with this number."""
    at = number - level.base
    for origins in level.origins:
        if at < len(origins):
            parent, operation, choices = origins[at].tolist()
            return parent, operation, choices
        at -= len(origins)
    raise SearchError(f"there is no state {number}")
