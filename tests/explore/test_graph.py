"""The state graph holds what the search counts, and its programs lead where it says."""

from dataclasses import replace

import pytest

pytest.importorskip("numba")

from breakcow.backend.model import ModelBackend
from breakcow.explore.bound import Bound
from breakcow.explore.graph import TooManyStatesError, graph
from breakcow.explore.normal import normalise
from breakcow.explore.search import ALL, Search
from breakcow.kernel import PROFILES
from breakcow.litmus import parse, to_text
from breakcow.mm.actions import VERB
from breakcow.suite.trial import trial

UFFD = ("write", "uffd_open", "uffd_register", "uffd_protect", "uffd_close")
FORKS = ("write", "read", "fork", "mprotect")


@pytest.mark.compiled
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    ("kernel", "bound"),
    [
        ("6.1", Bound(depth=5, operations=UFFD)),
        pytest.param("5.10", Bound(depth=3, operations=FORKS), marks=pytest.mark.long),
    ],  # 5.10 chooses
)
def test_the_graph_is_what_the_search_counts(kernel: str, bound: Bound, symmetric: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakcow.explore.graph.MOST", 2000)
    drawn = graph(PROFILES[kernel], bound, ALL, symmetric)
    tally = Search(PROFILES[kernel], bound, symmetric=symmetric, among=frozenset(VERB)).run()
    assert (sum(not node.promises for node in drawn.nodes), len(drawn.edges)) == (tally.states, tally.transitions)
    assert {node.promises for node in drawn.nodes if node.promises} == ({("protection-only-where-armed",)} if kernel == "6.1" else set())
    assert bool(tally.finds) == any(node.promises for node in drawn.nodes)


def test_every_program_leads_to_its_state() -> None:
    drawn = graph(PROFILES["6.1"], Bound(1, 1, depth=4, operations=UFFD), ALL, True)
    for node in drawn.nodes[1:]:
        (test,) = parse(to_text(node.test))
        assert test == node.test
        path = ModelBackend(PROFILES["6.1"]).run(trial(test, "").program)
        assert path[-1].processes == node.seen.processes, node.number
        assert len(path) == node.depth == drawn.nodes[node.before].depth + 1


def test_every_edge_leads_where_it_says() -> None:
    """The program of its source, one step longer; contents are not interchangeable here, so that it is exactly there."""
    drawn = graph(PROFILES["6.1"], Bound(1, 1, depth=3, operations=UFFD), ALL, False)
    assert {edge.target for edge in drawn.edges} | {0} == {node.number for node in drawn.nodes}
    for edge in drawn.edges:
        source, target = drawn.nodes[edge.source], drawn.nodes[edge.target]
        longer = replace(source.test, body=(*source.test.body, edge.step))
        path = ModelBackend(PROFILES["6.1"]).run(trial(longer, "").program)
        assert path[-1].processes == target.seen.processes, (source.number, edge.step)
        assert path[-1].outcome.result == edge.step.outcome


def test_a_change_names_the_field_and_what_it_means() -> None:
    drawn = graph(PROFILES["7.2"], Bound(1, 2, depth=1, operations=("mergeable",)), ALL, True)
    changes = {(change.place, change.field): (change.before, change.after, change.meaning) for change in drawn.nodes[1].changes}
    assert changes["vma A x", "mergeable"] == (0, 1, "VM_MERGEABLE")
    assert ("vma A y", "mergeable") not in changes


def test_too_many_states_are_a_sentence_and_no_picture() -> None:
    with pytest.raises(TooManyStatesError, match=r"more than 400 states.*--operations.*--depth.*--pages 1"):
        graph(PROFILES["7.2"], Bound(2, 2, depth=9), ALL, True)


def test_states_of_the_graph_are_normal() -> None:
    drawn = graph(PROFILES["7.2"], Bound(1, 2, depth=2, operations=("write", "mremap")), ALL, True)
    for node in drawn.nodes:
        twin = node.state.copy()
        normalise(twin, 0)
        assert twin.pack() == node.state.pack()
