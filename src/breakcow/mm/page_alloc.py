"""mm/page_alloc.c and the reference counts of struct page: where frames come from and when they are free again."""

from breakcow.mm.flags import ZERO_PAGE
from breakcow.mm.schema import State

GUP_PIN_COUNTING_BIAS = 1024  # what a pin adds to page_count(), include/linux/mm.h


def alloc_page(s: State, content: int) -> int:
    """A free frame that holds `content`, not mapped yet. The bounds leave always one free."""
    f = 1
    while page_count(s, f) != 0:
        f += 1
    page = s.page[f]
    page.content = content
    page.exclusive = 0
    page.ksm = 0
    page.node = 0
    return f


def page_count(s: State, f: int) -> int:
    """page_count(): one for each mapping, GUP_PIN_COUNTING_BIAS for each pin, one for each other reference, that of the swap cache too."""
    page = s.page[f]
    return page.mapcount + page.refs + page.swap_cache + page.pincount * GUP_PIN_COUNTING_BIAS


def page_maybe_dma_pinned(s: State, f: int) -> int:
    """page_maybe_dma_pinned(), include/linux/mm.h."""
    return 1 if page_count(s, f) >= GUP_PIN_COUNTING_BIAS else 0


def put_page(s: State, f: int) -> None:
    """put_page() after a count was lowered: the last reference frees the frame, and its stable node goes stale.

    What nothing maps and no swap entry stands for leaves the swap cache first (free_swap_cache(), mm/swap_state.c).
    """
    page = s.page[f]
    if not page.mapcount and not page.swapped:
        page.swap_cache = 0
    if f == ZERO_PAGE or page_count(s, f) != 0:
        return
    if page.node:
        node = s.node[page.node - 1]
        node.frame = 0
        if node.sharers == 0:
            node.used = 0
    page.content = 0
    page.exclusive = 0
    page.ksm = 0
    page.node = 0
