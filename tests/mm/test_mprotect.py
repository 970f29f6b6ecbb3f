"""mprotect(2)."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.flags import ENOMEM, OK
from breakcow.mm.mprotect import can_change_pte_writable
from mm.machine import Machine


def test_it_takes_the_write_bit_and_sets_the_range() -> None:
    machine = Machine()
    for v in range(3):
        machine.do("write", v, c=v)
    assert machine.do("mprotect", 0, 2, c=1) == OK
    assert [machine.s.vma[0, v].prot for v in range(3)] == [1, 1, 3]
    assert [machine.pte(v).write for v in range(3)] == [0, 0, 1]


def test_it_stops_at_a_hole() -> None:
    machine = Machine()
    machine.do("munmap", 1)
    assert machine.do("mprotect", 0, 3, c=1) == -ENOMEM
    assert [machine.s.vma[0, v].prot for v in range(3)] == [1, 0, 3]


def test_the_same_protection_again_changes_no_entry() -> None:
    machine = Machine("5.10")
    machine.do("write", c=7)
    machine.do("mprotect", c=3)
    assert machine.pte().write


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12"])
def test_back_to_writable(kernel: str) -> None:
    """At once where no fault is needed: never on 5.10, only if dirty on 6.1, if exclusive since."""
    for dirty in (0, 1):
        machine = Machine(kernel)
        machine.do("write", c=7)
        machine.do("mprotect", c=1)
        machine.pte().dirty = dirty
        machine.do("mprotect", c=3)
        assert machine.pte().write == {"5.10": 0, "6.1": dirty, "6.12": 1}[kernel]


def test_who_must_fault_first() -> None:
    def writable(change: str, kernel: str = "6.12") -> int:
        machine = Machine(kernel)
        machine.do("write", c=7)
        machine.do("clear_refs")
        pte, vma = machine.pte(), machine.s.vma[0, 0]
        pte.soft_dirty = 1
        if change == "read-only vma":
            vma.prot = 1
        elif change == "zero page":
            pte.frame = 0
        elif change == "shared":
            machine.page().exclusive = 0
        elif change.startswith("clean"):
            pte.soft_dirty, vma.soft_dirty = 0, int("vma" in change)
        elif change.startswith("protected"):
            pte.uffd_wp, vma.registered = 1, int("not" not in change)
        return can_change_pte_writable(machine.s, 0, 0)

    assert writable("nothing") == 1
    assert [writable(change) for change in ("read-only vma", "zero page", "shared", "clean", "protected")] == [0] * 5
    assert [writable(change) for change in ("clean in a soft-dirty vma", "protected, not registered")] == [1, 1]
    assert writable("clean", "6.18") == 1, "nobody tracks it"


def test_an_entry_that_is_not_there_stays_so() -> None:
    machine = Machine("6.12")
    machine.do("mprotect", c=1)
    machine.do("mprotect", c=3)
    assert not machine.pte().present and not machine.pte().write


def test_a_store_after_all_that_finds_the_page() -> None:
    for kernel in PROFILES:
        machine = Machine(kernel)
        machine.do("write", c=7)
        machine.do("mprotect", c=0)
        machine.do("mprotect", c=3)
        assert machine.content() == 7
        assert machine.do("write", c=8) == OK
        assert machine.broken() == set()


@pytest.mark.parametrize("drops", [0, 1])
@pytest.mark.parametrize("stored", [0, 1])
def test_which_memory_is_accounted(drops: int, stored: int) -> None:
    """VM_ACCOUNT: what may be written, or was; old kernels keep it for memory that cannot be written any more."""
    machine = Machine(PROFILES["6.12"].but(mprotect_drops_account=drops))
    if stored:
        machine.do("write", c=7)
    machine.s.vma[0, 0].account = 1
    machine.do("mprotect", c=1)
    kept = 0 if drops and not stored else 1
    assert machine.s.vma[0, 0].account == kept
    machine.do("mprotect", c=0)
    assert machine.s.vma[0, 0].account == kept
    machine.do("mprotect", c=3)
    assert machine.s.vma[0, 0].account == 1
    machine.s.vma[0, 0].account = 0
    machine.s.vma[0, 0].anon_vma = 1
    machine.do("mprotect", c=1)
    machine.s.vma[0, 0].account = 0
    machine.do("mprotect", c=0)
    assert machine.s.vma[0, 0].account == 0, "only what may be written becomes accounted"


def cleared(kernel: str = "7.2") -> Machine:
    """A machine with a huge page that base-page entries map: all dirty, none soft-dirty."""
    m = Machine(kernel, huge=True)
    m.do("write", c=3)
    m.do("mprotect", 0, c=1)
    m.do("mprotect", 0, c=3)
    m.do("clear_refs")
    assert [m.pte(v).soft_dirty for v in range(3)] == [0] * 3 and not m.pte().huge
    return m


def soft_dirty(m: Machine) -> list[int]:
    return [m.pte(v).soft_dirty for v in range(3)]


@pytest.mark.parametrize(("kernel", "found"), [("6.12", [0, 0, 0]), ("6.16", [0, 0, 0]), ("6.18.15", [0, 1, 1]), ("7.2", [0, 1, 1])])
def test_entries_of_a_folio_that_are_changed_together_become_soft_dirty(kernel: str, found: list[int]) -> None:
    m = cleared(kernel)
    m.do("mprotect", 1, 2, c=1)
    assert soft_dirty(m) == found
    assert ("soft-dirty-is-precise" in m.broken()) == any(found)


def test_one_entry_is_changed_alone_and_the_rest_are_many() -> None:
    m = cleared()
    m.do("mprotect", 1, c=1)
    assert soft_dirty(m) == [0, 0, 0]
    m = cleared()
    m.do("mprotect", 2, c=1)
    assert soft_dirty(m) == [0, 0, 1]


def test_none_is_made_soft_dirty_by_the_first_nor_by_what_is_clean() -> None:
    m = cleared()
    for v, dirty in ((0, 1), (1, 0), (2, 0)):
        m.pte(v).dirty = dirty
    m.do("mprotect", 0, 3, c=1)
    assert soft_dirty(m) == [0, 0, 0]


@pytest.mark.parametrize("field", ["write", "soft_dirty", "uffd_wp", "present"])
def test_entries_that_differ_are_not_changed_together(field: str) -> None:
    m = cleared()
    for v in range(3):
        m.pte(v).dirty = int(v == 1)
    setattr(m.pte(1), field, 1 - getattr(m.pte(1), field))
    m.do("mprotect", 0, 3, c=1)
    assert [m.pte(v).soft_dirty for v in (0, 2)] == [0, 0]


def test_what_a_pmd_maps_and_small_pages_are_no_batch() -> None:
    m = Machine("7.2", huge=True)
    m.do("write", c=3)
    m.do("clear_refs")
    m.do("mprotect", 0, 3, c=1)
    assert soft_dirty(m) == [0, 0, 0] and m.pte().huge
    m = Machine("7.2")
    for v in range(3):
        m.do("write", v, c=3)
    m.do("clear_refs")
    m.do("mprotect", 0, 3, c=1)
    assert soft_dirty(m) == [0, 0, 0]


def test_userfaultfd_changes_entries_together_too_vma_by_vma() -> None:
    m = cleared().protected(1, 2)
    assert soft_dirty(m) == [0, 1, 1]
    m = cleared()
    m.do("uffd_open")
    m.do("uffd_register", 0, 3)
    m.do("mergeable", 0)
    m.do("clear_refs")
    for v in range(3):
        m.pte(v).dirty = int(v != 2)
    m.do("uffd_protect", 0, 3)
    assert soft_dirty(m) == [0, 0, 0]  # the first is alone, and of the others only the first is dirty
    m.do("clear_refs")
    m.pte(2).dirty = 1
    m.do("uffd_unregister", 0, 3)
    assert soft_dirty(m) == [0, 1, 1]
