from pathlib import Path

import pytest

from .scenarios import EXACT, SCENARIOS, one


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_page_is_what_the_log_of_writes_gives(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    seen = [one(scenario, seed, tmp_path) for seed in range(8)]
    assert scenario.discards or set(seen) == {EXACT}
