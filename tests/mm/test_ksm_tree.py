"""Stable nodes, rmap_items and their counters."""

from breakcow.mm.ksm_tree import (
    free_rmap_item,
    remove_all_stable_nodes,
    remove_rmap_item_from_tree,
    stable_tree_append,
    stable_tree_insert,
    stable_tree_search,
    unstable_tree_search,
)
from breakcow.mm.schema import RMAP_ITEM
from mm.machine import Machine


def counters(machine: Machine) -> tuple[int, int, int]:
    return machine.s.ksm.pages_shared, machine.s.ksm.pages_sharing, machine.s.proc[0].merging


def test_a_new_node_takes_the_first_free_place() -> None:
    machine = Machine()
    machine.s.page[1].content = 7
    machine.s.node[0].used = 1
    assert stable_tree_insert(machine.s, 1) == 1
    node = machine.s.node[1]
    assert (node.used, node.frame, node.content, node.sharers, node.born) == (1, 2, 7, 0, 1)
    assert machine.s.page[1].node == 2
    assert stable_tree_insert(machine.s, 2) == 2
    assert machine.s.node[2].born == 2


def test_the_first_counts_as_shared_and_each_further_one_as_sharing() -> None:
    machine = Machine()
    n = stable_tree_insert(machine.s, 1)
    for v, expected in ((0, (1, 0, 1)), (1, (1, 1, 2)), (2, (1, 2, 3))):
        stable_tree_append(machine.s, 0, v, n)
        assert counters(machine) == expected
        assert machine.s.rmap[0, v].node == n + 1
    for v, expected in ((1, (1, 1, 2)), (0, (1, 0, 1)), (2, (0, 0, 0))):
        remove_rmap_item_from_tree(machine.s, 0, v)
        assert counters(machine) == expected
        assert machine.s.rmap[0, v].node == 0
    assert machine.s.node[n].used, "the node lives as long as its page"


def test_searching_the_stable_tree() -> None:
    machine = Machine()
    nodes = machine.s.node
    assert stable_tree_search(machine.s, 0) == -1
    for n, (used, frame, content, sharers, born) in enumerate([(1, 1, 7, 1, 1), (1, 2, 7, 1, 3), (1, 3, 7, 1, 2), (1, 4, 8, 1, 4)]):
        nodes[n].used, nodes[n].frame, nodes[n].content, nodes[n].sharers, nodes[n].born = used, frame, content, sharers, born
    assert stable_tree_search(machine.s, 7) == 1, "the youngest"
    assert stable_tree_search(machine.s, 9) == -1
    nodes[1].sharers = 0
    assert stable_tree_search(machine.s, 7) == 2, "one that no rmap_item is in takes no page"
    nodes[1].sharers = 256
    assert stable_tree_search(machine.s, 7) == 2, "the youngest that is not full"
    nodes[2].frame = 0
    assert stable_tree_search(machine.s, 7) == 0, "a stale one is passed over"
    nodes[0].used = 0
    assert stable_tree_search(machine.s, 7) == -1


def test_leaving_a_stale_node_takes_all_of_its_items_along() -> None:
    machine = Machine()
    other = stable_tree_insert(machine.s, 2)
    n = stable_tree_insert(machine.s, 1)
    for v in range(2):
        stable_tree_append(machine.s, 0, v, n)
    stable_tree_append(machine.s, 0, 2, other)
    machine.s.node[n].frame = 0
    remove_rmap_item_from_tree(machine.s, 0, 0)
    assert [machine.s.rmap[0, v].node for v in range(3)] == [0, 0, other + 1]
    assert (machine.s.node[n].used, machine.s.node[n].sharers) == (0, 0)
    assert machine.s.node[other].used
    assert counters(machine) == (1, 0, 1)


def test_leaving_takes_an_item_out_of_the_unstable_tree() -> None:
    machine = Machine()
    machine.s.rmap[0, 0].unstable = 1
    remove_rmap_item_from_tree(machine.s, 0, 0)
    assert not machine.s.rmap[0, 0].unstable


def test_a_freed_item_keeps_nothing() -> None:
    machine = Machine()
    item = machine.s.rmap[0, 0]
    for field in RMAP_ITEM:
        if field != "node":
            setattr(item, field, 1)
    free_rmap_item(machine.s, 0, 0)
    assert not any(getattr(item, field) for field in RMAP_ITEM)


def test_removing_all_nodes_keeps_those_whose_page_is_mapped() -> None:
    machine = Machine().merged()
    assert remove_all_stable_nodes(machine.s) == 1
    assert machine.same(0, 1) and machine.page().node and counters(machine) == (1, 1, 2)
    for v in range(2):
        machine.do("write", v, c=v)
    assert remove_all_stable_nodes(machine.s) == 0
    assert counters(machine) == (0, 0, 0)
    assert not machine.s.node[0].used
    assert remove_all_stable_nodes(machine.s) == 0


def test_removing_a_node_whose_page_is_held_but_not_mapped() -> None:
    machine = Machine().merged()
    machine.do("vmsplice")
    frame = machine.pte().frame
    for v in range(2):
        machine.do("write", v, c=v)
    assert machine.s.page[frame].node
    assert remove_all_stable_nodes(machine.s) == 0
    assert machine.s.page[frame].node == 0
    assert (machine.s.node[0].used, machine.s.node[0].frame) == (0, 0)


def test_searching_the_unstable_tree() -> None:
    machine = Machine(processes=2, pages=3)
    machine.do("fork", c=1)
    for p, v in ((0, 0), (1, 1), (1, 2)):
        machine.do("write", v, c=7, p=p)
    assert unstable_tree_search(machine.s, 0, 0) == -1
    machine.s.rmap[1, 0].unstable = 1
    assert unstable_tree_search(machine.s, 0, 0) == -1, "nothing is mapped there"
    machine.s.rmap[1, 2].unstable = 1
    assert unstable_tree_search(machine.s, 0, 0) == 1 * 3 + 2
    machine.do("write", 2, c=8, p=1)
    assert unstable_tree_search(machine.s, 0, 0) == -1, "what the page holds now counts, not what it held"
