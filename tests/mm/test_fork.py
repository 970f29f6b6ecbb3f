"""fork(2) and exit(2)."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.flags import BUSY, EVENT_FORK, OK, PROCESS_EXITED, UFFD_FEATURE_EVENT_FORK, UFFD_FEATURE_WP_UNPOPULATED
from breakcow.mm.fork import must_copy_for_dma
from breakcow.mm.schema import VMA
from breakcow.mm.vma import same_vma
from mm.machine import Machine

EVENT = UFFD_FEATURE_EVENT_FORK


def test_pages_are_shared_read_only_and_belong_to_nobody() -> None:
    machine = Machine("6.12")
    machine.do("write", 0, c=7)
    machine.do("read", 1)
    assert machine.do("fork", c=1) == OK
    assert machine.same(0, 0, 0, 1) and machine.same(1, 1, 0, 1)
    assert (machine.page().mapcount, machine.page().exclusive) == (2, 0)
    for p in range(2):
        assert (machine.pte(p=p).write, machine.pte(p=p).dirty, machine.pte(p=p).soft_dirty) == (0, 1, 1)
    assert not machine.pte(2, 1).present


def test_a_child_has_the_flags_of_its_parent() -> None:
    machine = Machine("6.12", areas=(4, 5, 5))
    machine.do("write", 0, c=7)
    machine.do("mergeable", 0)
    machine.do("mprotect", 1, c=1)
    machine.do("munmap", 2)
    machine.do("clear_refs")
    machine.do("fork", c=1)
    for v in range(3):
        for field in set(VMA) - {"seam", "chained"}:
            assert getattr(machine.s.vma[1, v], field) == getattr(machine.s.vma[0, v], field), (v, field)


def test_one_name_is_one_process() -> None:
    machine = Machine()
    assert machine.do("fork", c=0) == BUSY
    assert machine.do("fork", c=1) == OK
    assert machine.do("fork", c=1) == BUSY
    machine.do("exit", p=1)
    assert machine.do("fork", c=1) == BUSY, "a name is not used twice"


def test_protection_goes_along_only_with_event_fork() -> None:
    for features in (0, EVENT):
        machine = Machine("6.12")
        machine.do("write", c=7)
        machine.protected(features=features)
        machine.do("fork", c=1)
        followed = 1 if features else 0
        assert (machine.s.proc[1].uffd, machine.s.vma[1, 0].registered, machine.pte(p=1).uffd_wp) == (followed,) * 3
        assert machine.pte().uffd_wp == 1
        assert machine.events() == ([(EVENT_FORK, 0, 0)] if features else [])
        assert machine.s.proc[1].features == (EVENT if features else 0)
        assert machine.broken() == set()


def test_no_event_without_registered_memory() -> None:
    machine = Machine("6.12")
    machine.do("uffd_open", c=EVENT)
    machine.do("fork", c=1)
    assert (machine.s.proc[1].uffd, machine.events()) == (0, [])
    machine = Machine("6.12")
    machine.do("uffd_open", c=EVENT)
    machine.do("uffd_register", 2)
    machine.do("fork", c=1)
    assert machine.s.proc[1].uffd, "any registered page will do"


@pytest.mark.parametrize(("kernel", "copied"), [("5.10", 0), ("6.1", 1), ("6.12", 1)])
def test_memory_without_anonymous_pages_is_copied_only_for_its_protection(kernel: str, copied: int) -> None:
    machine = Machine(kernel, areas=(0, 1, 2))
    machine.do("read", 0)
    machine.do("read", 1)
    machine.protected(0, features=EVENT)
    machine.do("fork", c=1)
    assert (machine.pte(0, 1).present, machine.pte(0, 1).uffd_wp) == (copied, copied)
    assert not machine.pte(1, 1).present


def test_markers_go_along_with_the_registration() -> None:
    for features in (0, EVENT):
        machine = Machine("6.12")
        machine.do("write", 1, c=7)
        machine.protected(0, features=features | UFFD_FEATURE_WP_UNPOPULATED)
        machine.do("fork", c=1)
        followed = 1 if features else 0
        assert (machine.pte(p=1).marker, machine.pte(p=1).uffd_wp, machine.pte(p=1).present) == (followed, followed, 0)


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12"])
def test_a_pinned_page_is_copied_for_the_child(kernel: str) -> None:
    machine = Machine(kernel)
    machine.do("write", c=7)
    machine.do("pin")
    frame = machine.pte().frame
    machine.do("fork", c=1)
    assert (machine.pte().frame, machine.pte().write, machine.page().mapcount) == (frame, 1, 1)
    twin = machine.pte(p=1)
    assert (twin.frame != frame, twin.write, twin.dirty, twin.soft_dirty, machine.content(p=1)) == (True, 1, 1, 1, 7)
    assert machine.page(p=1).exclusive == 1


def test_the_copy_of_a_pinned_page_is_read_only_where_the_memory_is() -> None:
    machine = Machine("6.12")
    machine.do("pin")
    machine.do("mprotect", c=1)
    machine.do("fork", c=1)
    assert (machine.same(0, 0, 0, 1), machine.pte(p=1).write) == (False, 0)


@pytest.mark.parametrize("features", [0, EVENT])
def test_the_copy_of_a_pinned_page_is_protected_where_the_child_is_registered(features: int) -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.do("pin")
    machine.protected(features=features)
    machine.do("fork", c=1)
    assert not machine.same(0, 0, 0, 1)
    assert (machine.pte(p=1).uffd_wp, machine.pte(p=1).write) == ((1, 0) if features else (0, 1))
    machine = Machine("6.12")
    machine.do("pin")
    machine.do("uffd_open", c=features)
    machine.do("uffd_register")
    machine.do("fork", c=1)
    assert (machine.pte(p=1).uffd_wp, machine.pte(p=1).write) == (0, 1)


def test_which_pages_may_not_be_shared() -> None:
    for kernel, exclusive, pins, copy in (
        ("6.12", 1, 1, 1),
        ("6.12", 0, 1, 0),
        ("6.12", 1, 0, 0),
        ("5.10", 1, 1, 1),
        ("5.10", 0, 1, 1),
        ("5.10", 0, 0, 0),
    ):
        machine = Machine(kernel)
        machine.s.page[1].mapcount, machine.s.page[1].exclusive, machine.s.page[1].pincount = 1, exclusive, pins
        assert must_copy_for_dma(machine.s, 1) == copy


@pytest.mark.parametrize(("kernel", "counted"), [("6.12", 2), ("6.16", 1)])
def test_a_zero_page_of_ksm_counts_twice_if_the_child_is_counted(kernel: str, counted: int) -> None:
    machine = Machine(kernel)
    machine.do("ksm_set", c=1001)
    machine.do("write")
    machine.do("mergeable")
    machine.do("ksm_scan", c=2)
    machine.do("fork", c=1)
    assert machine.s.ksm.zero_pages == counted
    machine.do("write", c=1, p=1)
    assert machine.s.ksm.zero_pages == counted - 1
    assert machine.broken() == set()


@pytest.mark.parametrize(("kernel", "promised"), [("6.18", False), ("6.16", True)])
def test_zero_pages_that_no_child_gets_are_counted_with_those_of_the_child(kernel: str, promised: bool) -> None:
    machine = Machine(kernel)
    machine.do("ksm_set", c=1001)
    machine.do("write", 0, c=0)
    machine.do("mergeable", 0)
    machine.do("ksm_scan", c=2)
    machine.do("dontfork", 0)
    machine.do("fork", c=1)
    assert machine.s.proc[1].zero_pages == 1, "dup_mm() copies the number, whatever dup_mmap() leaves out"
    assert machine.s.ksm.zero_pages == (1 if promised else 2)
    assert machine.broken() == (set() if promised else {"internal-consistency"})
    machine.do("exit", p=1)
    machine.do("write", 0, c=1)
    assert machine.s.proc[0].zero_pages == 0
    assert machine.s.ksm.zero_pages == (0 if promised else 1), "for ever"


def test_vmas_with_anonymous_pages_stay_apart_in_the_child_for_good() -> None:
    machine = Machine("6.12", areas=(0, 0, 1))
    machine.do("write", 0, c=1)
    machine.do("write", 1, c=1)
    machine.do("mergeable", 1)
    machine.do("fork", c=1)
    for p, one in ((0, 1), (1, 0)):
        machine.do("mergeable", 0, p=p)
        assert same_vma(machine.s, p, 0, 1) == one
    machine = Machine("6.12")
    machine.do("mergeable", 1)
    machine.do("fork", c=1)
    machine.do("mergeable", 0, p=1)
    assert same_vma(machine.s, 1, 0, 1), "they never had a page"


def test_exit_gives_everything_back() -> None:
    machine = Machine("6.12").merged()
    machine.do("pin", 2)
    machine.do("vmsplice", 0)
    machine.protected(0, 3)
    assert machine.do("exit") == OK
    assert machine.s.proc[0].state == PROCESS_EXITED
    for v in range(3):
        assert not machine.pte(v).present
        assert (machine.s.ref[0, v].pinned, machine.s.ref[0, v].spliced) == (0, 0)
        assert (machine.s.vma[0, v].mapped, machine.s.vma[0, v].mergeable, machine.s.vma[0, v].registered) == (0, 0, 0)
    assert not any(page.mapcount or page.refs or page.pincount or page.content for page in machine.s.page.cells)


def test_nobody_acts_after_exit() -> None:
    machine = Machine()
    machine.do("exit")
    assert machine.do("write", c=1) == machine.do("exit") == BUSY


@pytest.mark.parametrize("kernel", PROFILES)
def test_a_parent_and_child_do_not_see_each_others_stores(kernel: str) -> None:
    machine = Machine(kernel)
    machine.do("write", c=7)
    machine.do("fork", c=1)
    machine.do("write", c=8)
    machine.do("write", c=9, p=1)
    assert (machine.content(), machine.content(p=1)) == (8, 9)
    assert machine.broken() == set()


def test_a_spawned_process_has_new_memory_and_keeps_what_the_mm_asked_for() -> None:
    m = Machine("6.12")
    m.do("write", 0, c=7)
    m.do("munmap", 2)
    m.do("merge_any", c=1)
    assert m.do("spawn", c=1) == 0
    assert not m.pte(0, p=1).present and m.s.vma[1, 2].mapped and m.s.vma[1, 0].mergeable
    assert m.page().mapcount == 1 and not m.page().exclusive and not m.pte().write  # as the fork left it
    m.do("write", 0, p=1, c=7)
    m.do("ksm_scan", c=2)
    assert m.same(0, 0, 0, 1) and m.broken() == set()
    assert m.do("spawn", c=1) == BUSY


def test_a_spawned_process_has_no_userfaultfd() -> None:
    m = Machine("6.12").protected(features=UFFD_FEATURE_EVENT_FORK)
    m.do("spawn", c=1)
    assert [kind for kind, _, _ in m.events()] == [EVENT_FORK]
    assert not m.s.proc[1].uffd and not m.s.vma[1, 0].registered
    assert m.do("write", p=1, c=3) == 0


def test_vmas_of_a_child_that_a_registration_kept_apart_stay_apart() -> None:
    """Found by conform on 6.18: the child has no registration, so that nothing tells the two apart, but nothing merges them either."""
    machine = Machine("6.12", 3).protected(0, 1)
    machine.do("fork", c=1)
    machine.do("write", 1, c=7, p=1)
    machine.do("read", 0, p=1)
    machine.do("fork", c=2, p=1)
    assert (machine.pte(0, p=2).present, machine.pte(1, p=2).present) == (0, 1)


def test_a_registered_vma_that_is_not_copied_is_no_event() -> None:
    """Found by conform on 6.18: dup_mmap() goes on to the next vma before dup_userfaultfd()."""
    machine = Machine("6.12", 2).protected(0, 1, features=UFFD_FEATURE_EVENT_FORK)
    machine.do("dontfork", 0)
    machine.do("fork", c=1)
    assert not machine.events()
    assert not machine.s.proc[1].uffd
