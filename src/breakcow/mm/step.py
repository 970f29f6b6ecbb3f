"""One step of a program: the operation, then whatever it woke, to the end or to the next fault that waits."""

from breakcow.mm.actions import VERB, VERBS
from breakcow.mm.dispatch import dispatch
from breakcow.mm.flags import BLOCKED, BUSY, OK, PROCESS_RUNNING
from breakcow.mm.ghost import begin
from breakcow.mm.schema import State
from breakcow.mm.vma import whole_range_mapped

SPAWN = VERBS.index(VERB["spawn"])
FORK = VERBS.index(VERB["fork"])
POPULATE_READ = VERBS.index(VERB["populate_read"])
POPULATE_WRITE = VERBS.index(VERB["populate_write"])
FIRST_UFFD = VERBS.index(VERB["uffd_register"])  # what the holder of the descriptor does, blocked process or not
LAST_UFFD = VERBS.index(VERB["uffd_close"])
FIRST_KERNEL = VERBS.index(VERB["ksm_scan"])


def boot(s: State) -> None:
    """The kernel before the first step: ksmd running and idle, one process with every page mapped read-write and nothing in it.

    The areas of `s.vma[0]` must be filled in by the caller, one number for each mapping.
    """
    s.ksm.run = 1
    s.ksm.max_page_sharing = 256
    s.proc[0].state = PROCESS_RUNNING
    s.seen.soft_dirty = s.kernel.mem_soft_dirty
    s.seen.uffd_wp = 1
    s.seen.internal = 1
    for v in range(s.vma.shape[1]):
        vma = s.vma[0, v]
        vma.mapped = 1
        vma.prot = 3
        vma.account = 1
        vma.soft_dirty = s.kernel.mem_soft_dirty
    begin(s)


def step(s: State, verb: int, p: int, v: int, n: int, c: int) -> None:
    """Execute one action of the action table; its outcome is in s.step, s.event and s.resumed."""
    clear_step(s)
    if may_act(s, verb, p, c):
        act(s, verb, p, v, n, c)
    else:
        s.step.result = BUSY


def act(s: State, verb: int, p: int, v: int, n: int, c: int) -> None:
    """The operation of an actor that may act, and what it wakes."""
    s.step.result = dispatch(s, verb, p, v, n, c)
    if s.step.result == BLOCKED:
        fall_asleep(s, verb, p, v, n, c)
    wake_up(s)


def clear_step(s: State) -> None:
    """Forget the last step's outcome; its choices are the caller's."""
    for k in range(s.step.events):
        s.event[k].kind = 0
        s.event[k].process = 0
        s.event[k].page = 0
    s.step.result = OK
    s.step.value = 0
    s.step.events = 0
    s.step.cow_ksm = 0
    s.step.warned = 0
    s.step.sleeps = 0
    s.step.ksm_woken = 0
    s.step.drawn = 0
    s.step.faults = 0
    for p in range(s.resumed.shape[0]):
        s.resumed[p].woken = 0
        s.resumed[p].ended = 0
        s.resumed[p].result = OK
        s.resumed[p].value = 0


def may_act(s: State, verb: int, p: int, c: int) -> int:
    """Whether the actor is there and not asleep. ksmd waits while the writer of 2 sleeps with ksm_thread_mutex."""
    if verb >= FIRST_KERNEL:
        return 0 if s.ksm.waiting else 1
    if FIRST_UFFD <= verb <= LAST_UFFD:
        return s.proc[p].uffd
    if s.proc[p].state != PROCESS_RUNNING or s.proc[p].waiting:
        return 0
    return 0 if (verb == FORK or verb == SPAWN) and s.proc[c].state else 1


def fall_asleep(s: State, verb: int, p: int, v: int, n: int, c: int) -> None:
    """Remember the operation that sleeps in handle_userfault(). Prefaulting goes on where it slept, and does not forget that it came past
    a hole (`unmapped_error` of madvise_walk_vmas()); all else starts again."""
    if verb >= FIRST_KERNEL:
        return
    proc = s.proc[p]
    proc.waiting = s.step.sleeps
    if verb in (POPULATE_READ, POPULATE_WRITE):
        slept = s.step.sleeps - 1
        c = 1 if c or whole_range_mapped(s, p, v, slept - v) else 0
        n = v + n - slept
        v = slept
    proc.verb = verb
    proc.first = v
    proc.count = n
    proc.argument = c


def wake_up(s: State) -> None:
    """Run on what was woken, processes in order, the writer of /sys/kernel/mm/ksm/run last."""
    result = s.step.result
    value = s.step.value
    for p in range(s.proc.shape[0]):
        if s.resumed[p].woken:
            resume(s, p)
    if s.step.ksm_woken:
        s.ksm.waiting = 0
        dispatch(s, FIRST_KERNEL + 1, 0, 0, 0, s.ksm.run)
        s.step.ksm_woken = 0
    s.step.result = result
    s.step.value = value


def resume(s: State, p: int) -> None:
    """The operation of process `p` goes on: it ends, or sleeps again in another fault."""
    proc = s.proc[p]
    s.resumed[p].woken = 0
    proc.waiting = 0
    s.step.value = 0
    result = dispatch(s, proc.verb, p, proc.first, proc.count, proc.argument)
    if result == BLOCKED:
        fall_asleep(s, proc.verb, p, proc.first, proc.count, proc.argument)
        return
    s.resumed[p].ended = 1
    s.resumed[p].result = result
    s.resumed[p].value = s.step.value
