"""Which names are interchangeable: those of processes are, those of pages are not while ksmd runs."""

import random

import pytest

pytest.importorskip("numba")

from breakcow.explore.normal import normalise
from breakcow.kernel import PROFILES
from breakcow.mm.actions import VERBS
from breakcow.mm.promises import broken
from breakcow.mm.schema import LAYOUT, RECORDS, State
from mm.machine import NUMBER, Machine, Operation, random_program

KSM_AND_FORKS = (("fork", 0, 1, 1), ("fork", 0, 1, 2), ("mergeable", 0, 3, 0), ("ksm_scan", 0, 1, 2), ("write", 1, 1, 1))


def renamed(state: State, names: list[int]) -> State:
    """The state with process p called names[p]."""
    twin = State(state.bounds, state.kernel)
    pages = state.bounds.pages
    for name, (record, axes) in LAYOUT.items():
        mine, other = getattr(state, name), getattr(twin, name)
        if axes == "pv":
            places = [(index, names[index // pages] * pages + index % pages) for index in range(len(mine.cells))]
        elif axes == "p":
            places = list(enumerate(names))
        else:
            places = [(index, index) for index in range(len(mine.cells) if axes else 0)]
        pairs = [(mine.cells[old], other.cells[new]) for old, new in places] if axes else [(mine, other)]
        for source, target in pairs:
            for field in RECORDS[record]:
                setattr(target, field, getattr(source, field))
    if state.ksm.waiting:
        twin.ksm.waiting = names[state.ksm.waiting - 1] + 1
    return twin


def mixed(seed: int) -> list[tuple[Operation, int]]:
    """A random program with more forks, merging and scans than chance gives."""
    rng = random.Random(seed)
    program = []
    for operation, choices in random_program(seed, 50, 3, 3):
        one = operation
        if rng.random() < 0.4:
            verb, v, n, c = rng.choice(KSM_AND_FORKS)
            one = (NUMBER[verb], rng.randrange(3), v, n, c)
        program.append((one, choices))
    return program


def done(state: State, operation: Operation, choices: int) -> State:
    """A twin of the state, one step on."""
    machine = Machine.__new__(Machine)
    machine.s = state.copy()
    verb, p, v, n, c = operation
    machine.do(VERBS[verb].name, v, n, c, p=p, choices=choices)
    return machine.s


def normal(state: State) -> tuple[int, ...]:
    twin = state.copy()
    normalise(twin, 0)
    return twin.pack()


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "7.2", "7.3"])
def test_processes_are_interchangeable(kernel: str) -> None:
    """Renaming them and taking a step gives what taking the step and renaming them gives."""
    for seed in range(25):
        rng = random.Random(seed)
        state = Machine(PROFILES[kernel], 3, 3, areas=(0, 0, seed % 2)).s
        for number, (operation, choices) in enumerate(mixed(seed)):
            names = rng.sample(range(3), 3)
            verb, p, v, n, c = operation
            other = (verb, p if VERBS[verb].kernel else names[p], v, n, names[c] if "{process}" in VERBS[verb].pattern else c)
            twin = done(renamed(state, names), other, choices)
            state = done(state, operation, choices)
            assert twin.step.result == state.step.result, (seed, number)
            assert broken(twin) == broken(state), (seed, number)
            assert normal(twin) == normal(renamed(state, names)), (seed, number)


def test_pages_are_not_while_ksmd_runs() -> None:
    """ksmd goes by address: of two equal pages the one it visits last keeps its frame and its entry, the other is replaced."""
    machine = Machine("7.2", 1, 2)
    machine.do("write", 0, c=7)
    machine.do("write", 1, c=7)
    machine.do("mergeable", 0, 2)
    frames = [machine.pte(v).frame for v in (0, 1)]
    assert [machine.pte(v).soft_dirty for v in (0, 1)] == [1, 1]  # nothing tells one from the other
    machine.do("ksm_scan", c=2)
    assert [machine.pte(v).frame for v in (0, 1)] == [frames[1]] * 2
    assert [machine.pte(v).soft_dirty for v in (0, 1)] == [0, 1]
