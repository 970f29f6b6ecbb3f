"""The trees of KSM, mm/ksm.c: rmap_items, stable nodes and their counters. The order inside a tree shows nowhere, so it has none here."""

from breakcow.mm.page_alloc import put_forgotten_pages
from breakcow.mm.pgtable import is_anon_page
from breakcow.mm.schema import State


def stable_tree_insert(s: State, f: int) -> int:
    """stable_tree_insert(): a node of its own for the KSM page `f`, in front of others with the same content."""
    n = 0
    while s.node[n].used:
        n += 1
    node = s.node[n]
    s.ksm.last_born += 1
    node.used = 1
    node.frame = f + 1
    node.content = s.page[f].content
    node.sharers = 0
    node.born = s.ksm.last_born
    s.page[f].node = n + 1
    return n


def stable_tree_append(s: State, p: int, v: int, n: int) -> None:
    """stable_tree_append(): the rmap_item joins the node; the first counts as shared, each further one as sharing."""
    node = s.node[n]
    node.sharers += 1
    s.rmap[p, v].node = n + 1
    s.proc[p].merging += 1
    if node.sharers > 1:
        s.ksm.pages_sharing += 1
    else:
        s.ksm.pages_shared += 1


def stable_tree_search(s: State, content: int) -> int:
    """stable_tree_search(): a live node with this content that can take one more, the youngest first; -1 if there is none.

    A node without rmap_items takes none (is_page_sharing_candidate()): a page that nobody shared any more is not worth sharing.
    """
    found = -1
    for n in range(s.node.shape[0]):
        node = s.node[n]
        if not node.used or not node.frame or node.content != content:
            continue
        if 0 < node.sharers < s.ksm.max_page_sharing and (found < 0 or node.born > s.node[found].born):
            found = n
    return found


def leave_node(s: State, p: int, v: int) -> None:
    """The counters of one rmap_item that leaves its stable node."""
    node = s.node[s.rmap[p, v].node - 1]
    node.sharers -= 1
    s.rmap[p, v].node = 0
    forget_age(s, p, v)
    s.proc[p].merging -= 1
    if node.sharers > 0:
        s.ksm.pages_sharing -= 1
    else:
        s.ksm.pages_shared -= 1


def forget_age(s: State, p: int, v: int) -> None:
    """linear_page_index = 0, since 7.3: it lies over oldchecksum, age and remaining_skips (struct ksm_rmap_item)."""
    if s.kernel.ksm_stable_forgets:
        item = s.rmap[p, v]
        item.checksum = 0
        item.age = 0
        item.skips = 0


def remove_node_from_stable_tree(s: State, n: int) -> None:
    """remove_node_from_stable_tree(): every rmap_item leaves, and the node is freed."""
    for p in range(s.rmap.shape[0]):
        for v in range(s.rmap.shape[1]):
            if s.rmap[p, v].node == n + 1:
                leave_node(s, p, v)
    node = s.node[n]
    if node.frame:
        s.page[node.frame - 1].node = 0
    node.used = 0
    node.frame = 0


def remove_rmap_item_from_tree(s: State, p: int, v: int) -> None:
    """remove_rmap_item_from_tree(): out of whichever tree it is in. A node whose page was freed goes with all its items."""
    item = s.rmap[p, v]
    item.unstable = 0
    if not item.node:
        return
    n = item.node - 1
    if s.node[n].frame:
        leave_node(s, p, v)
    else:
        remove_node_from_stable_tree(s, n)


def free_rmap_item(s: State, p: int, v: int) -> None:
    """remove_rmap_item_from_tree() and free_rmap_item(): ksmd forgets the address."""
    remove_rmap_item_from_tree(s, p, v)
    item = s.rmap[p, v]
    item.exists = 0
    item.checksum = 0
    item.age = 0
    item.skips = 0
    item.moved = 0


def remove_all_stable_nodes(s: State) -> int:
    """remove_all_stable_nodes(): 1 if a page of one is still mapped, and stays."""
    busy = 0
    for n in range(s.node.shape[0]):
        node = s.node[n]
        if not node.used:
            continue
        if node.frame and s.page[node.frame - 1].mapcount:
            busy = 1
        else:
            remove_node_from_stable_tree(s, n)
    if not s.kernel.cow_frees_swap_cache:
        put_forgotten_pages(s)
    return busy


def unstable_tree_search(s: State, p: int, v: int) -> int:
    """unstable_tree_search_insert(), the search: the address (p * pages + v) of an item whose page has the same content now, -1 if none."""
    content = s.page[s.pte[p, v].frame].content
    pages = s.rmap.shape[1]
    for q in range(s.rmap.shape[0]):
        for w in range(pages):
            pte = s.pte[q, w]
            if s.rmap[q, w].unstable and is_anon_page(pte) and s.page[pte.frame].content == content:
                return q * pages + w
    return -1
