"""Copies to user memory: as a store, but a fault that cannot be resolved is -EFAULT."""

from breakcow.mm.flags import BLOCKED, EFAULT, OK, UFFD_FEATURE_SIGBUS, UFFD_USER_MODE_ONLY
from mm.machine import Machine


def test_it_stores() -> None:
    machine = Machine()
    assert machine.do("copy_to_user", c=7) == OK
    assert machine.content() == 7


def test_no_permission_is_efault() -> None:
    machine = Machine()
    machine.do("mprotect", c=1)
    assert machine.do("copy_to_user", c=7) == -EFAULT
    assert not machine.pte().present


def test_it_waits_as_a_store_does() -> None:
    machine = Machine()
    machine.do("write", c=7)
    machine.protected()
    assert machine.do("copy_to_user", c=8) == BLOCKED
    assert machine.events() == [(1, 0, 0)]
    machine.do("uffd_release")
    assert (machine.s.resumed[0].ended, machine.s.resumed[0].result, machine.content()) == (1, OK, 8)


def test_user_mode_only_refuses_faults_of_the_kernel_and_takes_those_of_the_program() -> None:
    for features in (UFFD_USER_MODE_ONLY, UFFD_FEATURE_SIGBUS):
        machine = Machine()
        machine.do("write", c=7)
        machine.protected(features=features)
        assert machine.do("copy_to_user", c=8) == -EFAULT
        assert (machine.content(), machine.events(), machine.pte().uffd_wp) == (7, [], 1)
    machine = Machine()
    machine.do("write", c=7)
    machine.protected(features=UFFD_USER_MODE_ONLY)
    assert machine.do("write", c=8) == BLOCKED
