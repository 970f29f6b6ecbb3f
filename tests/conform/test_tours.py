"""Tours take every transition of a bound, and find a kernel that does otherwise."""

import pytest

pytest.importorskip("numba")

from breakcow.backend.model import ModelBackend
from breakcow.conform.able import EVERY, possible
from breakcow.conform.prologues import PROLOGUES, prologue
from breakcow.conform.tour import tours
from breakcow.conform.tours import Covered, as_test, plan, run
from breakcow.conform.transitions import Graph
from breakcow.explore.bound import Bound
from breakcow.explore.search import Search
from breakcow.kernel import PROFILES
from breakcow.litmus import parse, program, to_text
from breakcow.mm.actions import VERB

pytestmark = pytest.mark.compiled
BOUND = Bound(depth=1, operations=EVERY, scans=1)  # of a size that other tests have compiled


def test_tours_take_each_transition_that_the_search_counts() -> None:
    operations = ("write", "mergeable", "unmergeable", "mprotect", "ksm_scan")
    bound = Bound(depth=3, operations=operations, scans=1)
    graph = Graph(PROFILES["7.2"], bound)
    taken: set[tuple[int, int]] = set()
    walks = list(tours(graph, taken))
    assert graph.transitions == len(taken) == sum(walk.new for walk in walks)
    assert graph.transitions == Search(PROFILES["7.2"], bound, 0, symmetric=False, among=frozenset(VERB)).run().transitions


@pytest.fixture(scope="module")
def whole() -> Covered:
    """All programs of the plan, replayed on the specification."""
    model = ModelBackend(PROFILES["7.2"])
    covered = Covered()
    assert not list(run(model, model, plan(PROFILES["7.2"], BOUND), (0, 1), covered, lambda: None))
    return covered


def test_a_walk_is_a_way_through_the_graph(whole: Covered) -> None:
    """Every program does what the plan thinks it does."""
    assert whole.confirmed == whole.transitions > 1000
    assert whole.steps > whole.programs


def test_shards_deal_out_all_programs(whole: Covered) -> None:
    model = ModelBackend(PROFILES["7.2"])
    parts = [Covered(), Covered()]
    for number, part in enumerate(parts):
        list(run(model, model, plan(PROFILES["7.2"], BOUND), (number, 2), part, lambda: None))
    for field in ("transitions", "confirmed", "programs", "steps"):
        assert sum(getattr(part, field) for part in parts) == getattr(whole, field)


def test_a_kernel_that_does_otherwise_is_found_and_the_program_shrunk() -> None:
    covered = Covered()
    other = ModelBackend(PROFILES["7.2"].but(mprotect_writable=0, uffd_wp_resolve_writable=0, gup_unshare=0))
    found = list(run(other, ModelBackend(PROFILES["7.2"]), plan(PROFILES["7.2"], BOUND), (0, 4), covered, lambda: None))
    assert found
    assert covered.confirmed < covered.transitions
    assert min(len(finding.test.body) for finding in found) <= 4


@pytest.mark.parametrize("name", PROLOGUES)
def test_prologues_are_programs(name: str) -> None:
    found = Graph(PROFILES["7.2"], Bound(depth=0, operations=EVERY, scans=1), prologue(name, BOUND))
    assert len(found.names) == 1


def test_a_tour_is_a_test_of_the_language() -> None:
    for tour in list(plan(PROFILES["7.2"], BOUND))[::20]:
        (test,) = parse(to_text(as_test(tour.program)))
        assert program(test).wire()["actions"] == tour.program.wire()["actions"]


def test_what_a_kernel_lacks_is_left_out() -> None:
    assert "pin" not in possible(EVERY, {"io-uring": "no io_uring"})
    assert set(possible(EVERY, {})) == set(VERB) - {"begin", "retry"}
