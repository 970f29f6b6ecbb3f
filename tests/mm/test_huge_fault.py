"""Faults on huge pages: who gets one, who takes one over."""

import pytest

from breakcow.mm.huge_fault import wp_can_reuse_large_folio
from mm.machine import Machine


def test_the_first_store_maps_all_of_it_and_the_first_load_the_zero_page() -> None:
    machine = Machine(huge=True)
    machine.do("write", 1, c=7)
    assert [(machine.pte(v).huge, machine.pte(v).write, machine.content(v)) for v in range(3)] == [(1, 1, 0), (1, 1, 7), (1, 1, 0)]
    machine = Machine(huge=True)
    machine.do("read", 1)
    assert [(machine.pte(v).huge, machine.pte(v).frame) for v in range(3)] == [(1, 0)] * 3


@pytest.mark.parametrize(("kernel", "huge"), [("6.12", 0), ("7.2", 1)])
def test_a_store_to_the_huge_zero_page(kernel: str, huge: int) -> None:
    machine = Machine(kernel, huge=True)
    machine.do("read")
    machine.do("write", 0, c=7)
    assert [machine.pte(v).huge for v in range(3)] == [huge] * 3
    assert bool(machine.pte(1).frame) == bool(huge)


def test_a_region_that_is_no_longer_one_vma_gets_small_pages() -> None:
    machine = Machine(huge=True)
    machine.do("munmap", 1)
    machine.do("write", 0, c=7)
    assert not machine.pte().huge and not machine.page().folio and not machine.pte(2).present


@pytest.mark.parametrize(("kernel", "reused"), [("5.10", True), ("6.1", False), ("7.2", False)])
def test_a_huge_page_in_a_pipe_is_taken_over_only_by_old_kernels(kernel: str, reused: bool) -> None:
    machine = Machine(kernel, huge=True)
    machine.do("write", 0, c=3)
    machine.do("fork", c=1)
    machine.do("vmsplice", 0, p=1)
    machine.do("munmap", 0, 3, p=1)
    before = machine.pte().frame
    machine.do("write", 0, c=7)
    assert (machine.pte().frame == before) == reused
    assert ("isolation" in machine.broken()) == reused


@pytest.mark.parametrize(
    ("kernel", "left", "reused"), [("6.1", 1, 1), ("6.12", 1, 0), ("7.2", 1, 0), ("6.1", 3, 0), ("6.12", 3, 0), ("7.2", 3, 1)]
)
def test_who_takes_over_a_page_of_a_huge_page(kernel: str, left: int, reused: int) -> None:
    """left: of the 3 pages, how many are still mapped when the child that shared them is gone."""
    machine = Machine(kernel, huge=True)
    machine.do("write", 0, c=3)
    machine.do("mprotect", 0, c=1)
    machine.do("mprotect", 0, c=3)
    machine.do("fork", c=1)
    machine.do("exit", p=1)
    if left == 1:
        machine.do("dontneed", 1, 2)
    before = machine.pte().frame
    machine.do("write", 0, c=7)
    assert (machine.pte().frame == before) == bool(reused)


def test_a_page_that_another_process_maps_is_not_taken_over() -> None:
    machine = Machine("7.2", huge=True)
    machine.do("write", 0, c=3)
    machine.do("fork", c=1)
    machine.do("munmap", 0, p=1)
    assert not wp_can_reuse_large_folio(machine.s, 0, machine.pte().frame)
    machine.do("munmap", 1, 2, p=1)
    machine.do("mprotect", 1, c=1)
    assert wp_can_reuse_large_folio(machine.s, 0, machine.pte().frame)
