"""ksmd drops the write-protection of what it merges (docs/finds/ksm-merge-drops-uffd-wp.md): kept away, and noticed where it is not."""

import time
from pathlib import Path

import pytest

import breakcow
from breakcow.agent import abi, ksm
from breakcow.snapshots import maps, merging
from breakcow.snapshots.errors import SnapshotError

from . import ksmd
from .scenarios import EXACT, Scenario, one
from .writers import Cells, private, scalar

pytestmark = pytest.mark.skipif(bool(ksmd.WHY_NOT), reason=ksmd.WHY_NOT)


def mergeable(size: int, huge: bool) -> Cells:
    """Memory whose pages are equal to one another, and which ksmd may merge."""
    cells = private(size, huge)
    abi.syscall(abi.MADVISE, cells.ctypes.data, cells.nbytes, abi.MADV_MERGEABLE)
    return cells


def merged(size: int, huge: bool) -> Cells:
    """The same, all of it merged: no writer would leave ksmd two equal pages for long."""
    cells = mergeable(size, huge)
    cells[:] = 0
    while pages_merged() < size // abi.PAGE:
        time.sleep(0.001)
    return cells


@pytest.mark.parametrize("zero_pages", [False, True])
def test_exact_with_ksmd_at_full_speed(zero_pages: bool, tmp_path: Path) -> None:
    scenario = Scenario((scalar,), size=4 << 20, filled=False, memory=merged)
    with ksmd.at_full_speed(zero_pages):
        assert [one(scenario, seed, tmp_path) for seed in range(5)] == [EXACT] * 5


def pages_merged() -> int:
    """Of this process, by ksmd, with one another or into the zero page."""
    with open("/proc/self/ksm_stat") as file:
        words = [line.split() for line in file]
    return sum(int(word[1]) for word in words if word[0] in {"ksm_merging_pages", "ksm_zero_pages"})


@pytest.mark.parametrize("zero_pages", [False, True])
def test_a_series_with_ksmd_at_full_speed(zero_pages: bool, tmp_path: Path) -> None:
    cells = mergeable(4 << 20, False)
    cells[:] = 0
    wanted = []
    with ksmd.at_full_speed(zero_pages), breakcow.series(cells, tmp_path / "run") as series:
        for number in range(1, 12):
            cells[number * 5000] = number
            wanted.append(cells.copy())
            series.take()
            cells[number * 5000 : number * 5000 + 3000] = 0
            time.sleep(0.02)
    for number, state in enumerate(wanted):
        assert (breakcow.load(tmp_path / "run", take=number)[0] == state).all()


def test_what_was_mergeable_is_so_again(tmp_path: Path) -> None:
    cells = mergeable(1 << 20, False)
    cells[:] = 0
    ranges = [(cells.ctypes.data, cells.ctypes.data + cells.nbytes)]
    with breakcow.snapshot(cells, to=tmp_path / "x"):
        assert maps.mergeable(ranges) == []
    assert maps.mergeable(ranges) == ranges


@pytest.mark.parametrize("zero_pages", [False, True])
def test_a_merge_that_happens_all_the_same_is_noticed(zero_pages: bool, tmp_path: Path) -> None:
    cells = private(16 << 20)
    cells[:] = 0
    with ksmd.at_full_speed(zero_pages):
        pieces = iter(breakcow.snapshot(cells))
        merging.madvise(cells.ctypes.data, cells.nbytes, abi.MADV_MERGEABLE)
        before = ksm.read("full_scans")
        while ksm.read("full_scans") < before + 4:
            time.sleep(0.01)
        with pytest.raises(SnapshotError, match="merged by KSM"):
            for _ in pieces:
                pass
    merging.madvise(cells.ctypes.data, cells.nbytes, abi.MADV_UNMERGEABLE)
