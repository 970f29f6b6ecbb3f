"""A state and its normal form have the same future."""

import pytest

pytest.importorskip("numba")

from breakcow.explore.normal import normalise
from breakcow.kernel import PROFILES
from breakcow.mm.ghost import follow
from breakcow.mm.promises import broken
from breakcow.mm.schema import State
from breakcow.mm.step import step
from mm.machine import Machine, random_program


def normal(state: State, symmetric: int = 0) -> tuple[int, ...]:
    """The normal form of a state, which stays as it is."""
    twin = state.copy()
    normalise(twin, symmetric)
    return twin.pack()


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "7.2", "7.3"])
def test_a_normal_form_goes_on_as_the_state_would(kernel: str) -> None:
    """Contents keep their names here, for the programs name them."""
    for seed in range(40):
        machine = Machine(PROFILES[kernel], 3, 3, areas=(0, 0, 1))
        state, twin = machine.s, machine.s.copy()
        for number, (operation, choices) in enumerate(random_program(seed, 40, 3, 3)):
            for one in (state, twin):
                one.step.choices = choices
                step(one, *operation)
                follow(one, *operation)
            assert twin.step.result == state.step.result, (seed, number)
            assert broken(twin) == broken(state), (seed, number)
            normalise(twin, 0)
            assert twin.pack() == normal(state), (seed, number)


def test_a_normal_form_is_its_own() -> None:
    machine = Machine("7.2", 2, 3)
    for operation, _ in random_program(3, 60, 2, 3):
        step(machine.s, *operation)
        follow(machine.s, *operation)
    for symmetric in (0, 1):
        once = machine.s.copy()
        normalise(once, symmetric)
        assert normal(once, symmetric) == once.pack()


def test_contents_are_interchangeable() -> None:
    seen = []
    for contents in ((1, 2), (2, 1)):
        machine = Machine("7.2", 2, 2)
        machine.do("write", 0, c=contents[0])
        machine.do("write", 1, c=contents[1])
        seen.append(normal(machine.s, symmetric=1))
        assert machine.content(0) == contents[0]
    assert seen[0] == seen[1]


def test_frames_are_interchangeable() -> None:
    one, other = Machine("7.2", 1, 2), Machine("7.2", 1, 2)
    one.do("write", 0, c=1)
    one.do("write", 1, c=1)
    other.do("write", 1, c=1)
    other.do("write", 0, c=1)
    assert one.pte(0).frame != other.pte(0).frame
    assert normal(one.s) == normal(other.s)
