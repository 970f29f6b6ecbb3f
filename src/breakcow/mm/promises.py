"""The nine promises, over the ghost and what can be seen of the kernel. Each gives 1 where it is broken."""

from breakcow.mm.flags import PROCESS_RUNNING, REUSE_EXCLUSIVE, ZERO_PAGE
from breakcow.mm.ghost import BREACH_EVENT, BREACH_READ, BREACH_TRAP
from breakcow.mm.schema import State

PROMISES = (
    ("unmerge-leaves-no-ksm", "after unmerging was asked for and granted, a KSM page, or a zero page that KSM placed, is mapped"),
    ("protect-traps-every-write", "a store to a write-protected page landed and nobody was told"),
    ("no-event-without-a-write", "an event came for a page that the program did not store to, or that nobody had protected"),
    ("soft-dirty-is-complete", "the page was stored to since clear_refs and does not read soft-dirty"),
    ("soft-dirty-is-precise", "the page was not stored to since clear_refs and reads soft-dirty"),
    ("isolation", "the page does not hold what its process last stored or inherited"),
    ("pin-sees-stores", "the page and the buffer pinned on it do not hold the same"),
    ("protection-only-where-armed", "the uffd-wp bit is set where no userfaultfd is registered"),
    ("internal-consistency", "the entries, flags and counters contradict each other"),
)


def broken_on_page(s: State, p: int, v: int) -> int:
    """The promises that are broken on one page of a running process, bit k for PROMISES[k]."""
    bits = 0
    if unmerge_leaves_ksm(s, p, v):
        bits |= 1
    if s.ghost[p, v].breach & BREACH_TRAP:
        bits |= 2
    if s.ghost[p, v].breach & BREACH_EVENT:
        bits |= 4
    if soft_dirty_missing(s, p, v):
        bits |= 8
    if soft_dirty_spurious(s, p, v):
        bits |= 16
    if pin_misses_stores(s, p, v):
        bits |= 64
    elif not isolated(s, p, v):
        bits |= 32
    if protected_unasked(s, p, v):
        bits |= 128
    if s.seen.internal and not consistent_page(s, p, v):
        bits |= 256
    return bits


def unmerge_leaves_ksm(s: State, p: int, v: int) -> int:
    """Promise 1."""
    pte = s.pte[p, v]
    if not s.ghost[p, v].unmerged or not pte.present:
        return 0
    if pte.frame == ZERO_PAGE:
        return s.ghost[p, v].ksm_zero
    return s.page[pte.frame].ksm


def soft_dirty(s: State, p: int, v: int) -> int:
    """What pagemap bit 55 shows."""
    return 1 if s.pte[p, v].soft_dirty or s.vma[p, v].soft_dirty else 0


def soft_dirty_missing(s: State, p: int, v: int) -> int:
    """Promise 4."""
    ghost = s.ghost[p, v]
    return 1 if s.seen.soft_dirty and ghost.mapped and ghost.written and not soft_dirty(s, p, v) else 0


def soft_dirty_spurious(s: State, p: int, v: int) -> int:
    """Promise 5. The documented exceptions are in ghost.exempt."""
    ghost = s.ghost[p, v]
    if not s.seen.soft_dirty or not ghost.mapped or ghost.written or ghost.exempt:
        return 0
    return soft_dirty(s, p, v)


def holds_value(s: State, p: int, v: int) -> int:
    """The page holds the ghost's value: as zeros where nothing is mapped. A content of -2 cannot be seen and is believed."""
    pte = s.pte[p, v]
    content = s.page[pte.frame].content if pte.present or pte.swap else 0
    return 1 if content == s.ghost[p, v].value or content == -2 else 0


def isolated(s: State, p: int, v: int) -> int:
    """Promise 6: what is mapped, what was read, and what a pipe holds that the program itself did not store over."""
    ghost = s.ghost[p, v]
    if ghost.breach & BREACH_READ or (ghost.mapped and not holds_value(s, p, v)):
        return 0
    if ghost.spliced and not ghost.stored and s.ref[p, v].spliced:
        return 1 if s.page[s.ref[p, v].spliced - 1].content == ghost.splice_value else 0
    return 1


def pin_misses_stores(s: State, p: int, v: int) -> int:
    """Promise 7."""
    ghost = s.ghost[p, v]
    if not ghost.pinned or not ghost.mapped or not s.ref[p, v].pinned:
        return 0
    if s.page[s.ref[p, v].pinned - 1].content != ghost.value:
        return 1
    return 0 if holds_value(s, p, v) else 1


def protected_unasked(s: State, p: int, v: int) -> int:
    """Promise 8."""
    return 1 if s.seen.uffd_wp and s.pte[p, v].uffd_wp and not s.ghost[p, v].registered else 0


def consistent_page(s: State, p: int, v: int) -> int:
    """Promise 9, for one entry: writable implies exclusive (since 5.19), and a KSM page is neither."""
    pte = s.pte[p, v]
    if not pte.present:
        return 1 if not pte.write and not pte.dirty else 0
    if pte.frame == ZERO_PAGE:
        return 1 if not pte.write else 0
    page = s.page[pte.frame]
    if page.ksm:
        return 1 if not pte.write and not page.exclusive and not page.pincount else 0
    if page.exclusive and page.mapcount != 1:
        return 0
    return 0 if s.kernel.wp_reuse == REUSE_EXCLUSIVE and pte.write and not page.exclusive else 1


def consistent_counters(s: State) -> int:
    """Promise 9, for the counters: they equal what the tables and the tree say."""
    if not consistent_tree(s):
        return 0
    if s.kernel.ksm_fork_copies_merging or not s.kernel.ksm_zero_pages_unmerge:
        return 1  # what fork does not count is subtracted all the same: the kernel's own counter is wrong
    count = 0
    for p in range(s.proc.shape[0]):
        count += ksm_zero_entries(s, p)
    return 1 if s.ksm.zero_pages == count else 0


def consistent_tree(s: State) -> int:
    """Promise 9, for all counters but those of zero pages, which no kernel keeps right: mapcounts, shared and sharing. Of zero pages that
    KSM placed, an mm counts at least those that it maps."""
    if not consistent_mapcounts(s) or not consistent_swap_counts(s):
        return 0
    shared = 0
    sharing = 0
    for n in range(s.node.shape[0]):
        if s.node[n].used and s.node[n].sharers:
            shared += 1
            sharing += s.node[n].sharers - 1
    if s.ksm.pages_shared != shared or s.ksm.pages_sharing != sharing:
        return 0
    for p in range(s.proc.shape[0]):
        if s.kernel.ksm_zero_pages_unmerge and s.proc[p].zero_pages < ksm_zero_entries(s, p):
            return 0
    return 1


def consistent_mapcounts(s: State) -> int:
    """Each frame that an entry maps counts its entries, and no other frame counts any."""
    counted = 0
    for f in range(1, s.page.shape[0]):
        counted += s.page[f].mapcount
    for p in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            f = s.pte[p, v].frame
            if s.pte[p, v].present and f != ZERO_PAGE:
                counted -= 1
                if s.page[f].mapcount != mappings(s, f):
                    return 0
    return 1 if counted == 0 else 0


def consistent_swap_counts(s: State) -> int:
    """The same for swap entries."""
    counted = 0
    for f in range(1, s.page.shape[0]):
        counted += s.page[f].swapped
    for p in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            if s.pte[p, v].swap:
                counted -= 1
                if s.page[s.pte[p, v].frame].swapped != swap_entries(s, s.pte[p, v].frame):
                    return 0
    return 1 if counted == 0 else 0


def mappings(s: State, f: int) -> int:
    """How many entries map frame `f`."""
    count = 0
    for p in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            if s.pte[p, v].present and s.pte[p, v].frame == f:
                count += 1
    return count


def swap_entries(s: State, f: int) -> int:
    """How many swap entries stand for frame `f`."""
    count = 0
    for p in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            if s.pte[p, v].swap and s.pte[p, v].frame == f:
                count += 1
    return count


def ksm_zero_entries(s: State, p: int) -> int:
    """How many entries of an mm map a zero page that KSM placed: the dirty ones."""
    count = 0
    for v in range(s.pte.shape[1]):
        pte = s.pte[p, v]
        if pte.present and pte.frame == ZERO_PAGE and pte.dirty:
            count += 1
    return count


def broken(s: State) -> int:
    """All promises broken anywhere, bit k for PROMISES[k]."""
    bits = 0
    for p in range(s.proc.shape[0]):
        if s.proc[p].state == PROCESS_RUNNING:
            for v in range(s.ghost.shape[1]):
                bits |= broken_on_page(s, p, v)
    if s.seen.internal and not consistent_counters(s):
        bits |= 256
    return bits
