"""madvise(2)."""

import pytest

from breakcow.mm.flags import BLOCKED, EFAULT, EINVAL, ENOMEM, OK, UFFD_FEATURE_SIGBUS
from breakcow.mm.vma import same_vma
from mm.machine import Machine


@pytest.mark.parametrize("verb", ["mergeable", "unmergeable", "dontneed"])
def test_a_hole_is_skipped_and_is_enomem_in_the_end(verb: str) -> None:
    machine = Machine().merged(3)
    machine.do("munmap", 1)
    assert machine.do(verb, 0, 3) == -ENOMEM
    for v in (0, 2):
        assert machine.s.vma[0, v].mergeable == (0 if verb == "unmergeable" else 1)
        assert machine.pte(v).present == (0 if verb == "dontneed" else 1)
    assert not machine.s.vma[0, 1].mergeable
    assert not machine.page(0).ksm if verb == "unmergeable" else True


def test_advice_takes_each_vma_of_the_range_by_itself() -> None:
    machine = Machine(areas=(0, 0, 1))
    machine.do("mergeable", 1, 2)
    assert [machine.s.vma[0, v].mergeable for v in range(3)] == [0, 1, 1]
    machine.do("mergeable", 0, 2)
    assert [machine.s.vma[0, v].mergeable for v in range(3)] == [1, 1, 1]
    machine.do("unmergeable", 1, 1)
    assert [machine.s.vma[0, v].mergeable for v in range(3)] == [1, 0, 1]


def test_dontneed_gives_the_page_and_its_protection_back() -> None:
    machine = Machine("6.12")
    machine.do("write", 0, c=7)
    machine.do("write", 1, c=8)
    machine.protected(0, 2)
    assert machine.do("dontneed", 0) == OK
    assert (machine.pte().present, machine.pte().uffd_wp, machine.pte().marker) == (0, 0, 0)
    assert machine.content(1) == 8
    machine.do("read")
    assert machine.s.step.value == 0


@pytest.mark.parametrize("verb", ["populate_read", "populate_write"])
def test_populate_is_new(verb: str) -> None:
    assert Machine("5.10").do(verb, 0, 3) == -EINVAL
    machine = Machine("6.1")
    assert machine.do(verb, 0, 2) == OK
    assert [machine.pte(v).present for v in range(3)] == [1, 1, 0]
    assert (machine.pte().frame == 0) is (verb == "populate_read")
    assert (machine.pte().write, machine.pte().soft_dirty) == ((0, 0) if verb == "populate_read" else (1, 1))


@pytest.mark.parametrize("verb", ["populate_read", "populate_write"])
def test_populate_stops_where_it_fails(verb: str) -> None:
    machine = Machine("6.12")
    machine.do("munmap", 1)
    assert machine.do(verb, 0, 3) == -ENOMEM
    assert [machine.pte(v).present for v in range(3)] == [1, 0, 0]
    machine = Machine("6.12")
    machine.do("mprotect", 1, c=0 if verb == "populate_read" else 1)
    assert machine.do(verb, 0, 3) == -EINVAL
    assert [machine.pte(v).present for v in range(3)] == [1, 0, 0]


def test_populate_read_keeps_a_ksm_page_and_populate_write_breaks_it() -> None:
    machine = Machine("6.12").merged()
    machine.do("populate_read", 0, 2)
    assert machine.same(0, 1)
    machine.do("populate_write", 0)
    assert not machine.same(0, 1)
    assert machine.page(1).ksm


def test_populate_write_waits_at_each_protected_page() -> None:
    machine = Machine("6.12")
    for v in range(3):
        machine.do("write", v, c=v)
    machine.protected(1, 2)
    assert machine.do("populate_write", 0, 3) == BLOCKED
    assert machine.events() == [(1, 0, 1)]
    machine.do("uffd_release", 1)
    assert (machine.s.proc[0].waiting, machine.s.proc[0].first, machine.s.proc[0].count) == (3, 2, 1)
    machine.do("uffd_release", 2)
    assert (machine.s.resumed[0].ended, machine.s.resumed[0].result) == (1, OK)


def test_populate_that_cannot_wait_is_efault() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected(features=UFFD_FEATURE_SIGBUS)
    assert machine.do("populate_write") == -EFAULT
    assert machine.do("populate_read") == OK


def test_advice_that_changes_no_flag_merges_no_vma() -> None:
    """Found by conform on 6.18: prctl() leaves two vmas with equal flags, and so does MADV_MERGEABLE of what is mergeable."""
    machine = Machine("6.12")
    machine.do("mergeable", 0)
    machine.do("merge_any", c=1)
    assert not same_vma(machine.s, 0, 0, 1)
    machine.do("mergeable", 1)
    assert not same_vma(machine.s, 0, 0, 1)


@pytest.mark.parametrize(("kernel", "huge"), [("6.12", 0), ("6.16", 1)])
def test_a_page_table_that_is_discarded_as_a_whole_is_freed_since_6_14(kernel: str, huge: int) -> None:
    machine = Machine(kernel, huge=True)
    machine.do("write", 0, c=7)
    machine.do("dontneed", 1)
    machine.do("dontneed", 0, 3)
    machine.do("write", 0, c=7)
    assert machine.pte(2).huge == huge


@pytest.mark.parametrize(("v", "n", "verb"), [(0, 2, ""), (1, 2, ""), (0, 3, "mergeable"), (0, 3, "mremap")])
def test_one_that_is_discarded_in_parts_is_not(v: int, n: int, verb: str) -> None:
    machine = Machine("6.18", huge=True)
    machine.do("write", 0, c=7)
    machine.do("dontneed", 1)
    if verb:
        machine.do(verb, 2)
    machine.do("dontneed", v, n)
    assert [machine.s.vma[0, w].table for w in range(3)] == [1, 1, 1]
