"""One name for each state: what no promise and no later step can tell apart is made equal, in the same small language as `mm/`.

Frames, stable nodes, anon_vmas, fresh addresses, ranks on ksmd's list and contents are only ever compared, never looked at, so each is
renamed to the order in which the state names it. What is dead (the last step's outcome, the fields of an operation that no longer sleeps,
what is left of an exited process) is cleared. Neither changes what can follow: `tests/explore/test_normal.py` holds it to random programs.

Nothing is looked for where there is nothing (`if item.node and ...`), so that `specialise.py` sees which fields a search leaves as they
are.
"""

from breakcow.mm.flags import PROCESS_EXITED, PROCESS_NONE
from breakcow.mm.ghost import COPY_TO_USER, PROCESS_VM_WRITEV, WRITE
from breakcow.mm.mremap import FIRST_FRESH_AREA
from breakcow.mm.schema import State
from breakcow.mm.step import clear_step


def normalise(s: State, symmetric: int) -> None:
    """Bring `s` into its normal form, in place, after the promises were looked at; contents keep their names unless `symmetric`."""
    forget(s)
    name_frames(s)
    name_folios(s)
    name_nodes(s)
    name_ranks(s)
    for p in range(s.proc.shape[0]):
        name_anon_vmas(s, p)
        name_areas(s, p)
    if symmetric:
        name_contents(s)


def forget(s: State) -> None:
    """Clear what is dead."""
    clear_step(s)
    s.step.choices = 0
    for p in range(s.proc.shape[0]):
        forget_sleep(s, p)
        for v in range(s.vma.shape[1]):
            forget_page(s, p, v)


def forget_sleep(s: State, p: int) -> None:
    """The operation that a process slept in, once it is awake; the counters of an exited one."""
    proc = s.proc[p]
    if proc.count and not proc.waiting:
        proc.verb = 0
        proc.first = 0
        proc.count = 0
        proc.argument = 0
    if not proc.gup or proc.state == PROCESS_EXITED:
        proc.gup = 0
        proc.gup_foll = 0
        proc.gup_content = 0
        proc.begun_first = 0
        proc.begun_argument = 0
    if proc.pending_count and not proc.pending_verb:
        proc.pending_first = 0
        proc.pending_count = 0
        proc.pending_argument = 0
    if proc.state == PROCESS_EXITED:
        proc.merging = 0
        proc.zero_pages = 0
        proc.anon_vmas = 0


def forget_page(s: State, p: int, v: int) -> None:
    """What hangs on a page that has none: no process, no rmap_item, no pipe, no soft-dirty bits."""
    ghost = s.ghost[p, v]
    if ghost.breach:
        ghost.breach = 0
    if not s.seen.soft_dirty:
        ghost.written = 0
        ghost.exempt = 0
    if s.proc[p].state == PROCESS_EXITED:
        s.vma[p, v].area = 0
        s.vma[p, v].huge = 0
        s.vma[p, v].table = 0


def name_frames(s: State) -> None:
    """Frames count from 1, in the order of the entries, then of buffers and pipes, that hold them, then of rmap_items that know them."""
    k = 1
    for p in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            if s.pte[p, v].frame >= k:
                swap_frames(s, s.pte[p, v].frame, k)
                k += 1
    for p in range(s.ref.shape[0]):
        for v in range(s.ref.shape[1]):
            if s.ref[p, v].pinned and s.ref[p, v].pinned > k:
                swap_frames(s, s.ref[p, v].pinned - 1, k)
                k += 1
            if s.ref[p, v].spliced and s.ref[p, v].spliced > k:
                swap_frames(s, s.ref[p, v].spliced - 1, k)
                k += 1
    if not s.kernel.cow_frees_swap_cache:
        name_cached_frames(s, k)


def name_cached_frames(s: State, k: int) -> None:
    """Those that only the swap cache holds, for ksmd, from `k` on."""
    for p in range(s.rmap.shape[0]):
        for v in range(s.rmap.shape[1]):
            if s.rmap[p, v].node and s.node[s.rmap[p, v].node - 1].frame > k:
                swap_frames(s, s.node[s.rmap[p, v].node - 1].frame - 1, k)
                k += 1


def swap_frames(s: State, f: int, g: int) -> None:
    """Exchange the names of two frames."""
    if f == g:
        return
    swap_page_records(s, f, g)
    for p in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            s.pte[p, v].frame = exchanged(s.pte[p, v].frame, f, g)
            if s.ref[p, v].pinned:
                s.ref[p, v].pinned = exchanged(s.ref[p, v].pinned, f + 1, g + 1)
            if s.ref[p, v].spliced:
                s.ref[p, v].spliced = exchanged(s.ref[p, v].spliced, f + 1, g + 1)
    for n in range(s.node.shape[0]):
        s.node[n].frame = exchanged(s.node[n].frame, f + 1, g + 1)


def exchanged(name: int, f: int, g: int) -> int:
    """`name` after `f` and `g` have exchanged theirs."""
    if name == f:
        return g
    return f if name == g else name


def swap_page_records(s: State, f: int, g: int) -> None:
    """Exchange what two frames hold."""
    a = s.page[f]
    b = s.page[g]
    a.content, b.content = b.content, a.content
    a.mapcount, b.mapcount = b.mapcount, a.mapcount
    a.pincount, b.pincount = b.pincount, a.pincount
    a.refs, b.refs = b.refs, a.refs
    a.exclusive, b.exclusive = b.exclusive, a.exclusive
    a.ksm, b.ksm = b.ksm, a.ksm
    a.node, b.node = b.node, a.node
    a.swapped, b.swapped = b.swapped, a.swapped
    a.swap_cache, b.swap_cache = b.swap_cache, a.swap_cache
    a.saved, b.saved = b.saved, a.saved
    a.folio, b.folio = b.folio, a.folio
    a.rest, b.rest = b.rest, a.rest


def name_folios(s: State) -> None:
    """Large folios count from 1 in the order of their pages."""
    k = 1
    for f in range(1, s.page.shape[0]):
        name = s.page[f].folio
        if name and name >= k:
            for g in range(f, s.page.shape[0]):
                s.page[g].folio = exchanged(s.page[g].folio, name, k)
            k += 1


def name_nodes(s: State) -> None:
    """Stable nodes count from 0 in the order of the rmap_items, then of the pages, in them; born counts those of one content."""
    k = 0
    for p in range(s.rmap.shape[0]):
        for v in range(s.rmap.shape[1]):
            if s.rmap[p, v].node and s.rmap[p, v].node > k:
                swap_nodes(s, s.rmap[p, v].node - 1, k)
                k += 1
    for f in range(1, s.page.shape[0]):
        if s.page[f].node and s.page[f].node > k:
            swap_nodes(s, s.page[f].node - 1, k)
            k += 1
    name_births(s)


def swap_nodes(s: State, n: int, m: int) -> None:
    """Exchange the names of two stable nodes."""
    if n == m:
        return
    a = s.node[n]
    b = s.node[m]
    a.used, b.used = b.used, a.used
    a.frame, b.frame = b.frame, a.frame
    a.content, b.content = b.content, a.content
    a.sharers, b.sharers = b.sharers, a.sharers
    a.born, b.born = b.born, a.born
    for p in range(s.rmap.shape[0]):
        for v in range(s.rmap.shape[1]):
            s.rmap[p, v].node = exchanged(s.rmap[p, v].node, n + 1, m + 1)
    for f in range(1, s.page.shape[0]):
        s.page[f].node = exchanged(s.page[f].node, n + 1, m + 1)


def name_births(s: State) -> None:
    """born: the eldest living node of a content is 1. A node that lost its page is in no search and has neither age nor content."""
    if not s.ksm.last_born:
        return
    for n in range(s.node.shape[0]):
        if not s.node[n].used or not s.node[n].frame:
            s.node[n].born = 0
            s.node[n].content = 0
    s.ksm.last_born = 0
    eldest = eldest_node(s)
    while eldest >= 0:
        rank = 1
        for n in range(s.node.shape[0]):
            if s.node[n].born < 0 and s.node[n].content == s.node[eldest].content:
                rank += 1
        s.node[eldest].born = -rank
        s.ksm.last_born = max(s.ksm.last_born, rank)
        eldest = eldest_node(s)
    for n in range(s.node.shape[0]):
        s.node[n].born = -s.node[n].born


def eldest_node(s: State) -> int:
    """The node with the lowest birth above 0, -1 if there is none."""
    found = -1
    for n in range(s.node.shape[0]):
        if s.node[n].born > 0 and (found < 0 or s.node[n].born < s.node[found].born):
            found = n
    return found


def name_ranks(s: State) -> None:
    """Ranks on ksmd's list of mms count from 1 without a gap."""
    if not s.ksm.last_entered:
        return
    if s.ksm.last_entered != ranked(s):
        close_gaps(s)


def ranked(s: State) -> int:
    """How many processes have a rank. If it is the highest one given out, there is no gap."""
    count = 0
    for p in range(s.proc.shape[0]):
        count += 1 if s.proc[p].entered > 0 else 0
    return count


def close_gaps(s: State) -> None:
    """Give the ranks in use new numbers, in their order."""
    k = 0
    found = 1
    while found:
        found = 0
        for p in range(s.proc.shape[0]):
            if s.proc[p].entered > k and (not found or s.proc[p].entered < found):
                found = s.proc[p].entered
        if found:
            k += 1
            for p in range(s.proc.shape[0]):
                if s.proc[p].entered == found:
                    s.proc[p].entered = k
    s.ksm.last_entered = k


def name_anon_vmas(s: State, p: int) -> None:
    """The anon_vmas of a process count from 1 in the order of its pages."""
    k = 1
    for v in range(s.vma.shape[1]):
        name = s.vma[p, v].anon_vma
        if name >= k:
            for w in range(v, s.vma.shape[1]):
                s.vma[p, w].anon_vma = exchanged(s.vma[p, w].anon_vma, name, k)
            k += 1
    s.proc[p].anon_vmas = k - 1


def name_areas(s: State, p: int) -> None:
    """The fresh addresses of a process count without a gap, in their order."""
    if s.proc[p].state == PROCESS_NONE:
        return
    k = FIRST_FRESH_AREA
    area = next_area(s, p, k)
    while area:
        for v in range(s.vma.shape[1]):
            if s.vma[p, v].area == area:
                s.vma[p, v].area = k
            if s.rmap[p, v].moved and s.rmap[p, v].moved - 1 == area:
                s.rmap[p, v].moved = k + 1
        k += 1
        area = next_area(s, p, k)


def next_area(s: State, p: int, k: int) -> int:
    """The lowest address from `k` on where process `p` has a page, or ksmd an rmap_item for one; 0 if there is none."""
    found = 0
    for v in range(s.vma.shape[1]):
        if s.vma[p, v].area:
            found = lower_area(found, s.vma[p, v].area, k)
        if s.rmap[p, v].moved:
            found = lower_area(found, s.rmap[p, v].moved - 1, k)
    return found


def lower_area(found: int, area: int, k: int) -> int:
    """The lower of two addresses that are `k` or higher, of which 0 is none."""
    return area if area >= k and (not found or area < found) else found


def name_contents(s: State) -> None:
    """Contents count from 1 in the order of frames, then of what the ghost, ksmd and a sleeping store remember. 0 is zeros."""
    k = 1
    for f in range(s.page.shape[0]):
        k = name_content(s, s.page[f].content, k)
        if s.page[f].saved:
            k = name_content(s, s.page[f].saved - 1, k)
    for p in range(s.ghost.shape[0]):
        for v in range(s.ghost.shape[1]):
            k = name_content(s, s.ghost[p, v].value, k)
            k = name_content(s, s.ghost[p, v].splice_value, k)
            k = name_content(s, s.rmap[p, v].checksum - 1, k)
        k = name_content(s, s.proc[p].gup_content, k)
        if sleeps_with_content(s.proc[p].verb):
            k = name_content(s, s.proc[p].argument, k)


def sleeps_with_content(verb: int) -> int:
    """Whether the argument of an operation that can sleep is a content."""
    return 1 if verb in (WRITE, COPY_TO_USER, PROCESS_VM_WRITEV) else 0


def name_content(s: State, c: int, k: int) -> int:
    """Give content `c` the name `k` unless it has a lower one; the next free name."""
    if c < k:
        return k
    swap_contents(s, c, k)
    return k + 1


def swap_contents(s: State, c: int, d: int) -> None:
    """Exchange two contents."""
    if c == d:
        return
    for f in range(s.page.shape[0]):
        s.page[f].content = exchanged(s.page[f].content, c, d)
        if s.page[f].saved:
            s.page[f].saved = exchanged(s.page[f].saved, c + 1, d + 1)
    for n in range(s.node.shape[0]):
        s.node[n].content = exchanged(s.node[n].content, c, d)
    for p in range(s.ghost.shape[0]):
        for v in range(s.ghost.shape[1]):
            s.ghost[p, v].value = exchanged(s.ghost[p, v].value, c, d)
            if s.ghost[p, v].splice_value:
                s.ghost[p, v].splice_value = exchanged(s.ghost[p, v].splice_value, c, d)
            s.rmap[p, v].checksum = exchanged(s.rmap[p, v].checksum, c + 1, d + 1)
        swap_arguments(s, p, c, d)


def swap_arguments(s: State, p: int, c: int, d: int) -> None:
    """Exchange them in what a process is about to store."""
    proc = s.proc[p]
    if proc.gup_content:
        proc.gup_content = exchanged(proc.gup_content, c, d)
    if proc.begun_argument:
        proc.begun_argument = exchanged(proc.begun_argument, c, d)
    if sleeps_with_content(proc.verb):
        proc.argument = exchanged(proc.argument, c, d)
    if sleeps_with_content(proc.pending_verb - 1):
        proc.pending_argument = exchanged(proc.pending_argument, c, d)
