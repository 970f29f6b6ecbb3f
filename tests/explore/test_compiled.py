"""The compiled specification does what the plain one does."""

import ast
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")

from breakcow.explore import compiled
from breakcow.explore.normal import normalise
from breakcow.explore.program import start
from breakcow.kernel import PROFILES, Profile
from breakcow.mm.actions import VERBS
from breakcow.mm.ghost import follow
from breakcow.mm.promises import broken
from breakcow.mm.schema import Bounds, Grid, State
from breakcow.mm.step import boot, step
from mm.machine import random_program

BOUNDS = Bounds(3, 3)
FEW = PROFILES["5.10"].but(break_ksm=2, madv_populate=1, uffd_wp_many_vmas=1)  # what no shipped kernel does, and what chooses


def test_the_source_holds_every_rule_once_with_the_kernel_written_in() -> None:
    text = compiled.source(PROFILES["6.12"], BOUNDS)
    names = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert len(names) == len(set(names))
    assert {verb.rule.split(".")[1] for verb in VERBS} <= set(names)
    assert set(names) >= set(compiled.ENTRIES)
    assert ".kernel" not in text
    assert "import" not in text.split("State = ", 1)[1]


def test_another_kernel_or_size_is_another_module() -> None:
    sources = {compiled.source(profile, bounds) for profile in PROFILES.values() for bounds in (Bounds(1, 1), Bounds(2, 2))}
    assert len(sources) == 2 * len(PROFILES)


def test_a_state_goes_there_and_back() -> None:
    state = State(BOUNDS, None)
    for number, cell in enumerate(state.pte.cells):
        cell.frame = number
    state.ksm.last_born = 300
    state.node[2].content = -1
    record = compiled.new_record(BOUNDS)[0]
    assert compiled.pack(record) == State(BOUNDS, None).pack()
    compiled.fill(record, state)
    assert compiled.pack(record) == state.pack()


def both(profile: Profile, seed: int, steps: int) -> None:
    """One random program, step by step in both forms."""
    rules = compiled.load(profile, BOUNDS)
    state = State(BOUNDS, profile)
    for v, area in enumerate((0, 0, 1)):
        state.vma[0, v].area = area
    boot(state)
    record = compiled.new_record(BOUNDS)[0]
    compiled.fill(record, state)
    for number, (operation, choices) in enumerate(random_program(seed, steps, BOUNDS.processes, BOUNDS.pages)):
        state.step.choices = record["step"]["choices"] = choices
        step(state, *operation)
        follow(state, *operation)
        rules.run_step(record, *operation)
        rules.run_follow(record, *operation)
        assert compiled.pack(record) == state.pack(), (profile.name, seed, number, VERBS[operation[0]].name)
        assert rules.run_broken(record) == broken(state)


@pytest.mark.compiled
def test_random_programs_run_alike() -> None:
    for seed in range(40):
        both(FEW, seed, 50)


@pytest.mark.compiled
def test_every_operation_runs_alike() -> None:
    """Whatever the operation, at least once where it is allowed and once where it is not."""
    used = {operation[0] for seed in range(40) for operation, _ in random_program(seed, 50, BOUNDS.processes, BOUNDS.pages)}
    assert used == set(range(len(VERBS)))


@pytest.mark.compiled
def test_compiled_once_means_compiled_for_all_later_runs() -> None:
    rules = compiled.load(FEW, BOUNDS)
    rules.run_step(compiled.new_record(BOUNDS)[0], 0, 0, 0, 1, 0)
    compiled.load.cache_clear()
    again = compiled.load(FEW, BOUNDS)
    assert rules.__file__ == again.__file__
    assert compiled.cache_folder().samefile(Path(str(rules.__file__)).parent)
    record = compiled.new_record(BOUNDS)[0]
    again.run_step(record, 0, 0, 0, 1, 0)
    assert sum(again.run_step.stats.cache_hits.values()) == 1


def test_no_rule_counts_an_index_from_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled form does not ask whether one is negative."""

    def checked(grid: Grid, index: int | tuple[int, int]) -> Any:
        indices = index if isinstance(index, tuple) else (index,)
        assert all(0 <= at < extent for at, extent in zip(indices, grid.shape, strict=True)), index
        return plain(grid, index)

    plain = Grid.__getitem__
    monkeypatch.setattr(Grid, "__getitem__", checked)
    for profile in (*PROFILES.values(), FEW):
        for seed in range(5):
            state = start(BOUNDS, (0, 0, 1), profile)
            for operation, choices in random_program(seed, 60, BOUNDS.processes, BOUNDS.pages):
                state.step.choices = choices
                step(state, *operation)
                follow(state, *operation)
                broken(state)
                normalise(state, 1)
