"""The same search over the machines of a Ray cluster: frontier and visited set are divided by hash among shards, a process each.

A level goes in two rounds: each shard expands its states and gives away those that others own, in one batch of packed states for each
other shard; then each takes in what the others gave it. Ray moves the batches and places the processes.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import ray

from breakcow.explore.bound import Bound, Operation
from breakcow.explore.expand import FINDS, FOUND, LOST
from breakcow.explore.recall import TRANSITIONS
from breakcow.explore.search import FULLEST, ROOM, Array, Find, Level, NoClusterError, Scratch, Search, SearchError, Tally
from breakcow.kernel import Profile

SENT = 1 << 20  # hashes given away lately that a shard remembers, so as not to give them again
Batch = tuple[Any, Any]  # packed states, and (parent, action, choices, shard of the parent) of each


class Shard(Search):
    """The part of a search that owns the states of one owner() of `shards`."""

    def __init__(
        self, number: int, shards: int, profile: Profile, bound: Bound, picked: int, symmetric: bool, among: frozenset[str]
    ) -> None:
        super().__init__(profile, bound, picked, symmetric=symmetric, among=among)
        self.number, self.shards = number, shards
        self._sent = np.zeros(SENT, np.int64)
        self._scratch = Scratch(self)
        self._begin()
        owners = np.zeros(1, np.int64)
        self.rules.address(self.levels[0].states[0], 1, shards, owners)
        if owners[0] != number:
            self.levels = [Level(0)]

    def expand(self) -> list[Any]:
        """Expand the last level: what came out as a Tally of this level, and a batch for each shard; the one for itself is empty."""
        last = self.levels[-1]
        self.levels.append(self.next_level())
        self.tally = Tally(0)
        given: list[list[Batch]] = [[] for _ in range(self.shards)]
        base = last.base
        for states in last.states:
            first = 0
            while first < len(states):
                self._make_room(ROOM)
                first = self._expand_some(states, first, base)
                self._sort(given)
            base += len(states)
        last.states = []
        return [self.tally, *map(self._joined, given)]

    def _expand_some(self, states: Array, first: int, base: int) -> int:
        """One call of the compiled loop; the first state that it did not come to."""
        room = self._scratch
        result: int = self.rules.expand(
            *(states, first, len(states), base, room.operations, self.picked, self.symmetric, self._table, *room.steps),
            *(room.out, room.origins, room.finds, self._seen_kinds, room.counts, self._sent, self.number, self.shards),
        )
        return result

    def _sort(self, given: list[list[Batch]]) -> None:
        """Note what one call found; keep what is this shard's, and put the rest where it belongs."""
        room, found = self._scratch, int(self._scratch.counts[FOUND])
        if room.counts[LOST]:
            raise SearchError("a state has a value that its packed form cannot hold")
        owners = np.zeros(found, np.int64)
        self.rules.address(room.out, found, self.shards, owners)
        origins = np.column_stack([room.origins[:found], np.full(found, self.number)]).astype(np.int32)
        for shard in range(self.shards):
            mine = owners == shard
            given[shard].append((room.out[:found][mine], origins[mine]))
        self.levels[-1].add(*given[self.number].pop())
        self.tally.transitions += int(room.counts[TRANSITIONS])
        self.tally.finds += [Find(0, *find) for find in room.finds[: room.counts[FINDS]].tolist()]
        room.counts[:] = 0

    def _joined(self, batches: list[Batch]) -> Batch:
        """Batches as one."""
        nothing = (np.zeros((0, self.rules.WORDS), np.int64), np.zeros((0, 4), np.int32))
        states, origins = zip(nothing, *batches, strict=True)
        return np.concatenate(states), np.concatenate(origins)

    def accept(self, *batches: Batch) -> tuple[int, int]:
        """Take in what other shards gave: how many states the new level has, and the bytes that this shard holds."""
        for states, origins in batches:
            self._make_room(len(states))
            fresh = np.zeros(len(states), np.int64)
            self.rules.accept(np.array(states), self._table, fresh)
            self.levels[-1].add(states[fresh == 1], origins[fresh == 1])
        level = self.levels[-1]
        return level.size, int(self._table.nbytes) + sum(one.nbytes for level in self.levels for one in (*level.states, *level.origins))

    def _make_room(self, number: int) -> None:
        """Let the table have room for so many more."""
        held = sum(level.size for level in self.levels)
        size = len(self._table)
        while held + number > FULLEST * size:
            size *= 2
        if size > len(self._table):
            larger = np.zeros(size, np.int64)
            self.rules.move_all(self._table, larger)
            self._table = larger

    def origin(self, depth: int, number: int) -> list[int]:
        """Parent, action, choices and shard of the parent of a state of this shard."""
        at = number - self.levels[depth].base
        for origins in self.levels[depth].origins:
            if at < len(origins):
                found: list[int] = origins[at].tolist()
                return found
            at -= len(origins)
        raise SearchError(f"shard {self.number} has no state {number}")


class ClusterSearch(Search):
    """As Search, by `threads` shards on the cluster of RAY_ADDRESS, or on one that is started on this machine. Raises NoClusterError."""

    def run(self, progress: Callable[[Tally], None] = lambda _: None, deadline: float = float("inf")) -> Tally:
        """As Search.run()."""
        mine = not ray.is_initialized()
        if mine:
            here = None if os.environ.get("RAY_ADDRESS") else self.threads
            ray.init(num_cpus=here, include_dashboard=None if here is None else False, log_to_driver=False, configure_logging=False)
        try:
            return super().run(progress, deadline)
        finally:
            self._origins = self._traced()
            if mine:
                ray.shutdown()

    def _begin(self) -> None:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        processors = int(resources.get("CPU", 0))
        if processors < self.threads:
            raise NoClusterError(f"--jobs {self.threads} are too many for a Ray cluster of {processors} processors")
        actor: Any = ray.remote(num_cpus=1)(Shard)
        parts = (self.threads, self.profile, self.bound, self.picked, bool(self.symmetric), self.among)
        self._shards: list[Any] = [actor.remote(number, *parts) for number in range(self.threads)]
        self.levels = [Level(0)]

    def _next_level(self, progress: Callable[[Tally], None], deadline: float) -> None:
        """Expand a level by all shards, then let them take in what was given."""
        shards = range(self.threads)
        results = [shard.expand.options(num_returns=self.threads + 1).remote() for shard in self._shards]
        for number, tally in enumerate(ray.get([result[0] for result in results])):
            self.tally.transitions += tally.transitions
            self.tally.finds += [self._found(number, find) for find in tally.finds]
        given = [[results[source][1 + target] for source in shards if source != target] for target in shards]
        taken = ray.get([shard.accept.remote(*batches) for shard, batches in zip(self._shards, given, strict=True)])
        self.tally.frontier = sum(size for size, _ in taken)
        self.tally.bytes = sum(held for _, held in taken)
        self.tally.states += self.tally.frontier
        self.tally.depth += 1
        self.tally.closed = not self.tally.frontier
        self.tally.seconds = time.monotonic() - self._start
        self.levels.append(Level(0))
        if time.monotonic() > deadline:
            self._stop = "the time is over"
        elif self.tally.bytes > self.memory:
            self._stop = f"the memory is full: {self.memory >> 20} MiB"
        progress(self.tally)

    def _found(self, number: int, find: Find) -> Find:
        """A find of one shard; its parent's number says in which shard the parent is."""
        return Find(self.tally.depth + 1, find.parent * self.threads + number, find.operation, find.choices, find.promises)

    def _traced(self) -> dict[Find, list[tuple[Operation, int]]]:
        """The operations to each find, while the shards are there to be asked."""
        return {find: self._trace(find) for find in self.tally.finds}

    def _trace(self, find: Find) -> list[tuple[Operation, int]]:
        path = [(self.operations[find.operation], find.choices)]
        number, shard = divmod(find.parent, self.threads)
        for depth in range(find.depth - 1, 0, -1):
            number, operation, choices, shard_ = ray.get(self._shards[shard].origin.remote(depth, number))
            path.append((self.operations[operation], choices))
            shard = shard_
        return path[::-1]

    def trace(self, find: Find) -> list[tuple[Operation, int]]:
        """As Search.trace()."""
        return self._origins[find]
