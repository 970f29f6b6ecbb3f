"""Which pages lie in one vma, and munmap."""

import pytest

from breakcow.mm.flags import ENOMEM, OK
from breakcow.mm.vma import anon_vma_prepare, same_vma, vm_end, vm_start, vma_merge, whole_range_mapped
from mm.machine import Machine


def test_pages_of_one_mapping_are_one_vma() -> None:
    machine = Machine(areas=(0, 0, 1))
    assert [vm_start(machine.s, 0, v) for v in range(3)] == [0, 0, 2]
    assert [vm_end(machine.s, 0, v) for v in range(3)] == [2, 2, 3]


@pytest.mark.parametrize("field", ["mapped", "area", "prot", "mergeable", "registered"])
def test_what_splits_a_vma(field: str) -> None:
    machine = Machine()
    vma = machine.s.vma[0, 1]
    setattr(vma, field, 1 - getattr(vma, field))
    assert not same_vma(machine.s, 0, 0, 1)
    assert not same_vma(machine.s, 0, 1, 2)
    assert not same_vma(machine.s, 0, 2, 1)
    assert vm_start(machine.s, 0, 2) == 2


@pytest.mark.parametrize("field", ["soft_dirty", "anon_vma"])
def test_what_does_not(field: str) -> None:
    machine = Machine("6.12")
    vma = machine.s.vma[0, 1]
    setattr(vma, field, 1 - getattr(vma, field))
    assert vm_end(machine.s, 0, 0) == 3


def test_a_seam_keeps_neighbours_apart_for_good() -> None:
    machine = Machine()
    machine.s.vma[0, 0].seam = 1
    assert not same_vma(machine.s, 0, 0, 1)
    assert not same_vma(machine.s, 0, 1, 0)
    assert same_vma(machine.s, 0, 1, 2)


def test_an_anon_vma_belongs_to_the_whole_vma() -> None:
    machine = Machine(areas=(0, 0, 1))
    assert not any(machine.s.vma[0, v].anon_vma for v in range(3))
    anon_vma_prepare(machine.s, 0, 1)
    assert [machine.s.vma[0, v].anon_vma for v in range(3)] == [1, 1, 0]


def test_a_load_prepares_no_anon_vma_and_a_store_does() -> None:
    machine = Machine()
    machine.do("read")
    assert not machine.s.vma[0, 0].anon_vma
    machine.do("write", 1, c=1)
    assert machine.s.vma[0, 0].anon_vma


def test_munmap_leaves_nothing_and_a_hole_is_no_error() -> None:
    machine = Machine()
    machine.merged(2).protected(0, 2)
    assert machine.do("munmap", 0, 1) == OK
    assert machine.do("munmap", 0, 3) == OK
    for v in range(3):
        vma = machine.s.vma[0, v]
        assert (vma.mapped, vma.prot, vma.mergeable, vma.registered, vma.soft_dirty, vma.anon_vma) == (0,) * 6
        assert not machine.pte(v).present
    assert whole_range_mapped(machine.s, 0, 0, 1) == -ENOMEM
    assert machine.broken() == set()


def test_whole_range_mapped_finds_a_hole_anywhere() -> None:
    for hole in range(3):
        machine = Machine()
        assert whole_range_mapped(machine.s, 0, 0, 3) == OK
        machine.do("munmap", hole)
        assert whole_range_mapped(machine.s, 0, 0, 3) == -ENOMEM
        assert whole_range_mapped(machine.s, 0, (hole + 1) % 3, 1) == OK


def three_vmas() -> Machine:
    """Three pages of one mapping, the middle one without access: three vmas, none with an anonymous page."""
    machine = Machine("6.12")
    machine.s.vma[0, 1].prot = 1
    assert [vm_end(machine.s, 0, v) for v in range(3)] == [1, 2, 3]
    return machine


def anon_vmas(machine: Machine) -> list[int]:
    return [machine.s.vma[0, v].anon_vma for v in range(3)]


@pytest.mark.parametrize("first", [0, 2])
def test_a_vma_takes_the_anon_vma_of_either_neighbour(first: int) -> None:
    machine = three_vmas()
    for v in (first, 1):
        anon_vma_prepare(machine.s, 0, v)
    assert anon_vmas(machine)[first] == anon_vmas(machine)[1] == 1
    assert machine.s.proc[0].anon_vmas == 1


@pytest.mark.parametrize(("field", "value"), [("mapped", 0), ("area", 9), ("chained", 1), ("mergeable", 1)])
def test_whose_anon_vma_is_not_taken(field: str, value: int) -> None:
    machine = three_vmas()
    anon_vma_prepare(machine.s, 0, 0)
    setattr(machine.s.vma[0, 0], field, value)
    anon_vma_prepare(machine.s, 0, 1)
    assert anon_vmas(machine) == [1, 2, 0]


@pytest.mark.parametrize(("changed", "seams"), [(0, [1, 0]), (1, [1, 1]), (2, [0, 1])])
def test_vmas_that_become_equal_stay_apart_if_their_anon_vmas_differ(changed: int, seams: list[int]) -> None:
    machine = Machine("6.12")
    for v in range(3):
        machine.s.vma[0, v].anon_vma = v + 1
    vma_merge(machine.s, 0, changed, changed + 1)
    assert [machine.s.vma[0, v].seam for v in range(2)] == seams
    machine.s.vma[0, 0].anon_vma = machine.s.vma[0, 2].anon_vma = 2
    vma_merge(machine.s, 0, changed, changed + 1)
    assert [machine.s.vma[0, v].seam for v in range(2)] == [0, 0]


def test_vmas_that_are_not_equal_are_left_as_they_are() -> None:
    machine = Machine("6.12")
    for v in range(3):
        machine.s.vma[0, v].anon_vma = v + 1
    machine.s.vma[0, 1].prot = 1
    vma_merge(machine.s, 0, 1, 2)
    assert [machine.s.vma[0, v].seam for v in range(2)] == [0, 0]
