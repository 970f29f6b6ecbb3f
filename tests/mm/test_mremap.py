"""mremap(2)."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.flags import BLOCKED, EFAULT, OK, UFFD_FEATURE_EVENT_REMAP, UFFD_FEATURE_WP_UNPOPULATED
from breakcow.mm.mremap import FIRST_FRESH_AREA
from mm.machine import Machine


def test_a_page_moves_away_from_its_neighbours_with_its_frame() -> None:
    machine = Machine("6.12", processes=2)
    machine.do("write", 0, c=7)
    frame = machine.pte().frame
    assert machine.do("mremap", 0) == OK
    assert (machine.pte().frame, machine.s.vma[0, 0].area, machine.s.vma[0, 1].area) == (frame, FIRST_FRESH_AREA, 0)
    machine.do("mremap", 1)
    assert machine.s.vma[0, 1].area == FIRST_FRESH_AREA + 1
    machine.do("fork", c=1)
    machine.do("mremap", 2, p=1)
    machine.do("mremap", 2)
    assert (machine.s.vma[1, 2].area, machine.s.vma[0, 2].area) == (FIRST_FRESH_AREA + 2, FIRST_FRESH_AREA + 3)


def test_a_hole_is_efault() -> None:
    machine = Machine()
    machine.do("munmap")
    assert machine.do("mremap") == -EFAULT
    assert machine.s.vma[0, 0].area == 0


def test_a_ksm_page_is_broken_and_its_memory_stays_mergeable() -> None:
    machine = Machine("6.12").merged()
    machine.do("mremap", 0)
    assert not machine.page().ksm and machine.page(1).ksm
    assert machine.s.vma[0, 0].mergeable
    assert machine.s.rmap[0, 0].moved


@pytest.mark.parametrize("mergeable", [0, 1])
def test_mergeable_is_what_it_was(mergeable: int) -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    if mergeable:
        machine.do("mergeable")
    machine.do("mremap")
    assert machine.s.vma[0, 0].mergeable == mergeable


@pytest.mark.parametrize(("kernel", "bit"), [("6.1", 1), ("6.12", 0)])
def test_the_userfaultfd_stays_behind_and_its_bits_since_6_13(kernel: str, bit: int) -> None:
    machine = Machine(kernel)
    machine.do("write", c=7)
    machine.protected()
    machine.do("mremap")
    assert (machine.s.vma[0, 0].registered, machine.pte().uffd_wp) == (0, bit)
    assert ("protection-only-where-armed" in machine.broken()) is bool(bit)


def test_with_event_remap_it_comes_along() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected(features=UFFD_FEATURE_EVENT_REMAP)
    machine.do("mremap")
    assert (machine.s.vma[0, 0].registered, machine.pte().uffd_wp) == (1, 1)
    assert machine.do("write", c=8) == BLOCKED


def test_a_marker_goes_with_the_userfaultfd() -> None:
    machine = Machine("6.12").protected(features=UFFD_FEATURE_WP_UNPOPULATED)
    machine.do("mremap")
    assert (machine.pte().marker, machine.pte().uffd_wp) == (0, 0)
    machine = Machine("6.12").protected(features=UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_EVENT_REMAP)
    machine.do("mremap")
    assert (machine.pte().marker, machine.pte().uffd_wp) == (1, 1)


def test_bits_of_memory_that_was_never_registered_are_left_alone() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.pte().uffd_wp = 1
    machine.do("mremap")
    assert machine.pte().uffd_wp


def test_a_moved_entry_is_soft_dirty() -> None:
    for kernel, bit in (("6.12", 1), ("6.18", 0)):
        machine = Machine(kernel)
        machine.do("write", 0, c=7)
        machine.do("clear_refs")
        machine.do("mremap", 0)
        machine.do("mremap", 1)
        assert (machine.pte(0).soft_dirty, machine.pte(1).soft_dirty) == (bit, 0)
        assert machine.broken() == set()


def test_moving_waits_under_the_third_option() -> None:
    machine = Machine(PROFILES["6.1"].but(break_ksm=2)).merged().protected()
    assert machine.do("mremap") == BLOCKED
    assert machine.s.vma[0, 0].area == 0
    machine.do("uffd_release")
    assert machine.s.resumed[0].ended and machine.s.vma[0, 0].area == FIRST_FRESH_AREA


def in_two_vmas(kernel: str) -> Machine:
    """A huge page of which the last two pages have become a vma of their own."""
    machine = Machine(kernel, huge=True)
    machine.do("write", 0, c=3)
    machine.do("mergeable", 1, 2)
    return machine


@pytest.mark.parametrize(("kernel", "result"), [("6.16", -EFAULT), ("6.18", OK)])
def test_several_vmas_are_moved_since_6_17(kernel: str, result: int) -> None:
    machine = in_two_vmas(kernel)
    assert machine.do("mremap", 0, 3) == result
    assert [machine.s.vma[0, v].area for v in range(3)] == [0 if result else FIRST_FRESH_AREA] * 3
    assert [machine.s.vma[0, v].mergeable for v in range(3)] == [0, 1, 1]
    assert machine.content() == 3


def test_a_hole_between_them_stays_one() -> None:
    machine = Machine("6.18", huge=True)
    machine.do("write", 0, c=3)
    machine.do("munmap", 1)
    assert machine.do("mremap", 0, 3) == OK
    assert [machine.s.vma[0, v].mapped for v in range(3)] == [1, 0, 1]
    assert machine.s.vma[0, 0].area == machine.s.vma[0, 2].area == FIRST_FRESH_AREA


@pytest.mark.parametrize(("v", "moved"), [(0, 0), (1, 1)])
def test_one_with_a_userfaultfd_ends_it_and_leaves_what_was_moved(v: int, moved: int) -> None:
    machine = Machine("6.18", huge=True)
    machine.do("uffd_open")
    machine.do("uffd_register", v, 1 if v == 0 else 2)
    assert machine.do("mremap", 0, 3) == -EFAULT
    assert [int(machine.s.vma[0, w].area == FIRST_FRESH_AREA) for w in range(3)] == [moved, 0, 0]


def test_what_was_moved_side_by_side_merges_again() -> None:
    machine = in_two_vmas("6.18")
    machine.do("mremap", 0, 3)
    machine.do("unmergeable", 1, 2)
    assert machine.do("uffd_open") == OK
    assert machine.do("mremap", 0, 3) == OK
    assert machine.s.vma[0, 0].area == machine.s.vma[0, 2].area == FIRST_FRESH_AREA + 1


def test_no_page_table_comes_along_from_where_there_is_none() -> None:
    machine = Machine("6.12", huge=True)
    machine.do("mremap", 2)
    assert [machine.s.vma[0, v].table for v in range(3)] == [0, 0, 0]
    machine.do("write", 2, c=7)
    assert [machine.s.vma[0, v].table for v in range(3)] == [0, 0, 1]
