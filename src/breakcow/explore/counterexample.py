"""From a find of the search to a litmus test: the program in names that stay, its steps, and what it should have given."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from breakcow.explore import compiled
from breakcow.explore.bound import Operation, kinds
from breakcow.explore.program import PAGES, PROCESSES, Taken, memory, start, take
from breakcow.explore.search import Find, Search, SearchError
from breakcow.litmus.syntax import Atom, Expect, PageRef, Step, Test
from breakcow.mm.actions import VERBS
from breakcow.mm.flags import ZERO_PAGE
from breakcow.mm.promises import PROMISES, broken, broken_on_page
from breakcow.mm.schema import State


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A shortest program that breaks promises. promises: their names. steps: in order; the last breaks them. places: (process, page)
    where they are broken. verbs: the operations it uses. test: the program as a litmus test."""

    promises: tuple[str, ...]
    steps: tuple[Taken, ...]
    places: tuple[tuple[int, int], ...]
    verbs: frozenset[str]
    test: Test

    @property
    def name(self) -> str:
        """What the test is called after: the promise, the operation that breaks it, and the other kinds of operations it takes."""
        last = VERBS[self.steps[-1].operation.verb].name
        others = [kind for kind, verbs in kinds().items() if last not in verbs and self.verbs.intersection(verbs)]
        return "explore/" + "-".join([self.promises[0], last, *others]).replace("_", "-").replace(" ", "-")


def counterexample(search: Search, find: Find) -> Counterexample:
    """Replay a find on the plain specification and write it down. Raises SearchError if it does not break what the search says."""
    steps, state = _replay(search, search.trace(find))
    bits = broken(state) & search.picked
    if bits & find.promises != find.promises:
        raise SearchError(f"a program that breaks {find.promises:#x} compiled breaks {bits:#x} as it is read")
    processes, pages = state.pte.shape
    places = tuple((p, v) for p in range(processes) for v in range(pages) if broken_on_page(state, p, v) & find.promises)
    names = tuple(name for bit, (name, _) in enumerate(PROMISES) if find.promises >> bit & 1)
    verbs = frozenset(VERBS[taken.operation.verb].name for taken in steps)
    found = Counterexample(names, steps, places, verbs, _test(search, names, steps, places, state))
    return replace(found, test=replace(found.test, name=found.name))


def _replay(search: Search, path: list[tuple[Operation, int]]) -> tuple[tuple[Taken, ...], State]:
    """The steps in names that stay, and the state after the last. A normal state renames contents: each is found by what it leads to."""
    normal = _Normal(search)
    state = start(search.state, search.bound.areas, search.profile)
    steps = []
    for operation, choices in path:
        wanted = normal.after(operation, choices)
        for content in range(search.bound.contents + 1) if operation.content else (operation.argument,):
            candidate = state.copy()
            taken = take(candidate, operation, content, choices)
            if normal.hash_of(candidate) == wanted:
                break
        else:
            raise SearchError(f"no content leads where {VERBS[operation.verb].name} led the search")
        state = candidate
        steps.append(taken)
    return tuple(steps), state


class _Normal:
    """The chain of normal states along a path, and the normal form of any state, by the compiled rules."""

    def __init__(self, search: Search) -> None:
        self.rules, self.symmetric = search.rules, search.symmetric
        self.work: Any = np.zeros(1, search.rules.RECORD)
        self.raw = self.work.view(np.int64).reshape(1, -1)
        self.other: Any = self.work.copy()
        self.other_raw = self.other.view(np.int64).reshape(1, -1)
        self.packed = np.zeros((1, search.rules.WORDS), np.int64)
        compiled.fill(self.work[0], start(search.state, search.bound.areas, search.profile), self.rules.LEFT_OUT)
        self.rules.start(self.work, self.raw, self.packed, self.symmetric)

    def after(self, operation: Operation, choices: int) -> int:
        """Go one step on; the hash of the state that it leads to."""
        self.work[0]["step"]["choices"] = choices
        action = (operation.verb, operation.process, operation.page, operation.pages, operation.argument)
        self.rules.advance(self.work, *action, self.symmetric)
        return self._hash(self.work, self.raw)

    def hash_of(self, state: State) -> int:
        """The hash of the normal form of a plain state."""
        self.other.view(np.int8)[:] = 0
        compiled.fill(self.other[0], state, self.rules.LEFT_OUT)
        return self._hash(self.other, self.other_raw)

    def _hash(self, work: Any, raw: Any) -> int:
        number: int = self.rules.start(work, raw, self.packed, self.symmetric)
        return number


def _test(search: Search, promises: tuple[str, ...], steps: tuple[Taken, ...], places: tuple[tuple[int, int], ...], state: State) -> Test:
    """The litmus test, without a name: each outcome stated, the promise as a claim."""
    broken_by = [f"{words} (promise {name})" for name, words in PROMISES if name in promises]
    body: list[Step | Expect] = [taken.written for taken in steps]
    body += claims(promises, places, state)
    description = f"Found by exploring the rules of {search.profile.name}: {'; '.join(broken_by)}."
    return Test("", description, (), memory(search.bound), tuple(body))


def claims(promises: tuple[str, ...], places: tuple[tuple[int, int], ...], state: State) -> list[Expect]:
    """What the promises say of the pages where they are broken, where the language has a word for it."""
    lines = []
    for p, v in places:
        page = (PageRef(PROCESSES[p], PAGES[v]),)
        pte = state.pte[p, v]
        said = {
            "unmerge-leaves-no-ksm": Atom("zero" if pte.frame == ZERO_PAGE else "ksm", page, negated=True),
            "protect-traps-every-write": Atom("event", page),
            "no-event-without-a-write": Atom("event"),
            "soft-dirty-is-complete": Atom("soft-dirty", page),
            "soft-dirty-is-precise": Atom("soft-dirty", page, negated=True),
            "isolation": Atom("content", page, state.ghost[p, v].value),
            "pin-sees-stores": Atom("pinned", page, state.ghost[p, v].value),
            "protection-only-where-armed": Atom("protected", page, negated=True),
        }
        atoms = tuple(atom for name, atom in said.items() if name in promises)
        if atoms:
            lines.append(Expect(PROCESSES[p], atoms))
    return lines
