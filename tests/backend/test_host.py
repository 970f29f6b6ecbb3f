"""The agent on this machine's kernel: what it does and what it sees. Real processes, real pages."""

import subprocess
import sys
import time

import pytest

from backend.host_programs import flat, on_host, page, results
from breakcow import litmus
from breakcow.backend.errors import Disturbed, RunFailed
from breakcow.backend.host import HostBackend
from breakcow.backend.observation import Observation, Outcome
from breakcow.litmus.program import Program

pytestmark = on_host


def test_a_store_makes_a_page_and_a_load_the_zero_page(host: HostBackend) -> None:
    first, second, third = host.run(flat("A write x 7\nA read y\nA read x"))
    assert (page(first, "x").state, page(first, "x").content, page(first, "x").frame, page(first, "x").mapcount) == ("page", 7, 0, 1)
    assert page(first, "y").state == "none"
    assert page(second, "y").state == "zero"
    assert second.outcome == Outcome("ok", 0)
    assert third.outcome == Outcome("ok", 7)


def test_fork_shares_and_a_store_takes_apart(host: HostBackend) -> None:
    _, forked, written, left, reused = host.run(flat("A write x 7\nA fork B\nB write x 9\nB exit\nA write x 8"))
    assert page(forked, "x").mapcount == 2
    assert page(forked, "x").frame == page(forked, "x", "B").frame == 0
    assert page(written, "x", "B").moved
    assert (page(written, "x").content, page(written, "x", "B").content) == (7, 9)
    assert left.processes["B"].state == "exited"
    assert not page(reused, "x").moved


def test_programs_that_are_asked_for_ahead_show_what_they_show_one_by_one(host: HostBackend) -> None:
    programs = [flat("A write x 7\nA fork B\nB write x 9"), flat("A read y"), flat("A write x 1\nA write y 2")]
    alone = [host.run(each) for each in programs]
    refused = Program((), ("x",), (0,), ())
    first, second, wrong, third = (host.ask(each) for each in (*programs[:2], refused, programs[2]))
    assert third() == alone[2]  # whoever asks first is answered, though others come before
    assert (first(), second(), third()) == tuple(alone)
    with pytest.raises(RunFailed, match="a program has 1 to 6 processes"):
        wrong()
    assert host.run(programs[0]) == alone[0]


def test_no_answer_loses_a_piece_where_a_ring_wakes_who_writes_it(host: HostBackend) -> None:
    pinned = flat("A write x 7\n" + "A pin x\nA write x 8\nA unpin x\nA write x 9\n" * 20)
    alone = host.run(pinned)
    asked = [host.ask(pinned) for _ in range(20)]  # more than a pipe holds: the agent sleeps while it writes
    time.sleep(0.5)
    assert [answer() for answer in asked] == [alone] * 20


def test_who_is_gone_or_not_yet_there_is_busy(host: HostBackend) -> None:
    body = "A write x 7\nA fork B\nB exit\nA write x 8"
    whole = flat(body)
    late = Program(whole.processes, whole.pages, whole.mappings, (whole.actions[2], *whole.actions, whole.actions[2]))
    seen = host.run(late)
    assert results(seen) == ["busy", "ok", "ok", "ok", "ok", "busy"]


def test_a_child_outlives_its_parent(host: HostBackend) -> None:
    seen = host.run(flat("A write x 7\nA fork B\nA exit\nB write x 8"))
    assert seen[-1].processes["A"].state == "exited"
    assert page(seen[-1], "x", "B").content == 8


@pytest.mark.parametrize("verb", ["write x 5", "copy_to_user x 5", "mem_write x 5", "process_vm_writev x 5"])
def test_every_way_to_store_stores_the_whole_page(host: HostBackend, verb: str) -> None:
    seen = host.run(flat(f"A {verb}\nA read x\nA process_vm_readv x"))
    assert [each.outcome.value for each in seen] == [None, 5, 5]
    assert page(seen[0], "x").content == 5


def test_faults_and_errors_are_outcomes(host: HostBackend) -> None:
    body = """A write x 1
    A mprotect x none
    A read x
    A copy_to_user x 1
    A mprotect x r
    A write x 2
    A munmap x
    A write x 3
    A process_vm_readv x
    A madvise x dontneed
    A write y 4"""
    seen = host.run(flat(body))
    assert results(seen) == ["ok", "ok", "SIGSEGV", "EFAULT", "ok", "SIGSEGV", "ok", "SIGSEGV", "EFAULT", "ENOMEM", "ok"]
    assert [page(each, "x").state for each in seen] == ["page"] * 6 + ["unmapped"] * 5
    assert page(seen[1], "x").content == 1


def test_mremap_moves_the_address_and_keeps_name_content_and_frame(host: HostBackend) -> None:
    seen = host.run(flat("A write x 1\nA write y 2\nA mremap x\nA read x\nA fork B\nB read x\nA write y 3"))
    assert not page(seen[2], "x").moved
    assert (seen[3].outcome.value, seen[5].outcome.value) == (1, 1)
    assert results(seen) == ["ok"] * 7


def test_dontneed_leaves_a_hole(host: HostBackend) -> None:
    seen = host.run(flat("A write x 1\nA madvise x y dontneed\nA read x"))
    assert [page(each, "x").state for each in seen] == ["page", "none", "zero"]


def test_a_store_faults_where_the_entry_is_not_writable(host: HostBackend) -> None:
    body = """A write x 3
    A write x 4
    A read y
    A write y 5
    A fork B
    A write x 6
    B write x 7
    A write x 8
    B write x 9"""
    assert [each.outcome.faults for each in host.run(flat(body))] == [1, 0, None, 1, None, 1, 1, 0, 0]


@pytest.mark.parametrize("reach", ["process_vm_writev x 5", "mem_write x 5", "madvise x populate_write", "pin x"])
def test_faults_are_not_told_where_a_read_only_translation_may_be_left(host: HostBackend, reach: str) -> None:
    seen = host.run(flat(f"A write x 7\nA fork B\nB exit\nA read x\nA {reach}\nA write x 8\nA write x 8\n"))
    assert [each.outcome.faults for each in seen][-2:] == [None, 0]


@pytest.mark.parametrize(("loaded", "stored", "faults"), [("x", "y", None), ("y", "x", 0)])
def test_nor_behind_a_page_that_was_loaded(host: HostBackend, loaded: str, stored: str, faults: int | None) -> None:
    """A processor that loads a page goes on to the next one: 41 of 150 such stores took a fault."""
    steps = f"A write {stored} 7\nA fork B\nB exit\nA read {loaded}\nA mem_write {stored} 5\nA write {stored} 8\nA write {stored} 8\n"
    assert [each.outcome.faults for each in host.run(flat(steps))][-2:] == [faults, 0]


@pytest.mark.needs("io-uring")
def test_faults_of_the_pages_that_requests_lie_in_are_not_counted(host: HostBackend) -> None:
    """After a fork all pages of both fault at a store but those that were pinned, and the child's copies of these."""
    *_, parent, child = host.run(flat("A write x 3\nA pin x\nA fork B\nA write x 4\nB write x 5"))
    assert (parent.outcome, child.outcome) == (Outcome("ok", faults=0), Outcome("ok", faults=0))


@pytest.mark.needs("populate")
def test_populate(host: HostBackend) -> None:
    seen = host.run(flat("A madvise x y populate_read\nA madvise x y populate_write"))
    assert [(page(each, "x").state, page(each, "y").state) for each in seen] == [("zero", "zero"), ("page", "page")]
    assert page(seen[1], "y").content == 0


@pytest.mark.needs("ksm", "ksm-bit")
def test_equal_pages_merge_at_the_second_scan_and_unmerge(host: HostBackend) -> None:
    body = "A write x 7\nA write y 7\nA madvise x y mergeable\n- ksm scan 1\n- ksm scan 1\nA madvise x y unmergeable"
    *_, once, twice, unmerged = host.run(flat(body))
    assert page(once, "x").ksm is False
    assert page(twice, "x").ksm is True
    assert page(twice, "x").frame == page(twice, "y").frame == 0
    assert (page(unmerged, "x").ksm, page(unmerged, "y").frame) == (False, 1)
    assert unmerged.counters.get("cow_ksm", 2) == 2


@pytest.mark.needs("ksm")
def test_ksmd_does_nothing_unless_it_runs_and_knobs_are_set(host: HostBackend) -> None:
    body = """A write x 7
    A write y 7
    A madvise x y mergeable
    - ksm run 0
    - ksm scan 3
    - ksm run 1
    - ksm scan 1
    - ksm set max_page_sharing 2
    - ksm run 2"""
    seen = host.run(flat(body))
    assert results(seen) == ["ok"] * 9 + ["EBUSY", "ok"]
    assert [page(each, "x").frame == page(each, "y").frame for each in seen[6:]] == [False, False, True, True, False]


@pytest.mark.needs("uffd-wp-unpopulated", "uffd-wp-bit")
def test_a_marker_is_not_swap(host: HostBackend) -> None:
    seen = host.run(flat("A uffd open wp-unpopulated\nA uffd register x wp\nA uffd protect x"))
    assert (page(seen[-1], "x").state, page(seen[-1], "x").uffd_wp) == ("marker", True)


@pytest.mark.needs("io-uring")
def test_a_pin_sees_stores_and_the_device_stores(host: HostBackend) -> None:
    seen = host.run(flat("A write x 1\nA pin x\nA write x 2\nA dma x 3\nA pin x\nA unpin x\nA unpin x\nA dma x 4"))
    assert [each.processes["A"].pinned for each in seen] == [{}, {"x": 1}, {"x": 2}, {"x": 3}, {"x": 3}, {}, {}, {}]
    assert page(seen[3], "x").content == 3
    assert results(seen) == ["ok", "ok", "ok", "ok", "busy", "ok", "busy", "busy"]


@pytest.mark.needs("io-uring")
def test_a_pin_is_looked_at_while_its_process_sleeps_and_goes_with_it(host: HostBackend) -> None:
    body = """A write x 1
    A write y 1
    A pin x
    A uffd open
    A uffd register y wp
    A uffd protect y
    A write y 2 -> blocks
    A uffd release y
    A fork B
    A exit"""
    seen = host.run(flat(body))
    assert seen[6].processes["A"].pinned == {"x": 1}
    assert page(seen[8], "x", "B").frame != page(seen[8], "x").frame
    assert seen[9].processes["A"].pinned == {}


@pytest.mark.needs("io-uring", "uffd-wp")
def test_a_ring_that_is_closed_wakes_nobody(host: HostBackend) -> None:
    """The kernel wakes who made a ring some time after it was closed; one that sleeps in a fault would raise its event again."""
    body = "A write x y 1\nA fork B\nA uffd open\nA uffd register x wp\nA uffd protect x\nA pin y\nA unpin y\nA write x 2 -> blocks\n"
    for _ in range(3):
        seen = host.run(flat(body + "B read y\n" * 150))
        assert [len(each.events) for each in seen] == [0] * 8 + [1] + [0] * 150


def test_a_pipe_keeps_what_was_spliced(host: HostBackend) -> None:
    seen = host.run(flat("A write x 1\nA vmsplice x\nA madvise x dontneed\nA write x 2\nA vmsplice x\nA drain x\nA drain x"))
    assert [each.processes["A"].spliced for each in seen] == [{}] + [{"x": 1}] * 4 + [{}, {}]
    assert results(seen) == ["ok"] * 4 + ["busy", "ok", "busy"]


@pytest.mark.needs("soft-dirty")
def test_soft_dirty(host: HostBackend) -> None:
    seen = host.run(flat("A write x 1\nA clear_refs\nA read x\nA write x 2"))
    assert [page(each, "x").soft_dirty for each in seen] == [True, False, False, True]


@pytest.mark.needs("ksm", "uffd-wp", "io-uring")
def test_the_same_program_gives_the_same_observations(host: HostBackend) -> None:
    body = """A write x 7
    A write y 7
    A write z 7
    A madvise x y z mergeable
    - ksm scan 2
    A fork B
    B write x 9
    B exit
    A pin z
    A uffd open
    A uffd register x y wp
    A uffd protect x y
    A write x 5 -> blocks
    A uffd close
    A madvise x y z unmergeable
    A fork C
    C exit
    A write y 6"""
    whole = flat(body, "x y z")

    def seen() -> list[Observation]:
        """Without the counters, which are seen only while no other process of the machine has mergeable memory."""
        return [Observation(each.outcome, each.processes, each.resumed, each.events) for each in host.run(whole)]

    first = seen()
    assert all(seen() == first for _ in range(30))


def test_an_observation_leaves_no_reference_behind(host: HostBackend) -> None:
    """Looking at a page through /proc/PID/mem puts it in an LRU batch, and a stray reference turns reuse into a copy."""
    seen = host.run(flat("A write x 1\n" + "A read x\n" * 20 + "A fork B\nB read x\nB exit\n" + "A read x\n" * 20 + "A write x 2"))
    assert not any(page(each, "x").moved for each in seen)


def test_what_cannot_be_run_is_said_and_the_next_runs(host: HostBackend) -> None:
    good = flat("A write x 7\nA munmap x y")
    apart = Program(good.processes, good.pages, (0, 1), good.actions)
    with pytest.raises(RunFailed, match="munmap names 2 pages in a row that do not lie side by side"):
        host.run(apart)
    with pytest.raises(RunFailed, match="step_seconds is a number up to 600"):
        host.run(good, step_seconds=1000)
    assert results(host.run(good)) == ["ok", "ok"]


@pytest.mark.needs("uffd-wp", "uffd-event-fork")
def test_what_one_process_waits_to_read_is_not_what_another_reads_meanwhile(host: HostBackend) -> None:
    seen = host.run(
        flat(
            """
            A write x y 1
            A fork B
            A uffd open
            A uffd register x wp
            A uffd protect x
            A copy_to_user x 8
            B copy_to_user y 0
            A uffd release x
            """
        )
    )
    assert seen[-1].resumed == {"A": Outcome("ok")}
    assert (page(seen[-1], "x").content, page(seen[-1], "y", "B").content) == (8, 0)


NEIGHBOUR = """
import mmap, sys
memory = mmap.mmap(-1, 8192, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_MERGEABLE)
memory[:] = {content!r} * 8192
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.needs("ksm")
@pytest.mark.parametrize(
    ("content", "body", "why"),
    [
        (b"n", "A write x 1\nA madvise x mergeable\n- ksm scan 2\n- ksm set max_page_sharing 3", "max_page_sharing cannot be set"),
        (b"\0", "A write x 0\nA madvise x mergeable\n- ksm scan 3", "a page of the test was merged with one of it"),
    ],
)
def test_what_a_neighbour_spoils_is_no_observation(host: HostBackend, content: bytes, body: str, why: str) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", NEIGHBOUR.format(content=content)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as neighbour:
        assert neighbour.stdout
        neighbour.stdout.readline()
        with pytest.raises(Disturbed, match=why):
            host.run(flat(body))
        neighbour.communicate()
    assert results(host.run(flat(body)))[-1] == "ok"


@pytest.mark.needs("ksm", "merge-any", "pagemap-scan")
def test_what_the_agent_maps_is_not_merged(host: HostBackend) -> None:
    """A page that holds the page table, in each of two processes that are born with all that they map mergeable."""
    seen = host.run(flat("A pagemap_scan x written\nA prctl memory_merge 1\nA spawn B\nA spawn C\n- ksm scan 3"))
    assert [one.processes[name].merging for one in seen[-3:] for name in "ABC"] == [0] * 9
    assert seen[-1].counters["pages_shared"] == 0


@pytest.mark.needs("thp")
def test_an_observation_of_a_huge_page_is_read_anew_each_time(host: HostBackend) -> None:
    """What is read of its page table is how it begins: the rest of it could have changed, also where that has not."""
    body = "A write x 7\nA read y\nA read x\nA write z 1\nA read z"
    program = litmus.parse("litmus a/b\n    Test.\n\nmemory huge x y rest\nmemory z\n\n" + body + "\n")[0]
    seen = host.run(litmus.program(program))
    assert [page(one, "x").mapcount for one in seen] == [1] * 5
    assert [page(one, "x").content for one in seen] == [7] * 5


@pytest.mark.needs("thp", "ksm", "populate", "io-uring")
@pytest.mark.parametrize(
    "body",
    [
        "A write x 1",
        "A copy_to_user x 1",
        "A read x\nA write x 1",
        "A madvise x populate_write",
        "A pin x",
        "A write x 1\nA fork B\nA madvise rest populate_write",
        "A pin x\nA fork B",
    ],
)
def test_ksm_finds_nothing_equal_in_what_is_left_of_a_huge_page(host: HostBackend, body: str) -> None:
    ksm = "- ksm set max_page_sharing 2\nA prctl memory_merge 1" + "\nB prctl memory_merge 1" * ("fork" in body) + "\n- ksm scan 3"
    text = f"litmus a/b\n    Test.\n\nmemory huge x rest\n\n{body}\n{ksm}\n"
    seen = host.run(litmus.program(litmus.parse(text)[0]))
    assert seen[-1].counters.get("pages_shared", 0) <= 1  # that is x
    assert {process.pages["rest"].state for process in seen[-1].processes.values()} == {"page"}


@pytest.mark.needs("ksm")
def test_counters_that_stay_are_seen_at_each_step(host: HostBackend) -> None:
    seen = host.run(flat("A write x y 7\nA madvise x y mergeable\n- ksm scan 2\nA read x\nA read y\nA write x 8\nA read x"))
    assert [one.counters.get("pages_shared") for one in seen[-5:]] == [1] * 5
    assert [one.counters.get("cow_ksm") for one in seen[-4:]] == [0, 0, 1, 0]
