"""Loads and stores of the program itself."""

import pytest

from breakcow.mm.fault import access_error
from breakcow.mm.flags import BLOCKED, OK, SIGBUS, SIGSEGV, UFFD_FEATURE_SIGBUS
from mm.machine import Machine


@pytest.mark.parametrize(("prot", "load", "store"), [(0, 1, 1), (1, 0, 1), (3, 0, 0)])
def test_what_the_vma_permits(prot: int, load: int, store: int) -> None:
    machine = Machine()
    machine.do("mprotect", 0, c=prot)
    assert (access_error(machine.s, 0, 0, 0), access_error(machine.s, 0, 0, 1)) == (load, store)
    assert machine.do("read") == (SIGSEGV if load else OK)
    assert machine.do("write", c=1) == (SIGSEGV if store else OK)


def test_no_vma_is_a_segfault() -> None:
    machine = Machine()
    machine.do("munmap")
    assert machine.do("read") == machine.do("write", c=1) == SIGSEGV
    assert not machine.pte().present


def test_a_load_of_nothing_maps_the_zero_page() -> None:
    machine = Machine()
    assert machine.do("read") == OK
    assert machine.s.step.value == 0
    assert (machine.pte().present, machine.pte().frame, machine.pte().write, machine.pte().dirty) == (1, 0, 0, 0)
    assert machine.s.step.value == 0


def test_a_load_gives_what_was_stored_and_changes_nothing() -> None:
    machine = Machine()
    machine.do("write", c=7)
    machine.do("clear_refs")
    machine.do("read")
    assert machine.s.step.value == 7
    assert (machine.pte().write, machine.pte().soft_dirty) == (0, 0)


def test_a_store_leaves_the_entry_writable_and_dirty() -> None:
    machine = Machine()
    assert machine.do("write", c=7) == OK
    assert (machine.pte().write, machine.pte().dirty, machine.pte().soft_dirty, machine.content()) == (1, 1, 1, 7)
    assert machine.page().exclusive


def test_the_processor_sets_dirty_alone() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.pte().dirty = machine.pte().soft_dirty = 0
    machine.do("write", c=8)
    assert (machine.pte().dirty, machine.pte().soft_dirty) == (1, 0)


@pytest.mark.parametrize(
    ("before", "faults"),
    [
        ((), 1),
        (("read",), 1),
        (("write",), 0),
        (("write", "fork"), 1),
        (("write", "process_vm_readv"), 0),
        (("write", "fork", "process_vm_readv"), 1),
        (("write", "pageout"), 1),
    ],
)
def test_a_store_faults_once_unless_the_entry_is_writable(before: tuple[str, ...], faults: int) -> None:
    machine = Machine()
    for verb in before:
        machine.do(verb, c={"write": 3, "fork": 1}.get(verb, 0))
    assert machine.do("write", c=4) == OK
    assert machine.s.step.faults == faults


def test_a_store_to_a_protected_page_waits() -> None:
    machine = Machine()
    machine.do("write", c=7)
    machine.protected()
    assert machine.do("write", c=8) == BLOCKED
    assert machine.content() == 7


def test_a_handler_that_asked_for_sigbus_gets_it() -> None:
    machine = Machine()
    machine.do("write", c=7)
    machine.protected(features=UFFD_FEATURE_SIGBUS)
    assert machine.do("write", c=8) == SIGBUS
    assert (machine.content(), machine.events()) == (7, [])
