"""Who takes pages through get_user_pages, and when."""

import pytest

from breakcow.kernel import PROFILES
from breakcow.mm.flags import (
    BLOCKED,
    BUSY,
    EFAULT,
    EIO,
    FOLL_COW,
    FOLL_FORCE,
    FOLL_GET,
    FOLL_LONGTERM,
    FOLL_PIN,
    FOLL_WRITE,
    OK,
    UFFD_FEATURE_SIGBUS,
    UFFD_USER_MODE_ONLY,
    VM_FAULT_WRITE,
)
from breakcow.mm.gup import (
    FAULT_IN,
    FOLLOWED,
    UNSHARE,
    can_follow_write_pte,
    check_vma_flags,
    foll_after_fault,
    follow_page_pte,
    gup_must_unshare,
)
from mm.machine import Machine

ACCESSES = ("process_vm_readv", "process_vm_writev", "pin", "vmsplice")


@pytest.mark.parametrize(
    ("prot", "foll", "refused"),
    [
        (0, FOLL_GET, 1),
        (1, FOLL_GET, 0),
        (1, FOLL_WRITE, 1),
        (3, FOLL_WRITE, 0),
        (0, FOLL_GET | FOLL_FORCE, 0),
        (1, FOLL_WRITE | FOLL_FORCE, 0),
    ],
)
def test_what_the_vma_permits(prot: int, foll: int, refused: int) -> None:
    machine = Machine()
    machine.do("mprotect", c=prot)
    assert check_vma_flags(machine.s, 0, 0, foll) == refused
    machine.do("munmap")
    assert check_vma_flags(machine.s, 0, 0, foll) == 1


def test_holes_and_permissions_are_efault_and_change_nothing() -> None:
    for verb in ACCESSES:
        machine = Machine()
        machine.do("write", c=7)
        machine.do("mprotect", c=0)
        assert machine.do(verb, c=8) == -EFAULT
        assert machine.content() == 7
        machine.do("munmap")
        assert machine.do(verb, c=8) == -EFAULT
        assert (machine.s.ref[0, 0].pinned, machine.s.ref[0, 0].spliced) == (0, 0)


def test_a_page_that_is_not_there_is_faulted_in() -> None:
    for verb, frame, content in (("process_vm_readv", 0, 0), ("process_vm_writev", 1, 8), ("pin", 1, 0), ("vmsplice", 0, 0)):
        machine = Machine()
        assert machine.do(verb, c=8) == OK
        assert (machine.pte().frame, machine.content()) == (frame, content)


def test_a_read_pin_gives_what_the_page_holds() -> None:
    machine = Machine()
    machine.do("write", c=7)
    machine.do("process_vm_readv")
    assert machine.s.step.value == 7


@pytest.mark.parametrize(("kernel", "shared"), [("5.10", True), ("6.1", False), ("6.12", False)])
def test_a_read_pin_unshares_since_5_19_and_a_reference_never(kernel: str, shared: bool) -> None:
    machine = Machine(kernel).merged()
    machine.do("vmsplice", 0)
    assert machine.same(0, 1)
    machine.do("process_vm_readv", 0)
    assert machine.same(0, 1) is shared
    assert machine.s.step.cow_ksm == (0 if shared else 1)


def test_who_must_unshare() -> None:
    machine = Machine("6.12")
    machine.do("write", 0, c=7)
    machine.do("write", 1, c=7)
    machine.do("fork", c=1)
    machine.do("write", 1, c=8)
    machine.do("read", 2)
    shared, own, zero = 0, 1, 2
    expected = {
        (shared, FOLL_PIN): 1,
        (shared, FOLL_PIN | FOLL_WRITE): 0,
        (shared, FOLL_GET): 0,
        (own, FOLL_PIN): 0,
        (zero, FOLL_PIN): 0,
        (zero, FOLL_PIN | FOLL_LONGTERM): 1,
    }
    for (v, foll), unshare in expected.items():
        assert gup_must_unshare(machine.s, 0, v, foll) == unshare, (v, foll)
    for changes in ({"gup_unshare": 0}, {"unshare_zero_page": 0}):
        machine.s.kernel = PROFILES["6.12"].but(**changes)
        assert not gup_must_unshare(machine.s, 0, zero, FOLL_PIN | FOLL_LONGTERM)
    machine.s.kernel = PROFILES["6.12"].but(gup_unshare=0)
    assert not gup_must_unshare(machine.s, 0, shared, FOLL_PIN)


def test_what_can_be_followed() -> None:
    machine = Machine("6.12")
    assert follow_page_pte(machine.s, 0, 0, FOLL_GET) == FAULT_IN
    machine.do("write", c=7)
    assert follow_page_pte(machine.s, 0, 0, FOLL_GET | FOLL_WRITE) == FOLLOWED
    machine.do("fork", c=1)
    assert follow_page_pte(machine.s, 0, 0, FOLL_GET) == FOLLOWED
    assert follow_page_pte(machine.s, 0, 0, FOLL_PIN) == UNSHARE
    assert follow_page_pte(machine.s, 0, 0, FOLL_PIN | FOLL_WRITE) == FAULT_IN


@pytest.mark.parametrize(
    ("changed", "follows"),
    [
        ("nothing", 1),
        ("no force", 0),
        ("writable vma", 0),
        ("shared", 0),
        ("zero page", 0),
        ("clean", 0),
        ("clean, not tracked", 1),
        ("clean in a soft-dirty vma", 1),
        ("protected", 0),
        ("protected, not registered", 1),
    ],
)
def test_a_forced_store_to_a_read_only_page_since_5_19(changed: str, follows: int) -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.do("clear_refs")
    machine.do("mprotect", c=1)
    s, pte, vma = machine.s, machine.pte(), machine.s.vma[0, 0]
    pte.soft_dirty = 1
    if changed == "writable vma":
        vma.prot = 3
    elif changed == "shared":
        machine.page().exclusive = 0
    elif changed == "zero page":
        pte.frame = 0
    elif changed.startswith("clean"):
        pte.soft_dirty = 0
        vma.soft_dirty = int("vma" in changed)
        s.kernel = PROFILES["6.18"] if "not tracked" in changed else s.kernel
    elif changed.startswith("protected"):
        pte.uffd_wp = 1
        vma.registered = int("not" not in changed)
    foll = FOLL_WRITE | (0 if changed == "no force" else FOLL_FORCE)
    assert can_follow_write_pte(s, 0, 0, foll) == follows


def test_a_forced_store_on_old_kernels_needs_a_write_fault_before_and_a_dirty_entry() -> None:
    machine = Machine("5.10")
    machine.do("write", c=7)
    machine.do("mprotect", c=1)
    for broken in (0, FOLL_COW):
        for dirty in (0, 1):
            machine.pte().dirty = dirty
            assert can_follow_write_pte(machine.s, 0, 0, FOLL_WRITE | FOLL_FORCE | broken) == int(bool(broken and dirty))


@pytest.mark.parametrize(
    ("drops", "prot", "fault", "after"),
    [
        (0, 1, VM_FAULT_WRITE, FOLL_WRITE | FOLL_FORCE | FOLL_COW),
        (0, 3, VM_FAULT_WRITE, FOLL_WRITE | FOLL_FORCE),
        (1, 1, VM_FAULT_WRITE, FOLL_FORCE),
        (1, 1, 0, FOLL_WRITE | FOLL_FORCE | FOLL_COW),
        (1, 3, VM_FAULT_WRITE, FOLL_WRITE | FOLL_FORCE),
    ],
)
def test_what_a_completed_fault_changes_for_a_forced_store(drops: int, prot: int, fault: int, after: int) -> None:
    machine = Machine("5.10")
    machine.s.kernel = PROFILES["5.10"].but(gup_cow_drops_write=drops)
    machine.s.vma[0, 0].prot = prot
    assert foll_after_fault(machine.s, 0, 0, FOLL_WRITE | FOLL_FORCE, fault) == after
    assert foll_after_fault(machine.s, 0, 0, FOLL_FORCE, fault) == FOLL_FORCE


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.2"])
def test_a_store_through_proc_mem(kernel: str) -> None:
    machine = Machine(kernel)
    assert machine.do("mem_write", c=8) == OK
    assert machine.content() == 8
    machine.do("mprotect", c=1)
    forced = PROFILES[kernel].proc_mem_force
    assert machine.do("mem_write", c=9) == (OK if forced else -EIO)
    assert machine.content() == (9 if forced else 8)
    machine.do("munmap")
    assert machine.do("mem_write", c=9) == -EIO


def test_a_store_through_proc_mem_never_waits() -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected()
    assert machine.do("mem_write", c=8) == -EIO
    assert (machine.content(), machine.events(), machine.s.step.warned & 0x4) == (7, [], 0)
    assert machine.s.step.warned == 0x881


@pytest.mark.parametrize("verb", ["process_vm_writev", "pin"])
def test_who_waits_and_goes_on(verb: str) -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected()
    assert machine.do(verb, c=8) == BLOCKED
    assert machine.events() == [(1, 0, 0)]
    machine.do("uffd_release")
    assert (machine.s.resumed[0].ended, machine.s.resumed[0].result) == (1, OK)
    assert machine.content() == (8 if verb == "process_vm_writev" else 7)
    assert machine.page().pincount == (1 if verb == "pin" else 0)


@pytest.mark.parametrize("features", [UFFD_USER_MODE_ONLY, UFFD_FEATURE_SIGBUS])
def test_who_cannot_wait_gets_efault(features: int) -> None:
    machine = Machine("6.12")
    machine.do("write", c=7)
    machine.protected(features=features)
    for verb in ("process_vm_writev", "pin"):
        assert machine.do(verb, c=8) == -EFAULT
    assert (machine.content(), machine.page().pincount) == (7, 0)


def test_pinning_waits_only_since_io_uring_lets_it() -> None:
    machine = Machine("6.1")
    machine.do("write", c=7)
    machine.protected()
    assert machine.do("pin") == -EFAULT
    assert machine.s.step.warned == 0x801
    assert machine.events() == []


def test_reads_are_not_trapped() -> None:
    machine = Machine("6.12").merged().protected(0, 2)
    assert machine.do("process_vm_readv") == machine.do("vmsplice", 1) == OK
    assert (machine.events(), machine.pte().uffd_wp) == ([], 1)


def test_a_pin_lasts_and_is_one() -> None:
    machine = Machine()
    assert machine.do("unpin") == machine.do("dma", c=5) == BUSY
    assert machine.do("pin") == OK
    frame = machine.pte().frame
    assert machine.do("pin") == BUSY
    assert (machine.page().pincount, machine.s.ref[0, 0].pinned) == (1, frame + 1)
    assert machine.do("dma", c=5) == OK
    assert machine.content() == 5
    machine.do("dontneed")
    assert machine.do("dma", c=6) == OK
    assert (machine.s.page[frame].content, machine.pte().present) == (6, 0)
    assert machine.do("unpin") == OK
    assert (machine.s.page[frame].pincount, machine.s.page[frame].content, machine.s.ref[0, 0].pinned) == (0, 0, 0)
    assert machine.do("unpin") == BUSY


def test_a_pipe_holds_one_page_until_it_is_drained() -> None:
    machine = Machine()
    machine.do("write", c=7)
    frame = machine.pte().frame
    assert machine.do("drain") == BUSY
    assert machine.do("vmsplice") == OK
    assert machine.do("vmsplice") == BUSY
    assert (machine.page().refs, machine.s.ref[0, 0].spliced) == (1, frame + 1)
    machine.do("munmap")
    assert machine.do("drain") == OK
    assert machine.s.step.value == 7
    assert (machine.s.page[frame].refs, machine.s.page[frame].content, machine.s.ref[0, 0].spliced) == (0, 0, 0)


def test_old_kernels_let_a_child_read_what_its_parent_stores_later() -> None:
    """CVE-2020-29374: until 5.8 a write fault looks at the mapcount alone, so a pipe of the child keeps a page its parent takes over."""
    for profile, leaks in ((PROFILES["5.10"].but(wp_reuse=0), True), (PROFILES["5.10"], False), (PROFILES["6.12"], False)):
        machine = Machine(profile)
        machine.do("write", c=1)
        machine.do("fork", c=1)
        machine.do("vmsplice", p=1)
        machine.do("munmap", p=1)
        machine.do("write", c=2)
        assert machine.content() == 2
        assert ("isolation" in machine.broken()) is leaks, profile.wp_reuse
        machine.do("drain", p=1)
        assert machine.s.step.value == (2 if leaks else 1)
