"""The search over a Ray cluster of two workers on this machine counts and finds what the search in one process does."""

import sys
from subprocess import run

import pytest

pytest.importorskip("numba")
pytest.importorskip("ray", reason="needs Ray: pip install 'breakcow[ray]'")

PROGRAM = """
from breakcow.explore.bound import Bound
from breakcow.explore.cluster import ClusterSearch, NoClusterError
from breakcow.explore.counterexample import counterexample
from breakcow.explore.search import Search
from breakcow.explore.survey import distinct
from breakcow.kernel import PROFILES
from breakcow.mm.actions import VERB

bound = Bound(depth=6, operations=("write", "read", "mergeable", "unmergeable", "ksm_scan", "mprotect"))
among = frozenset(VERB)  # as other tests have it compiled
one, two = (kind(PROFILES["6.1"], bound, threads=threads, among=among) for kind, threads in ((Search, 1), (ClusterSearch, 2)))
for search in (one, two):
    tally = search.run()
    finds = [counterexample(search, find) for find in tally.finds]
    print(tally.states, tally.transitions, tally.depth, [(found.name, len(found.steps)) for found in distinct(finds)])
"""


@pytest.mark.compiled
@pytest.mark.timeout(900)
def test_two_workers_count_and_find_alike() -> None:
    done = run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    one, two = done.stdout.splitlines()
    assert one == two
    assert "('explore/unmerge-leaves-no-ksm-unmergeable-mappings', 6)" in one


def test_without_ray_there_is_a_sentence() -> None:
    program = (
        "import sys; sys.modules['ray'] = None; sys.argv[1:] = ['explore', '--engine', 'ray']; from breakcow.cli.main import main; main()"
    )
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "breakcow: --engine ray needs Ray, which is not installed: pip install 'breakcow[ray]'\n")
