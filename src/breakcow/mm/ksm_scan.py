"""ksmd, mm/ksm.c: one full scan of every listed mm, and the merging of what it finds."""

from breakcow.mm.flags import KSM_RUN_MERGE, OK, PROCESS_RUNNING, ZERO_PAGE
from breakcow.mm.huge_memory import is_rest, split_folio
from breakcow.mm.ksm_break import break_ksm
from breakcow.mm.ksm_tree import (
    forget_age,
    free_rmap_item,
    remove_rmap_item_from_tree,
    stable_tree_append,
    stable_tree_insert,
    stable_tree_search,
    unstable_tree_search,
)
from breakcow.mm.memory import choose
from breakcow.mm.page_alloc import page_maybe_dma_pinned, put_forgotten_pages, put_page
from breakcow.mm.pgtable import is_anon_page, pte_mkdirty, set_pte
from breakcow.mm.schema import State

NEW_KSM_PAGE = -1  # kpage == NULL: the page itself becomes the KSM page
AGE_MAX = 255


def ksm_do_scans(s: State, p: int, v: int, n: int, c: int) -> int:
    """`c` full scans, as far as ksmd is running."""
    if s.ksm.run == KSM_RUN_MERGE:
        for _ in range(c):
            ksm_do_scan(s)
    return OK


def ksm_do_scan(s: State) -> None:
    """ksm_do_scan() until scan_get_next_rmap_item() has been through the whole list; the unstable tree starts empty."""
    for p in range(s.rmap.shape[0]):
        for v in range(s.rmap.shape[1]):
            s.rmap[p, v].unstable = 0
    p = first_mm(s)
    while p >= 0:
        following = next_mm(s, p)
        scan_mm(s, p)
        p = following


def first_mm(s: State) -> int:
    """The first mm of ksmd's list, -1 if it is empty."""
    return mm_after(s, -2)


def next_mm(s: State, p: int) -> int:
    """The mm that follows on the list, -1 at its end. Mms of exited processes are in front, in no order that shows."""
    if s.proc[p].entered == -1:
        for q in range(p + 1, s.proc.shape[0]):
            if s.proc[q].entered == -1:
                return q
    return mm_after(s, s.proc[p].entered)


def mm_after(s: State, rank: int) -> int:
    """The mm with the lowest rank above `rank`."""
    found = -1
    for p in range(s.proc.shape[0]):
        entered = s.proc[p].entered
        if entered != 0 and entered > rank and (found < 0 or entered < s.proc[found].entered):
            found = p
    return found


def scan_mm(s: State, p: int) -> None:
    """scan_get_next_rmap_item() for one mm: visit the anonymous pages of its mergeable vmas by address, forget all other addresses."""
    mergeable = 0
    v = next_address(s, p, -1)
    while v >= 0:
        vma = s.vma[p, v]
        free_passed_items(s, p, v)
        if vma.mapped and vma.mergeable:
            mergeable = 1
        if can_scan(s, p, v):
            visit(s, p, v)
        else:
            free_rmap_item(s, p, v)
        if not s.kernel.cow_frees_swap_cache:
            put_forgotten_pages(s)
        v = next_address(s, p, v)
    if not mergeable:
        s.proc[p].entered = 0  # off the list, MMF_VM_MERGEABLE cleared


def free_passed_items(s: State, p: int, v: int) -> None:
    """get_next_rmap_item(): what mremap left behind at lower addresses than that of page `v` is freed before ksmd looks at it."""
    area = s.vma[p, v].area
    for w in range(s.vma.shape[1]):
        left = s.rmap[p, w].moved - 1
        if left >= 0 and (left < area or (left == area and w < v)):
            free_rmap_item(s, p, w)


def next_address(s: State, p: int, v: int) -> int:
    """The page after `v` in the order of addresses: by area, then by index; the lowest for -1; -1 at the end."""
    found = -1
    for w in range(s.vma.shape[1]):
        if v >= 0 and not below(s, p, v, w):
            continue
        if found < 0 or below(s, p, w, found):
            found = w
    return found


def below(s: State, p: int, v: int, w: int) -> int:
    """Page `v` lies at a lower address than `w`."""
    a = s.vma[p, v].area
    b = s.vma[p, w].area
    return 1 if a < b or (a == b and v < w) else 0


def can_scan(s: State, p: int, v: int) -> int:
    """Whether ksmd looks at the page: present, anonymous, in a mergeable vma of a living mm."""
    vma = s.vma[p, v]
    if s.proc[p].state != PROCESS_RUNNING or not vma.mapped or not vma.mergeable or not vma.anon_vma:
        return 0
    return 1 if is_anon_page(s.pte[p, v]) and not is_rest(s, p, v) else 0  # the rest is equal to nothing


def visit(s: State, p: int, v: int) -> None:
    """One rmap_item of the scan, made if ksmd has not been here before."""
    item = s.rmap[p, v]
    item.exists = 1
    if should_skip_rmap_item(s, p, v):
        remove_rmap_item_from_tree(s, p, v)
    else:
        cmp_and_merge_page(s, p, v)


def should_skip_rmap_item(s: State, p: int, v: int) -> int:
    """should_skip_rmap_item(): smart scan visits a page that never merges less and less often (since 6.7)."""
    item = s.rmap[p, v]
    if not s.ksm.smart_scan or s.page[s.pte[p, v].frame].ksm:
        return 0
    if s.kernel.ksm_stable_forgets and item.node:
        return 0  # its page has left it, and it has no age
    age = item.age
    if age != AGE_MAX:
        item.age += 1
    if age < 3:
        return 0
    if not item.skips:
        item.skips = skip_age(age)
        return 0
    item.skips -= 1
    return 1


def skip_age(age: int) -> int:
    """skip_age(): how many scans to leave out."""
    if age <= 3:
        return 1
    if age <= 5:
        return 2
    return 4 if age <= 8 else 8


def cmp_and_merge_page(s: State, p: int, v: int) -> None:
    """cmp_and_merge_page(): a page in its node stays; else stable tree, zero page, unstable tree, gated by the checksum."""
    page = s.page[s.pte[p, v].frame]
    item = s.rmap[p, v]
    if page.node and item.node == page.node:
        return
    if s.kernel.ksm_checksum_first:
        if not page.node:
            remove_rmap_item_from_tree(s, p, v)
            if checksum_changed(s, p, v) or merged_with_zero_page(s, p, v):
                return
        if not merged_with_stable_node(s, p, v):
            merge_with_unstable_tree(s, p, v)
        return
    if merged_with_stable_node(s, p, v) or checksum_changed(s, p, v) or merged_with_zero_page(s, p, v):
        return
    merge_with_unstable_tree(s, p, v)


def checksum_changed(s: State, p: int, v: int) -> int:
    """The gate: a page that is not as it was at the last visit is left alone until the next."""
    item = s.rmap[p, v]
    checksum = s.page[s.pte[p, v].frame].content + 1
    if item.checksum == checksum:
        return 0
    item.checksum = checksum
    return 1


def merged_with_zero_page(s: State, p: int, v: int) -> int:
    """try_to_merge_with_zero_page(): use_zero_pages, and the page is empty."""
    if not s.ksm.use_zero_pages or s.page[s.pte[p, v].frame].content != 0:
        return 0
    return try_to_merge_one_page(s, p, v, ZERO_PAGE)


def merged_with_stable_node(s: State, p: int, v: int) -> int:
    """The stable tree: a forked KSM page joins its own node, another page a node of its content. 1 if there was one, merged or not."""
    page = s.page[s.pte[p, v].frame]
    n = page.node - 1 if page.node else stable_tree_search(s, page.content)
    remove_rmap_item_from_tree(s, p, v)
    if n < 0:
        return 0
    if try_to_merge_one_page(s, p, v, s.node[n].frame - 1):
        stable_tree_append(s, p, v, n)
    return 1


def merge_with_unstable_tree(s: State, p: int, v: int) -> None:
    """The unstable tree: two equal pages become one KSM page (this one's frame stays); a page without an equal waits."""
    if search_ends_early(s):
        return
    twin = unstable_tree_search(s, p, v)
    if twin < 0:
        s.rmap[p, v].unstable = 1
        return
    q = twin // s.rmap.shape[1]
    w = twin % s.rmap.shape[1]
    f = s.pte[p, v].frame
    if s.pte[q, w].frame == f or not get_mergeable_page(s, q, w):
        return
    if s.page[f].folio and s.page[f].folio == s.page[s.pte[q, w].frame].folio:
        split_folio(s, f)  # ksmd holds both, so that it was split only after they could not be merged
        return
    if try_to_merge_two_pages(s, p, v, q, w):
        n = stable_tree_insert(s, f)
        stable_tree_append(s, q, w, n)
        stable_tree_append(s, p, v, n)


def search_ends_early(s: State) -> int:
    """unstable_tree_search_insert(): a node on its way whose page get_mergeable_page() does not find is the end of the search, and the page
    that was looked for neither merges nor waits. Which nodes lie on the way hangs on the bytes of all pages and on how the tree is
    balanced; the root always does."""
    lost = 0
    found = 0
    for p in range(s.rmap.shape[0]):
        for v in range(s.rmap.shape[1]):
            if s.rmap[p, v].unstable and get_mergeable_page(s, p, v):
                found = 1
            elif s.rmap[p, v].unstable:
                lost = 1
            elif s.vma[p, v].mergeable and is_rest(s, p, v):
                found = 1
    if lost and found:
        return choose(s)
    return lost


def get_mergeable_page(s: State, p: int, v: int) -> int:
    """get_mergeable_page(): follow_page() of 6.1 to 6.4 does not find pages of a PROT_NONE vma. A page of zeros may be gone since it came
    into the tree: its huge page was split."""
    if s.kernel.break_ksm_misses_protnone and s.vma[p, v].prot == 0:
        return 0
    return is_anon_page(s.pte[p, v])


def try_to_merge_two_pages(s: State, p: int, v: int, q: int, w: int) -> int:
    """try_to_merge_two_pages(): the scanned page becomes a KSM page, then the tree's page is replaced by it; else it is broken again."""
    if not try_to_merge_one_page(s, p, v, NEW_KSM_PAGE):
        return 0
    if not try_to_merge_one_page(s, q, w, s.pte[p, v].frame):
        forget_age(s, p, v)
        break_ksm(s, p, v)  # break_cow()
        return 0
    remove_rmap_item_from_tree(s, p, v)
    remove_rmap_item_from_tree(s, q, w)
    return 1


def try_to_merge_one_page(s: State, p: int, v: int, kpage: int) -> int:
    """try_to_merge_one_page(): map frame `kpage` here, or make the page itself a KSM page. 1 if it is done."""
    f = s.pte[p, v].frame
    if f == kpage:
        return 1  # ksm page forked
    if s.page[f].folio and not split_folio(s, f):
        return 0
    if s.pte[p, v].frame != f or not write_protect_page(s, p, v):
        return 0
    if kpage == NEW_KSM_PAGE:
        s.page[f].saved = 0  # SetPageDirty()
        s.page[f].ksm = 1
        return 1
    if s.page[f].content != s.page[kpage].content:
        return 0
    replace_page(s, p, v, kpage)
    return 1


def write_protect_page(s: State, p: int, v: int) -> int:
    """write_protect_page(): clean, read-only, not exclusive; 0 if anybody but the page tables holds a reference.

    A KSM page fails at once: page_address_in_vma() asks for its anon_vma, and it has none.
    """
    pte = s.pte[p, v]
    page = s.page[pte.frame]
    if page.ksm:
        return 0
    if pte.write or pte.dirty or page.exclusive:
        if page.refs or page_maybe_dma_pinned(s, pte.frame):
            return 0
        page.exclusive = 0
        page.saved = 0 if pte.dirty else page.saved
        pte.dirty = 0
        pte.write = 0
    return 1


def replace_page(s: State, p: int, v: int, kpage: int) -> None:
    """replace_page(): a fresh entry of `kpage`. Neither the uffd-wp bit nor the soft-dirty bit of the old entry is carried over."""
    pte = s.pte[p, v]
    old = pte.frame
    set_pte(pte, kpage)
    if kpage != ZERO_PAGE:
        s.page[kpage].mapcount += 1
    elif s.kernel.ksm_zero_pages_unmerge:
        pte_mkdirty(s, pte)
        s.ksm.zero_pages += 1
        s.proc[p].zero_pages += 1
    s.page[old].mapcount -= 1
    put_page(s, old)
