"""Faults on transparent huge pages, mm/huge_memory.c and what of mm/memory.c they share with faults on entries of base pages."""

from breakcow.mm.flags import (
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    LARGE_NEVER,
    PROT_WRITE,
    REUSE_EXCLUSIVE,
    UFFD_FEATURE_WP_ASYNC,
    VM_FAULT_FALLBACK,
    VM_FAULT_WRITE,
    ZERO_PAGE,
)
from breakcow.mm.huge_memory import (
    folio_large_mapcount,
    folio_maybe_mapped_shared,
    haddr,
    hend,
    page_trans_huge_map_swapcount,
    pmd_none,
    pmd_trans_huge,
    split_huge_pmd,
)
from breakcow.mm.page_alloc import alloc_folio, alloc_page, delete_from_swap_cache, folio_ref_count, folio_swap_count
from breakcow.mm.pgtable import is_zero_pfn, pte_mkdirty, set_pte
from breakcow.mm.schema import State
from breakcow.mm.userfaultfd import handle_userfault, userfaultfd_pte_wp
from breakcow.mm.vma import anon_vma_prepare, vm_end, vm_start


def handle_pmd_fault(s: State, p: int, v: int, flags: int) -> int:
    """What __handle_mm_fault(), mm/memory.c, does with the PMD; VM_FAULT_FALLBACK where the fault is one of the page table."""
    if pmd_none(s, p, v) and thp_vma_allowable_order(s, p, v):
        return do_huge_pmd_anonymous_page(s, p, v, flags)
    if not pmd_trans_huge(s, p, v):
        return VM_FAULT_FALLBACK
    if flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE) and not s.pte[p, v].write:
        return wp_huge_pmd(s, p, v, flags)
    return huge_pmd_set_accessed(s, p, v, flags)


def thp_vma_allowable_order(s: State, p: int, v: int) -> int:
    """thp_vma_allowable_order(): one vma covers the whole region."""
    return 1 if vm_start(s, p, v) <= haddr(s, p, v) and vm_end(s, p, v) >= hend(s, p, v) else 0


def do_huge_pmd_anonymous_page(s: State, p: int, v: int, flags: int) -> int:
    """do_huge_pmd_anonymous_page(): the huge zero page for a load, a new huge page for a store."""
    anon_vma_prepare(s, p, v)
    if flags & FAULT_FLAG_WRITE:
        map_anon_folio_pmd(s, p, v)
        return 0
    for w in range(haddr(s, p, v), hend(s, p, v)):
        set_pte(s.pte[p, w], ZERO_PAGE)
        s.pte[p, w].huge = 1
    return 0


def map_anon_folio_pmd(s: State, p: int, v: int) -> None:
    """map_anon_folio_pmd_nopf(): a new huge page, exclusive, dirty, writable as the vma permits."""
    folio = alloc_folio(s)
    for w in range(haddr(s, p, v), hend(s, p, v)):
        f = alloc_page(s, 0)
        page = s.page[f]
        page.mapcount = 1
        page.exclusive = 1
        page.folio = folio
        page.rest = 1 if w + 1 == hend(s, p, v) else 0
        set_pte(s.pte[p, w], f)
        s.pte[p, w].huge = 1
        pte_mkdirty(s, s.pte[p, w])
        maybe_mkwrite(s, p, w)


def huge_pmd_set_accessed(s: State, p: int, v: int, flags: int) -> int:
    """huge_pmd_set_accessed(): the PMD permits the access."""
    if flags & FAULT_FLAG_WRITE:
        for w in range(haddr(s, p, v), hend(s, p, v)):
            pte_mkdirty(s, s.pte[p, w])
    return 0


def wp_huge_pmd(s: State, p: int, v: int, flags: int) -> int:
    """wp_huge_pmd(), mm/memory.c: a store to, or an unsharing read of, a huge page that is not mapped writable. A userfaultfd that only
    takes notes (WP_ASYNC) takes them page by page: the PMD is split."""
    if not flags & FAULT_FLAG_UNSHARE and userfaultfd_pte_wp(s, p, v):
        if not s.proc[p].features & UFFD_FEATURE_WP_ASYNC:
            return handle_userfault(s, p, v, flags)
        split_huge_pmd(s, p, v)
        return VM_FAULT_FALLBACK
    return do_huge_pmd_wp_page(s, p, v, flags)


def do_huge_pmd_wp_page(s: State, p: int, v: int, flags: int) -> int:
    """do_huge_pmd_wp_page(): a huge page of this process alone is taken over; any other is split, and base pages are copied."""
    if is_zero_pfn(s.pte[p, v]) and s.kernel.huge_zero_wp:
        map_anon_folio_pmd(s, p, v)  # do_huge_zero_wp_pmd()
        return 0
    if is_zero_pfn(s.pte[p, v]) or not can_reuse_huge(s, p, v):
        split_huge_pmd(s, p, v)
        return VM_FAULT_FALLBACK
    for w in range(haddr(s, p, v), hend(s, p, v)):
        if s.kernel.wp_reuse == REUSE_EXCLUSIVE:
            s.page[s.pte[p, w].frame].exclusive = 1
        if not flags & FAULT_FLAG_UNSHARE:
            pte_mkdirty(s, s.pte[p, w])
            maybe_mkwrite(s, p, w)
    return 0 if flags & FAULT_FLAG_UNSHARE else fault_write(s)


def can_reuse_huge(s: State, p: int, v: int) -> int:
    """Whether a huge page may be taken over: it is exclusive, or nobody else refers to it; before 5.18 nobody else maps any of it
    (reuse_swap_page())."""
    f = s.pte[p, v].frame
    if s.kernel.wp_reuse != REUSE_EXCLUSIVE:
        return 1 if page_trans_huge_map_swapcount(s, f) == 1 else 0
    return 1 if s.page[f].exclusive or folio_ref_count(s, f) == 1 else 0


def wp_can_reuse_large_folio(s: State, p: int, f: int) -> int:
    """wp_can_reuse_anon_folio() for a page of a large folio: never; since 6.15 if all references are mappings of this process, and more
    than one. The swap cache lets go of it first if no swap entry is left."""
    if s.kernel.wp_reuse_large == LARGE_NEVER:
        return 0
    count = folio_large_mapcount(s, f)
    if count <= 1 or folio_maybe_mapped_shared(s, f, p):
        return 0
    if not folio_swap_count(s, f):
        delete_from_swap_cache(s, f)
    if count != folio_ref_count(s, f):
        return 0
    s.page[f].exclusive = 1
    return 1


def fault_write(s: State) -> int:
    """What a completed copy-on-write returns: VM_FAULT_WRITE until 6.1, 0 since."""
    return VM_FAULT_WRITE if s.kernel.fault_write_result else 0


def maybe_mkwrite(s: State, p: int, v: int) -> None:
    """maybe_mkwrite(), include/linux/mm.h. A FOLL_FORCE store leaves the entry of a read-only vma read-only."""
    if s.vma[p, v].prot & PROT_WRITE:
        s.pte[p, v].write = 1
