"""One step: who may act, what falls asleep, and in which order the woken go on."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.actions import VERBS
from breakcow.mm.flags import BLOCKED, BUSY, ENOMEM, OK, PROCESS_RUNNING, SIGSEGV
from breakcow.mm.step import clear_step
from mm.machine import NUMBER, Machine

HANDLER = {"uffd_register", "uffd_protect", "uffd_release", "uffd_unregister", "uffd_close"}


def asleep() -> Machine:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected()
    assert machine.do("write", c=8) == BLOCKED
    return machine


@pytest.mark.parametrize(("kernel", "bit"), [("6.12", 1), ("6.18", 0)])
def test_a_machine_starts_with_one_process_and_ksmd(kernel: str, bit: int) -> None:
    machine = Machine(kernel, areas=(3, 3, 4))
    s = machine.s
    assert [s.proc[p].state for p in range(2)] == [PROCESS_RUNNING, 0]
    assert (s.ksm.run, s.ksm.max_page_sharing, s.ksm.use_zero_pages, s.ksm.smart_scan) == (1, 256, 0, 0)
    for v in range(3):
        vma = s.vma[0, v]
        assert (vma.mapped, vma.prot, vma.soft_dirty, vma.area) == (1, 3, bit, (3, 3, 4)[v])
        assert (s.ghost[0, v].mapped, s.ghost[0, v].exempt) == (1, 1)
        assert not s.vma[1, v].mapped and not machine.pte(v).present
    assert (s.seen.soft_dirty, s.seen.uffd_wp, s.seen.internal) == (bit, 1, 1)
    assert machine.broken() == set()


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_only_the_handler_and_the_administrator_act_while_a_process_sleeps(verb: str) -> None:
    machine = asleep()
    free = verb in HANDLER or verb.startswith("ksm_")
    result = machine.do(verb, c=1)
    assert (result != BUSY) is free
    if not free:
        assert machine.s.proc[0].verb == NUMBER["write"]


def test_an_absent_process_does_nothing() -> None:
    for verb in VERBS:
        if not verb.kernel:
            machine = Machine()
            assert machine.do(verb.name, c=0, p=1) == BUSY


def test_an_exited_process_still_holds_its_userfaultfd() -> None:
    machine = Machine("6.12")
    machine.do("uffd_open")
    machine.do("exit")
    assert machine.do("uffd_close") == OK


def test_what_a_step_said_is_forgotten_at_the_next() -> None:
    machine = Machine("6.12").merged()
    machine.do("write", 0, c=1)
    assert machine.s.step.cow_ksm == 1
    machine.do("read", 0)
    assert (machine.s.step.cow_ksm, machine.s.step.value) == (0, 1)
    machine.do("mergeable", 2)
    assert machine.s.step.value == 0


def test_clearing_a_step_leaves_only_the_choices() -> None:
    machine = Machine()
    step = machine.s.step
    for field in ("result", "value", "cow_ksm", "warned", "sleeps", "drawn", "choices"):
        setattr(step, field, 1)
    step.events = machine.s.event.shape[0]
    for k in range(machine.s.event.shape[0]):
        machine.s.event[k].kind = machine.s.event[k].process = machine.s.event[k].page = 1
    for p in range(2):
        machine.s.resumed[p].ended = machine.s.resumed[p].result = machine.s.resumed[p].value = 1
    clear_step(machine.s)
    assert [getattr(step, field) for field in ("result", "value", "events", "cow_ksm", "warned", "sleeps", "drawn")] == [0] * 7
    assert step.choices == 1
    assert not any(getattr(event, field) for event in machine.s.event.cells for field in ("kind", "process", "page"))
    assert not any(getattr(one, field) for one in machine.s.resumed.cells for field in ("ended", "result", "value"))


def test_a_woken_store_ends_in_the_step_that_wakes_it() -> None:
    machine = asleep()
    assert machine.s.proc[0].waiting == 1
    assert machine.do("uffd_release") == OK
    assert (machine.s.resumed[0].ended, machine.s.resumed[0].result, machine.s.resumed[0].value) == (1, OK, 0)
    assert (machine.s.proc[0].waiting, machine.s.resumed[0].woken, machine.content()) == (0, 0, 8)
    machine.do("read")
    assert not machine.s.resumed[0].ended


def test_what_is_woken_may_fail() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected(features=4)
    machine.do("fork", c=1)
    machine.do("write", c=8, p=1)
    machine.s.vma[1, 0].prot = 0
    machine.do("uffd_release", p=1)
    assert (machine.s.resumed[1].ended, machine.s.resumed[1].result) == (1, SIGSEGV)
    assert machine.s.step.result == OK


def test_the_result_of_the_step_is_that_of_its_own_operation() -> None:
    machine = asleep()
    machine.do("uffd_unregister")
    machine.do("munmap") if not machine.s.proc[0].waiting else None
    machine.s.vma[0, 0].mapped = 0
    assert machine.do("uffd_close") == OK
    assert machine.s.resumed[0].result == SIGSEGV
    assert machine.s.step.value == 0


def test_the_woken_go_on_in_the_order_of_their_names_and_the_administrator_last() -> None:
    """Frames are given out in the order in which they go on."""
    machine = Machine(PROFILES["6.1"].but(break_ksm=2), processes=3)
    machine.merged()
    machine.protected(0, 2, features=4)
    machine.do("fork", c=1)
    assert machine.do("ksm_run", c=2) == BLOCKED
    for p in (1, 0):
        assert machine.do("write", 1, c=p + 1, p=p) == BLOCKED
    machine.do("uffd_release", 0, 2)
    assert machine.s.resumed[0].ended and not machine.s.resumed[1].ended
    assert machine.s.ksm.waiting == 2, "the writer of 2 is through with the parent and waits for the child"
    machine.do("uffd_release", 0, 2, p=1)
    assert machine.s.resumed[1].ended and machine.s.ksm.waiting == 0
    frames = [machine.pte(1, 0).frame, machine.pte(0, 0).frame]
    assert frames == sorted(frames)
    assert (machine.content(1, 0), machine.content(1, 1)) == (1, 2)


def test_prefaulting_goes_on_where_it_slept_and_the_rest_starts_again() -> None:
    machine = Machine("6.12")
    for v in range(3):
        machine.do("write", v, c=v)
    machine.protected(1, 1)
    machine.do("populate_write", 0, 3)
    assert (machine.s.proc[0].first, machine.s.proc[0].count) == (1, 2)
    machine = Machine(PROFILES["6.1"].but(break_ksm=2)).merged(3).protected(1, 1)
    assert machine.do("unmergeable", 0, 3) == BLOCKED
    assert (machine.s.proc[0].first, machine.s.proc[0].count) == (0, 3)


@pytest.mark.parametrize(("hole", "result"), [(0, -ENOMEM), (2, -ENOMEM), (None, OK)])
def test_prefaulting_that_skips_holes_says_so_in_the_end_wherever_it_slept(hole: int | None, result: int) -> None:
    machine = Machine("6.1", pages=4)
    for v in (1, 3):
        machine.do("write", v, c=v)
    machine.protected(0, 4)
    if hole is not None:
        machine.do("munmap", hole)
    assert machine.do("populate_write", 0, 4) == BLOCKED
    machine.do("uffd_release", 1)
    assert (machine.s.resumed[0].ended, machine.s.proc[0].waiting) == (0, 4), "it sleeps once more and does not forget"
    machine.do("uffd_release", 3)
    assert (machine.s.resumed[0].ended, machine.s.resumed[0].result) == (1, result)


def test_a_sleeper_that_meets_another_protected_page_sleeps_again() -> None:
    machine = Machine("6.12")
    for v in range(2):
        machine.do("write", v, c=v)
    machine.protected(0, 2)
    machine.do("populate_write", 0, 2)
    machine.do("uffd_release", 0)
    assert not machine.s.resumed[0].ended
    assert machine.events() == [(1, 0, 1)]
    assert machine.s.proc[0].waiting == 2
