"""Programs that between them take every transition of a graph, each as long as is practical."""

from collections import deque
from collections.abc import Iterator

from breakcow.conform.transitions import UNKNOWN, Graph

LENGTH = 60  # steps of a program, at most but for the way to where it begins
LOOK_AHEAD = 4  # steps that are repeated at most to reach the next transition that was not taken yet

Edge = tuple[int, int]  # a state's name and an operation: the same in every graph


def tours(graph: Graph, taken: set[Edge]) -> Iterator["Walk"]:
    """One walk after the other until every transition of `graph` is in `taken`, to which they are added."""
    left = [{op for op in edges if (graph.names[state], op) not in taken} for state, edges in enumerate(graph.edges)]
    for state in reversed(range(len(graph.edges))):  # the farthest first: the ways there take the others
        while left[state]:
            yield _tour(graph, left, taken, state)


def _tour(graph: Graph, left: list[set[int]], taken: set[Edge], goal: int) -> "Walk":
    """A walk that goes to `goal` and on from there."""
    walk = Walk(graph, left, taken)
    for operation in graph.path(goal):
        walk.take(operation)
    while walk.state != UNKNOWN and len(walk.steps) < LENGTH:
        operations = walk.next_steps()
        if not operations:
            break
        for operation in operations:
            walk.take(operation)
    return walk


class Walk:
    """A program that goes from state to state. state: where it is, UNKNOWN once it has left the graph. steps: operations taken so far.
    new: how many transitions it was the first to take."""

    def __init__(self, graph: Graph, left: list[set[int]], taken: set[Edge]) -> None:
        self.graph, self.left, self.taken = graph, left, taken
        self.state = 0
        self.steps: list[int] = []
        self.new = 0

    def take(self, operation: int) -> None:
        """Take one transition."""
        if self.inside(self.state):
            edge = (self.graph.names[self.state], operation)
            self.new += edge not in self.taken
            self.taken.add(edge)
            self.left[self.state].discard(operation)
        self.steps.append(operation)
        self.state = self.graph.edges_at(self.state)[operation]

    def next_steps(self) -> list[int]:
        """A new transition from here, one that stays here or inside first; else the way to the nearest state that has one."""
        if not self.inside(self.state):
            return self._back()
        here = self.left[self.state]
        return [min(here, key=self._rank)] if here else self._nearest()

    def inside(self, state: int) -> bool:
        """Whether the transitions from `state` are of the bound."""
        return 0 <= state < len(self.left)

    def _back(self) -> list[int]:
        """One step from beyond the bound to a state in it, to one with new transitions if there is one."""
        ways = [(op, after) for op, after in self.graph.edges_at(self.state).items() if self.inside(after)]
        return [min(ways, key=lambda way: (not self.left[way[1]], way[0]))[0]] if ways else []

    def _rank(self, operation: int) -> tuple[int, int]:
        after = self.graph.edges[self.state][operation]
        if after == self.state:
            return 0, operation
        if not self.inside(after):
            return 3, operation
        return (1 if self.left[after] else 2), operation

    def _nearest(self) -> list[int]:
        ways: dict[int, list[int]] = {self.state: []}
        queue = deque([self.state])
        while queue:
            state = queue.popleft()
            if self.left[state]:
                return ways[state]
            if len(ways[state]) == LOOK_AHEAD:
                continue
            for operation, after in self.graph.edges[state].items():
                if self.inside(after) and after not in ways:
                    ways[after] = [*ways[state], operation]
                    queue.append(after)
        return []
