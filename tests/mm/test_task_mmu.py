"""Soft-dirty."""

from breakcow.mm.promises import soft_dirty
from mm.machine import Machine


def test_clearing_protects_what_is_present_so_that_the_next_store_shows() -> None:
    machine = Machine("6.12")
    machine.do("write", 0, c=1)
    machine.do("read", 1)
    assert [soft_dirty(machine.s, 0, v) for v in range(3)] == [1, 1, 1]
    machine.do("clear_refs")
    assert [soft_dirty(machine.s, 0, v) for v in range(3)] == [0, 0, 0]
    assert machine.pte().write == 0
    machine.do("read", 0)
    assert not soft_dirty(machine.s, 0, 0)
    machine.do("write", 0, c=2)
    assert [soft_dirty(machine.s, 0, v) for v in range(3)] == [1, 0, 0]
    assert machine.broken() == set()


def test_a_writable_page_that_may_be_pinned_is_left_alone() -> None:
    machine = Machine("6.12")
    machine.do("pin")
    machine.do("clear_refs")
    assert (machine.pte().write, machine.pte().soft_dirty) == (1, 1)
    machine.do("mprotect", c=1)
    machine.do("clear_refs")
    assert (machine.pte().write, machine.pte().soft_dirty) == (0, 0), "read-only: a pin of it is no reason"


def test_it_clears_one_process() -> None:
    machine = Machine("6.12")
    machine.do("write", c=1)
    machine.do("fork", c=1)
    machine.do("clear_refs", p=1)
    assert (machine.pte().soft_dirty, machine.pte(p=1).soft_dirty) == (1, 0)
    assert (machine.s.vma[0, 0].soft_dirty, machine.s.vma[1, 0].soft_dirty) == (1, 0)


def test_a_marker_is_not_touched() -> None:
    machine = Machine("6.12").protected(features=16)
    machine.do("clear_refs")
    assert machine.pte().marker and machine.pte().uffd_wp
