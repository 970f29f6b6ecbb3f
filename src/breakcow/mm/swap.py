"""Swapping of anonymous pages: MADV_PAGEOUT as far as mm/vmscan.c and mm/rmap.c, and do_swap_page() of mm/memory.c.

The device is one that writes in the background, as a disk does: a page that was written stays in the swap cache until it is freed.
Nothing here is short of memory.
"""

from breakcow.mm.flags import FAULT_FLAG_WRITE, KSM_RUN_UNMERGE, PROT_WRITE, VM_FAULT_WRITE
from breakcow.mm.huge_memory import page_trans_huge_map_swapcount
from breakcow.mm.page_alloc import (
    alloc_page,
    delete_from_swap_cache,
    folio_cache_ref_count,
    folio_swap_count,
    page_count,
    page_maybe_dma_pinned,
    put_page,
    stale_node,
)
from breakcow.mm.pgtable import is_anon_page, pte_clear, pte_mkdirty, set_pte
from breakcow.mm.schema import State

SWAPIN_COUNT = 0  # values of the behaviour swapin
SWAPIN_EXCLUSIVE = 1
SWAPIN_WRITABLE = 2
SWAPIN_LARGE_PAGE = 0  # values of the behaviour swapin_large
SWAPIN_LARGE_FREED = 1
SWAPIN_LARGE_MAPPED = 2


def reclaim_page(s: State, p: int, v: int) -> None:
    """shrink_folio_list() for a page that MADV_PAGEOUT isolated: what is mapped more than once, or may be pinned, stays."""
    pte = s.pte[p, v]
    if not is_anon_page(pte):
        return
    f = pte.frame
    page = s.page[f]
    if page.mapcount != 1 or page_maybe_dma_pinned(s, f):
        return
    if page.ksm and not rmap_walk_ksm(s, p, v):
        return
    if pte.dirty:
        page.saved = 0
    try_to_unmap(s, p, v)
    clean = page.saved
    if not clean:
        page.saved = page.content + 1  # pageout()
    if not page.refs and (clean or (s.kernel.swap_zeromap and page.content == 0)):
        leave_memory(s, f)


def leave_memory(s: State, f: int) -> None:
    """__remove_mapping(), mm/vmscan.c, of a page that is not being written: the frame is free, and what the swap area has is all there is.

    What was there already and has not changed since is not written again, and since 6.12 neither are zeros: of these only that they are
    zeros is noted.
    """
    page = s.page[f]
    page.content = page.saved - 1
    page.swap_cache = 0
    page.exclusive = 0
    stale_node(s, f)


def rmap_walk_ksm(s: State, p: int, v: int) -> int:
    """rmap_walk_ksm(), mm/ksm.c: the entry is found if an rmap_item of the page's stable node has its address, of this process or of one
    that it was forked from."""
    node = s.page[s.pte[p, v].frame].node
    for q in range(s.rmap.shape[0]):
        if node and s.rmap[q, v].node == node and not s.rmap[q, v].moved and s.vma[q, v].area == s.vma[p, v].area:
            return 1
    return 0


def try_to_unmap(s: State, p: int, v: int) -> None:
    """add_to_swap() and try_to_unmap_one(): a swap entry keeps soft-dirty, uffd-wp, and since 5.19 that the page was exclusive."""
    pte = s.pte[p, v]
    f = pte.frame
    page = s.page[f]
    soft_dirty = pte.soft_dirty
    uffd_wp = pte.uffd_wp
    pte_clear(pte)
    pte.swap = 1
    pte.frame = f
    pte.soft_dirty = soft_dirty
    pte.uffd_wp = uffd_wp
    pte.swp_exclusive = page.exclusive if s.kernel.swapin != SWAPIN_COUNT else 0
    page.exclusive = 0
    page.mapcount -= 1
    page.swapped += 1
    page.swap_cache = 1


def do_swap_page(s: State, p: int, v: int, flags: int) -> int:
    """do_swap_page(): the page is mapped again. A store that this does not do goes on to do_wp_page()."""
    pte = s.pte[p, v]
    s.page[pte.frame].swap_cache = 1  # swapin_readahead()
    f = ksm_might_need_to_copy(s, pte.frame)
    copied = 1 if f != pte.frame else 0
    if s.kernel.swapin == SWAPIN_COUNT:
        mine = reuse_swap_page(s, f, flags)
        swap_free(s, pte.frame)
    else:
        exclusive = pte.swp_exclusive or copied
        swap_free(s, pte.frame)
        mine = is_exclusive(s, f, flags, exclusive)
    return map_swapped_page(s, p, v, f, flags, 1 if mine or copied else 0)


def ksm_might_need_to_copy(s: State, f: int) -> int:
    """ksm_might_need_to_copy(), mm/ksm.c: a KSM page is mapped as one again only while its node is known and run is not 2.

    Kernels that swap a large folio in page by page take all of its pages but the first for such ones too, and copy them: these have no
    index of their own.
    """
    page = s.page[f]
    if page.folio and s.kernel.swapin_large == SWAPIN_LARGE_PAGE and not is_head(s, f):
        return alloc_page(s, page.content)
    if not page.ksm or (page.node and s.ksm.run != KSM_RUN_UNMERGE):
        return f
    return alloc_page(s, page.content)


def is_head(s: State, f: int) -> int:
    """compound_head() of a page of a large folio is the page itself."""
    for g in range(1, f):
        if s.page[g].folio == s.page[f].folio:
            return 0
    return 1


def swap_free(s: State, f: int) -> None:
    """swap_free(): the entry stands for the page no longer. The fault holds a reference of its own meanwhile."""
    s.page[f].swapped -= 1


def reuse_swap_page(s: State, f: int, flags: int) -> int:
    """reuse_swap_page(), until 5.18: a store to a page that only this entry stands for takes it out of the swap cache."""
    page = s.page[f]
    if not flags & FAULT_FLAG_WRITE or page.ksm or page_map_swapcount(s, f) > 1:
        return 0
    if folio_swap_count(s, f) == page.swapped:
        delete_from_swap_cache(s, f)
    return 1


def page_map_swapcount(s: State, f: int) -> int:
    """page_trans_huge_map_swapcount() of 5.10: how many entries map the page or stand for it; of a large folio that of its pages with the
    most."""
    if s.page[f].folio:
        return page_trans_huge_map_swapcount(s, f)
    return s.page[f].mapcount + s.page[f].swapped


def is_exclusive(s: State, f: int, flags: int, exclusive: int) -> int:
    """Whether the page is this process's own: the entry says so, or folio_free_swap() left no other reference."""
    page = s.page[f]
    if page.ksm:
        return 0
    freed_first = not page.folio or s.kernel.swapin_large == SWAPIN_LARGE_FREED
    if flags & FAULT_FLAG_WRITE and freed_first and should_try_to_free_swap(s, f):
        delete_from_swap_cache(s, f)  # folio_free_swap()
    return 1 if exclusive or page_count(s, f) == 0 else 0


def should_try_to_free_swap(s: State, f: int) -> int:
    """should_try_to_free_swap(), and what folio_free_swap() asks: only the swap cache and the fault refer to the folio, and no swap entry
    is left."""
    cache = folio_cache_ref_count(s, f) if s.page[f].folio else s.page[f].swap_cache
    return 1 if cache and page_count(s, f) == cache and not folio_swap_count(s, f) else 0


def map_swapped_page(s: State, p: int, v: int, f: int, flags: int, mine: int) -> int:
    """The rest of do_swap_page(): the entry, with the bits that were kept; what is uffd-wp is not writable."""
    pte = s.pte[p, v]
    old = pte.frame
    soft_dirty = pte.soft_dirty
    uffd_wp = pte.uffd_wp
    set_pte(pte, f)
    pte.soft_dirty = soft_dirty
    pte.uffd_wp = uffd_wp
    s.page[f].mapcount += 1
    result = 0
    if mine:
        s.page[f].exclusive = 1
        if may_write_at_once(s, p, v, flags):
            pte.write = 1 if s.vma[p, v].prot & PROT_WRITE else 0
            if flags & FAULT_FLAG_WRITE:
                pte_mkdirty(s, pte)
                result = VM_FAULT_WRITE if s.kernel.fault_write_result else 0
    if uffd_wp:
        pte.write = 0
    if f != old:
        put_page(s, old)
    return result


def may_write_at_once(s: State, p: int, v: int, flags: int) -> int:
    """Until 6.1 a store's entry is made writable and dirty, and only then protected; since then any entry whose store needs no fault."""
    if s.kernel.swapin != SWAPIN_WRITABLE:
        return 1 if flags & FAULT_FLAG_WRITE else 0
    pte = s.pte[p, v]
    vma = s.vma[p, v]
    if not vma.prot & PROT_WRITE or (vma.registered and pte.uffd_wp):
        return 0
    return 0 if s.kernel.mem_soft_dirty and not vma.soft_dirty and not pte.soft_dirty else 1
