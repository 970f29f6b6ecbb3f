"""The fault path: who copies, who takes over, who unshares, who traps."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.flags import (
    BLOCKED,
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_REMOTE,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    OK,
    UFFD_FEATURE_WP_ASYNC,
    UFFD_FEATURE_WP_UNPOPULATED,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
    VM_FAULT_WRITE,
)
from breakcow.mm.memory import can_reuse, choose, handle_mm_fault
from mm.machine import Machine

FAKE_WRITE = FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE
UNSHARE = FAULT_FLAG_UNSHARE | FAULT_FLAG_REMOTE


def forked(kernel: str = "6.12") -> Machine:
    machine = Machine(kernel)
    machine.do("write", c=7)
    machine.do("fork", c=1)
    return machine


def test_a_fault_on_a_writable_page_only_marks_it_dirty() -> None:
    machine = Machine()
    machine.do("write", c=7)
    pte = machine.pte()
    pte.dirty = pte.soft_dirty = 0
    assert handle_mm_fault(machine.s, 0, 0, 0) == 0
    assert (pte.dirty, pte.soft_dirty) == (0, 0)
    assert handle_mm_fault(machine.s, 0, 0, FAULT_FLAG_WRITE) == 0
    assert (pte.write, pte.dirty, pte.soft_dirty) == (1, 1, 1)


def test_a_fault_for_reading_a_read_only_page_changes_nothing() -> None:
    machine = forked()
    before = machine.s.pack()
    assert handle_mm_fault(machine.s, 0, 0, FAULT_FLAG_REMOTE) == 0
    assert machine.s.pack() == before


@pytest.mark.parametrize(("kernel", "result"), [("5.10", VM_FAULT_WRITE), ("6.1", VM_FAULT_WRITE), ("6.12", 0)])
def test_what_a_completed_write_fault_returns(kernel: str, result: int) -> None:
    copied = Machine(kernel).merged()
    assert handle_mm_fault(copied.s, 0, 0, FAKE_WRITE) == result
    reused = Machine(kernel)
    reused.do("write", c=7)
    reused.pte().write = 0
    frame = reused.pte().frame
    assert handle_mm_fault(reused.s, 0, 0, FAKE_WRITE) == result
    assert reused.pte().frame == frame


def test_a_ksm_page_is_copied_even_for_its_last_mapper() -> None:
    machine = Machine().merged()
    for v in range(2):
        frame = machine.pte(v).frame
        machine.do("write", v, c=9)
        assert machine.pte(v).frame != frame
        assert (machine.page(v).ksm, machine.page(v).exclusive, machine.s.step.cow_ksm) == (0, 1, 1)


def test_only_copies_of_ksm_pages_count_as_cow_ksm() -> None:
    machine = forked()
    machine.do("write", c=8)
    assert machine.s.step.cow_ksm == 0
    machine.do("read", 1)
    machine.do("write", 1, c=8)
    assert machine.s.step.cow_ksm == 0


def test_a_shared_page_is_copied_and_its_last_mapper_takes_it_over() -> None:
    machine = forked()
    frame = machine.pte().frame
    machine.do("write", c=8)
    assert machine.pte().frame != frame
    assert (machine.content(p=1), machine.page(p=1).mapcount, machine.page(p=1).exclusive) == (7, 1, 0)
    machine.do("write", c=9, p=1)
    assert (machine.pte(p=1).frame, machine.page(p=1).exclusive, machine.content(p=1)) == (frame, 1, 9)
    assert machine.content() == 8


def test_another_reference_prevents_taking_over_unless_the_page_is_exclusive() -> None:
    machine = forked()
    machine.do("vmsplice")
    machine.do("exit", p=1)
    frame = machine.pte().frame
    machine.do("write", c=8)
    assert machine.pte().frame != frame, "not exclusive, and the pipe holds it"
    machine = Machine()
    machine.do("write", c=7)
    machine.do("vmsplice")
    machine.do("clear_refs")
    frame = machine.pte().frame
    machine.do("write", c=8)
    assert machine.pte().frame == frame, "exclusive: the pipe does not matter"


@pytest.mark.parametrize("behaviour", [0, 1, 2])
def test_who_may_be_taken_over(behaviour: int) -> None:
    """By mapcount, by page_count (where chance decides), by PageAnonExclusive: mapcount, other references, KSM, exclusive -> reuse."""
    expected = {
        (1, 0, 0, 0): (1, 1, 1),
        (1, 0, 0, 1): (1, 1, 1),
        (2, 0, 0, 0): (0, 0, 0),
        (1, 1, 0, 0): (1, 0, 0),
        (1, 1, 0, 1): (1, 0, 1),
        (1, 0, 1, 0): (0, 0, 0),
    }
    for (mapcount, refs, ksm, exclusive), reuse in expected.items():
        machine = Machine(PROFILES["6.12"].but(wp_reuse=behaviour))
        page = machine.s.page[1]
        page.mapcount, page.refs, page.ksm, page.exclusive = mapcount, refs, ksm, exclusive
        assert can_reuse(machine.s, 0, 1) == reuse[behaviour], (mapcount, refs, ksm, exclusive)
        assert machine.s.step.drawn == (1 if behaviour == 1 and reuse[1] else 0)
        assert page.exclusive == (reuse[2] if behaviour == 2 else exclusive)


def test_choices_are_taken_bit_by_bit() -> None:
    machine = Machine()
    machine.s.step.choices = 0b0110
    assert [choose(machine.s) for _ in range(4)] == [1, 0, 0, 1]
    assert machine.s.step.drawn == 4


def test_5_10_may_copy_where_it_may_reuse() -> None:
    frames = set()
    for choices in (0, 1):
        machine = Machine("5.10")
        machine.do("write", c=7)
        frame = machine.pte().frame
        machine.do("clear_refs")
        assert machine.do("write", c=8, choices=choices) == OK
        assert machine.content() == 8
        frames.add(machine.pte().frame == frame)
    assert frames == {True, False}


@pytest.mark.parametrize("kind", ["ksm", "forked"])
def test_unsharing_copies_keeps_the_bits_and_makes_nothing_writable(kind: str) -> None:
    machine = Machine().merged() if kind == "ksm" else forked()
    pte = machine.pte()
    for soft_dirty, uffd_wp in ((0, 1), (1, 0)):
        twin = Machine().merged() if kind == "ksm" else forked()
        pte = twin.pte()
        twin.s.vma[0, 0].registered = uffd_wp
        pte.soft_dirty, pte.uffd_wp = soft_dirty, uffd_wp
        frame = pte.frame
        assert handle_mm_fault(twin.s, 0, 0, UNSHARE) == 0
        assert pte.frame != frame
        assert (pte.write, pte.dirty, pte.soft_dirty, pte.uffd_wp) == (0, 0, soft_dirty, uffd_wp)
        assert (twin.page().exclusive, twin.content()) == (1, 7)
        assert twin.s.step.events == twin.s.step.warned == 0


def test_unsharing_an_exclusive_page_changes_nothing() -> None:
    machine = Machine()
    machine.do("write", c=7)
    machine.do("clear_refs")
    before = machine.s.pack()
    assert handle_mm_fault(machine.s, 0, 0, UNSHARE) == 0
    assert machine.s.pack() == before


def test_unsharing_a_page_that_is_no_longer_shared_makes_it_exclusive_alone() -> None:
    machine = forked("6.1")
    machine.do("exit", p=1)
    frame = machine.pte().frame
    assert handle_mm_fault(machine.s, 0, 0, UNSHARE) == 0
    assert (machine.pte().frame, machine.pte().write, machine.page().exclusive) == (frame, 0, 1)


@pytest.mark.parametrize(("kernel", "zero"), [("6.1", True), ("6.12", False)])
def test_unsharing_the_zero_page(kernel: str, zero: bool) -> None:
    machine = Machine(kernel)
    machine.do("read")
    assert handle_mm_fault(machine.s, 0, 0, UNSHARE) == 0
    assert (machine.pte().frame == 0) is zero


def test_a_protected_page_traps_a_write_fault_before_it_is_copied() -> None:
    machine = Machine("6.1").merged().protected()
    frame = machine.pte().frame
    assert handle_mm_fault(machine.s, 0, 0, FAKE_WRITE) == VM_FAULT_SIGBUS
    assert machine.s.step.warned == 0x881
    assert handle_mm_fault(machine.s, 0, 0, FAKE_WRITE | FAULT_FLAG_ALLOW_RETRY) == VM_FAULT_RETRY
    assert machine.pte().frame == frame


def test_a_stale_bit_without_a_registered_vma_traps_nothing() -> None:
    machine = Machine("6.1")
    machine.do("write", c=7)
    machine.protected()
    machine.do("uffd_close")
    assert machine.pte().uffd_wp
    assert machine.do("write", c=8) == OK
    assert (machine.pte().uffd_wp, machine.content()) == (1, 8)


def test_wp_async_takes_the_bit_away_and_tells_nobody() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected(features=UFFD_FEATURE_WP_ASYNC)
    assert machine.do("write", c=8) == OK
    assert (machine.pte().uffd_wp, machine.pte().write, machine.events(), machine.content()) == (0, 1, [], 8)


def test_a_marker_becomes_the_bit() -> None:
    for verb, frame in (("read", 0), ("write", 1)):
        machine = Machine("6.12").protected(features=UFFD_FEATURE_WP_UNPOPULATED)
        assert machine.pte().marker
        result = machine.do(verb, c=8)
        pte = machine.pte()
        assert (pte.present, pte.frame, pte.uffd_wp, pte.marker, pte.write) == (1, frame, 1, 0, 0)
        assert result == (BLOCKED if verb == "write" else OK)


def test_a_marker_that_no_userfaultfd_owns_any_more_is_dropped() -> None:
    for verb in ("read", "write"):
        machine = Machine("6.12").protected(features=UFFD_FEATURE_WP_UNPOPULATED)
        machine.s.vma[0, 0].registered = 0
        assert machine.do(verb, c=8) == OK
        assert not machine.pte().uffd_wp and not machine.pte().marker


def test_a_forced_store_into_read_only_memory_leaves_it_read_only() -> None:
    machine = Machine("6.12")
    machine.do("mprotect", c=1)
    assert machine.do("mem_write", c=8) == OK
    assert (machine.pte().write, machine.content()) == (0, 8)
    machine = Machine("6.12").merged()
    machine.do("mprotect", c=1)
    assert machine.do("mem_write", c=8) == OK
    assert (machine.pte().write, machine.pte().dirty, machine.content(), machine.content(1)) == (0, 1, 8, 7)


def test_a_store_to_a_zero_page_of_ksm_counts_it_off() -> None:
    machine = Machine("6.12")
    machine.do("ksm_set", c=1001)
    machine.do("write")
    machine.do("mergeable")
    machine.do("ksm_scan", c=2)
    assert machine.s.ksm.zero_pages == 1
    machine.do("write", c=5)
    assert (machine.s.ksm.zero_pages, machine.content()) == (0, 5)
