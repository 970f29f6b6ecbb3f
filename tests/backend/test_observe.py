"""From a state of the specification to what is seen of it."""

import pytest

from backend.programs import MERGED, flat
from breakcow.backend.model import ModelBackend
from breakcow.backend.observation import Event, Observation, Outcome, PageSeen
from breakcow.backend.observe import result
from breakcow.kernel import PROFILES
from breakcow.mm.flags import BLOCKED, BUSY, EFAULT, EIO, OK, SIGBUS, SIGSEGV


def seen(text: str, kernel: str = "6.12") -> Observation:
    return ModelBackend(PROFILES[kernel]).run(flat(text))[-1]


def page(text: str, name: str = "x", process: str = "A", kernel: str = "6.12") -> PageSeen:
    return seen(text, kernel).processes[process].pages[name]


@pytest.mark.parametrize(
    ("number", "word"),
    [(OK, "ok"), (BLOCKED, "blocked"), (SIGBUS, "SIGBUS"), (SIGSEGV, "SIGSEGV"), (BUSY, "busy"), (-EIO, "EIO"), (-EFAULT, "EFAULT")],
)
def test_results(number: int, word: str) -> None:
    assert result(number) == word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A read y", PageSeen("none", uffd_wp=False, soft_dirty=True)),
        ("A clear_refs", PageSeen("none", uffd_wp=False, soft_dirty=False)),
        ("A munmap x", PageSeen("unmapped")),
        ("A read x", PageSeen("zero", ksm=False, uffd_wp=False, soft_dirty=True, writable=False, dirty=False)),
        ("A uffd open wp-unpopulated; A uffd register x wp; A uffd protect x", PageSeen("marker", uffd_wp=True, soft_dirty=True)),
        (
            "A write x 7",
            PageSeen("page", 0, False, 7, 1, ksm=False, uffd_wp=False, soft_dirty=True, writable=True, dirty=True, exclusive=True),
        ),
        (MERGED, PageSeen("page", 0, False, 7, 2, ksm=True, uffd_wp=False, soft_dirty=True, writable=False, dirty=False, exclusive=False)),
    ],
)
def test_one_page(text: str, expected: PageSeen) -> None:
    found = page(text.rstrip("; "))
    if expected.ksm:
        assert found.moved, "the first of two is replaced by the second"
        found = page(text.rstrip("; "), "y")
        assert found.frame == 0
    assert found == expected


def test_what_the_kernel_does_not_track_is_not_seen() -> None:
    for text in ("A write x 7", "A read y", "A read x"):
        assert page(text, kernel="6.18").soft_dirty is None


def test_frames_are_named_in_the_order_of_processes_and_pages() -> None:
    found = seen("A write z 1; A write y 2; A write x 3; A fork B; B write y 4")
    labels = {p: {name: one.frame for name, one in process.pages.items()} for p, process in found.processes.items()}
    assert labels == {"A": {"x": 0, "y": 1, "z": 2}, "B": {"x": 0, "y": 3, "z": 2}}


def test_moved_means_another_frame_than_before_the_step() -> None:
    assert [page("A write x 7; A fork B; A write x 8", p).moved for p in ("x", "y")] == [True, False]
    assert not page("A write x 7; A fork B; A write x 8", process="B").moved
    assert not page("A write x 7").moved, "it was no page before"
    assert not page("A read x; A write x 7").moved
    assert not page("A write x 7; A fork B; A write x 8; A read y").moved


def test_values_belong_to_loads() -> None:
    assert seen("A write x 7; A read x").outcome == Outcome("ok", 7)
    assert seen("A write x 7; A process_vm_readv x").outcome == Outcome("ok", 7)
    assert seen("A write x 7; A vmsplice x; A drain x").outcome == Outcome("ok")
    assert seen("A mprotect x none; A read x").outcome == Outcome("SIGSEGV")


def test_faults_belong_to_stores() -> None:
    assert seen("A write x 7").outcome == Outcome("ok", faults=1)
    assert seen("A write x 7; A write x 8").outcome == Outcome("ok", faults=0)
    assert seen("A copy_to_user x 7").outcome == seen("A process_vm_writev x 7").outcome == Outcome("ok")
    assert seen("A mprotect x r; A write x 7").outcome == Outcome("SIGSEGV")


def test_pins_and_pipes_show_what_they_hold() -> None:
    process = seen("A write x 7; A pin x; A vmsplice x; A madvise x dontneed; A write x 8").processes["A"]
    assert (process.pinned, process.spliced) == ({"x": 7}, {"x": 7})
    assert seen("A write x 7; A pin x; A unpin x").processes["A"].pinned == {}


def test_processes() -> None:
    found = seen("A write x 7; A fork B; B exit")
    assert {name: process.state for name, process in found.processes.items()} == {"A": "running", "B": "exited"}
    assert found.processes["B"].pages == {} and found.processes["B"].merging is None
    assert set(seen("A write x 7").processes) == {"A"}
    assert set(ModelBackend(PROFILES["6.12"]).run(flat("A write x 7; A fork B"))[0].processes) == {"A"}


def test_blocked_and_resumed() -> None:
    text = "A write x 7; A uffd open; A uffd register x wp; A uffd protect x; A write x 8"
    found = seen(text)
    assert (found.outcome, found.processes["A"].state, found.events) == (Outcome("blocked"), "blocked", (Event("wp", "A", "x"),))
    found = seen(text + "; A uffd release x")
    assert (found.resumed, found.processes["A"].state, found.events) == ({"A": Outcome("ok")}, "running", ())


def test_a_fork_message_names_no_page() -> None:
    text = "A write y 7; A uffd open event-fork; A uffd register y wp; A fork B"
    assert seen(text).events == (Event("fork", "A", ""),)


def test_counters() -> None:
    assert seen(MERGED.rstrip("; ")).counters == {"pages_shared": 1, "pages_sharing": 1, "ksm_zero_pages": 0, "cow_ksm": 0}
    assert seen(MERGED + "A write x 8").counters == {"pages_shared": 1, "pages_sharing": 1, "ksm_zero_pages": 0, "cow_ksm": 1}
    text = "- ksm set use_zero_pages 1; A write x y 0; A madvise x y mergeable; - ksm scan 2"
    assert seen(text).counters["ksm_zero_pages"] == 2
    assert seen(MERGED.rstrip("; ")).processes["A"].merging == 2
