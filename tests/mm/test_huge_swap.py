"""Huge pages that are swapped out: what of them goes, what stays, and how they come back."""

import pytest

from breakcow.mm.flags import OK
from breakcow.mm.huge_swap import swapped_whole
from breakcow.mm.page_alloc import folio_cache_ref_count, folio_mapped, folio_ref_count, folio_swap_count
from mm.machine import Machine

KERNELS = ("5.10", "6.1", "6.12", "7.2")


def written(kernel: str = "7.2", processes: int = 3, entries: bool = False) -> Machine:
    """A machine with a huge page that holds 3, 4 and the rest; base-page entries map it if `entries`."""
    m = Machine(kernel, processes=processes, huge=True)
    m.do("write", 0, c=3)
    m.do("write", 1, c=4)
    if entries:
        m.do("mprotect", 1, c=1)
        m.do("mprotect", 1, c=3)
    return m


def swapped(kernel: str = "7.2", processes: int = 3, entries: bool = False) -> Machine:
    """The same, all of it swapped out."""
    m = written(kernel, processes, entries)
    assert m.do("pageout", 0, 3) == OK
    assert states(m) == "sss"
    return m


def states(m: Machine, p: int = 0) -> str:
    """A letter for each page: present, swapped, or none."""
    return "".join("p" if m.pte(v, p).present else "s" if m.pte(v, p).swap else "-" for v in range(3))


def large(m: Machine, v: int = 0) -> bool:
    """Whether the page is one of a large folio, mapped or swapped out."""
    return bool(m.s.page[m.pte(v).frame].folio)


def counts(m: Machine, f: int) -> tuple[int, int, int, int]:
    """References, those of the swap cache, entries that map it, swap entries."""
    return folio_ref_count(m.s, f), folio_cache_ref_count(m.s, f), folio_mapped(m.s, f), folio_swap_count(m.s, f)


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_a_pmd_maps_goes_whole(kernel: str) -> None:
    m = swapped(kernel)
    assert [large(m, v) for v in range(3)] == [True] * 3
    assert not any(m.pte(v).huge for v in range(3)) and m.s.vma[0, 0].table
    assert counts(m, m.pte().frame) == (4, 4, 0, 3)  # two base pages, the rest counts as two
    assert [m.pte(v).swp_exclusive for v in range(3)] == [int(kernel != "5.10")] * 3
    assert m.broken() == set()


@pytest.mark.parametrize(("kernel", "whole"), [("5.10", False), ("6.1", False), ("6.12", True), ("7.2", True)])
def test_what_entries_map_goes_whole_since_it_is_not_split_first(kernel: str, whole: bool) -> None:
    m = swapped(kernel, entries=True)
    assert large(m) == whole
    assert m.broken() == set()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("entries", [False, True])
def test_a_part_is_split_off(kernel: str, entries: bool) -> None:
    m = written(kernel, entries=entries)
    m.do("pageout", 1)
    assert states(m) == "psp" and not any(large(m, v) for v in range(3))
    m.do("read", 1)
    assert m.s.step.value == 4 and m.broken() == set()
    m = written(kernel, entries=entries)
    m.do("pageout", 0, 2)
    assert states(m) == "ssp" and not any(large(m, v) for v in range(3))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("entries", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_what_others_map_stays(kernel: str, entries: bool, count: int) -> None:
    m = written(kernel, entries=entries)
    m.do("fork", c=1)
    m.do("pageout", 0, count)
    assert states(m) == "ppp" and large(m) and m.pte().huge == int(not entries)
    m.do("exit", p=1)
    m.do("pageout", 0, 3)
    assert states(m) == "sss"


@pytest.mark.parametrize("count", [1, 3])
def test_the_huge_zero_page_stays_and_so_does_all_else(count: int) -> None:
    m = Machine("7.2", huge=True)
    m.do("read")
    m.s.page[5].swap_cache = 1  # a small page that no entry leads to
    m.do("pageout", 0, count)
    assert states(m) == "ppp" and m.pte().huge and m.s.page[5].swap_cache


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("holder", ["pin", "vmsplice"])
@pytest.mark.parametrize("entries", [False, True])
def test_what_somebody_holds_stays_whole_and_in_part(kernel: str, holder: str, entries: bool) -> None:
    m = written(kernel, entries=entries)
    m.do(holder, 0)
    m.do("pageout", 0, 3)
    m.do("pageout", 1)
    assert states(m) == "ppp" and large(m)


def test_what_is_in_the_swap_cache_goes_also_from_under_a_pipe_but_not_a_pin() -> None:
    for holder, state in (("vmsplice", "sss"), ("pin", "ppp")):
        m = swapped("7.2")
        m.do("read", 0)
        m.do(holder, 0)
        m.do("pageout", 0, 3)
        assert states(m) == state and large(m)  # what is held is not gone from memory


@pytest.mark.parametrize(("kernel", "state"), [("5.10", "s--"), ("6.1", "s--"), ("6.12", "s--"), ("7.2", "p--")])
def test_who_shares_a_folio_but_no_page_of_it_keeps_it_there_since_its_processes_are_known(kernel: str, state: str) -> None:
    m = written(kernel, entries=True)
    m.do("fork", c=1)
    m.do("dontneed", 1, 2)
    m.do("munmap", 0, p=1)
    m.do("pageout", 0)
    assert states(m) == state


@pytest.mark.parametrize(
    ("mine", "others", "split"),
    [((0, 1, 2), (1,), False), ((0, 1, 2), (2,), False), ((0, 1), (0,), False), ((0, 1), (1,), True), ((1,), (), True)],
)
def test_6_12_guesses_by_the_number_of_entries_and_the_first_page(mine: tuple[int, ...], others: tuple[int, ...], split: bool) -> None:
    m = written("6.12", entries=True)
    if others:
        m.do("fork", c=1)
    for v in range(3):
        if v not in mine:
            m.do("dontneed", v)
        if others and v not in others:
            m.do("munmap", v, p=1)
    m.do("pageout", 1)
    assert large(m, 1) is not split
    assert m.pte(1).present == int(bool(others))


def test_6_12_takes_what_a_pmd_and_something_else_map_for_shared() -> None:
    m = written("6.12")
    m.do("fork", c=1)
    m.do("munmap", 0, p=1)
    m.do("munmap", 2, p=1)
    m.do("pageout", 0)
    assert m.pte().huge and large(m)


def test_entries_that_are_not_alike_are_no_whole() -> None:
    m = written("7.2", entries=True)
    m.do("uffd_open")
    m.do("uffd_register", 0, 3)
    m.do("uffd_protect", 1)
    m.do("pageout", 0, 3)
    assert states(m)[:2] == "ss" and not large(m) and m.pte(1).uffd_wp and not m.pte(0).uffd_wp


@pytest.mark.parametrize(("kernel", "state"), [("5.10", "pss"), ("6.1", "pss"), ("6.12", "ppp"), ("7.2", "ppp")])
@pytest.mark.parametrize("verb", ["read", "write"])
def test_one_fault_brings_back_a_page_or_all_of_it(kernel: str, state: str, verb: str) -> None:
    m = swapped(kernel)
    f = m.pte().frame
    m.do(verb, 0, c=5)
    assert states(m) == state and m.pte().frame == f and large(m) and m.content() == (5 if verb == "write" else 3)
    assert m.broken() == set()


@pytest.mark.parametrize(("kernel", "copied"), [("5.10", True), ("6.1", True), ("6.12", False), ("7.2", False)])
def test_page_by_page_all_but_the_first_are_copied(kernel: str, copied: bool) -> None:
    m = swapped(kernel)
    f = m.pte(1).frame
    m.do("fork", c=1)
    m.do("read", 1)
    assert (m.pte(1).frame != f, m.page(1).exclusive, large(m, 1)) == (copied, int(copied), not copied)
    assert m.content(1) == 4
    m.do("read", 1, p=1)
    assert m.same(1, 1, 0, 1) != copied and m.broken() == set()


@pytest.mark.parametrize("change", ["discarded", "protected", "cleared", "forked", "apart"])
def test_what_is_not_all_there_or_not_alike_comes_back_page_by_page(change: str) -> None:
    m = swapped("7.2")
    assert swapped_whole(m.s, 0, 0)
    if change == "discarded":
        m.do("dontneed", 2)
    elif change == "protected":
        m.do("uffd_open")
        m.do("uffd_register", 0, 3)
        m.do("uffd_protect", 1)
    elif change == "cleared":
        m.s.pte[0, 2].soft_dirty = 0
    elif change == "forked":
        m.s.pte[0, 2].swp_exclusive = 0
    else:
        m.do("mprotect", 2, c=1)
    assert not swapped_whole(m.s, 0, 0)
    m.do("read")
    assert states(m)[:2] == "ps"


@pytest.mark.parametrize(("kernel", "cached"), [("6.12", 0), ("7.2", 4)])
def test_a_store_to_what_is_its_own_takes_all_over(kernel: str, cached: int) -> None:
    """6.12 asks whether to free it from the swap cache before it forgets that the fault is a store, 7.2 after."""
    m = swapped(kernel)
    m.do("write", 0, c=5)
    assert [(m.pte(v).write, m.pte(v).dirty, m.page(v).exclusive) for v in range(3)] == [(1, 1, 1)] * 3
    assert folio_cache_ref_count(m.s, m.pte().frame) == cached


@pytest.mark.parametrize(("kernel", "others"), [("6.12", 1), ("7.2", 0)])
def test_who_is_left_with_it_owns_all_of_it_or_the_page_that_it_stores_to(kernel: str, others: int) -> None:
    m = swapped(kernel)
    m.do("fork", c=1)
    m.do("exit", p=1)
    f = m.pte().frame
    m.do("write", 0, c=5)
    assert m.pte().frame == f and [m.page(v).exclusive for v in range(3)] == [1, others, others]
    assert folio_cache_ref_count(m.s, f) == 0 and m.broken() == set()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_store_while_another_has_it_copies(kernel: str) -> None:
    m = swapped(kernel)
    m.do("fork", c=1)
    m.do("write", 0, c=5)
    assert (m.content(), states(m, 1)) == (5, "sss")
    m.do("read", 0, p=1)
    assert m.s.step.value == 3 and not m.same(0, 0, 0, 1) and m.broken() == set()


def test_6_12_frees_the_swap_cache_of_one_page_that_is_left_and_7_2_copies() -> None:
    for kernel, moved in (("6.12", False), ("7.2", True)):
        m = swapped(kernel)
        m.do("fork", c=1)
        m.do("exit", p=1)
        m.do("dontneed", 1, 2)
        f = m.pte().frame
        m.do("write", 0, c=5)
        assert (m.pte().frame != f) is moved and m.page().exclusive and m.broken() == set()


def test_5_10_takes_a_page_over_that_no_other_entry_stands_for() -> None:
    m = swapped("5.10")
    f = m.pte().frame
    m.do("write", 0, c=5)
    assert m.pte().frame == f and m.pte().write and folio_cache_ref_count(m.s, f) == 4
    m = swapped("5.10")
    m.do("dontneed", 1, 2)
    m.do("write", 0, c=5)
    assert m.pte().frame == f and folio_cache_ref_count(m.s, f) == 0
    m = swapped("5.10")
    m.do("fork", c=1)
    m.do("munmap", 0, p=1)
    m.do("write", 0, c=5)
    assert m.pte().frame != f  # the other pages are in use twice


def test_what_was_not_stored_to_is_gone_from_memory_the_second_time() -> None:
    for verb, whole in (("read", False), ("write", True)):
        m = swapped("7.2")
        m.do(verb, 0, c=5)
        m.do("pageout", 0, 3)
        assert states(m) == "sss" and large(m) == whole
        m.do("read", 0)
        assert states(m) == ("ppp" if whole else "pss") and m.broken() == set()


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_swap_cache_lets_go_of_a_folio_as_one(kernel: str) -> None:
    m = swapped(kernel)
    f = m.pte().frame
    m.do("dontneed", 0, 2)
    assert counts(m, f)[1] == 4 and m.s.page[f].folio
    m.do("dontneed", 2)
    assert not any(m.s.page[g].swap_cache or m.s.page[g].folio for g in range(m.s.page.shape[0]))


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_folio_in_the_swap_cache_is_split_with_what_is_swapped_out(kernel: str) -> None:
    m = swapped(kernel)
    m.do("mprotect", 2, c=1)  # no whole any more: one page comes back
    m.do("read", 0)
    m.do("pageout", 0)
    assert states(m) == "sss" and not any(large(m, v) for v in range(3))
    assert [m.s.page[m.pte(v).frame].swap_cache for v in range(3)] == [0, 1, 1]  # the first was clean
    m.do("read", 1)
    assert m.s.step.value == 4 and m.broken() == set()


def test_large_pages_are_reused_once_the_swap_cache_lets_go() -> None:
    m = swapped("7.2")
    m.do("fork", c=1)
    m.do("read", 0)
    m.do("exit", p=1)
    f = m.pte().frame
    m.do("write", 0, c=5)
    assert m.pte().frame == f and folio_cache_ref_count(m.s, f) == 0
    m = swapped("7.2")
    m.do("fork", c=1)
    m.do("read", 0)
    m.do("write", 0, c=5)
    assert m.pte().frame != f


def test_a_store_that_userfaultfd_stops_frees_the_swap_cache_all_the_same() -> None:
    m = written("7.2")
    m.protected(0, 3)
    m.do("pageout", 0, 3)
    m.do("write", 0, c=5)
    assert states(m) == "ppp" and m.content() == 3 and folio_cache_ref_count(m.s, m.pte().frame) == 0


def test_splitting_frees_what_was_given_up_while_it_was_swapped_out() -> None:
    m = swapped("7.2")
    m.do("dontneed", 2)
    m.do("read", 0)
    m.do("pageout", 0)
    assert states(m) == "ss-" and sum(m.s.page[f].swap_cache for f in range(m.s.page.shape[0])) == 1
