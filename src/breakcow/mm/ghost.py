"""The ghost: what the program asked for and did, kept apart from what the kernel made of it.

It follows the outcomes of the operations alone, and of the kernel's state only which pages are present, so that it can follow a real
kernel as well. The promises are stated over it.
"""

from breakcow.mm.actions import VERB, VERBS
from breakcow.mm.flags import (
    BLOCKED,
    ENOMEM,
    EVENT_PAGEFAULT_WP,
    OK,
    ZERO_PAGE,
)
from breakcow.mm.ghost_process import KSM_RUN, KSM_SCAN, administrator, inherit, merge_any, start_afresh, uffd_open
from breakcow.mm.pgtable import is_anon_page
from breakcow.mm.schema import Ghost, State
from breakcow.mm.task_mmu import SCAN_PROTECT, SCAN_WRITTEN_PROTECT

WRITE = VERBS.index(VERB["write"])
READ = VERBS.index(VERB["read"])
COPY_TO_USER = VERBS.index(VERB["copy_to_user"])
MEM_WRITE = VERBS.index(VERB["mem_write"])
PROCESS_VM_READV = VERBS.index(VERB["process_vm_readv"])
PROCESS_VM_WRITEV = VERBS.index(VERB["process_vm_writev"])
MERGEABLE = VERBS.index(VERB["mergeable"])
UNMERGEABLE = VERBS.index(VERB["unmergeable"])
DONTNEED = VERBS.index(VERB["dontneed"])
DONTFORK = VERBS.index(VERB["dontfork"])
DOFORK = VERBS.index(VERB["dofork"])
POPULATE_WRITE = VERBS.index(VERB["populate_write"])
MREMAP = VERBS.index(VERB["mremap"])
MUNMAP = VERBS.index(VERB["munmap"])
FORK = VERBS.index(VERB["fork"])
EXIT = VERBS.index(VERB["exit"])
PAGEMAP_SCAN = VERBS.index(VERB["pagemap_scan"])
SPAWN = VERBS.index(VERB["spawn"])
MERGE_ANY = VERBS.index(VERB["merge_any"])
CLEAR_REFS = VERBS.index(VERB["clear_refs"])
UFFD_OPEN = VERBS.index(VERB["uffd_open"])
UFFD_REGISTER = VERBS.index(VERB["uffd_register"])
UFFD_PROTECT = VERBS.index(VERB["uffd_protect"])
UFFD_RELEASE = VERBS.index(VERB["uffd_release"])
UFFD_CLOSE = VERBS.index(VERB["uffd_close"])
PIN = VERBS.index(VERB["pin"])
UNPIN = VERBS.index(VERB["unpin"])
DMA = VERBS.index(VERB["dma"])
VMSPLICE = VERBS.index(VERB["vmsplice"])
DRAIN = VERBS.index(VERB["drain"])
BEGIN = VERBS.index(VERB["begin"])
RETRY = VERBS.index(VERB["retry"])

BREACH_TRAP = 1  # bits of ghost.breach
BREACH_EVENT = 2
BREACH_READ = 4


def begin(s: State) -> None:
    """The program as it starts: everything mapped, nothing asked for, soft-dirty never cleared, ksmd running."""
    s.ksm.asked_run = 1
    for v in range(s.ghost.shape[1]):
        s.ghost[0, v].mapped = 1
        s.ghost[0, v].exempt = 1


def follow(s: State, verb: int, p: int, v: int, n: int, c: int) -> None:
    """Take note of the step that was just taken, from its outcome in s.step, s.event and s.resumed."""
    for q in range(s.ghost.shape[0]):
        for w in range(s.ghost.shape[1]):
            s.ghost[q, w].breach = 0
    check_events(s, verb, p, v, n)
    if s.step.result == BLOCKED:
        remember(s, verb, p, v, n, c)
    elif s.step.result == OK or (verb in (DONTNEED, DONTFORK, DOFORK) and s.step.result == -ENOMEM):  # madvise() speaks of a hole last
        complete(s, verb, p, v, n, c, s.step.value)
    elif verb in (UFFD_PROTECT, UFFD_RELEASE, PAGEMAP_SCAN, POPULATE_WRITE):
        failed_half_way(s, verb, p, v, n)
    for k in range(s.step.events):
        went_as_far_as(s, s.event[k].process, s.event[k].page)
    for q in range(s.proc.shape[0]):
        if s.resumed[q].ended:
            complete_pending(s, q)
    look(s)


def failed_half_way(s: State, verb: int, p: int, v: int, n: int) -> None:
    """What failed may have changed the first pages of its range: their bits tell the program what it protected, and what it made dirty."""
    for w in range(v, v + n):
        if verb == POPULATE_WRITE:
            s.ghost[p, w].exempt |= s.pte[p, w].soft_dirty
        elif s.seen.uffd_wp and s.ghost[p, w].registered:
            s.ghost[p, w].armed = s.pte[p, w].uffd_wp


def remember(s: State, verb: int, p: int, v: int, n: int, c: int) -> None:
    """An operation that sleeps: it counts when it ends."""
    if verb == KSM_RUN:
        return
    proc = s.proc[p]
    proc.pending_verb = verb + 1
    proc.pending_first = v
    proc.pending_count = n
    proc.pending_argument = c


def went_as_far_as(s: State, p: int, page: int) -> None:
    """A store that sleeps at `page` may read soft-dirty there already: the fault sets the bit, and the event comes after. Prefaulting is
    done with the pages before it and never looks back."""
    proc = s.proc[p]
    if proc.pending_verb and stores(proc.pending_verb - 1):
        s.ghost[p, page].exempt = 1
    while proc.pending_verb - 1 == POPULATE_WRITE and proc.pending_first < page:
        complete_page(s, POPULATE_WRITE, p, proc.pending_first, 0, 0)
        proc.pending_first += 1
        proc.pending_count -= 1


def complete_pending(s: State, p: int) -> None:
    """An operation that slept has ended."""
    proc = s.proc[p]
    if proc.pending_verb and s.resumed[p].result == OK:
        complete(s, proc.pending_verb - 1, p, proc.pending_first, proc.pending_count, proc.pending_argument, s.resumed[p].value)
    elif proc.pending_verb - 1 == POPULATE_WRITE:
        failed_half_way(s, POPULATE_WRITE, p, proc.pending_first, proc.pending_count)
    proc.pending_verb = 0


def check_events(s: State, verb: int, p: int, v: int, n: int) -> None:
    """Promise 3: an event comes from a store, or what faults as one, of that process to that page, and the page is armed."""
    for k in range(s.step.events):
        event = s.event[k]
        if event.kind != EVENT_PAGEFAULT_WP:
            continue
        q = event.process
        asked = 1 if q == p and v <= event.page < v + n and stores(verb) else 0
        proc = s.proc[q]
        first = proc.pending_first
        if proc.pending_verb and first <= event.page < first + proc.pending_count and stores(proc.pending_verb - 1):
            asked = 1
        if not asked or not s.ghost[q, event.page].armed:
            s.ghost[q, event.page].breach |= BREACH_EVENT


def stores(verb: int) -> int:
    """Operations that store, or fault as a store does on the program's own request."""
    return 1 if verb in (WRITE, COPY_TO_USER, MEM_WRITE, PROCESS_VM_WRITEV, POPULATE_WRITE, PIN) else 0


def complete(s: State, verb: int, p: int, v: int, n: int, c: int, value: int) -> None:
    """What a successful operation means to the program."""
    if verb == FORK:
        inherit(s, p, c)
    elif verb == SPAWN:
        start_afresh(s, p, c)
    elif verb == MERGE_ANY:
        merge_any(s, p, c)
    elif verb == KSM_SCAN or verb == KSM_RUN:
        administrator(s, verb, c)
    elif verb == UFFD_OPEN:
        uffd_open(s, p, c)
    elif verb == BEGIN or verb == RETRY:
        other_thread(s, verb, p, v, c, value)
    elif verb == EXIT or verb == CLEAR_REFS or verb == UFFD_CLOSE:
        for w in range(s.ghost.shape[1]):
            complete_page(s, verb, p, w, c, value)
    else:
        for w in range(v, v + n):
            complete_page(s, verb, p, w, c, value)


def other_thread(s: State, verb: int, p: int, v: int, c: int, value: int) -> None:
    """A store of another thread that is made in pieces: `value` is 1 when it landed; before, its faults prepare the page for it."""
    proc = s.proc[p]
    if verb == BEGIN:
        proc.begun_first = v + 1
        proc.begun_argument = c
    if not proc.begun_first:
        return
    s.ghost[p, proc.begun_first - 1].exempt = 1
    if value == 1:
        stored(s, MEM_WRITE, p, proc.begun_first - 1, proc.begun_argument)
        proc.begun_first = 0


def complete_page(s: State, verb: int, p: int, v: int, c: int, value: int) -> None:
    """The same for one page."""
    if stores(verb):
        stored(s, verb, p, v, c)
    elif verb == READ or verb == PROCESS_VM_READV:
        if value != s.ghost[p, v].value:
            s.ghost[p, v].breach |= BREACH_READ
    elif UFFD_REGISTER <= verb <= UFFD_CLOSE:
        userfaultfd(s, verb, p, v)
    elif UNPIN <= verb <= DRAIN:
        referenced(s, verb, p, v, c)
    elif verb == PAGEMAP_SCAN:
        scanned(s, p, v, c)
    else:
        mapping(s, verb, p, v)


def stored(s: State, verb: int, p: int, v: int, c: int) -> None:
    """A store landed. Promise 2: not on an armed page, unless its userfaultfd only takes notes (WP_ASYNC)."""
    ghost = s.ghost[p, v]
    if ghost.armed and not s.proc[p].async_wp:
        ghost.breach |= BREACH_TRAP
    ghost.armed = 0 if s.proc[p].async_wp else ghost.armed
    huge_page_written(s, p, v)
    if verb == POPULATE_WRITE or verb == PIN:
        ghost.exempt = 1
        if verb == PIN:
            ghost.pinned = 1
        return
    ghost.value = c
    ghost.written = 1
    ghost.stored = ghost.spliced


def huge_page_written(s: State, p: int, v: int) -> None:
    """A store to a huge page that a PMD maps: soft-dirty is one bit of the PMD, as if all of its pages had been stored to."""
    for w in range(s.ghost.shape[1]):
        if s.pte[p, v].huge and s.pte[p, w].huge and s.vma[p, w].huge == s.vma[p, v].huge:
            s.ghost[p, w].exempt = 1


def referenced(s: State, verb: int, p: int, v: int, c: int) -> None:
    """Pins and pipes."""
    ghost = s.ghost[p, v]
    if verb == UNPIN:
        ghost.pinned = 0
    elif verb == DMA:
        ghost.stored = ghost.spliced
        if ghost.pinned:
            ghost.value = c
            ghost.exempt = 1
    elif verb == VMSPLICE:
        ghost.spliced = 1
        ghost.splice_value = ghost.value
        ghost.stored = 0
    else:
        forget_splice(ghost)


def forget_splice(ghost: Ghost) -> None:
    """The pipe is empty."""
    ghost.spliced = 0
    ghost.splice_value = 0
    ghost.stored = 0


def mapping(s: State, verb: int, p: int, v: int) -> None:
    """madvise, mremap, munmap, exit and clear_refs, for one page."""
    ghost = s.ghost[p, v]
    if verb == MERGEABLE:
        ghost.mergeable = 1
        ghost.unmerged = 0
    elif verb == UNMERGEABLE:
        ghost.mergeable = 0
        ghost.unmerged = 1
    elif verb == DONTNEED:
        give_up(ghost)
    elif verb == DONTFORK or verb == DOFORK:
        ghost.dontfork = 1 if verb == DONTFORK else 0
    elif verb == MREMAP:
        ghost.unmerged = 1 if ghost.mergeable else ghost.unmerged
        ghost.exempt = 1
        if not s.proc[p].event_remap:
            ghost.registered = 0
            ghost.armed = 0
    elif verb == MUNMAP or verb == EXIT:
        give_up(ghost)
        ghost.mapped = 0
        ghost.mergeable = 0
        ghost.unmerged = 0
        ghost.registered = 0
        ghost.dontfork = 0
        if verb == EXIT:
            ghost.exempt = 0
            forget_splice(ghost)
    elif verb == CLEAR_REFS:
        ghost.written = 0
        ghost.exempt = ghost.pinned


def give_up(ghost: Ghost) -> None:
    """The program discards the page: its content is zero, its protection, its dirt and its pin are no longer asked for."""
    ghost.value = 0
    ghost.armed = 0
    ghost.written = 0
    ghost.pinned = 0


def userfaultfd(s: State, verb: int, p: int, v: int) -> None:
    """The ioctls of the handler, for one page."""
    ghost = s.ghost[p, v]
    if verb == UFFD_REGISTER:
        ghost.registered = 1
    elif verb == UFFD_PROTECT:
        ghost.armed = 1 if s.pte[p, v].present or s.pte[p, v].swap or s.proc[p].all_holes else ghost.armed
    elif verb == UFFD_RELEASE:
        ghost.armed = 0
    else:
        ghost.armed = 0
        ghost.registered = 0


def scanned(s: State, p: int, v: int, c: int) -> None:
    """PAGEMAP_SCAN that write-protects: what was not is from now on, where its userfaultfd only takes notes."""
    if SCAN_WRITTEN_PROTECT <= c <= SCAN_PROTECT and s.ghost[p, v].registered and s.proc[p].async_wp:
        s.ghost[p, v].armed = 1


def look(s: State) -> None:
    """What the ghost keeps of the kernel's state: where pages are, to know a zero page that ksmd placed from any other."""
    for p in range(s.ghost.shape[0]):
        for v in range(s.ghost.shape[1]):
            pte = s.pte[p, v]
            ghost = s.ghost[p, v]
            ghost.was_page = is_anon_page(pte)
            if not pte.present or pte.frame != ZERO_PAGE:
                ghost.ksm_zero = 0
