"""Soft-dirty and PAGEMAP_SCAN, fs/proc/task_mmu.c."""

from breakcow.mm.flags import ENOTTY, EPERM, OK, UFFD_FEATURE_WP_ASYNC
from breakcow.mm.huge_memory import pmd_none, pmd_populate_for_marker, vma_adjust_trans_huge
from breakcow.mm.page_alloc import page_maybe_dma_pinned
from breakcow.mm.pgtable import is_zero_pfn, pte_none
from breakcow.mm.schema import Pte, State

SCAN_WRITTEN = 0  # as in actions.SCANS
SCAN_WRITTEN_PROTECT = 1
SCAN_WRITTEN_PROTECT_ASYNC = 2
SCAN_PROTECT = 3
SCAN_ANY_WRITTEN = 4
SCAN_NOT_WRITTEN = 5
SCAN_PRESENT = 6
SCAN_SWAPPED = 7
SCAN_ZERO = 8


def clear_refs(s: State, p: int, v: int, n: int, c: int) -> int:
    """clear_refs_write() of 4 (CLEAR_REFS_SOFT_DIRTY): no vma and no entry is soft-dirty any more, except what may be pinned."""
    for w in range(s.vma.shape[1]):
        s.vma[p, w].soft_dirty = 0
    for w in range(s.vma.shape[1]):
        clear_soft_dirty(s, p, w)
    return OK


def clear_soft_dirty(s: State, p: int, v: int) -> None:
    """clear_soft_dirty(): write-protect the entry, so that the next store faults and is seen. Empty without CONFIG_MEM_SOFT_DIRTY.

    clear_soft_dirty_pmd() does not ask whether the page is pinned.
    """
    pte = s.pte[p, v]
    if not s.kernel.mem_soft_dirty or (pte.present and not pte.huge and pte_is_pinned(s, pte)):
        return
    pte.write = 0
    pte.soft_dirty = 0


def pte_is_pinned(s: State, pte: Pte) -> int:
    """pte_is_pinned(): write-protecting a pinned page would hide nothing and may copy it later."""
    return 1 if pte.write and page_maybe_dma_pinned(s, pte.frame) else 0


def pagemap_scan(s: State, p: int, v: int, n: int, c: int) -> int:
    """ioctl(PAGEMAP_SCAN) of the pagemap file, do_pagemap_scan(): what is reported is in the step's value, a bit each page.

    pagemap_scan_test_walk(): to write-protect, a vma must be registered with WP_ASYNC. One that is not is left out, or with
    PM_SCAN_CHECK_WPASYNC ends the walk with -EPERM. -ENOTTY on a kernel without it.
    """
    if not s.kernel.pagemap_scan:
        return -ENOTTY
    for w in range(v, v + n):
        if not s.vma[p, w].mapped:
            continue
        if s.pte[p, w].huge:
            pagemap_scan_thp_entry(s, p, w, v, v + n, c)
        if SCAN_WRITTEN_PROTECT <= c <= SCAN_PROTECT and not userfaultfd_wp_async(s, p, w):
            if c != SCAN_WRITTEN_PROTECT:
                return -EPERM
        else:
            pagemap_scan_pte(s, p, w, c)
    return OK


def userfaultfd_wp_async(s: State, p: int, v: int) -> int:
    """userfaultfd_wp_async(): registered, and its userfaultfd takes notes instead of sending events."""
    return 1 if s.vma[p, v].registered and s.proc[p].features & UFFD_FEATURE_WP_ASYNC else 0


def pagemap_scan_thp_entry(s: State, p: int, v: int, start: int, end: int, c: int) -> None:
    """pagemap_scan_thp_entry(): a PMD of which a part only is to be write-protected is split, unless it is protected already."""
    if SCAN_WRITTEN_PROTECT <= c <= SCAN_PROTECT and userfaultfd_wp_async(s, p, v) and not s.pte[p, v].uffd_wp:
        vma_adjust_trans_huge(s, p, start, end)


def pagemap_scan_pte(s: State, p: int, v: int, c: int) -> None:
    """pagemap_scan_pmd_entry() for one entry. The page table itself is taken to be there, as that of a neighbour is."""
    if not pagemap_scan_is_interesting_page(s, p, v, c):
        return
    if c != SCAN_PROTECT:
        s.step.value |= 1 << v  # pagemap_scan_output()
    if SCAN_WRITTEN_PROTECT <= c <= SCAN_PROTECT:
        make_uffd_wp_pte(s.pte[p, v])
        pmd_populate_for_marker(s, p, v)


def pagemap_scan_is_interesting_page(s: State, p: int, v: int, c: int) -> int:
    """pagemap_scan_is_interesting_page(): the entry is of the category that is asked for."""
    pte = s.pte[p, v]
    if pmd_none(s, p, v) and c <= SCAN_NOT_WRITTEN:  # pagemap_scan_pte_hole()
        written = s.vma[p, v].registered * s.kernel.pagemap_scan_hole_written
        return 1 - written if c == SCAN_NOT_WRITTEN else written
    if c <= SCAN_PROTECT:  # the fast paths of pagemap_scan_pmd_entry()
        return 1 if not pte.uffd_wp and writes_are_known(s, p, v) else 0
    if c == SCAN_ANY_WRITTEN:
        return page_is_written(s, p, v)
    if c == SCAN_NOT_WRITTEN:
        return 1 - page_is_written(s, p, v)
    if c == SCAN_PRESENT:
        return 1 if pte.present else 0
    if c == SCAN_SWAPPED:
        return 1 if pte.marker or pte.swap else 0
    if c == SCAN_ZERO:
        return is_zero_pfn(pte)
    return 1 if pte.soft_dirty or s.vma[p, v].soft_dirty else 0


def page_is_written(s: State, p: int, v: int) -> int:
    """PAGE_IS_WRITTEN of pagemap_page_category(): not write-protected; what is not populated counts so since 7.2."""
    if not writes_are_known(s, p, v):
        return 0
    if pte_none(s.pte[p, v]):
        return s.kernel.pagemap_scan_hole_written
    return 0 if s.pte[p, v].uffd_wp else 1


def writes_are_known(s: State, p: int, v: int) -> int:
    """Before 7.3 memory that nobody registered reads as written altogether."""
    return 1 if s.vma[p, v].registered or not s.kernel.pagemap_scan_written_if_registered else 0


def make_uffd_wp_pte(pte: Pte) -> None:
    """make_uffd_wp_pte(): write-protected, where nothing is by a marker."""
    pte.uffd_wp = 1
    pte.write = 0
    if not pte.present and not pte.swap:
        pte.marker = 1
