"""Transparent huge pages of anonymous memory, mm/huge_memory.c: an entry of the page middle directory, its splitting, and a folio's.

The pages of a huge region (vma.huge) stand for all of its 512 base pages: each page for one, the last for the rest. While a PMD maps them,
each of their entries has `huge` and the bits of the PMD; splitting it makes 512 entries of it, which map the same folio.
"""

from breakcow.mm.flags import UPGRADE_DIRTY, ZERO_PAGE
from breakcow.mm.page_alloc import folio_cache_ref_count, folio_ref_count, page_in_use
from breakcow.mm.pgtable import is_anon_page, pte_clear, pte_mkdirty, pte_none, set_pte
from breakcow.mm.schema import State

SPLIT_CLEAN = 0  # values of the behaviour split_folio
SPLIT_SOFT_DIRTY = 1
SPLIT_ZERO_PAGE = 2


def haddr(s: State, p: int, v: int) -> int:
    """The first page of the huge region that page `v` lies in."""
    first: int = s.vma[p, v].huge - 1
    return first


def hend(s: State, p: int, v: int) -> int:
    """One past the last page of the huge region that page `v` lies in."""
    w = v + 1
    while w < s.vma.shape[1] and s.vma[p, w].huge == s.vma[p, v].huge:
        w += 1
    return w


def is_rest(s: State, p: int, v: int) -> int:
    """Page `v` stands for all base pages of its huge region that have no name, also where small pages are mapped there."""
    return 1 if s.vma[p, v].huge and v + 1 == hend(s, p, v) else 0


def pmd_trans_huge(s: State, p: int, v: int) -> int:
    """pmd_trans_huge(): a PMD maps the page."""
    huge: int = s.pte[p, v].huge
    return huge


def pmd_none(s: State, p: int, v: int) -> int:
    """pmd_none(): the page lies in a huge region that has neither a huge page nor a page table."""
    vma = s.vma[p, v]
    return 1 if vma.huge and not vma.table and pte_none(s.pte[p, v]) else 0


def pmd_populate_for_marker(s: State, p: int, v: int) -> None:
    """change_pmd_prepare(), mm/mprotect.c: where a marker shall be, there is a page table."""
    if s.pte[p, v].marker:
        pmd_populate(s, p, v)


def pmd_populate(s: State, p: int, v: int) -> None:
    """pmd_populate(): what of the region of page `v` is still together with it has a page table from now on."""
    if s.vma[p, v].huge:
        for w in range(haddr(s, p, v), hend(s, p, v)):
            if s.vma[p, w].area == s.vma[p, v].area:
                s.vma[p, w].table = 1


def split_huge_pmd(s: State, p: int, v: int) -> None:
    """__split_huge_pmd_locked(): entries in the place of the PMD that maps page `v`, with its bits and, for each page, its exclusiveness.

    Since some kernel they keep the dirty bit: on x86 pte_mkdirty() makes each of them soft-dirty as well. Of a huge zero page they are
    entries of the zero page, which keep the uffd-wp bit alone.
    """
    pmd_populate(s, p, v)
    for w in range(haddr(s, p, v), hend(s, p, v)):
        split_entry(s, p, w)


def split_entry(s: State, p: int, v: int) -> None:
    """One of the 512 entries of split_huge_pmd()."""
    pte = s.pte[p, v]
    dirty = pte.dirty
    pte.huge = 0
    pte.dirty = 0
    if pte.frame == ZERO_PAGE:
        pte.soft_dirty = 0
    elif dirty and s.kernel.split_pmd_dirty:
        pte_mkdirty(s, pte)


def split_huge_pmd_if_needed(s: State, p: int, v: int) -> None:
    """split_huge_pmd_if_needed(): a vma, or a range that is worked on, begins or ends at page `v`, inside of what a PMD maps."""
    if v < s.vma.shape[1] and pmd_trans_huge(s, p, v) and haddr(s, p, v) != v:
        split_huge_pmd(s, p, v)


def vma_adjust_trans_huge(s: State, p: int, start: int, end: int) -> None:
    """vma_adjust_trans_huge(): no PMD maps pages on both sides of `start`, or of `end`."""
    split_huge_pmd_if_needed(s, p, start)
    split_huge_pmd_if_needed(s, p, end)


def pmd_mkdirty(s: State, p: int, v: int) -> None:
    """The processor's dirty bit of the PMD that maps page `v`."""
    for w in range(haddr(s, p, v), hend(s, p, v)):
        s.pte[p, w].dirty = 1


def can_change_pmd_writable(s: State, p: int, v: int) -> int:
    """can_change_pmd_writable(), since 6.2: 0 where only the entries of base pages are made writable at once."""
    return 0 if pmd_trans_huge(s, p, v) and s.kernel.mprotect_writable == UPGRADE_DIRTY else 1


def split_folio(s: State, f: int) -> int:
    """split_huge_page_to_list(): the pages of the folio are small pages, wherever they are mapped. 0 if there is another reference to it
    than of the swap cache, where each page that a swap entry stands for stays.

    try_to_migrate() and remap_page() go over every entry: what they keep of the dirty bits differs, and since 6.12 a page of zeros becomes
    the zero page.
    """
    if not can_split_folio(s, f):
        return 0
    folio = s.page[f].folio
    for p in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            if is_anon_page(s.pte[p, v]) and s.page[s.pte[p, v].frame].folio == folio:
                remap_page(s, p, v)
    for g in range(1, s.page.shape[0]):
        if s.page[g].folio == folio:
            free_split_page(s, g)
    return 1


def can_split_folio(s: State, f: int) -> int:
    """can_split_folio(): all references to the folio are mappings, or the swap cache's."""
    return 1 if folio_ref_count(s, f) - folio_cache_ref_count(s, f) == folio_large_mapcount(s, f) else 0


def free_split_page(s: State, f: int) -> None:
    """free_page_and_swap_cache() at the end of a split: the page is a small one, and free if no entry and no swap entry leads to it."""
    page = s.page[f]
    page.folio = 0
    page.rest = 0
    if not page.mapcount and not page.swapped:
        page.swap_cache = 0
        page.saved = 0
    if not page_in_use(s, f):
        page.content = 0
        page.exclusive = 0


def remap_page(s: State, p: int, v: int) -> None:
    """remove_migration_pte() for one entry of a folio that is split."""
    pte = s.pte[p, v]
    page = s.page[pte.frame]
    if pte.huge:
        pte.huge = 0
        s.vma[p, v].table = 1
    if s.kernel.split_folio == SPLIT_ZERO_PAGE and page.content == 0 and not page.rest:
        try_to_map_unused_to_zeropage(s, p, v)
    elif s.kernel.split_folio == SPLIT_CLEAN:
        page.saved = 0 if pte.dirty else page.saved
        pte.dirty = 0
    elif s.kernel.split_folio == SPLIT_SOFT_DIRTY and pte.dirty:
        pte_mkdirty(s, pte)


def try_to_map_unused_to_zeropage(s: State, p: int, v: int) -> None:
    """try_to_map_unused_to_zeropage(), mm/migrate.c: the zero page, with the soft-dirty and uffd-wp bits of what was there."""
    pte = s.pte[p, v]
    soft_dirty = pte.soft_dirty
    uffd_wp = pte.uffd_wp
    s.page[pte.frame].mapcount -= 1
    pte_clear(pte)
    set_pte(pte, ZERO_PAGE)
    pte.soft_dirty = soft_dirty
    pte.uffd_wp = uffd_wp


def folio_large_mapcount(s: State, f: int) -> int:
    """folio_large_mapcount(): a PMD counts once, each entry of a base page once; the rest of a folio is more than one base page."""
    folio = s.page[f].folio
    count = 0
    for p in range(s.pte.shape[0]):
        pmd = 0
        for v in range(s.pte.shape[1]):
            pte = s.pte[p, v]
            if not is_anon_page(pte) or s.page[pte.frame].folio != folio:
                continue
            if pte.huge:
                pmd = 1
            else:
                count += 1 + s.page[pte.frame].rest
        count += pmd
    return count


def folio_maybe_mapped_shared(s: State, f: int, p: int) -> int:
    """Whether a process other than `p` maps a page of the folio (FOLIO_MM_IDS_SHARED)."""
    for q in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            pte = s.pte[q, v]
            if q != p and is_anon_page(pte) and s.page[pte.frame].folio == s.page[f].folio:
                return 1
    return 0


def page_trans_huge_map_swapcount(s: State, f: int) -> int:
    """page_trans_huge_map_swapcount() of 5.10: how many entries map, or stand for, that page of the folio that has the most."""
    most = 0
    for g in range(1, s.page.shape[0]):
        if s.page[g].folio == s.page[f].folio:
            most = max(most, s.page[g].mapcount + s.page[g].swapped)
    return most
