"""Tours take every transition of a bound, and find a kernel that does otherwise."""

from itertools import islice

import pytest

pytest.importorskip("numba")

from backend.host_programs import on_host
from breakcow.backend.host import HostBackend
from breakcow.backend.measure import measure
from breakcow.backend.model import ModelBackend
from breakcow.backend.observation import Outcome
from breakcow.conform.able import EVERY, possible
from breakcow.conform.prologues import PROLOGUES, prologue
from breakcow.conform.tour import tours
from breakcow.conform.tours import Covered, as_test, plan, run
from breakcow.conform.transitions import UNKNOWN, Graph
from breakcow.explore.bound import Bound
from breakcow.explore.search import Search
from breakcow.kernel import PROFILES
from breakcow.litmus import parse, program, to_text
from breakcow.mm.actions import VERB

pytestmark = pytest.mark.compiled
BOUND = Bound(depth=1, operations=EVERY, scans=1)  # of a size that other tests have compiled


def test_tours_take_each_transition_that_the_search_counts_and_end_in_each_state() -> None:
    operations = ("write", "mergeable", "unmergeable", "mprotect", "ksm_scan")
    bound = Bound(depth=3, operations=operations, scans=1)
    graph = Graph(PROFILES["7.2"], bound)
    taken: set[tuple[int, int]] = set()
    ended: set[int] = set()
    walks = list(tours(graph, taken, ended))
    assert graph.transitions == len(taken) == sum(walk.new for walk in walks)
    assert graph.transitions == Search(PROFILES["7.2"], bound, 0, symmetric=False, among=frozenset(VERB)).run().transitions
    assert ended == set(graph.names)
    assert len(ended) == sum(walk.ends for walk in walks)


def test_no_tour_goes_on_from_where_the_kernel_may_not_come() -> None:
    """On 5.10 a store to memory after clear_refs copies the page or does not, by what nobody controls."""
    bound = Bound(depth=2, operations=("write", "clear_refs"), scans=1)
    graph = Graph(PROFILES["5.10"], bound, prologue("soft-dirty cleared", bound))
    assert any(UNKNOWN in edges.values() for edges in graph.edges[:1])
    taken: set[tuple[int, int]] = set()
    ended: set[int] = set()
    walks = list(islice(tours(graph, taken, ended), 1000))
    assert (len(taken), ended) == (graph.transitions, set(graph.names))
    assert len(walks) < 1000


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
    assert whole.told == whole.states > 500
    assert whole.writable == whole.inferred > whole.states


@pytest.mark.parametrize("name", ["5.10", "7.2"])
def test_the_end_of_a_program_tells_which_pages_were_writable(name: str) -> None:
    """Of the state it ends in, whatever the end itself has done meanwhile to other pages and to that one."""
    model = ModelBackend(PROFILES[name])
    told = []
    for tour in plan(PROFILES["7.2"], BOUND):
        seen = model.run(tour.program)
        last = seen[tour.walked - 1].processes if tour.walked else {}
        for action, one in zip(tour.program.actions[tour.walked :], seen[tour.walked :], strict=True):
            process = last.get(action.process)
            if action.verb == "write" and process and process.state == "running":
                page = process.pages[tour.program.pages[action.page]]
                assert page.state != "page" or page.writable is (one.outcome == Outcome("ok", faults=0))
                told.append(page.writable)
    assert min(told.count(True), told.count(False)) > 200


@on_host
@pytest.mark.parametrize(("behaviour", "verb"), [("mprotect_writable", "mprotect"), ("uffd_wp_resolve_writable", "uffd_release")])
def test_a_specification_with_another_writable_bit_than_the_kernel_is_found(behaviour: str, verb: str) -> None:
    """Nothing but the page faults of a store shows either."""
    with HostBackend() as host:
        able, profile = host.probe().abilities, measure(host).profile
        if not getattr(profile, behaviour):
            pytest.skip("this kernel leaves the entries read-only too")
        verbs = set(possible(EVERY, able))
        programs = [tour for tour in plan(PROFILES["7.2"], BOUND) if {one.verb for one in tour.program.actions} <= verbs]
        meant = [tour for tour in programs if verb in [one.verb for one in tour.program.actions[: tour.walked]]][::3]
        covered = Covered()
        assert not list(run(host, ModelBackend(profile), iter(meant), (0, 1), covered, lambda: None))
        assert covered.disturbed or covered.told == covered.states > 0
        found = list(run(host, ModelBackend(profile.but(**{behaviour: 0})), iter(meant), (0, 1), Covered(), lambda: None))
    assert found
    assert {finding.difference.field for finding in found if finding.difference} == {"faults"}


def test_shards_deal_out_all_programs(whole: Covered) -> None:
    model = ModelBackend(PROFILES["7.2"])
    parts = [Covered(), Covered()]
    for number, part in enumerate(parts):
        list(run(model, model, plan(PROFILES["7.2"], BOUND), (number, 2), part, lambda: None))
    for field in ("transitions", "confirmed", "states", "told", "writable", "programs", "steps"):
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
