"""One scan of ksmd: whom it visits, in which order, and what it merges."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.flags import ZERO_PAGE
from breakcow.mm.ksm_scan import below, first_mm, next_address, next_mm, should_skip_rmap_item, skip_age, write_protect_page
from mm.machine import Machine

KERNELS = ("5.10", "6.1", "6.12", "7.2")


def written(machine: Machine, *contents: int) -> Machine:
    for v, content in enumerate(contents):
        machine.do("write", v, c=content)
    machine.do("mergeable", 0, len(contents))
    return machine


@pytest.mark.parametrize("kernel", KERNELS)
def test_equal_pages_merge_at_the_second_scan(kernel: str) -> None:
    machine = written(Machine(kernel), 7, 7, 8)
    machine.do("ksm_scan", c=1)
    assert not machine.same(0, 1)
    kept = machine.pte(1).frame
    machine.do("ksm_scan", c=1)
    assert machine.same(0, 1)
    assert machine.pte(0).frame == kept, "the page that is scanned stays, the tree's is replaced"
    assert not machine.page(2).ksm
    assert [(machine.pte(v).write, machine.pte(v).dirty) for v in range(2)] == [(0, 0), (0, 0)]
    assert (machine.s.ksm.pages_shared, machine.s.ksm.pages_sharing, machine.s.proc[0].merging) == (1, 1, 2)


@pytest.mark.parametrize(("kernel", "scans"), [("5.10", 1), ("6.1", 1), ("6.12", 2), ("7.2", 2)])
def test_joining_a_stable_node(kernel: str, scans: int) -> None:
    machine = Machine(kernel).merged()
    machine.do("write", 2, c=7)
    machine.do("mergeable", 2)
    for number in (1, 2):
        machine.do("ksm_scan", c=1)
        assert machine.same(0, 2) is (number >= scans)


@pytest.mark.parametrize(("kernel", "merges"), [("5.10", True), ("6.1", False), ("6.12", True), ("7.2", True)])
def test_a_page_without_access_at_the_root_ends_every_search(kernel: str, merges: bool) -> None:
    machine = written(Machine(kernel), 1, 7, 7)
    machine.do("mprotect", 0, c=0)
    machine.do("ksm_scan", c=3)
    assert machine.same(1, 2) is merges


@pytest.mark.parametrize(("choices", "merges"), [(0, False), (1, False), (2, False), (3, True)])
def test_a_page_without_access_elsewhere_may_lie_on_the_way(choices: int, merges: bool) -> None:
    machine = written(Machine("6.1", pages=4), 2, 1, 7, 7)
    machine.do("mprotect", 1, c=0)
    machine.do("ksm_scan", c=1)
    machine.do("ksm_scan", c=1, choices=choices)  # of the third page and of the fourth: is the second on the way
    assert machine.same(2, 3) is merges
    assert not machine.same(0, 1)


@pytest.mark.parametrize(("kernel", "scans"), [("6.1", 1), ("7.2", 1), ("7.3", 2)])
def test_a_page_that_left_and_has_the_old_content_again_rejoins(kernel: str, scans: int) -> None:
    machine = Machine(kernel).merged()
    machine.do("write", 0, c=7)
    for number in (1, 2):
        machine.do("ksm_scan", c=1)
        assert machine.same(0, 1) is (number >= scans)


@pytest.mark.parametrize(("kernel", "moves"), [("7.2", [True, True, True]), ("7.3", [True, False, True])])
def test_the_equal_of_a_held_page_is_tried_again(kernel: str, moves: list[bool]) -> None:
    machine = written(Machine(kernel), 7, 7)
    machine.do("vmsplice", 0)
    machine.do("ksm_scan", c=1)
    for moved in moves:
        frame = machine.pte(1).frame
        machine.do("ksm_scan", c=1)
        assert (machine.pte(1).frame != frame) is moved


def test_smart_scan_counts_no_visits_of_a_page_that_is_still_listed_in_a_node_of_7_3() -> None:
    machine = Machine("7.3").merged()
    machine.do("ksm_set", c=3 * 1000 + 1)
    machine.do("write", 0, c=9)
    assert machine.s.rmap[0, 0].node
    assert not should_skip_rmap_item(machine.s, 0, 0)
    assert machine.s.rmap[0, 0].age == 0


def test_a_page_that_changed_since_the_last_scan_is_left_alone() -> None:
    machine = written(Machine(), 7, 7)
    machine.do("ksm_scan", c=1)
    machine.do("write", 0, c=8)
    machine.do("write", 1, c=8)
    machine.do("ksm_scan", c=1)
    assert not machine.same(0, 1)
    machine.do("ksm_scan", c=1)
    assert machine.same(0, 1)


def test_ksmd_runs_only_when_told_to() -> None:
    machine = written(Machine(), 7, 7)
    machine.do("ksm_run", c=0)
    machine.do("ksm_scan", c=5)
    assert not machine.s.rmap[0, 0].exists


def test_what_is_not_scanned() -> None:
    machine = written(Machine(areas=(0, 1, 2)), 7, 7, 7)
    machine.do("dontneed", 0)
    machine.do("read", 0)
    machine.do("ksm_scan", c=1)
    assert [machine.s.rmap[0, v].exists for v in range(3)] == [0, 1, 1]
    machine.do("unmergeable", 1)
    machine.do("munmap", 2)
    machine.do("ksm_scan", c=1)
    assert [machine.s.rmap[0, v].exists for v in range(3)] == [0, 0, 0]


def test_an_mm_without_mergeable_memory_leaves_the_list() -> None:
    machine = written(Machine(), 7)
    machine.do("munmap", 0)
    machine.do("ksm_scan", c=1)
    assert machine.s.proc[0].entered == 0
    machine.do("mergeable", 1)
    assert machine.s.proc[0].entered == 2


def test_the_order_of_the_list() -> None:
    machine = Machine(processes=4)
    assert first_mm(machine.s) == -1
    for p, entered in enumerate((3, -1, 1, -1)):
        machine.s.proc[p].entered = entered
    order = [first_mm(machine.s)]
    while order[-1] >= 0:
        order.append(next_mm(machine.s, order[-1]))
    assert order == [1, 3, 2, 0, -1]


def test_the_order_of_addresses() -> None:
    machine = Machine(areas=(5, 0, 0))
    order = [next_address(machine.s, 0, -1)]
    while order[-1] >= 0:
        order.append(next_address(machine.s, 0, order[-1]))
    assert order == [1, 2, 0, -1]
    assert below(machine.s, 0, 1, 0) and below(machine.s, 0, 1, 2)
    assert not below(machine.s, 0, 0, 1) and not below(machine.s, 0, 2, 1) and not below(machine.s, 0, 1, 1)


@pytest.mark.parametrize("kernel", KERNELS)
def test_two_pages_of_two_processes_merge(kernel: str) -> None:
    machine = Machine(kernel, processes=2)
    machine.do("fork", c=1)
    for p in range(2):
        machine.do("write", c=7, p=p)
        machine.do("mergeable", p=p)
    machine.do("ksm_scan", c=2)
    assert machine.same(0, 0, 0, 1)
    assert machine.page().ksm
    assert [machine.s.proc[p].merging for p in range(2)] == [1, 1]


@pytest.mark.parametrize("held", ["pin", "vmsplice"])
def test_a_page_that_somebody_holds_is_not_merged(held: str) -> None:
    for v in range(2):
        machine = written(Machine("6.12"), 7, 7)
        machine.do(held, v)
        frame = machine.pte(v).frame
        machine.do("ksm_scan", c=3)
        assert not machine.same(0, 1)
        assert (machine.pte(v).frame, machine.page(v).ksm) == (frame, 0)
        assert machine.broken() == set()


def test_the_equal_of_a_held_page_is_made_a_ksm_page_and_broken_again() -> None:
    machine = written(Machine("6.12"), 7, 7)
    machine.do("vmsplice", 0)
    machine.do("ksm_scan", c=1)
    frame = machine.pte(1).frame
    machine.do("ksm_scan", c=1)
    assert machine.pte(1).frame != frame
    assert not machine.page(1).ksm


def test_what_write_protect_page_refuses() -> None:
    expected = {
        (1, 0, 1, 0, 0): 1,
        (1, 0, 1, 1, 0): 0,
        (0, 1, 0, 1, 0): 0,
        (0, 0, 1, 1, 0): 0,
        (0, 0, 0, 1, 0): 1,
        (0, 0, 0, 0, 1): 1,
        (1, 0, 0, 0, 1): 0,
    }
    for (write, dirty, exclusive, refs, pins), done in expected.items():
        machine = Machine("6.12")
        machine.do("write", c=7)
        pte, page = machine.pte(), machine.page()
        pte.write, pte.dirty, page.exclusive, page.refs, page.pincount = write, dirty, exclusive, refs, pins
        assert write_protect_page(machine.s, 0, 0) == done
        assert (pte.write, pte.dirty, page.exclusive) == ((0, 0, 0) if done else (write, dirty, exclusive))


def test_a_ksm_page_is_not_protected_again() -> None:
    assert write_protect_page(Machine().merged().s, 0, 0) == 0


def test_merging_drops_the_bits_of_the_page_that_is_replaced() -> None:
    machine = written(Machine("6.12"), 7, 7)
    machine.do("ksm_scan", c=1)
    machine.protected(0, 2)
    machine.do("ksm_scan", c=1)
    assert machine.same(0, 1)
    assert [(machine.pte(v).uffd_wp, machine.pte(v).soft_dirty) for v in range(2)] == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("kernel", "dirty", "counted"), [("6.1", 0, 0), ("6.12", 1, 2)])
def test_empty_pages_become_the_zero_page_where_it_is_asked_for(kernel: str, dirty: int, counted: int) -> None:
    for asked in (0, 1):
        machine = Machine(kernel)
        machine.do("ksm_set", c=1000 + asked)
        written(machine, 0, 0, 5).do("ksm_scan", c=2)
        assert [machine.pte(v).frame == 0 for v in range(3)] == [bool(asked)] * 2 + [False]
        assert machine.s.ksm.zero_pages == (counted if asked else 0)
        assert machine.page(0).ksm == 1 - asked
        if asked:
            assert (machine.pte().dirty, machine.pte().write) == (dirty, 0)
        assert machine.broken() == set()


@pytest.mark.parametrize(("kernel", "first"), [("6.1", "stable tree"), ("6.12", "zero page")])
def test_which_an_empty_page_meets_first(kernel: str, first: str) -> None:
    machine = Machine(kernel)
    written(machine, 0, 0).do("ksm_scan", c=2)
    machine.do("ksm_set", c=1001)
    machine.do("write", 2)
    machine.do("mergeable", 2)
    machine.do("ksm_scan", c=2)
    assert machine.same(0, 2) is (first == "stable tree")
    assert (machine.pte(2).frame == 0) is (first == "zero page")


def test_max_page_sharing_makes_groups() -> None:
    machine = Machine("6.12", pages=5)
    machine.do("ksm_set", c=2002)
    written(machine, 7, 7, 7, 7, 7).do("ksm_scan", c=3)
    assert machine.same(0, 1) and machine.same(2, 3)
    assert not machine.same(1, 2) and not machine.same(3, 4) and not machine.page(4).ksm
    assert (machine.s.ksm.pages_shared, machine.s.ksm.pages_sharing) == (2, 2)


def test_two_mappings_of_one_frame_do_not_merge_with_each_other() -> None:
    """A page shared by fork is its own equal in the other process."""
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.do("mergeable")
    machine.do("fork", c=1)
    machine.do("ksm_scan", c=3)
    assert machine.same(0, 0, 0, 1)
    assert not machine.page().ksm
    assert machine.page().mapcount == 2


def test_a_forked_ksm_page_joins_the_node_of_its_own_frame() -> None:
    machine = Machine("6.12").merged()
    machine.do("fork", c=1)
    assert machine.s.ksm.pages_sharing == 1
    machine.do("ksm_scan", c=1)
    assert machine.same(0, 0, 0, 1)
    assert (machine.s.ksm.pages_shared, machine.s.ksm.pages_sharing, machine.s.proc[1].merging) == (1, 3, 2)


@pytest.mark.parametrize(("kernel", "merged"), [("5.10", True), ("6.1", False), ("6.12", True)])
def test_memory_without_access_waits_in_the_unstable_tree_of_6_1_for_nothing(kernel: str, merged: bool) -> None:
    machine = written(Machine(kernel), 7, 7)
    machine.do("mprotect", 0, c=0)
    machine.do("ksm_scan", c=3)
    assert machine.same(0, 1) is merged


def test_how_many_scans_smart_scan_leaves_out() -> None:
    assert [skip_age(age) for age in range(12)] == [1, 1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8]


def test_smart_scan_visits_a_page_that_never_merges_less_and_less_often() -> None:
    machine = written(Machine("6.12"), 7)
    machine.do("ksm_set", c=3001)
    visited = []
    for number in range(1, 24):
        before = machine.s.rmap[0, 0].skips
        machine.do("ksm_scan", c=1)
        item = machine.s.rmap[0, 0]
        assert item.age == number
        if not (before and item.skips == before - 1):
            visited.append(number)
    assert visited == [1, 2, 3, 4, 6, 9, 14, 23]


def test_the_age_of_a_page_ends_somewhere() -> None:
    machine = written(Machine("6.12"), 7)
    machine.do("ksm_set", c=3001)
    machine.do("ksm_scan", c=1)
    machine.s.rmap[0, 0].age = 255
    machine.do("ksm_scan", c=1)
    assert machine.s.rmap[0, 0].age == 255


def test_smart_scan_leaves_out_neither_ksm_pages_nor_anything_when_it_is_off() -> None:
    machine = Machine("6.12").merged()
    for on in (0, 1):
        machine.s.ksm.smart_scan = on
        machine.s.rmap[0, 0].skips = 3
        assert should_skip_rmap_item(machine.s, 0, 0) == 0
        assert (machine.s.rmap[0, 0].skips, machine.s.rmap[0, 0].age) == (3, 0)


def test_a_skipped_page_is_in_no_tree() -> None:
    machine = written(Machine("6.12"), 7)
    machine.do("ksm_set", c=3001)
    machine.do("ksm_scan", c=4)
    assert machine.s.rmap[0, 0].unstable
    machine.do("ksm_scan", c=1)
    assert not machine.s.rmap[0, 0].unstable


def test_a_moved_page_is_new_to_ksmd() -> None:
    machine = written(Machine("6.12"), 7, 7)
    machine.do("ksm_scan", c=1)
    machine.do("mremap", 0)
    machine.do("ksm_scan", c=1)
    assert not machine.same(0, 1), "its checksum is taken anew"
    assert not machine.s.rmap[0, 0].moved
    machine.do("ksm_scan", c=1)
    assert machine.same(0, 1)


@pytest.mark.parametrize(("kernel", "last", "joins"), [("6.1", 0, True), ("7.2", 0, False), ("7.2", 2, True)])
def test_what_a_move_leaves_behind_is_forgotten_where_the_scan_passes_it(kernel: str, last: int, joins: bool) -> None:
    """Page 1 was copied and is equal to its old node again. Since 6.12 it leaves the node before the search, which passes over a node
    that has no rmap_items: the other one is gone by then only if its address is lower."""
    machine = Machine(kernel)
    for v in (last, 1):
        machine.do("write", v, c=7)
        machine.do("mergeable", v)
    machine.do("ksm_scan", c=2)
    assert machine.same(last, 1)
    machine.do("fork", c=1)
    machine.do("write", 1, c=7)
    machine.do("mremap", last)
    machine.do("ksm_scan", c=1)
    assert (machine.pte(1).frame == machine.pte(1, p=1).frame) == joins


@pytest.mark.parametrize("kernel", PROFILES)
def test_counters_follow_at_the_scan_after_a_page_was_given_up(kernel: str) -> None:
    machine = Machine(kernel).merged(3)
    machine.do("write", 0, c=9)
    assert (machine.s.ksm.pages_shared, machine.s.ksm.pages_sharing) == (1, 2)
    machine.do("ksm_scan", c=1)
    assert (machine.s.ksm.pages_shared, machine.s.ksm.pages_sharing) == (1, 1)
    machine.do("munmap", 1)
    machine.do("munmap", 2)
    machine.do("ksm_scan", c=1)
    assert (machine.s.ksm.pages_shared, machine.s.ksm.pages_sharing, machine.s.proc[0].merging) == (0, 0, 0)
    assert not any(machine.s.node[n].used for n in range(machine.s.node.shape[0]))


def test_what_has_no_name_of_a_huge_page_never_merges() -> None:
    machine = Machine("6.1", pages=4, huge=True)
    machine.do("write", 0, c=0)
    machine.do("mergeable", 0, 4)
    machine.do("ksm_scan", c=4)
    assert machine.page(1).ksm and not machine.page(1).folio
    assert not machine.page(3).ksm


@pytest.mark.parametrize(("choices", "same"), [(0, False), (3, True)])
def test_a_page_that_splitting_made_the_zero_page_ends_the_search_that_comes_past_it(choices: int, same: bool) -> None:
    """The huge page's zeros wait in the tree, the first small page finds them equal, and splitting turns them into the zero page: the
    others merge only if they do not come past it."""
    machine = Machine("6.12", pages=5, areas=(0, 0, 1, 1, 1))
    for v in (0, 1):
        machine.s.vma[0, v].huge = 1
    for v in (0, 2, 3, 4):
        machine.do("write", v, c=0)
    machine.do("mergeable", 0, 2)
    machine.do("mergeable", 2, 3)
    machine.do("ksm_scan", c=1)
    machine.do("ksm_scan", c=1, choices=choices)
    assert machine.pte(0).frame == ZERO_PAGE
    assert machine.same(3, 4) is same
