"""break_ksm() in its three forms."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.flags import BLOCKED, OK
from breakcow.mm.ksm_break import break_ksm, break_ksm_flags, ksm_page_mapped
from mm.machine import Machine


@pytest.mark.parametrize(("form", "flags"), [(0, 0x81), (1, 0x480), (2, 0x95)])
def test_how_it_faults(form: int, flags: int) -> None:
    assert break_ksm_flags(Machine(PROFILES["6.1"].but(break_ksm=form)).s) == flags


def test_what_it_looks_for() -> None:
    machine = Machine("6.12").merged()
    machine.do("write", 2, c=7)
    assert [ksm_page_mapped(machine.s, 0, v) for v in range(3)] == [1, 1, 0]
    machine.do("munmap", 0)
    machine.do("dontneed", 2)
    machine.do("read", 2)
    assert [ksm_page_mapped(machine.s, 0, v) for v in range(3)] == [0, 1, 0]
    machine.pte(2).dirty = 1
    assert ksm_page_mapped(machine.s, 0, 2) == 1
    machine.s.kernel = PROFILES["6.1"]
    assert ksm_page_mapped(machine.s, 0, 2) == 0


@pytest.mark.parametrize(("kernel", "found"), [("5.10", 1), ("6.1", 0), ("6.12", 1)])
def test_memory_without_access_hides_the_page_from_6_1(kernel: str, found: int) -> None:
    machine = Machine(kernel).merged()
    machine.do("mprotect", c=0)
    assert ksm_page_mapped(machine.s, 0, 0) == found
    machine.do("mprotect", c=1)
    assert ksm_page_mapped(machine.s, 0, 0) == 1


@pytest.mark.parametrize(
    ("kernel", "bits"),
    [("5.10", (1, 1, 1)), ("6.1", (1, 1, 1)), ("6.12", (0, 0, 0))],
)
def test_the_fake_write_leaves_a_writable_dirty_page_and_unsharing_does_not(kernel: str, bits: tuple[int, int, int]) -> None:
    machine = Machine(kernel).merged()
    machine.do("clear_refs")
    assert break_ksm(machine.s, 0, 0) == OK
    pte = machine.pte()
    assert (pte.write, pte.dirty, pte.soft_dirty) == bits
    assert not machine.page().ksm
    assert machine.page(1).ksm


@pytest.mark.parametrize(("kernel", "ksm", "warned"), [("5.10", 1, 0x81), ("6.1", 1, 0x881), ("6.12", 0, 0)])
def test_on_a_protected_page(kernel: str, ksm: int, warned: int) -> None:
    machine = Machine(kernel).merged().protected()
    assert break_ksm(machine.s, 0, 0) == OK, "success either way: that is the bug"
    assert (machine.page().ksm, machine.pte().uffd_wp, machine.s.step.warned) == (ksm, 1, warned)
    assert machine.s.step.events == 0


def test_the_third_option_waits_for_the_handler() -> None:
    machine = Machine(PROFILES["6.1"].but(break_ksm=2)).merged().protected(0, 2)
    assert machine.do("unmergeable", 0, 2) == BLOCKED
    assert machine.events() == [(1, 0, 0)]
    assert machine.broken() == {"no-event-without-a-write"}, "an event for a store that nobody made"
    assert machine.s.proc[0].waiting == 1
    machine.do("uffd_release", 0)
    assert not machine.s.resumed[0].ended, "the second page waits now"
    assert (machine.page(0).ksm, machine.s.proc[0].waiting) == (0, 2)
    machine.do("uffd_release", 1)
    assert (machine.s.resumed[0].ended, machine.s.resumed[0].result, machine.page(1).ksm) == (1, OK, 0)
    assert machine.pte(1).soft_dirty


def test_the_third_option_keeps_the_administrator_and_ksmd_waiting() -> None:
    machine = Machine(PROFILES["6.1"].but(break_ksm=2)).merged().protected(0, 2)
    assert machine.do("ksm_run", c=2) == BLOCKED
    assert machine.events() == [(1, 0, 0)]
    assert machine.s.ksm.waiting == 1
    for verb in ("ksm_scan", "ksm_run", "ksm_set"):
        assert machine.do(verb, c=1) == 4
    assert machine.do("write", 2, c=5) == OK, "the process itself runs on"
    machine.do("uffd_release", 0, 2)
    assert (machine.s.ksm.waiting, machine.s.step.ksm_woken, machine.s.ksm.run) == (0, 0, 2)
    assert not machine.page(0).ksm and not machine.page(1).ksm
    assert machine.s.ksm.pages_shared == 0
    assert machine.do("ksm_run", c=1) == OK


def test_the_third_option_falls_asleep_again_at_the_next_page() -> None:
    machine = Machine(PROFILES["6.1"].but(break_ksm=2)).merged().protected(0, 2)
    machine.do("ksm_run", c=2)
    machine.do("uffd_release", 0)
    assert (machine.s.ksm.waiting, machine.page(0).ksm, machine.page(1).ksm) == (1, 0, 1)
    machine.do("uffd_release", 1)
    assert (machine.s.ksm.waiting, machine.page(1).ksm) == (0, 0)


def test_the_third_option_deadlocks_when_the_handler_itself_unmerges() -> None:
    """The handler is a thread of the process that sleeps: whatever else it asks of the kernel under mmap_lock is stuck behind it."""
    machine = Machine(PROFILES["6.1"].but(break_ksm=2)).merged().protected(0, 2)
    assert machine.do("unmergeable", 0, 1) == BLOCKED
    assert machine.do("unmergeable", 1, 1) == 4, "the only one who could release the page cannot run"
    assert machine.s.proc[0].waiting == 1
