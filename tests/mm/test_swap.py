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
