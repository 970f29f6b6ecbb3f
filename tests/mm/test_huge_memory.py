"""What a PMD maps, and how it is split."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.huge_memory import folio_large_mapcount, split_folio
from breakcow.mm.page_alloc import folio_ref_count
from mm.machine import Machine


def written(kernel: str = "6.12") -> Machine:
    """A machine with a huge page that holds 3, 0 and the rest."""
    machine = Machine(kernel, huge=True)
    machine.do("write", 0, c=3)
    return machine


def huge(machine: Machine, p: int = 0) -> list[int]:
    """Which pages a PMD maps."""
    return [machine.pte(v, p).huge for v in range(3)]


def test_a_pmd_counts_once_and_entries_each() -> None:
    machine = written()
    f = machine.pte().frame
    assert (folio_ref_count(machine.s, f), folio_large_mapcount(machine.s, f)) == (1, 1)
    machine.do("fork", c=1)
    assert (folio_ref_count(machine.s, f), folio_large_mapcount(machine.s, f)) == (2, 2)
    machine.do("mprotect", 0, c=1)
    assert (huge(machine), huge(machine, 1)) == ([0, 0, 0], [1, 1, 1])
    assert (folio_ref_count(machine.s, f), folio_large_mapcount(machine.s, f)) == (5, 5)  # 2 base pages, the rest as 2, and a PMD
    machine.do("vmsplice", 1)
    assert (folio_ref_count(machine.s, f), folio_large_mapcount(machine.s, f)) == (6, 5)


@pytest.mark.parametrize(
    ("verb", "v", "n", "argument"), [("mprotect", 1, 2, 1), ("munmap", 0, 1, 0), ("dontneed", 2, 1, 0), ("mremap", 1, 1, 0)]
)
def test_what_is_done_to_a_part_splits_the_pmd(verb: str, v: int, n: int, argument: int) -> None:
    machine = written()
    machine.do(verb, v, n, argument)
    assert huge(machine) == [0, 0, 0]
    assert not machine.broken()


@pytest.mark.parametrize("verb", ["mprotect", "dontneed", "mergeable"])
def test_what_is_done_to_all_does_not(verb: str) -> None:
    machine = written()
    machine.do(verb, 0, 3, 1 if verb == "mprotect" else 0)
    assert huge(machine) == ([0, 0, 0] if verb == "dontneed" else [1, 1, 1])
    assert not any(machine.s.vma[0, v].table for v in range(3))


@pytest.mark.parametrize(("kernel", "soft_dirty"), [("6.1", 0), ("6.12", 1)])
def test_a_dirty_pmd_makes_soft_dirty_entries_since_it_keeps_its_dirty_bit(kernel: str, soft_dirty: int) -> None:
    machine = written(kernel)
    machine.do("clear_refs")
    machine.do("mprotect", 0, c=1)
    assert [machine.pte(v).soft_dirty for v in range(3)] == [soft_dirty] * 3
    assert ("soft-dirty-is-precise" in machine.broken()) == bool(soft_dirty)


@pytest.mark.parametrize(("kernel", "dirty", "zero"), [("5.10", 0, 0), ("6.1", 1, 0), ("6.12", 1, 1)])
def test_splitting_the_folio(kernel: str, dirty: int, zero: int) -> None:
    machine = written(kernel)
    machine.do("fork", c=1)
    f = machine.pte().frame
    assert split_folio(machine.s, f)
    assert (huge(machine), huge(machine, 1)) == ([0, 0, 0], [0, 0, 0])
    assert machine.pte().dirty == dirty
    assert (machine.pte(1).frame == 0) == bool(zero)
    assert machine.pte(2).frame and machine.s.page[f].folio == 0


def test_a_folio_that_somebody_holds_is_not_split() -> None:
    machine = written()
    machine.do("pin", 1)
    assert not split_folio(machine.s, machine.pte().frame)
    assert huge(machine) == [1, 1, 1]


def test_profiles_agree_on_who_has_what() -> None:
    assert [PROFILES[name].split_folio for name in ("5.10", "6.1", "6.12", "7.2")] == [0, 1, 2, 2]
