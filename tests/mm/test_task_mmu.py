"""Soft-dirty and PAGEMAP_SCAN."""

import pytest

from breakcow.mm.actions import SCANS
from breakcow.mm.flags import ENOTTY, EPERM, UFFD_FEATURE_WP_ASYNC
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


def test_a_scan_reports_what_is_not_protected_and_protects_it() -> None:
    m = Machine("7.2", pages=3)
    for v in range(3):
        m.do("write", v, c=3)
    m.do("uffd_open", c=UFFD_FEATURE_WP_ASYNC)
    m.do("uffd_register", 0, 3)
    assert m.do("pagemap_scan", 0, 2, SCANS["written-protect-async"]) == 0
    assert (m.s.step.value, m.pte(0).uffd_wp, m.pte(0).write, m.pte(2).uffd_wp) == (0b011, 1, 0, 0)
    m.do("write", 1, c=4)
    m.do("pagemap_scan", 0, 3, SCANS["written"])
    assert m.s.step.value == 0b110
    assert m.broken() == set()


@pytest.mark.parametrize(("kernel", "result"), [("6.1", -ENOTTY), ("6.12", -EPERM)])
def test_a_scan_fails_where_it_cannot_be_done(kernel: str, result: int) -> None:
    m = Machine(kernel)
    m.do("write", 0, c=3)
    assert m.do("pagemap_scan", 0, 1, SCANS["protect"]) == result
    assert not m.pte().uffd_wp


@pytest.mark.parametrize(("kernel", "scan", "reported"), [("6.16", "any-written", 0), ("7.2", "any-written", 1), ("6.16", "written", 1)])
def test_a_hole_is_written_whichever_mask_asks_since_7_2(kernel: str, scan: str, reported: int) -> None:
    m = Machine(kernel)
    m.do("uffd_open", c=UFFD_FEATURE_WP_ASYNC)
    m.do("uffd_register", 0, 1)
    m.do("pagemap_scan", 0, 1, SCANS[scan])
    assert m.s.step.value == reported


def test_unregistered_memory_is_not_written_since_7_3() -> None:
    found = []
    for kernel in ("7.2", "7.3"):
        m = Machine(kernel)
        m.do("write", 0, c=3)
        m.do("pagemap_scan", 0, 1, SCANS["written"])
        found.append(m.s.step.value)
    assert found == [1, 0]


def test_clear_refs_does_not_ask_whether_what_a_pmd_maps_is_pinned() -> None:
    for entries in (False, True):
        m = Machine("7.2", huge=True)
        m.do("write", c=3)
        if entries:
            m.do("mprotect", 1, c=1)
        m.do("pin")
        m.do("clear_refs")
        assert m.pte().soft_dirty == int(entries)
