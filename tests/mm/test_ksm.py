"""KSM as user space drives it."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.flags import EBUSY, EINVAL, ENOENT, OK
from breakcow.mm.ksm import MADV_MERGEABLE, ksm_madvise
from breakcow.mm.vma import same_vma
from mm.machine import Machine


def test_advice_sets_the_flag_of_the_range_and_lists_the_mm_once() -> None:
    machine = Machine()
    machine.do("mergeable", 0, 2)
    assert [machine.s.vma[0, v].mergeable for v in range(3)] == [1, 1, 0]
    assert (machine.s.proc[0].entered, machine.s.ksm.last_entered) == (1, 1)
    machine.do("mergeable", 2)
    assert (machine.s.proc[0].entered, machine.s.ksm.last_entered) == (1, 1)


def test_advice_that_changes_nothing_is_ignored() -> None:
    machine = Machine()
    machine.do("unmergeable", 0, 3)
    assert machine.s.proc[0].entered == 0
    machine.s.vma[0, 0].mergeable = 1
    assert ksm_madvise(machine.s, 0, 0, 1, MADV_MERGEABLE) == OK
    assert machine.s.proc[0].entered == 0
    machine = Machine().merged()
    for v in range(2):
        machine.s.vma[0, v].mergeable = 0
    machine.do("unmergeable", 0, 2)
    assert machine.same(0, 1), "not mergeable: nothing to take back"


def test_unmerging_stops_at_the_end_of_its_range() -> None:
    machine = Machine().merged(3)
    machine.do("unmergeable", 1)
    assert [machine.page(v).ksm for v in range(3)] == [1, 0, 1]
    assert [machine.s.vma[0, v].mergeable for v in range(3)] == [1, 0, 1]


def test_a_child_is_listed_after_its_parent_where_that_is() -> None:
    machine = Machine(processes=3)
    machine.do("fork", c=1)
    assert machine.s.proc[1].entered == 0
    machine.do("mergeable")
    machine.do("fork", c=2)
    assert [machine.s.proc[p].entered for p in range(3)] == [1, 0, 2]


@pytest.mark.parametrize(("kernel", "merging"), [("6.1", 2), ("6.12", 0)])
def test_whether_a_child_starts_with_the_merging_pages_of_its_parent(kernel: str, merging: int) -> None:
    machine = Machine(kernel).merged()
    machine.do("fork", c=1)
    assert machine.s.proc[1].merging == merging


def test_an_exited_mm_stays_listed_only_if_ksmd_visited_it() -> None:
    machine = Machine(processes=2)
    machine.do("mergeable")
    machine.do("exit")
    assert machine.s.proc[0].entered == 0
    machine = Machine(processes=2).merged()
    machine.do("exit")
    assert machine.s.proc[0].entered == -1
    assert machine.s.ksm.pages_shared == 1, "counted until ksmd comes by"
    machine.do("ksm_scan", c=1)
    assert (machine.s.proc[0].entered, machine.s.ksm.pages_shared, machine.s.ksm.pages_sharing) == (0, 0, 0)


def test_an_unlisted_mm_exits_unlisted() -> None:
    machine = Machine()
    machine.s.rmap[0, 0].exists = 1
    machine.do("exit")
    assert machine.s.proc[0].entered == 0


@pytest.mark.parametrize("number", [-1, 3])
def test_run_takes_0_1_and_2(number: int) -> None:
    machine = Machine()
    assert machine.do("ksm_run", c=number) == -EINVAL
    assert machine.s.ksm.run == 1
    for valid in (0, 1, 2):
        assert machine.do("ksm_run", c=valid) == OK
        assert machine.s.ksm.run == valid


def test_starting_ksmd_scans_at_once_and_writing_1_again_does_not() -> None:
    machine = Machine()
    for v in range(2):
        machine.do("write", v, c=7)
    machine.do("mergeable", 0, 2)
    machine.do("ksm_run", c=1)
    assert not machine.s.rmap[0, 0].exists
    machine.do("ksm_run", c=0)
    machine.do("ksm_scan", c=2)
    assert not machine.s.rmap[0, 0].exists, "stopped"
    machine.do("ksm_run", c=1)
    assert machine.s.rmap[0, 0].exists


def test_stopping_keeps_what_is_merged_and_2_unmerges_it_once() -> None:
    machine = Machine().merged()
    machine.do("ksm_run", c=0)
    assert machine.same(0, 1)
    machine.do("ksm_run", c=2)
    assert not machine.same(0, 1)
    assert (machine.s.ksm.pages_shared, machine.s.ksm.pages_sharing, machine.s.proc[0].merging) == (0, 0, 0)
    assert not any(machine.s.rmap[0, v].exists or machine.s.rmap[0, v].node for v in range(3))
    assert machine.s.vma[0, 0].mergeable and machine.s.proc[0].entered, "what is unmerged stays mergeable"


def test_2_reaches_every_listed_process_and_only_mergeable_memory() -> None:
    machine = Machine(processes=2).merged()
    machine.do("fork", c=1)
    machine.s.vma[1, 1].mergeable = 0
    machine.do("ksm_run", c=2)
    assert [[machine.page(v, p).ksm for v in range(2)] for p in range(2)] == [[0, 0], [0, 1]]


def test_2_frees_exited_processes_from_the_list() -> None:
    machine = Machine(processes=2).merged()
    machine.do("fork", c=1)
    machine.do("ksm_scan", c=1)
    machine.do("exit", p=1)
    assert machine.s.proc[1].entered == -1
    machine.do("ksm_run", c=2)
    assert (machine.s.proc[1].entered, machine.s.proc[0].entered) == (0, 1)
    assert machine.broken() == set()


@pytest.mark.parametrize(
    ("knob", "number", "result", "value"),
    [
        ("use_zero_pages", 1, OK, 1),
        ("use_zero_pages", 0, OK, 0),
        ("use_zero_pages", 2, -EINVAL, 0),
        ("smart_scan", 1, OK, 1),
        ("smart_scan", 2, -EINVAL, 0),
        ("max_page_sharing", 2, OK, 2),
        ("max_page_sharing", 1, -EINVAL, 256),
        ("max_page_sharing", 0, -EINVAL, 256),
        ("max_page_sharing", 999, OK, 999),
    ],
)
def test_the_knobs(knob: str, number: int, result: int, value: int) -> None:
    codes = {"use_zero_pages": 1, "max_page_sharing": 2, "smart_scan": 3}
    machine = Machine("6.12")
    assert machine.do("ksm_set", c=codes[knob] * 1000 + number) == result
    assert getattr(machine.s.ksm, knob) == value
    others = {"use_zero_pages": 0, "max_page_sharing": 256, "smart_scan": 0}
    del others[knob]
    assert {name: getattr(machine.s.ksm, name) for name in others} == others


def test_an_old_ksmd_has_no_smart_scan() -> None:
    assert Machine("6.1").do("ksm_set", c=3001) == Machine("6.1").do("ksm_set", c=3000) == -ENOENT


def test_max_page_sharing_cannot_change_while_anything_is_shared() -> None:
    machine = Machine().merged()
    assert machine.do("ksm_set", c=2003) == -EBUSY
    assert machine.do("ksm_set", c=2256) == OK, "the same number changes nothing"
    for v in range(2):
        machine.do("write", v, c=v)
    machine.do("ksm_scan", c=1)
    assert machine.do("ksm_set", c=2003) == OK
    assert machine.s.ksm.max_page_sharing == 3


def test_max_page_sharing_cannot_change_while_a_forked_child_maps_a_ksm_page() -> None:
    """No rmap_item of the child is in the tree yet: nothing counts as shared, but the node's page is mapped."""
    machine = Machine(PROFILES["6.12"], processes=2).merged()
    machine.do("fork", c=1)
    machine.do("exit")
    machine.do("ksm_scan", c=0)
    machine.s.vma[1, 0].mergeable = machine.s.vma[1, 1].mergeable = 0
    machine.do("ksm_scan", c=1)
    assert machine.s.ksm.pages_shared == 0
    assert machine.do("ksm_set", c=2003) == -EBUSY
    assert machine.s.ksm.max_page_sharing == 256


def test_merging_all_memory_and_none() -> None:
    m = Machine("6.12", pages=3, areas=(0, 0, 1))
    for v in range(3):
        m.do("write", v, c=7)
    assert m.do("merge_any", c=1) == 0
    m.do("ksm_scan", c=2)
    assert m.same(0, 1) and m.same(0, 2) and m.page().ksm
    assert m.do("merge_any", c=0) == 0
    assert not m.page().ksm and not m.same(0, 1) and m.broken() == set()
    assert m.s.proc[0].entered  # until ksmd finds nothing there
    m.do("ksm_scan", c=1)
    assert not m.s.proc[0].entered


def test_merging_all_memory_needs_6_4() -> None:
    assert Machine("6.1").do("merge_any", c=1) == -EINVAL


def test_vmas_whose_flags_become_equal_by_prctl_stay_apart() -> None:
    m = Machine("6.12")
    m.do("mergeable", 0)
    m.do("merge_any", c=1)
    assert [m.s.vma[0, v].mergeable for v in range(3)] == [1, 1, 1]
    assert not same_vma(m.s, 0, 0, 1) and same_vma(m.s, 0, 1, 2)
