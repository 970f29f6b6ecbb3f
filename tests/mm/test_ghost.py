"""What the program asked for and did, as the ghost notes it."""

import pytest

from breakcow.mm.flags import BLOCKED, EINVAL, ENOENT, ENOMEM, UFFD_FEATURE_EVENT_FORK, UFFD_FEATURE_EVENT_REMAP
from breakcow.mm.ghost import BREACH_EVENT, BREACH_READ, BREACH_TRAP, follow, stores
from mm.machine import NUMBER, Machine

ASYNC, HOLES, FORK, REMAP = 32, 16, UFFD_FEATURE_EVENT_FORK, UFFD_FEATURE_EVENT_REMAP


def told(machine: Machine, verb: str, v: int = 0, n: int = 1, c: int = 0, *, p: int = 0, result: int = 0, value: int = 0) -> Machine:
    """The ghost hears of an operation that ended in `result`, whatever the kernel did."""
    machine.s.step.result, machine.s.step.value = result, value
    follow(machine.s, NUMBER[verb], p, v, n, c)
    return machine


def ghost(machine: Machine, field: str, p: int = 0) -> list[int]:
    return [getattr(machine.s.ghost[p, v], field) for v in range(3)]


@pytest.mark.parametrize("verb", ["write", "copy_to_user", "mem_write", "process_vm_writev"])
def test_a_store_is_what_the_page_holds_and_dirt(verb: str) -> None:
    machine = told(told(Machine(), "vmsplice", 1), verb, 1, c=7)
    assert (ghost(machine, "value"), ghost(machine, "written"), ghost(machine, "stored")) == ([0, 7, 0], [0, 1, 0], [0, 1, 0])
    assert ghost(told(Machine(), verb, 1, c=7), "stored") == [0, 0, 0], "there is no pipe to tell from the page"
    machine = told(Machine(), verb, 1, c=7, result=-EINVAL)
    assert (ghost(machine, "value"), ghost(machine, "written")) == ([0, 0, 0], [0, 0, 0])


@pytest.mark.parametrize("verb", ["populate_write", "pin"])
def test_prefaulting_for_writing_and_pinning_store_nothing_but_may_read_soft_dirty(verb: str) -> None:
    machine = told(Machine(), "clear_refs")
    told(machine, verb, 1)
    assert (ghost(machine, "value"), ghost(machine, "written"), ghost(machine, "exempt")) == ([0] * 3, [0] * 3, [0, 1, 0])
    assert ghost(machine, "pinned") == ([0, 1, 0] if verb == "pin" else [0] * 3)


@pytest.mark.parametrize("protected", [False, True])
def test_prefaulting_that_comes_to_a_hole_may_have_made_pages_dirty_before(protected: bool) -> None:
    """At once, or after it has slept."""
    machine = Machine("6.1")
    machine.do("write", 1, c=7)
    if protected:
        machine.protected(1, 1)
    machine.do("clear_refs")
    machine.do("munmap", 0)
    assert machine.do("populate_write", 0, 3) == (BLOCKED if protected else -ENOMEM)
    if protected:
        machine.do("uffd_release", 1)
        assert machine.s.resumed[0].result == -ENOMEM
    assert (ghost(machine, "exempt")[1:], ghost(machine, "written"), machine.broken()) == ([1, 1], [0, 0, 0], set())


def test_which_operations_store_or_fault_as_one() -> None:
    named = {"write", "copy_to_user", "mem_write", "process_vm_writev", "populate_write", "pin"}
    assert {verb for verb, number in NUMBER.items() if stores(number)} == named


def test_a_store_to_an_armed_page_that_nobody_trapped_is_a_breach() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected()
    told(machine, "write", c=8)
    assert machine.s.ghost[0, 0].breach == BREACH_TRAP
    assert machine.s.ghost[0, 0].armed, "armed until it is released"
    told(machine, "read", value=8)
    assert machine.s.ghost[0, 0].breach == 0, "a breach belongs to its step"


def test_under_wp_async_a_store_disarms() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected(features=ASYNC)
    told(machine, "write", c=8)
    assert (machine.s.ghost[0, 0].breach, machine.s.ghost[0, 0].armed) == (0, 0)


@pytest.mark.parametrize("verb", ["read", "process_vm_readv"])
def test_a_load_that_gives_something_else_is_a_breach(verb: str) -> None:
    machine = told(Machine(), "write", c=7)
    assert told(machine, verb, value=7).s.ghost[0, 0].breach == 0
    assert told(machine, verb, value=8).s.ghost[0, 0].breach == BREACH_READ
    assert told(machine, verb, value=8, result=-EINVAL).s.ghost[0, 0].breach == 0


def test_mergeable_unmergeable_and_scans() -> None:
    machine = told(Machine(), "mergeable", 0, 2)
    assert ghost(machine, "mergeable") == [1, 1, 0]
    told(machine, "unmergeable", 1, 2)
    assert (ghost(machine, "mergeable"), ghost(machine, "unmerged")) == ([1, 0, 0], [0, 1, 1])
    told(machine, "mergeable", 1)
    assert (ghost(machine, "mergeable"), ghost(machine, "unmerged")) == ([1, 1, 0], [0, 0, 1])


def test_protecting_arms_what_is_present_and_holes_only_where_asked_for() -> None:
    for features, hole in ((0, 0), (HOLES, 1), (ASYNC, 1)):
        machine = Machine("6.12")
        machine.do("write", 0, c=7)
        machine.protected(0, 2, features)
        assert ghost(machine, "armed") == [1, hole, 0]
        assert ghost(machine, "registered") == [1, 1, 0]
        machine.do("uffd_release", 0)
        assert ghost(machine, "armed") == [0, hole, 0]


@pytest.mark.parametrize("verb", ["uffd_unregister", "uffd_close"])
def test_without_a_userfaultfd_nothing_is_armed(verb: str) -> None:
    machine = Machine("6.12")
    for v in range(3):
        machine.do("write", v, c=7)
    machine.protected(0, 3)
    machine.do(verb, 0, 2)
    left = [0, 0, 1] if verb == "uffd_unregister" else [0, 0, 0]
    assert (ghost(machine, "armed"), ghost(machine, "registered")) == (left, left)


def test_protecting_that_failed_half_way_is_known_by_its_bits() -> None:
    machine = Machine("6.12")
    for v in range(3):
        machine.do("write", v, c=1)
    machine.do("uffd_open")
    machine.do("uffd_register", 0)
    machine.do("uffd_register", 2)
    assert machine.do("uffd_protect", 0, 3) == -ENOENT
    assert ghost(machine, "armed") == [1, 0, 0]
    machine.do("uffd_protect", 2)
    assert machine.do("uffd_release", 0, 3) == -ENOENT
    assert ghost(machine, "armed") == [0, 0, 1]
    machine.s.seen.uffd_wp = 0
    machine.do("uffd_protect", 0, 3)
    assert ghost(machine, "armed") == [0, 0, 1], "where the bits cannot be seen nothing is known"
    assert machine.broken() == set()


@pytest.mark.parametrize("verb", ["dontneed", "munmap", "exit"])
def test_giving_a_page_up(verb: str) -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.do("pin")
    machine.do("mergeable")
    machine.do("vmsplice")
    machine.protected()
    machine.do(verb)
    one = machine.s.ghost[0, 0]
    assert (one.value, one.armed, one.written, one.pinned) == (0, 0, 0, 0)
    kept = 1 if verb == "dontneed" else 0
    assert (one.mapped, one.mergeable, one.registered) == (kept, kept, kept)
    assert one.spliced == (0 if verb == "exit" else 1)
    assert one.unmerged == 0


def test_giving_up_memory_that_was_unmerged() -> None:
    for verb, unmerged in (("dontneed", 1), ("munmap", 0), ("exit", 0)):
        machine = told(Machine(), "unmergeable")
        machine.do(verb)
        assert machine.s.ghost[0, 0].unmerged == unmerged


def test_dontneed_counts_although_a_hole_ends_it() -> None:
    machine = Machine()
    machine.do("write", 0, c=7)
    machine.do("munmap", 1)
    machine.do("dontneed", 0, 2)
    assert ghost(machine, "value") == [0, 0, 0]
    assert machine.broken() == set()


@pytest.mark.parametrize("features", [0, REMAP])
def test_moving_a_page(features: int) -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.do("mergeable")
    machine.protected(features=features)
    machine.do("clear_refs")
    machine.do("mremap")
    kept = 1 if features else 0
    one = machine.s.ghost[0, 0]
    assert (one.unmerged, one.exempt, one.registered, one.armed) == (1, 1, kept, kept)
    machine = told(Machine(), "mremap")
    assert machine.s.ghost[0, 0].unmerged == 0, "nobody asked for merging"


def test_clearing_soft_dirty() -> None:
    machine = Machine("6.12")
    machine.do("write", 0, c=7)
    machine.do("pin", 1)
    assert ghost(machine, "exempt") == [1, 1, 1]
    machine.do("clear_refs")
    assert (ghost(machine, "written"), ghost(machine, "exempt")) == ([0, 0, 0], [0, 1, 0])


def test_a_page_that_a_store_waits_for_may_read_soft_dirty_and_no_other() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected(n=3, features=HOLES)
    machine.do("clear_refs")
    machine.do("write", 1, c=9)
    assert machine.s.proc[0].waiting == 2
    assert ghost(machine, "exempt") == [0, 1, 0]


def test_a_device_stores_into_the_page_that_is_pinned() -> None:
    machine = Machine("6.12")
    machine.do("pin")
    machine.do("clear_refs")
    machine.do("dma", c=9)
    one = machine.s.ghost[0, 0]
    assert (one.value, one.exempt, one.written) == (9, 1, 0)
    machine.do("dontneed")
    machine.do("dma", c=5)
    assert one.value == 0, "the page was given up: the buffer is no longer part of the program's memory"
    machine.do("unpin")
    assert one.pinned == 0


def test_a_pipe_remembers_what_it_took() -> None:
    machine = told(Machine(), "write", c=7)
    told(machine, "vmsplice")
    one = machine.s.ghost[0, 0]
    assert (one.spliced, one.splice_value, one.stored) == (1, 7, 0)
    told(machine, "write", c=8)
    assert (one.splice_value, one.stored) == (7, 1)
    told(machine, "drain")
    assert one.spliced == 0


def test_an_operation_that_sleeps_counts_when_it_ends() -> None:
    machine = Machine("6.12")
    machine.do("write", 1, c=7)
    machine.protected(1)
    assert machine.do("write", 1, c=8) == BLOCKED
    proc = machine.s.proc[0]
    assert machine.s.ghost[0, 1].value == 7
    assert (proc.pending_verb, proc.pending_first, proc.pending_count, proc.pending_argument) == (NUMBER["write"] + 1, 1, 1, 8)
    machine.do("uffd_release", 1)
    assert (machine.s.ghost[0, 1].value, proc.pending_verb) == (8, 0)


def test_one_that_ends_in_failure_does_not_count() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected()
    machine.do("write", c=8)
    machine.s.vma[0, 0].prot = 1
    machine.do("uffd_release")
    assert machine.s.resumed[0].ended
    assert (machine.s.ghost[0, 0].value, machine.s.proc[0].pending_verb) == (7, 0)


def event(machine: Machine, p: int, v: int) -> Machine:
    machine.s.step.events = 1
    machine.s.event[0].kind, machine.s.event[0].process, machine.s.event[0].page = 1, p, v
    return machine


@pytest.mark.parametrize(
    ("verb", "v", "n", "p", "breach"),
    [
        ("write", 1, 1, 0, 0),
        ("populate_write", 0, 3, 0, 0),
        ("populate_write", 0, 2, 0, 0),
        ("populate_write", 0, 1, 0, BREACH_EVENT),
        ("populate_write", 2, 1, 0, BREACH_EVENT),
        ("write", 1, 1, 1, BREACH_EVENT),
        ("unmergeable", 0, 3, 0, BREACH_EVENT),
        ("ksm_run", 0, 0, 0, BREACH_EVENT),
    ],
)
def test_an_event_comes_from_a_store_to_that_page(verb: str, v: int, n: int, p: int, breach: int) -> None:
    machine = Machine("6.12")
    for w in range(3):
        machine.do("write", w, c=7)
    machine.do("fork", c=1)
    machine.protected(0, 3)
    told(event(machine, 0, 1), verb, v, n, p=p, result=BLOCKED)
    assert machine.s.ghost[0, 1].breach & BREACH_EVENT == breach


def test_an_event_for_a_page_that_nobody_protected_is_a_breach() -> None:
    machine = told(event(Machine("6.12"), 0, 0), "write", result=BLOCKED)
    assert machine.s.ghost[0, 0].breach & BREACH_EVENT


def test_an_event_of_an_operation_that_was_woken_is_no_breach() -> None:
    machine = Machine("6.12")
    for v in range(2):
        machine.do("write", v, c=v)
    machine.protected(0, 2)
    machine.do("populate_write", 0, 2)
    machine.do("uffd_release", 0)
    assert machine.events() == [(1, 0, 1)]
    assert machine.broken() == set()


def test_a_fork_message_is_no_event_of_a_fault() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected(features=FORK)
    machine.do("fork", c=1)
    assert machine.events() and machine.broken() == set()


@pytest.mark.parametrize("advice", ["dontfork", "dofork"])
def test_advice_over_a_hole_is_taken_for_the_rest(advice: str) -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    if advice == "dofork":
        machine.do("dontfork")
    machine.do("munmap", 1)
    assert machine.do(advice, 0, 2) == -ENOMEM
    machine.do("fork", c=1)
    inherited = advice == "dofork"
    assert (ghost(machine, "mapped", 1)[0], ghost(machine, "value", 1)[0]) == (int(inherited), 7 if inherited else 0)
    assert not machine.broken()
