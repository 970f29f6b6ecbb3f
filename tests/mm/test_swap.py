"""Swap entries: what becomes one, what it keeps, and what comes back."""

import pytest

from breakcow.mm.flags import BLOCKED, ENOMEM, FOLL_PIN
from breakcow.mm.gup import gup
from mm.machine import Machine

KERNELS = ("5.10", "6.1", "7.2")


def swapped(kernel: str = "7.2", processes: int = 2) -> Machine:
    """A machine whose first page holds 3 and is swapped out."""
    m = Machine(kernel, processes=processes)
    m.do("write", c=3)
    assert m.do("pageout") == 0
    assert m.pte().swap and not m.pte().present
    return m


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_page_comes_back_as_it_was(kernel: str) -> None:
    m = swapped(kernel)
    frame = m.pte().frame
    assert (m.s.page[frame].mapcount, m.s.page[frame].swapped, m.s.page[frame].swap_cache) == (0, 1, 1)
    assert m.do("read") == 0
    assert (m.s.step.value, m.pte().frame, m.s.page[frame].mapcount, m.s.page[frame].swapped) == (3, frame, 1, 0)
    assert m.broken() == set()


@pytest.mark.parametrize(("kernel", "writable", "exclusive"), [("5.10", 0, 0), ("6.1", 0, 1), ("7.2", 1, 1)])
def test_what_a_load_brings_back_is_writable_as_the_kernel_has_it(kernel: str, writable: int, exclusive: int) -> None:
    m = swapped(kernel)
    m.do("read")
    assert (m.pte().write, m.page().exclusive) == (writable, exclusive)


@pytest.mark.parametrize(("kernel", "moved"), [("5.10", True), ("6.1", False), ("7.2", False)])
def test_a_store_after_a_load_copies_only_where_the_swap_cache_counts(kernel: str, moved: bool) -> None:
    m = swapped(kernel)
    m.do("read")
    frame = m.pte().frame
    m.do("write", c=4)
    assert (m.pte().frame != frame) is moved


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_store_that_has_to_copy_what_it_brings_back_is_one_fault(kernel: str) -> None:
    m = Machine(kernel)
    m.do("write", c=3)
    m.do("vmsplice")
    assert m.do("pageout") == 0
    assert m.pte().swap
    m.do("fork", c=1)
    assert m.do("write", c=4) == 0
    assert (m.s.step.faults, m.content(), m.pte().write) == (1, 4, 1)


def test_a_hole_the_zero_page_and_what_is_mapped_twice_stay() -> None:
    m = Machine()
    m.do("read", 1)
    m.do("write", 2, c=3)
    m.do("fork", c=1)
    m.do("pageout", 0, 3)
    assert not any(m.pte(v).swap for v in range(3))
    m.do("munmap", 0)
    assert m.do("pageout", 0, 2) == -ENOMEM


def test_a_pinned_page_stays_and_a_spliced_one_does_not() -> None:
    m = Machine()
    m.do("write", 0, c=3)
    m.do("write", 1, c=3)
    m.do("pin", 0)
    m.do("vmsplice", 1)
    m.do("pageout", 0, 2)
    assert m.pte(0).present and m.pte(1).swap
    m.do("write", 1, c=4)
    assert m.content(1) == 4


@pytest.mark.parametrize("kernel", KERNELS)
def test_fork_shares_what_is_swapped_out(kernel: str) -> None:
    m = swapped(kernel)
    frame = m.pte().frame
    m.do("fork", c=1)
    assert m.s.page[frame].swapped == 2 and not m.pte().swp_exclusive and not m.pte(p=1).swp_exclusive
    m.do("write", c=4)
    assert m.content() == 4 and m.do("read", p=1) == 0 and m.s.step.value == 3
    assert not m.same(0, 0, 0, 1) and m.broken() == set()


def test_who_is_left_with_a_swap_entry_owns_the_page() -> None:
    m = swapped()
    m.do("fork", c=1)
    m.do("exit", p=1)
    m.do("write", c=4)
    assert m.page().exclusive and not m.page().swap_cache and m.broken() == set()


def test_soft_dirty_and_protection_are_kept() -> None:
    m = Machine()
    m.do("write", c=3)
    m.do("clear_refs")
    m.protected()
    m.do("pageout")
    assert (m.pte().uffd_wp, m.pte().soft_dirty) == (1, 0)
    assert m.do("write", c=4) == BLOCKED
    assert m.pte().present and m.pte().uffd_wp and not m.pte().write and m.content() == 3
    m.do("uffd_release")
    assert m.content() == 4 and m.broken() == set()


def test_a_store_marks_it_dirty_on_6_1_before_it_is_trapped() -> None:
    found = []
    for kernel in ("6.1", "7.2"):
        m = Machine(kernel)
        m.do("write", c=3)
        m.do("clear_refs")
        m.protected()
        m.do("pageout")
        m.do("write", c=4)
        found.append(m.pte().soft_dirty)
    assert found == [1, 0]


def test_swap_entries_are_protected_released_and_cleared() -> None:
    m = swapped().protected()
    assert m.pte().uffd_wp and m.pte().swap
    m.do("uffd_release")
    m.do("clear_refs")
    assert not m.pte().uffd_wp and not m.pte().soft_dirty and m.pte().swap
    m.do("mremap")
    assert m.pte().soft_dirty and m.pte().swap


def test_a_ksm_page_comes_back_as_one_unless_run_is_2() -> None:
    for run, ksm in ((1, 1), (2, 0)):
        m = Machine().merged()
        m.do("write", 1, c=8)
        m.do("pageout", 0)
        m.do("ksm_run", c=run)
        m.do("read", 0)
        assert (m.page().ksm, m.content()) == (ksm, 7)


def test_a_read_only_pin_brings_it_back_unshared() -> None:
    m = swapped()
    m.do("fork", c=1)
    assert gup(m.s, 0, 0, FOLL_PIN) == 0
    assert m.page().exclusive


def saved(m: Machine) -> tuple[int, int]:
    """Whether the page is in the swap cache, and what the swap area has of it, + 1."""
    page = m.s.page[m.pte().frame]
    return page.swap_cache, page.saved


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_was_not_changed_leaves_memory_at_once(kernel: str) -> None:
    m = swapped(kernel)
    assert saved(m) == (1, 4)
    m.do("read")
    m.do("pageout")
    assert saved(m) == (0, 4)
    m.do("read")
    assert m.s.step.value == 3 and saved(m) == (1, 4) and m.broken() == set()
    m.do("write", c=5)
    m.do("pageout")
    assert saved(m) == (1, 6)


@pytest.mark.parametrize(("kernel", "cached"), [("6.1", 1), ("6.12", 0)])
def test_zeros_leave_memory_at_once_where_they_are_not_written(kernel: str, cached: int) -> None:
    m = Machine(kernel)
    m.do("write", c=0)
    m.do("pageout")
    assert saved(m) == (cached, 1)
    m.do("read")
    assert m.s.step.value == 0 and m.broken() == set()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_page_that_a_pipe_holds_stays_in_memory(kernel: str) -> None:
    m = swapped(kernel)
    m.do("read")
    m.do("vmsplice")
    m.do("pageout")
    assert saved(m) == (1, 4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_ksm_page_that_leaves_memory_comes_back_as_none(kernel: str) -> None:
    m = Machine(kernel)
    for v in range(2):
        m.do("write", v, c=3)
    m.do("mergeable", 0, 2)
    m.do("ksm_scan", c=2)
    m.do("write", 1, c=4)
    m.do("pageout")
    m.do("read")
    assert m.page().ksm
    node = m.page().node
    m.do("pageout")
    m.do("read")
    assert not m.page().ksm and not m.s.node[node - 1].frame and m.s.step.value == 3


@pytest.mark.parametrize(("kernel", "left"), [("5.10", 9), ("6.1", 9), ("7.2", 3)])
def test_what_a_device_stored_is_lost_where_a_load_left_the_page_writable_and_clean(kernel: str, left: int) -> None:
    m = swapped(kernel)
    m.do("read")
    m.do("pin")
    m.do("dma", c=9)
    m.do("unpin")
    m.do("pageout")
    m.do("read")
    assert m.s.step.value == left
    assert m.broken() == (set() if left == 9 else {"isolation"})


@pytest.mark.parametrize("verb", ["process_vm_writev", "mem_write"])
def test_what_another_stores_through_get_user_pages_is_not_lost(verb: str) -> None:
    m = swapped("7.2", 1)
    m.do("read")
    assert m.do(verb, c=9) == 0
    m.do("pageout")
    m.do("read")
    assert m.s.step.value == 9


def copied_after_swap(kernel: str) -> Machine:
    """Page 1 has copied a KSM page that it had alone, and that was swapped out."""
    machine = Machine(kernel).merged()
    machine.do("unmergeable", 0)
    machine.do("pageout", 1)
    machine.do("write", 1, c=7)
    assert not machine.page(1).ksm
    return machine


@pytest.mark.parametrize(("kernel", "merged"), [("5.10", 1), ("6.1", 0)])
def test_ksmd_merges_with_what_is_in_the_swap_cache_alone_before_6_1(kernel: str, merged: int) -> None:
    machine = copied_after_swap(kernel)
    machine.do("ksm_scan", c=1)
    assert (machine.page(1).ksm, machine.s.ksm.pages_shared) == (merged, merged)
    assert not machine.broken()


@pytest.mark.parametrize("verb", ["munmap", "ksm_run"])
def test_what_ksmd_can_merge_with_no_more_is_free(verb: str) -> None:
    machine = copied_after_swap("5.10")
    machine.do(verb, 1, c=2)
    if verb == "munmap":
        machine.do("ksm_scan", c=1)
    assert not any(machine.s.page[f].swap_cache for f in range(machine.s.page.shape[0]))
    assert not any(machine.s.node[n].used for n in range(machine.s.node.shape[0]))
