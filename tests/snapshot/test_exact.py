import time
from pathlib import Path

import pytest

import breakcow

from .scenarios import EXACT, SCENARIOS, one, several
from .writers import Writer, private, scalar, slices


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_page_is_what_the_log_of_writes_gives(name: str, copied_in: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    seen = [one(scenario, seed, tmp_path) for seed in range(8)]
    assert scenario.discards or set(seen) == {EXACT}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_take_is_what_the_log_of_writes_gives(name: str, copied_in: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    assert several(scenario, 1, tmp_path) == EXACT or scenario.discards


@pytest.mark.parametrize("huge", [False, True])
def test_every_take_of_a_series_is_what_the_log_of_writes_gives(huge: bool, copied_in: str, tmp_path: Path) -> None:
    cells = private(4 << 20, huge)
    cells[:] = 0
    writers = [Writer(cells, seed, seed, 3, (scalar, slices)) for seed in range(3)]
    for writer in writers:
        writer.start()
    try:
        with breakcow.series(cells, tmp_path / "run") as series:
            for _ in range(6):
                series.take()
                time.sleep(0.01)
    finally:
        for writer in writers:
            writer.stop()
    numbers = [[writer.check(breakcow.load(tmp_path / "run", take=take)[0]) for writer in writers] for take in range(6)]
    assert numbers == sorted(numbers)
