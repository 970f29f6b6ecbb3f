"""The transitions of the specification between the states of a bound: what a kernel can be asked to confirm one by one."""

from collections import Counter

import numpy as np

from breakcow.explore.bound import Bound, Operation
from breakcow.explore.search import Scratch, Search
from breakcow.kernel import Profile
from breakcow.mm.actions import VERB

START = 0  # the number of the first state
UNKNOWN = -1  # where a transition leads that lies beyond the bound, or that the kernel chooses freely


class Graph:
    """The states of a bound in the order they were found, but for those to which only a choice of the kernel leads. operations: what an
    edge is labelled with, by index.

    prologue: operations that come before the first state. edges: of each state that was expanded, operation -> state it leads to, or
    UNKNOWN. origin: of each state, the state and operation that found it. names: of each state, its hash, the same in every bound with as
    many processes, pages and contents.
    """

    def __init__(self, profile: Profile, bound: Bound, prologue: tuple[Operation, ...] = ()) -> None:
        search = Search(profile, bound, 0, symmetric=False, among=frozenset(VERB))
        self.bound, self.operations, self.prologue = bound, search.operations, prologue
        self.edges: list[dict[int, int]] = []
        self.origin: list[tuple[int, int]] = [(START, UNKNOWN)]
        self._rows = _Rows(search, prologue)
        self.names = [self._rows.first]
        self._number = {self._rows.first: START}
        level = [START]
        for _ in range(bound.depth):
            level = [new for state in level for new in self._expand(state)]

    @property
    def transitions(self) -> int:
        """How many edges."""
        return sum(map(len, self.edges))

    def path(self, state: int) -> list[int]:
        """The operations of a shortest way to `state`."""
        way = []
        while state != START:
            state, operation = self.origin[state]
            way.append(operation)
        return way[::-1]

    def edges_at(self, state: int) -> dict[int, int]:
        """The edges of any state that was found, also of one beyond the bound."""
        return self.edges[state] if state < len(self.edges) else self._edges(state)

    def _edges(self, state: int) -> dict[int, int]:
        edges: dict[int, int] = {}
        for operation, _, name in self._rows.leads_to(state):
            edges[operation] = UNKNOWN if operation in edges else self._number.get(name, UNKNOWN)
        return edges

    def _expand(self, state: int) -> list[int]:
        """Note the edges of `state`; the states that they find first. Where the kernel chooses, no program can be sure to come."""
        new = []
        leads = self._rows.leads_to(state)
        ways = Counter(operation for operation, _, _ in leads)
        for row, (operation, _, name) in enumerate(leads):
            if name not in self._number and ways[operation] == 1:
                self._number[name] = len(self.names)
                new.append(len(self.names))
                self.origin.append((state, operation))
                self.names.append(name)
                self._rows.keep(row)
        self.edges.append(self._edges(state))
        return new


class _Rows:
    """The packed states, a row each, and the compiled rules that go from one to the next."""

    def __init__(self, search: Search, prologue: tuple[Operation, ...]) -> None:
        self.rules = search.rules
        self.scratch = Scratch(search)
        self.states = np.zeros((1024, search.rules.WORDS), np.int64)
        self.size = 1
        self.first = search.first_state(self.scratch, self.states)
        for one in prologue:
            action = (one.verb, one.process, one.page, one.pages, one.argument)
            self.rules.advance(self.scratch.work, *action, 0)
            self.first = int(self.rules.start(self.scratch.work, self.scratch.raw, self.states, 0))
        self.tally = np.zeros(1, np.int64)

    def leads_to(self, state: int) -> list[tuple[int, int, int]]:
        """(operation, choices, name of the state) of every transition from `state`."""
        s = self.scratch
        count = self.rules.leads_to(*(self.states, state, s.operations, s.work, s.raw, s.made, s.fresh, s.probes, self.tally, s.counts))
        return [(operation, choices, name) for operation, choices, name in s.made[:count, 1:4].tolist()]

    def keep(self, row: int) -> None:
        """The state that transition `row` of the last call leads to is a new one."""
        if self.size == len(self.states):
            self.states = np.concatenate([self.states, np.zeros_like(self.states)])
        self.states[self.size] = self.scratch.fresh[row]
        self.size += 1
