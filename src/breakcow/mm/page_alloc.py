"""mm/page_alloc.c and the reference counts of struct page: where frames come from and when they are free again."""

from breakcow.mm.flags import ZERO_PAGE
from breakcow.mm.schema import State

GUP_PIN_COUNTING_BIAS = 1024  # what a pin adds to page_count(), include/linux/mm.h


def alloc_page(s: State, content: int) -> int:
    """A free frame that holds `content`, not mapped yet. The bounds leave always one free."""
    f = 1
    while page_in_use(s, f):
        f += 1
    page = s.page[f]
    page.content = content
    page.exclusive = 0
    page.ksm = 0
    page.node = 0
    return f


def page_in_use(s: State, f: int) -> int:
    """Something maps the frame or holds it, also where it is one of many in a folio."""
    page = s.page[f]
    return 1 if page.mapcount or page.swapped or page.swap_cache or page.refs or page.pincount else 0


def page_count(s: State, f: int) -> int:
    """page_count(): one for each mapping, GUP_PIN_COUNTING_BIAS for each pin, one for each other reference, that of the swap cache too.

    A page of a large folio has the folio's count.
    """
    page = s.page[f]
    if page.folio:
        return folio_ref_count(s, f)
    return page.mapcount + page.refs + page.swap_cache + page.pincount * GUP_PIN_COUNTING_BIAS


def folio_ref_count(s: State, f: int) -> int:
    """folio_ref_count() of a large folio: a PMD that maps it counts once, each entry once, and so do pins and other references; the swap
    cache counts for each of its pages."""
    folio = s.page[f].folio
    count = 0
    for g in range(1, s.page.shape[0]):
        page = s.page[g]
        if page.folio == folio:
            count += (page.mapcount + page.swap_cache) * (1 + page.rest) + page.refs + page.pincount * GUP_PIN_COUNTING_BIAS
    for p in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            pte = s.pte[p, v]
            if pte.huge and pte.frame != ZERO_PAGE and s.page[pte.frame].folio == folio:
                count -= 1  # n pages have counted n + 1: one is left for the PMD
    return count


def alloc_folio(s: State) -> int:
    """The name of a large folio that is none yet."""
    folio = 1
    f = 1
    while f < s.page.shape[0]:
        if s.page[f].folio == folio:
            folio += 1
            f = 0
        f += 1
    return folio


def page_maybe_dma_pinned(s: State, f: int) -> int:
    """page_maybe_dma_pinned(), include/linux/mm.h."""
    return 1 if page_count(s, f) >= GUP_PIN_COUNTING_BIAS else 0


def folio_cache_ref_count(s: State, f: int) -> int:
    """folio_cache_ref_count(): how many of a large folio's references are the swap cache's."""
    count = 0
    for g in range(1, s.page.shape[0]):
        if s.page[g].folio == s.page[f].folio:
            count += s.page[g].swap_cache * (1 + s.page[g].rest)
    return count


def folio_swap_count(s: State, f: int) -> int:
    """swap_page_trans_huge_swapped(), mm/swapfile.c: how many swap entries stand for pages of the folio; `f` may be a small page."""
    if not s.page[f].folio:
        swapped: int = s.page[f].swapped
        return swapped
    count = 0
    for g in range(1, s.page.shape[0]):
        if s.page[g].folio == s.page[f].folio:
            count += s.page[g].swapped
    return count


def folio_mapped(s: State, f: int) -> int:
    """folio_mapped(): whether an entry maps a page of the folio; `f` may be a small page."""
    if s.page[f].mapcount:
        return 1
    if s.page[f].folio:
        for g in range(1, s.page.shape[0]):
            if s.page[g].mapcount and s.page[g].folio == s.page[f].folio:
                return 1
    return 0


def delete_from_swap_cache(s: State, f: int) -> None:
    """delete_from_swap_cache(), mm/swap_state.c: a folio as one. Nobody can come by those of its pages again that nothing uses, but for
    `f`, which the caller holds."""
    folio = s.page[f].folio
    s.page[f].swap_cache = 0
    s.page[f].saved = 0
    for g in range(1, s.page.shape[0]):
        if folio and s.page[g].folio == folio:
            s.page[g].swap_cache = 0
            s.page[g].saved = 0
            if g != f and not page_in_use(s, g):
                free_page(s, g)


def put_page(s: State, f: int) -> None:
    """put_page() after a count was lowered: the last reference frees the frame, and its stable node goes stale.

    What nothing maps and no swap entry stands for leaves the swap cache first (free_swap_cache(), mm/swap_state.c), a folio as one. A page
    of a large folio is memory for as long as the folio lasts, but once nothing maps or holds it nobody can come by it again.
    """
    if s.page[f].swap_cache and not folio_mapped(s, f) and not folio_swap_count(s, f):
        delete_from_swap_cache(s, f)
    if f != ZERO_PAGE and not page_in_use(s, f):
        free_page(s, f)


def stays_for_ksmd(s: State, f: int) -> int:
    """A KSM page that the swap cache holds while rmap_items are in its stable node: ksmd can still merge with it."""
    page = s.page[f]
    return 1 if page.swap_cache and page.node and s.node[page.node - 1].sharers else 0


def put_forgotten_pages(s: State) -> None:
    """Let go of what is in the swap cache for ksmd alone, once it has no use for it."""
    for f in range(1, s.page.shape[0]):
        page = s.page[f]
        if page.swap_cache and not page.mapcount and not page.swapped and not page.folio and not stays_for_ksmd(s, f):
            put_page(s, f)


def free_page(s: State, f: int) -> None:
    """free_unref_page(): the frame is free, a small one again."""
    page = s.page[f]
    page.folio = 0
    page.rest = 0
    page.content = 0
    page.exclusive = 0
    page.saved = 0
    stale_node(s, f)


def stale_node(s: State, f: int) -> None:
    """The page is no KSM page any more, and its stable node is stale."""
    page = s.page[f]
    if page.node:
        node = s.node[page.node - 1]
        node.frame = 0
        if node.sharers == 0:
            node.used = 0
    page.ksm = 0
    page.node = 0
