"""The inner loop of the search: every successor of a run of states, each new one once. Compiled with the rules of `mm/`.

Many successors are made before any of them is looked up, so that the lookups, which miss every cache, overlap.
"""

from breakcow.explore.normal import normalise
from breakcow.explore.packing import pack, packed_words, unpack
from breakcow.explore.recall import CHOSEN, STEPS, TRANSITIONS, keep_steps, recall, unknown
from breakcow.explore.table import copy_row, find_or_insert, hash_row, same_row
from breakcow.explore.words import Row, States, Words
from breakcow.mm.flags import BUSY, PROCESS_NONE, PROCESS_RUNNING, ZERO_PAGE
from breakcow.mm.ghost import BREACH_EVENT, BREACH_READ, BREACH_TRAP, follow
from breakcow.mm.promises import broken, broken_on_page
from breakcow.mm.schema import State
from breakcow.mm.step import FORK, SPAWN, act, clear_step, may_act

FOUND = 1  # what `counts` holds besides TRANSITIONS
FINDS = 2
LOST = 3
BLOCK = 2048  # successors that are made by the rules before they are looked up, at most
DISABLED = -2  # instead of the next choices: there is no such step
MOST_CHOICES = 4  # successors of a state by one operation, on the average of a block
KINDS = 64  # of a page that a promise is broken on
PROMISES_CHECKED = 9
EXAMPLES = 4  # finds that are kept of each promise, operation and kind


def expand(
    frontier: Words,
    first: int,
    last: int,
    base: int,
    actions: Words,
    picked: int,
    symmetric: int,
    table: Row,
    work: States,
    raw: Words,
    made: Words,
    fresh: Words,
    masks: Words,
    keys: Row,
    places: Row,
    arena: Row,
    probes: Words,
    out: Words,
    origin: Words,
    finds: Words,
    tally: Row,
    counts: Row,
    sent: Row,
    shard: int,
    shards: int,
) -> int:
    """Expand the states `first` up to `last` of `frontier`; the first that was not, where `out` became full.

    frontier: packed states, a row each; `base` is the number of row 0. actions: (verb, process, page, pages, argument, content or 0,
    group or -1) a row. picked: the promises to check, a bit each. symmetric: contents are interchangeable. table: hashes of all states
    seen, a power of two long. work, raw: scratch states, the parents of a block and then BLOCK successors, and the same memory as
    words. made, fresh: scratch, (parent, action, choices, hash, slot) of each successor, and the successors packed. masks, keys,
    places, arena, probes: see recall.py. out, origin: packed new states and (parent, action, choices) of each. finds: (parent, action,
    choices, promises) of what is broken. tally: finds of each (operation, promise, kind). counts: TRANSITIONS and so on, added to.
    shard, shards: which states `table` is for, see owner(); those of others are given out too, but for those in `sent`, hashes given
    out lately.
    """
    parents = work.shape[0] - BLOCK
    room = MOST_CHOICES * parents * actions.shape[0]
    i = first
    while i < last and counts[FOUND] + room <= out.shape[0]:
        taken = min(parents, last - i)
        for j in range(taken):
            unpack(raw, j, frontier, i + j)
            probes[j, CHOSEN] = j
        chosen = taken
        for group in range(-1, masks.shape[0]):
            if group >= 0:
                k = recall(frontier, i, taken, base + i, masks, group, keys, places, arena, probes, made, fresh, counts)
                look_up(work, raw, made, fresh, k, actions, picked, table, out, origin, finds, tally, counts, sent, shard, shards)
                chosen = unknown(probes, taken)
            k = 0
            for a in range(actions.shape[0]):
                if actions[a, 6] == group:
                    k = by_operation(work, raw, made, k, probes, chosen, base + i, actions, a, symmetric, 0, counts)
                if group < 0 and 2 * k > BLOCK:
                    settle(work, raw, made, fresh, k, actions, picked, symmetric, finds, tally, counts)
                    look_up(work, raw, made, fresh, k, actions, picked, table, out, origin, finds, tally, counts, sent, shard, shards)
                    k = 0
            settle(work, raw, made, fresh, k, actions, picked, symmetric, finds, tally, counts)
            if group >= 0 and chosen:
                keep_steps(made, fresh, k, base + i, chosen, masks, group, keys, places, arena, probes)
            look_up(work, raw, made, fresh, k, actions, picked, table, out, origin, finds, tally, counts, sent, shard, shards)
        i += taken
    return i


def look_up(
    work: States,
    raw: Words,
    made: Words,
    fresh: Words,
    k: int,
    actions: Words,
    picked: int,
    table: Row,
    out: Words,
    origin: Words,
    finds: Words,
    tally: Row,
    counts: Row,
    sent: Row,
    shard: int,
    shards: int,
) -> None:
    """Keep what is new of the successors in the first `k` rows of `made` and `fresh`."""
    scratch = work.shape[0] - BLOCK
    for j in range(k):
        made[j, 4] = table[made[j, 3] & table.shape[0] - 1]  # misses all caches, for all j at once
    for j in range(k):
        if made[j, 3] and is_new(table, sent, made[j, 3], shard, shards):
            unpack(raw, scratch, fresh, j)
            keep(work[scratch], made, fresh, j, actions, picked, out, origin, finds, tally, counts)


def is_new(table: Row, sent: Row, h: int, shard: int, shards: int) -> int:
    """1 if nobody was told of the state with hash `h` yet, as far as this shard knows."""
    if shards == 1 or owner(h, shards) == shard:
        return find_or_insert(table, h)
    slot = h & sent.shape[0] - 1
    if sent[slot] == h:
        return 0
    sent[slot] = h
    return 1


def owner(h: int, shards: int) -> int:
    """Which of so many shards has the states with hash `h`: by bits that find_or_insert() does not look at first."""
    return (h >> 40 & 0xFFFFFF) % shards


def by_operation(
    work: States,
    raw: Words,
    made: Words,
    k: int,
    probes: Words,
    chosen: int,
    first: int,
    actions: Words,
    a: int,
    symmetric: int,
    idle: int,
    counts: Row,
) -> int:
    """The successors of the states in `work` that the first `chosen` rows of `probes` name, numbered from `first` on, by the operation `a`:
    from row `k` of `made` on, to the row before the one that is returned. idle: a step that leaves the state as it is has a row too; it is
    a transition in any case.

    One operation is tried on many states before the next is: what it does is the same from state to state, so that the processor guesses
    right which way the rules will go.
    """
    verb, p, v, n, c = actions[a, 0], actions[a, 1], actions[a, 2], actions[a, 3], actions[a, 4]
    for x in range(chosen):
        i = probes[x, CHOSEN]
        if not may_be_tried(work[i], verb, p, v, n, c, symmetric * actions[a, 5]):
            continue
        choices = 0
        while choices >= 0:
            if k == BLOCK:
                counts[LOST] += 1
                return k
            made[k, 0] = first + i
            made[k, 1] = a
            made[k, 2] = choices
            choices = successor(work, raw, made, i, k, actions, a, choices)
            if choices == DISABLED:
                break
            counts[TRANSITIONS] += 1
            probes[i, STEPS] += 1
            if idle or not same_row(raw, i, work.shape[0] - BLOCK + k):
                k += 1
    return k


def may_be_tried(s: State, verb: int, p: int, v: int, n: int, c: int, content: int) -> int:
    """Whether an operation is one of this state, as far as can be told before it is taken. content: what it stores, if contents are
    interchangeable."""
    if not may_act(s, verb, p, c) or (content > 1 and content > highest_content(s) + 1) or not in_one_piece(s, p, v, n):
        return 0
    return next_process(s, c) if verb == FORK or verb == SPAWN else 1


def successor(work: States, raw: Words, made: Words, i: int, k: int, actions: Words, a: int, choices: int) -> int:
    """Make row `k` of `made` what follows from state `i` by operation `a` and these choices; the next choices, -1 after the last, or
    DISABLED."""
    verb, p, v, n, c = actions[a, 0], actions[a, 1], actions[a, 2], actions[a, 3], actions[a, 4]
    row = work.shape[0] - BLOCK + k
    copy_row(raw, i, row)
    t = work[row]
    clear_step(t)
    t.step.choices = choices
    act(t, verb, p, v, n, c)
    if t.step.result == BUSY:
        return DISABLED
    follow(t, verb, p, v, n, c)
    return next_choices(choices, t.step.drawn)


def settle(
    work: States,
    raw: Words,
    made: Words,
    fresh: Words,
    k: int,
    actions: Words,
    picked: int,
    symmetric: int,
    finds: Words,
    tally: Row,
    counts: Row,
) -> None:
    """Pack the normal forms of the successors in the first `k` rows of `made`, and hash them; 0 for a find, which is noted and goes no
    further. A state that cannot be packed must be one: what is broken may count below 0."""
    parents = work.shape[0] - BLOCK
    for j in range(k):
        t = work[parents + j]
        made[j, 3] = 0
        bits = breaches(t) & picked
        if not bits:
            normalise(t, symmetric)
            if pack(raw, parents + j, fresh, j):
                bits = broken(t) & picked
                counts[LOST] += 0 if bits else 1
            else:
                made[j, 3] = hash_row(fresh, j)
        if bits:
            note(t, made, j, bits, actions[made[j, 1], 0], finds, tally, counts)


def next_choices(choices: int, drawn: int) -> int:
    """The next way through the kernel's free choices after one that drew `drawn` of them; -1 after the last."""
    bit = drawn - 1
    while bit >= 0:
        if not choices >> bit & 1:
            return choices & (1 << bit) - 1 | 1 << bit
        bit -= 1
    return -1


def in_one_piece(s: State, p: int, v: int, n: int) -> int:
    """No mremap took the pages of the range apart: else it is no one system call."""
    for w in range(v, v + n - 1):
        if s.vma[p, w].area != s.vma[p, w + 1].area:
            return 0
    return 1


def next_process(s: State, c: int) -> int:
    """A child takes the first free name."""
    return 1 if c > 0 and s.proc[c - 1].state != PROCESS_NONE else 0


def highest_content(s: State) -> int:
    """The highest content that is named anywhere: the next higher stands for all others."""
    highest = 0
    for f in range(s.page.shape[0]):
        highest = max(highest, s.page[f].content, s.page[f].saved - 1)
    for p in range(s.ghost.shape[0]):
        for v in range(s.ghost.shape[1]):
            highest = max(highest, s.ghost[p, v].value, s.ghost[p, v].splice_value, s.rmap[p, v].checksum - 1)
        highest = max(highest, s.proc[p].argument, s.proc[p].gup_content)
    return highest


def breaches(s: State) -> int:
    """The promises that the step itself broke, bit k for PROMISES[k]."""
    breach = 0
    for p in range(s.ghost.shape[0]):
        for v in range(s.ghost.shape[1]):
            breach |= s.ghost[p, v].breach
    bits = 2 if breach & BREACH_TRAP else 0
    bits |= 4 if breach & BREACH_EVENT else 0
    return bits | 32 if breach & BREACH_READ else bits


def keep(
    s: State,
    made: Words,
    fresh: Words,
    j: int,
    actions: Words,
    picked: int,
    out: Words,
    origin: Words,
    finds: Words,
    tally: Row,
    counts: Row,
) -> None:
    """A new state, `s` and row `j` of `fresh`: a find if it breaks a promise, else one of the next frontier."""
    bits = broken(s) & picked
    if bits:
        note(s, made, j, bits, actions[made[j, 1], 0], finds, tally, counts)
        return
    row = counts[FOUND]
    if row == out.shape[0]:
        counts[LOST] += 1
        return
    for w in range(packed_words()):
        out[row, w] = fresh[j, w]
    for column in range(3):
        origin[row, column] = made[j, column]
    counts[FOUND] += 1


def note(s: State, made: Words, j: int, bits: int, verb: int, finds: Words, tally: Row, counts: Row) -> None:
    """A find, unless there are enough like it."""
    wanted = 0
    for promise in range(PROMISES_CHECKED):
        if bits >> promise & 1:
            slot = (verb * PROMISES_CHECKED + promise) * KINDS + kind_of(s, promise)
            tally[slot] += 1
            if tally[slot] <= EXAMPLES:
                wanted = 1
    if not wanted:
        return
    row = counts[FINDS]
    if row == finds.shape[0]:
        counts[LOST] += 1
        return
    for column in range(3):
        finds[row, column] = made[j, column]
    finds[row, 3] = bits
    counts[FINDS] += 1


def kind_of(s: State, promise: int) -> int:
    """What the pages are on which the promise is broken: zero page, KSM page, protected, without access, registered, pinned, a bit each."""
    kind = 0
    for p in range(s.pte.shape[0]):
        for v in range(s.pte.shape[1]):
            if s.proc[p].state != PROCESS_RUNNING or not broken_on_page(s, p, v) >> promise & 1:
                continue
            pte = s.pte[p, v]
            if pte.present and pte.frame == ZERO_PAGE:
                kind |= 1
            if pte.present and pte.frame != ZERO_PAGE and s.page[pte.frame].ksm:
                kind |= 2
            if pte.uffd_wp:
                kind |= 4
            if s.vma[p, v].prot == 0:
                kind |= 8
            if s.vma[p, v].registered:
                kind |= 16
            if s.ghost[p, v].pinned:
                kind |= 32
    return kind
