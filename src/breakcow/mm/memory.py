"""The fault path, mm/memory.c: one handle_mm_fault() serves stores, loads, GUP and break_ksm() alike."""

from breakcow.mm.flags import (
    FAULT_FLAG_ORIG_PTE_VALID,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    LARGE_AS_SMALL,
    PROT_WRITE,
    REUSE_EXCLUSIVE,
    REUSE_MAPCOUNT,
    UFFD_FEATURE_WP_ASYNC,
    VM_FAULT_FALLBACK,
    ZERO_PAGE,
)
from breakcow.mm.huge_fault import fault_write, handle_pmd_fault, maybe_mkwrite, wp_can_reuse_large_folio
from breakcow.mm.huge_memory import pmd_populate
from breakcow.mm.huge_swap import do_swap_folio, swapped_whole
from breakcow.mm.page_alloc import alloc_page, delete_from_swap_cache, page_count, put_page, stays_for_ksmd
from breakcow.mm.pgtable import is_anon_page, is_zero_pfn, ksm_might_unmap_zero_page, pte_mkdirty, set_pte
from breakcow.mm.schema import State
from breakcow.mm.swap import do_swap_page
from breakcow.mm.userfaultfd import handle_userfault, userfaultfd_pte_wp
from breakcow.mm.vma import anon_vma_prepare


def handle_mm_fault(s: State, p: int, v: int, flags: int) -> int:
    """handle_mm_fault(): resolve a fault of process `p` on page `v`; gives VM_FAULT_* bits, 0 for done."""
    return __handle_mm_fault(s, p, v, flags)


def __handle_mm_fault(s: State, p: int, v: int, flags: int) -> int:
    """__handle_mm_fault(): down the page table, as far as the PMD where that maps a huge page or may."""
    if s.vma[p, v].huge:
        fault = handle_pmd_fault(s, p, v, flags)
        if fault != VM_FAULT_FALLBACK:
            return fault
        pmd_populate(s, p, v)
    return handle_pte_fault(s, p, v, flags)


def handle_pte_fault(s: State, p: int, v: int, flags: int) -> int:
    """handle_pte_fault(): who handles the entry that is there."""
    pte = s.pte[p, v]
    if s.kernel.fault_orig_pte_valid:
        flags |= FAULT_FLAG_ORIG_PTE_VALID
    if pte.swap:
        fault = do_swap_folio(s, p, v, flags) if swapped_whole(s, p, v) else do_swap_page(s, p, v, flags)
        if flags & FAULT_FLAG_WRITE and not pte.dirty:  # the store is not done: do_swap_page() goes on
            return do_wp_page(s, p, v, flags)
        return fault
    if not pte.present:
        return do_anonymous_page(s, p, v, flags)
    if flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE) and not pte.write:
        return do_wp_page(s, p, v, flags)
    if flags & FAULT_FLAG_WRITE:
        pte_mkdirty(s, pte)
    return 0


def do_anonymous_page(s: State, p: int, v: int, flags: int) -> int:
    """do_anonymous_page(): the zero page for a load, a new page for a store; a uffd-wp marker becomes the bit."""
    pte = s.pte[p, v]
    vma = s.vma[p, v]
    protect = pte.marker and vma.registered
    if not flags & FAULT_FLAG_WRITE:
        set_pte(pte, ZERO_PAGE)
        pte.uffd_wp = 1 if protect else 0
        return 0
    anon_vma_prepare(s, p, v)
    map_new_page(s, p, v, 0)
    if vma.prot & PROT_WRITE:
        pte.write = 1
        pte_mkdirty(s, pte)
    if protect:
        pte.uffd_wp = 1
        pte.write = 0
    return 0


def map_new_page(s: State, p: int, v: int, content: int) -> None:
    """page_add_new_anon_rmap() and set_pte_at(): a new, exclusive page of this process, the entry clean and read-only."""
    f = alloc_page(s, content)
    s.page[f].mapcount = 1
    s.page[f].exclusive = 1
    set_pte(s.pte[p, v], f)


def do_wp_page(s: State, p: int, v: int, flags: int) -> int:
    """do_wp_page(): a store to, or an unsharing read of, a page that is not mapped writable."""
    pte = s.pte[p, v]
    unshare = flags & FAULT_FLAG_UNSHARE
    if not unshare and userfaultfd_pte_wp(s, p, v):
        if not s.proc[p].features & UFFD_FEATURE_WP_ASYNC:
            return handle_userfault(s, p, v, flags)
        pte.uffd_wp = 0
    if is_zero_pfn(pte):
        if unshare and not s.kernel.unshare_zero_page:
            return 0
        return wp_page_copy(s, p, v, flags)
    if can_reuse(s, p, pte.frame):
        if unshare:
            return 0
        wp_page_reuse(s, p, v)
        return fault_write(s)
    if s.page[pte.frame].ksm:
        s.step.cow_ksm += 1
    return wp_page_copy(s, p, v, flags)


def can_reuse(s: State, p: int, f: int) -> int:
    """Whether a write fault may take the anonymous page `f` over instead of copying it (wp_can_reuse_anon_folio() since 6.8)."""
    page = s.page[f]
    if page.folio and not page.exclusive and s.kernel.wp_reuse_large != LARGE_AS_SMALL:
        return wp_can_reuse_large_folio(s, p, f)
    if s.kernel.wp_reuse == REUSE_EXCLUSIVE:
        if not page.exclusive and not page.ksm and page_count(s, f) == 2 and not page.swapped:
            delete_from_swap_cache(s, f)  # folio_free_swap()
        if not page.exclusive and not page.ksm and page_count(s, f) == 1:
            page.exclusive = 1  # page_move_anon_rmap()
        return page.exclusive
    if page.ksm or page.mapcount != 1:
        return 0
    if s.kernel.wp_reuse == REUSE_MAPCOUNT:
        return 1
    if page_count(s, f) != 1:
        return 0
    return choose(s)  # page_count() may be raised by per-cpu LRU batches at any time


def choose(s: State) -> int:
    """A choice that the kernel makes by what nobody controls: 1 on the first path, 0 on the other. The caller explores both."""
    taken = s.step.choices >> s.step.drawn & 1
    s.step.drawn += 1
    return 1 - taken


def wp_page_reuse(s: State, p: int, v: int) -> None:
    """wp_page_reuse(): the same page, writable and dirty if the vma permits a store at all."""
    pte = s.pte[p, v]
    pte_mkdirty(s, pte)
    maybe_mkwrite(s, p, v)


def wp_page_copy(s: State, p: int, v: int, flags: int) -> int:
    """wp_page_copy(): a page of its own. A store makes it writable and dirty; unsharing keeps soft-dirty and uffd-wp and nothing else."""
    pte = s.pte[p, v]
    old = pte.frame
    anon = is_anon_page(pte)
    soft_dirty = pte.soft_dirty
    uffd_wp = pte.uffd_wp
    anon_vma_prepare(s, p, v)
    ksm_might_unmap_zero_page(s, p, pte)
    map_new_page(s, p, v, s.page[old].content)
    if flags & FAULT_FLAG_UNSHARE:
        pte.soft_dirty = soft_dirty
        pte.uffd_wp = uffd_wp
    else:
        pte_mkdirty(s, pte)
        maybe_mkwrite(s, p, v)
    if anon:
        s.page[old].mapcount -= 1
        if s.kernel.cow_frees_swap_cache or not stays_for_ksmd(s, old):
            put_page(s, old)
    return 0 if flags & FAULT_FLAG_UNSHARE else fault_write(s)
