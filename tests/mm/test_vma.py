"""Which pages lie in one vma, and munmap."""

import pytest

from breakcow.mm.flags import ENOMEM, OK
from breakcow.mm.vma import anon_vma_prepare, same_vma, vm_end, vm_start, whole_range_mapped
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
