"""Programs that between them take every transition of a graph, each as long as is practical, and end in every state of it: what no kernel
shows of a state can be found out at the end of a program, as that changes the state."""

from collections import deque
from collections.abc import Iterator

from breakcow.conform.transitions import UNKNOWN, Graph

LENGTH = 60  # steps of a program, at most but for the way to where it begins
LOOK_AHEAD = 4  # steps that are repeated at most to reach the next transition that was not taken yet

Edge = tuple[int, int]  # a state's name and an operation: the same in every graph


def tours(graph: Graph, taken: set[Edge], ended: set[int]) -> Iterator["Walk"]:
    """One walk after the other until every transition of `graph` is in `taken`, and in `ended` the name of every state that the kernel does
    not come to by a choice of its own; they are added there."""
    left = [{op for op in edges if (graph.names[state], op) not in taken} for state, edges in enumerate(graph.edges)]
    for state in reversed(range(len(graph.edges))):  # the farthest first: the ways there take the others
        while left[state]:
            walk = _to(graph, left, taken, state)
            _on(walk)
            yield walk.end(ended)
    for state, name in enumerate(graph.names):
        if name not in ended:
            yield _to(graph, left, taken, state).end(ended)


def _to(graph: Graph, left: list[set[int]], taken: set[Edge], goal: int) -> "Walk":
    """A walk that goes to `goal`."""
    walk = Walk(graph, left, taken)
    for operation in graph.path(goal):
        walk.take(operation)
    return walk


def _on(walk: "Walk") -> None:
    """Go on as long as that takes new transitions."""
    while walk.state != UNKNOWN and len(walk.steps) < LENGTH:
        operations = walk.next_steps()
        if not operations:
            break
        for operation in operations:
            walk.take(operation)


class Walk:
    """A program that goes from state to state. state: where it is, UNKNOWN once it has left the graph. steps: operations taken so far.
    new: how many transitions it was the first to take. ends: it is the first to end where it does, a state of the graph."""

    def __init__(self, graph: Graph, left: list[set[int]], taken: set[Edge]) -> None:
        self.graph, self.left, self.taken = graph, left, taken
        self.state = 0
        self.steps: list[int] = []
        self.new = 0
        self.ends = False

    def take(self, operation: int) -> None:
        """Take one transition."""
        if self.inside(self.state):
            edge = (self.graph.names[self.state], operation)
            self.new += edge not in self.taken
            self.taken.add(edge)
            self.left[self.state].discard(operation)
        self.steps.append(operation)
        self.state = self.graph.edges_at(self.state)[operation]

    def end(self, ended: set[int]) -> "Walk":
        """It goes no further."""
        name = self.graph.names[self.state] if self.state != UNKNOWN else None
        self.ends = name is not None and name not in ended
        if name is not None:
            ended.add(name)
        return self

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
