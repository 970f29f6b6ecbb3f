"""userfaultfd write-protection."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.flags import (
    BLOCKED,
    BUSY,
    EINVAL,
    ENOENT,
    ENOMEM,
    ESRCH,
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_USER,
    OK,
    SIGSEGV,
    UFFD_FEATURE_EVENT_FORK,
    UFFD_FEATURE_SIGBUS,
    UFFD_FEATURE_WP_ASYNC,
    UFFD_FEATURE_WP_UNPOPULATED,
    UFFD_USER_MODE_ONLY,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
)
from breakcow.mm.userfaultfd import handle_userfault
from mm.machine import Machine

USER, RETRY = FAULT_FLAG_USER, FAULT_FLAG_ALLOW_RETRY


@pytest.mark.parametrize(
    ("features", "flags", "result", "warned"),
    [
        (0, USER | RETRY, VM_FAULT_RETRY, 0),
        (0, RETRY, VM_FAULT_RETRY, 0),
        (0, USER, VM_FAULT_SIGBUS, USER),
        (0, 0x81, VM_FAULT_SIGBUS, 0x81),
        (UFFD_FEATURE_SIGBUS, USER | RETRY, VM_FAULT_SIGBUS, 0),
        (UFFD_FEATURE_SIGBUS, 0, VM_FAULT_SIGBUS, 0),
        (UFFD_USER_MODE_ONLY, USER | RETRY, VM_FAULT_RETRY, 0),
        (UFFD_USER_MODE_ONLY, RETRY, VM_FAULT_SIGBUS, 0),
        (UFFD_USER_MODE_ONLY, 0x81, VM_FAULT_SIGBUS, 0),
    ],
)
def test_who_may_wait(features: int, flags: int, result: int, warned: int) -> None:
    machine = Machine()
    machine.do("uffd_open", c=features)
    assert handle_userfault(machine.s, 0, 2, flags) == result
    assert machine.s.step.warned == warned
    asleep = result == VM_FAULT_RETRY
    assert machine.events() == ([(1, 0, 2)] if asleep else [])
    assert machine.s.step.sleeps == (3 if asleep else 0)


@pytest.mark.parametrize(
    ("feature", "behaviour"),
    [
        (UFFD_USER_MODE_ONLY, "uffd_user_mode_only"),
        (UFFD_FEATURE_WP_UNPOPULATED, "uffd_wp_unpopulated"),
        (UFFD_FEATURE_WP_ASYNC, "uffd_wp_async"),
    ],
)
def test_features_that_a_kernel_may_lack(feature: int, behaviour: str) -> None:
    for has, result in ((0, -EINVAL), (1, OK)):
        machine = Machine(PROFILES["6.12"].but(**{behaviour: has}))
        assert machine.do("uffd_open", c=feature) == result
        assert machine.s.proc[0].uffd == has
        assert machine.s.proc[0].features == (feature if has else 0)
        assert Machine(PROFILES["6.12"].but(**{behaviour: has})).do("uffd_open") == OK


def test_a_second_userfaultfd_is_refused_until_the_first_is_closed() -> None:
    machine = Machine()
    assert machine.do("uffd_open") == OK
    assert machine.do("uffd_open", c=2) == BUSY
    assert machine.s.proc[0].features == 0
    assert machine.do("uffd_close") == OK
    assert machine.do("uffd_close") == BUSY
    assert machine.do("uffd_open", c=2) == OK


def test_nothing_works_without_a_userfaultfd() -> None:
    for verb in ("uffd_register", "uffd_protect", "uffd_release", "uffd_unregister", "uffd_close"):
        assert Machine().do(verb) == BUSY


def test_after_exit_the_address_space_is_gone() -> None:
    for verb, error in (("uffd_register", ENOMEM), ("uffd_unregister", ENOMEM), ("uffd_protect", ESRCH), ("uffd_release", ESRCH)):
        machine = Machine()
        machine.do("uffd_open")
        machine.do("exit")
        assert machine.do(verb) == -error
    assert machine.do("uffd_close") == OK


def test_registering_and_unregistering_skip_holes_and_need_one_vma() -> None:
    machine = Machine()
    machine.do("munmap", 0)
    machine.do("uffd_open")
    assert machine.do("uffd_register", 0, 1) == machine.do("uffd_unregister", 0, 1) == -EINVAL
    assert machine.do("uffd_register", 0, 2) == OK
    assert [machine.s.vma[0, v].registered for v in range(3)] == [0, 1, 0]
    assert machine.do("uffd_unregister", 0, 2) == OK
    assert not machine.s.vma[0, 1].registered


def test_protecting_needs_a_registered_range() -> None:
    for kernel in ("6.1", "6.12"):
        machine = Machine(kernel)
        machine.do("write", c=1)
        machine.do("uffd_open")
        assert machine.do("uffd_protect") == machine.do("uffd_release") == -ENOENT
        machine.do("uffd_register")
        assert machine.do("uffd_protect") == OK
        machine.do("munmap")
        assert machine.do("uffd_protect") == -ENOENT


@pytest.mark.parametrize(("kernel", "result", "bits"), [("6.1", -ENOENT, [0, 0, 0]), ("6.12", OK, [1, 1, 0])])
def test_one_call_over_two_vmas(kernel: str, result: int, bits: list[int]) -> None:
    machine = Machine(kernel, areas=(0, 1, 2))
    for v in range(3):
        machine.do("write", v, c=1)
    machine.do("uffd_open")
    machine.do("uffd_register", 0, 2)
    assert machine.do("uffd_protect", 0, 2) == result
    assert [machine.pte(v).uffd_wp for v in range(3)] == bits
    assert machine.broken() == set()


def test_vmas_before_a_bad_one_stay_changed() -> None:
    machine = Machine("6.12")
    for v in range(3):
        machine.do("write", v, c=1)
    machine.do("uffd_open")
    machine.do("uffd_register", 0, 1)
    machine.do("uffd_register", 2, 1)
    assert machine.do("uffd_protect", 0, 3) == -ENOENT
    assert [machine.pte(v).uffd_wp for v in range(3)] == [1, 0, 0]
    machine.do("munmap", 1)
    assert machine.do("uffd_protect", 0, 3) == OK, "a hole is skipped"
    assert machine.pte(2).uffd_wp


def test_protecting_what_is_there() -> None:
    machine = Machine("6.12")
    machine.do("write", 0, c=1)
    machine.do("read", 1)
    machine.protected(0, 3)
    assert [(machine.pte(v).uffd_wp, machine.pte(v).write, machine.pte(v).marker) for v in range(3)] == [(1, 0, 0), (1, 0, 0), (0, 0, 0)]


@pytest.mark.parametrize("feature", [UFFD_FEATURE_WP_UNPOPULATED, UFFD_FEATURE_WP_ASYNC])
def test_protecting_a_hole_leaves_a_marker_where_it_was_asked_for(feature: int) -> None:
    machine = Machine("6.12").protected(features=feature)
    assert (machine.pte().marker, machine.pte().uffd_wp, machine.pte().present) == (1, 1, 0)
    machine.do("uffd_release")
    assert (machine.pte().marker, machine.pte().uffd_wp) == (0, 0)


@pytest.mark.parametrize(("kernel", "write"), [("6.1", 0), ("6.12", 1)])
def test_releasing_an_exclusive_page(kernel: str, write: int) -> None:
    machine = Machine(kernel)
    machine.do("write", c=1)
    machine.protected()
    machine.do("uffd_release")
    assert (machine.pte().uffd_wp, machine.pte().write) == (0, write)


def test_releasing_a_shared_page_leaves_it_read_only() -> None:
    machine = Machine("6.12").merged().protected()
    machine.do("uffd_release")
    assert (machine.pte().uffd_wp, machine.pte().write, machine.page().ksm) == (0, 0, 1)


def test_releasing_wakes_who_sleeps_in_the_range_alone() -> None:
    machine = Machine("6.12")
    machine.do("write", 0, c=1)
    machine.do("write", 1, c=1)
    machine.protected(0, 2)
    assert machine.do("write", 1, c=8) == BLOCKED
    machine.do("uffd_release", 0, 1)
    assert machine.s.proc[0].waiting == 2
    machine.do("uffd_release", 1, 1)
    assert machine.s.proc[0].waiting == 0
    assert (machine.s.resumed[0].ended, machine.s.resumed[0].result, machine.content(1)) == (1, OK, 8)


def test_a_release_that_failed_wakes_nobody() -> None:
    machine = Machine("6.12")
    machine.do("write", c=1)
    machine.protected()
    machine.do("write", c=8)
    machine.do("uffd_unregister")
    assert machine.s.proc[0].waiting == 1, "unregistering a range for write-protection wakes nobody"
    assert machine.do("uffd_release") == -ENOENT
    assert machine.s.proc[0].waiting == 1
    machine.do("uffd_close")
    assert (machine.s.proc[0].waiting, machine.content()) == (0, 8)


@pytest.mark.parametrize(("kernel", "bit"), [("5.10", 1), ("6.1", 0), ("6.12", 0)])
def test_unregistering_resets_the_bits_since_6_0(kernel: str, bit: int) -> None:
    machine = Machine(kernel)
    machine.do("write", c=1)
    machine.protected()
    machine.do("uffd_unregister")
    assert (machine.pte().uffd_wp, machine.s.vma[0, 0].registered) == (bit, 0)
    assert ("protection-only-where-armed" in machine.broken()) is bool(bit)


@pytest.mark.parametrize(("kernel", "bit"), [("5.10", 1), ("6.1", 1), ("6.1.192", 0), ("6.12", 0)])
def test_closing_resets_the_bits_since_6_9(kernel: str, bit: int) -> None:
    machine = Machine(kernel)
    machine.do("write", c=1)
    machine.protected()
    machine.do("uffd_close")
    assert (machine.pte().uffd_wp, machine.s.vma[0, 0].registered, machine.s.proc[0].features) == (bit, 0, 0)


def test_closing_leaves_pages_alone_that_were_never_registered() -> None:
    machine = Machine("6.12")
    machine.do("write", 1, c=1)
    machine.protected(0)
    machine.do("uffd_close")
    assert machine.pte(1).write


def test_a_child_with_a_userfaultfd_of_its_own_is_independent() -> None:
    machine = Machine("6.12")
    machine.do("write", c=1)
    machine.protected(features=UFFD_FEATURE_EVENT_FORK)
    machine.do("fork", c=1)
    assert machine.do("write", c=2, p=1) == BLOCKED
    machine.do("uffd_release")
    assert (machine.s.proc[1].waiting, machine.pte(p=1).uffd_wp) == (1, 1)
    machine.do("uffd_release", p=1)
    assert machine.s.resumed[1].ended and machine.content(p=1) == 2
    assert machine.do("mprotect", c=0) == OK
    assert machine.do("write", c=2) == SIGSEGV


@pytest.mark.parametrize("verb", ["uffd_unregister", "uffd_close"])
def test_memory_that_nobody_registered_is_not_split(verb: str) -> None:
    machine = Machine("6.18", huge=True)
    machine.do("write", 0, c=7)
    machine.do("uffd_open")
    machine.do(verb, 1)
    assert [machine.pte(v).huge for v in range(3)] == [1, 1, 1]
