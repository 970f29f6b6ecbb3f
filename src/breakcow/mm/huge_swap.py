"""Swapping of transparent huge pages: MADV_PAGEOUT of a huge region, mm/madvise.c and mm/vmscan.c, and do_swap_page() of mm/memory.c where
the page that comes back is one of a large folio.

A swap entry is always one of a base page. But the folio stays one in the swap cache, if it went there as one, and the swap cache holds a
reference to it for each of its pages.
"""

from breakcow.mm.flags import FAULT_FLAG_WRITE, LARGE_EXCLUSIVE, ZERO_PAGE
from breakcow.mm.huge_fault import thp_vma_allowable_order
from breakcow.mm.huge_memory import (
    can_split_folio,
    folio_large_mapcount,
    folio_maybe_mapped_shared,
    free_split_page,
    haddr,
    hend,
    pmd_trans_huge,
    split_folio,
    split_huge_pmd,
)
from breakcow.mm.page_alloc import delete_from_swap_cache, folio_cache_ref_count, folio_ref_count, page_maybe_dma_pinned
from breakcow.mm.pgtable import is_anon_page
from breakcow.mm.schema import State
from breakcow.mm.swap import (
    SWAPIN_LARGE_FREED,
    leave_memory,
    map_swapped_page,
    reclaim_page,
    should_try_to_free_swap,
    swap_free,
    try_to_unmap,
)


def pageout_huge(s: State, p: int, v: int, end: int) -> None:
    """madvise_cold_or_pageout_pte_range() for the pages from `v` up to `end`, which lie in one vma and one huge region.

    What a PMD maps is swapped out whole, or split first if a part of it only is to go; what others map as well stays.
    """
    if pmd_trans_huge(s, p, v):
        f = s.pte[p, v].frame
        if f == ZERO_PAGE or mapped_shared(s, p, haddr(s, p, v)):
            return
        if v == haddr(s, p, v) and end == hend(s, p, v):
            reclaim_folio(s, f)
            return
        if not split_folio(s, f):
            return
    while v < end:
        v = pageout_entry(s, p, v, end)


def pageout_entry(s: State, p: int, v: int, end: int) -> int:
    """One entry of the loop of madvise_cold_or_pageout_pte_range(), or as many as map one folio; gives the page to go on with."""
    f = s.pte[p, v].frame
    if not is_anon_page(s.pte[p, v]) or not s.page[f].folio:
        reclaim_page(s, p, v)
        return v + 1
    if not s.kernel.pageout_large:
        if mapped_shared(s, p, v) or not split_folio(s, f):
            return end
        return v
    after = folio_pte_batch(s, p, v, end)
    if whole_folio(s, p, v, after):
        if not folio_maybe_mapped_shared(s, f, p):  # folio_mapcount() == folio_nr_pages()
            reclaim_folio(s, f)
        return after
    return after if mapped_shared(s, p, v) or not split_folio(s, f) else v


def folio_pte_batch(s: State, p: int, v: int, end: int) -> int:
    """folio_pte_batch(): one past the last of the entries from `v` on that map one page after the other of a folio, alike but for the
    writable, the dirty and the soft-dirty bit."""
    w = v + 1
    while w < end and is_anon_page(s.pte[p, w]) and s.pte[p, w].uffd_wp == s.pte[p, v].uffd_wp:
        if s.page[s.pte[p, w].frame].folio != s.page[s.pte[p, v].frame].folio:
            return w
        w += 1
    return w


def whole_folio(s: State, p: int, v: int, end: int) -> int:
    """The pages from `v` up to `end`, all of one folio, are all of it."""
    return 1 if v == haddr(s, p, v) and end == hend(s, p, v) else 0


def mapped_shared(s: State, p: int, v: int) -> int:
    """Whether MADV_PAGEOUT leaves the large folio that page `v` is one of alone as others map it too: page_mapcount() until 6.1,
    folio_likely_mapped_shared() then, folio_maybe_mapped_shared() since 6.15."""
    f = s.pte[p, v].frame
    if not s.kernel.pageout_large:
        return 1 if s.page[f].mapcount != 1 else 0
    if folio_large_mapcount(s, f) <= 1:
        return 0
    if s.kernel.wp_reuse_large == LARGE_EXCLUSIVE:
        return folio_maybe_mapped_shared(s, f, p)
    return folio_likely_mapped_shared(s, p, v)


def folio_likely_mapped_shared(s: State, p: int, v: int) -> int:
    """folio_likely_mapped_shared(), 6.8 to 6.14: more entries map it than it has pages, which a PMD and anything else come to, or else
    several map its first page."""
    folio = s.page[s.pte[p, v].frame].folio
    first = haddr(s, p, v)
    named = hend(s, p, v) - first - 1
    single = 0
    rest = 0
    heads = 0
    for q in range(s.pte.shape[0]):
        for w in range(first, first + named + 1):
            pte = s.pte[q, w]
            if is_anon_page(pte) and s.page[pte.frame].folio == folio:
                single += 1 - s.page[pte.frame].rest
                rest += s.page[pte.frame].rest
                heads += 1 if w == first else 0
    return 1 if rest > 1 or (rest and single > named) or heads > 1 else 0


def reclaim_folio(s: State, f: int) -> None:
    """shrink_folio_list() for a large folio: it goes to the swap cache as one, unless somebody holds a reference to it, and every entry
    that maps it becomes a swap entry. What was there already and has not changed since is not written again: it is gone from memory then.
    """
    if page_maybe_dma_pinned(s, f) or (not s.page[f].swap_cache and not can_split_folio(s, f)):
        return
    folio = s.page[f].folio
    dirty = 0
    for p in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            if is_anon_page(s.pte[p, v]) and s.page[s.pte[p, v].frame].folio == folio:
                if pmd_trans_huge(s, p, v):
                    split_huge_pmd(s, p, v)
                dirty |= s.pte[p, v].dirty or not s.page[s.pte[p, v].frame].saved
                try_to_unmap(s, p, v)
    unused = folio_ref_count(s, f) == folio_cache_ref_count(s, f)
    for g in range(1, s.page.shape[0]):
        if s.page[g].folio == folio:
            if dirty:
                s.page[g].saved = s.page[g].content + 1  # pageout()
            elif unused:
                leave_memory(s, g)
                free_split_page(s, g)  # it is swapped in page by page, each as a small one


def swapped_whole(s: State, p: int, v: int) -> int:
    """Whether do_swap_page() maps all of a large folio at once: all of it is swapped out here, by entries that are alike
    (swap_pte_batch()), where one vma covers it."""
    f = s.pte[p, v].frame
    if not s.kernel.swapin_large or not s.page[f].folio or not thp_vma_allowable_order(s, p, v):
        return 0
    for w in range(haddr(s, p, v), hend(s, p, v)):
        if not same_swap_entry(s, p, v, w):
            return 0
    return 1


def same_swap_entry(s: State, p: int, v: int, w: int) -> int:
    """The swap entries of two pages are of one folio, and alike but for their offsets."""
    a = s.pte[p, v]
    b = s.pte[p, w]
    if not b.swap or s.page[a.frame].folio != s.page[b.frame].folio:
        return 0
    return 1 if a.soft_dirty == b.soft_dirty and a.uffd_wp == b.uffd_wp and a.swp_exclusive == b.swp_exclusive else 0


def do_swap_folio(s: State, p: int, v: int, flags: int) -> int:
    """do_swap_page() for a large folio that is mapped again as a whole, page by page. A store makes all of its entries writable and dirty
    where the folio is this process's own.

    6.12 first frees it from the swap cache, and takes it over if no other reference is left. Later kernels map it, free it if the store is
    not done by that, and leave the rest to do_wp_page().
    """
    f = s.pte[p, v].frame
    mine = s.pte[p, v].swp_exclusive
    for w in range(haddr(s, p, v), hend(s, p, v)):
        swap_free(s, s.pte[p, w].frame)
    alone = 1 if flags & FAULT_FLAG_WRITE and should_try_to_free_swap(s, f) else 0
    if alone and s.kernel.swapin_large == SWAPIN_LARGE_FREED:
        mine = 1
    result = 0
    for w in range(haddr(s, p, v), hend(s, p, v)):
        result = map_swapped_page(s, p, w, s.pte[p, w].frame, flags, mine)
    if alone and (s.kernel.swapin_large == SWAPIN_LARGE_FREED or not s.pte[p, v].write):
        delete_from_swap_cache(s, f)
    return result
