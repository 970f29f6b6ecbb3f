"""Many snapshots under every kind of writer, each held page for page against the log of all writes.

    python bench/snapshot_exact.py --rounds 1000
    python bench/snapshot_exact.py --rounds 1000 --only "many threads" --only dontneed

As root it also runs with ksmd at full speed over the same memory. Exit status 1 if a single page was wrong.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.snapshot import ksmd
from tests.snapshot.scenarios import EXACT, SCENARIOS, Scenario, one, several
from tests.snapshot.test_ksm import mergeable
from tests.snapshot.writers import scalar

Way = Callable[[Scenario, int, Path], str]
MERGED = Scenario((scalar,), size=4 << 20, memory=mergeable)


def rounds(name: str, scenario: Scenario, way: Way, seeds: range, directory: Path) -> int:
    """Take one for each seed, and print what came out: how many were wrong."""
    begin = time.monotonic()
    exact = refused = wrong = 0
    for seed in seeds:
        try:
            if way(scenario, seed, directory) == EXACT:
                exact += 1
            else:
                refused += 1
        except AssertionError as error:
            wrong += 1
            print(f"  {name}, seed {seed}: {error}")
    each = (time.monotonic() - begin) / len(seeds) * 1000
    print(f"| {name} | {len(seeds)} | {exact} | {refused} | {wrong} | {each:.0f} ms |", flush=True)
    return wrong


def main() -> int:
    """All scenarios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--series", action="store_true", help="take series of four, each of which counts as one")
    parser.add_argument("--first", type=int, default=0, help="the first seed, to go on where another run ended")
    parser.add_argument("--on", default="/dev/shm", help="the folder that the images go to")
    parser.add_argument("--only", action="append", help="a scenario; may be repeated")
    wanted = parser.parse_args()
    print("| scenario | snapshots | exact | refused with an error | with a wrong page | each |\n| --- | --- | --- | --- | --- | --- |")
    way = several if wanted.series else one
    seeds = range(wanted.first, wanted.first + wanted.rounds)
    wrong = 0
    with tempfile.TemporaryDirectory(dir=wanted.on) as directory:
        for name, scenario in SCENARIOS.items():
            if not wanted.only or name in wanted.only:
                wrong += rounds(name, scenario, way, seeds, Path(directory))
        for zero_pages in (False, True):
            name = f"ksmd at full speed, use_zero_pages {'on' if zero_pages else 'off'}"
            if not ksmd.WHY_NOT and (not wanted.only or name in wanted.only):
                with ksmd.at_full_speed(zero_pages):
                    wrong += rounds(name, MERGED, way, seeds, Path(directory))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
