"""The search finds what is there, by shortest programs, and counts what it saw."""

from collections.abc import Collection

import pytest

pytest.importorskip("numba")

from breakcow.explore.bound import ALWAYS, Bound
from breakcow.explore.counterexample import counterexample
from breakcow.explore.search import ALL, Search
from breakcow.explore.survey import Limits, Survey, distinct
from breakcow.kernel import PROFILES, Profile
from breakcow.litmus import parse, to_text
from breakcow.mm.actions import VERB
from breakcow.mm.promises import PROMISES
from breakcow.report.exploration import summary

UFFD = ("uffd_open", "uffd_register", "uffd_protect", "uffd_release", "uffd_close", "uffd_unregister")
KSM = ("mergeable", "unmergeable", "ksm_scan")
PART = (*ALWAYS, *KSM, *UFFD[:4], "clear_refs")
OLD = PROFILES["5.10"].but(wp_reuse=0, gup_cow_drops_write=1)  # as before 5.8, and before 4.9
PIECES = (*ALWAYS, "fork", "vmsplice", "munmap", "mprotect", "dontneed", "begin", "retry")

pytestmark = pytest.mark.compiled


def search(
    profile: Profile, operations: tuple[str, ...], depth: int, picked: int = ALL, symmetric: bool = True, among: Collection[str] = VERB
) -> Search:
    """The search when it is done, by rules made for every operation, two processes and two pages: one compiled form of each kernel serves
    all tests of this folder and of tests/conform, for compiling takes longer than most searches (tests/explore/test_specialise.py holds
    those made for one search to it). What never forks has one process all the same."""
    found = Search(profile, Bound(operations=operations, depth=depth), picked, symmetric=symmetric, among=frozenset(among))
    found.run()
    return found


def programs(found: Search) -> dict[tuple[str, str], int]:
    """(promise, last operation) -> steps of the shortest program."""
    result: dict[tuple[str, str], int] = {}
    for one in distinct([counterexample(found, find) for find in found.tally.finds]):
        for promise in one.promises:
            result.setdefault((promise, one.test.body[len(one.steps) - 1].verb), len(one.steps))  # type: ignore[union-attr]
    return result


@pytest.mark.parametrize(
    ("operations", "symmetric", "states", "transitions"),
    [
        (KSM, True, 8281, 130614),
        (KSM, False, 15621, 249936),
        ((*UFFD[:4], "clear_refs"), True, 17772, 218536),
        ((*UFFD[:4], "clear_refs"), False, 31830, 391646),
        (("fork", "exit"), True, 1435, 24085),
        (("fork", "exit"), False, 2661, 46321),
    ],
)
def test_a_small_bound_closes_with_these_counts(operations: tuple[str, ...], symmetric: bool, states: int, transitions: int) -> None:
    """Facts, which the plain rules count too: another number is another specification, or another search."""
    tally = search(PROFILES["7.2"], (*ALWAYS, *operations), 100, 0, symmetric).tally
    assert tally.closed
    assert (tally.states, tally.transitions) == (states, transitions)


def test_states_of_the_last_depth_are_counted_and_not_kept() -> None:
    to_four, to_five = (search(PROFILES["7.2"], (*ALWAYS, "fork", "exit"), depth, 0) for depth in (4, 5))
    assert to_four.levels[4].size == to_five.levels[4].size > 0
    assert sum(level.size for level in to_four.levels) == to_four.tally.states
    assert not to_four.levels[4].states
    assert not to_four.levels[4].origins
    assert len(to_five.levels[4].origins) > 0


def test_symmetry_changes_no_verdict() -> None:
    both = [programs(search(PROFILES["6.1"], (*UFFD, *KSM, "write"), 8, symmetric=symmetric)) for symmetric in (True, False)]
    assert both[0] == both[1]
    assert both[0] == {
        ("protection-only-where-armed", "uffd_close"): 5,
        ("unmerge-leaves-no-ksm", "unmergeable"): 8,
        ("protect-traps-every-write", "write"): 8,
    }


def test_threads_count_alike() -> None:
    bound = Bound(depth=7, operations=PART)
    one, two = (Search(PROFILES["6.1"], bound, threads=threads, among=frozenset(VERB)).run() for threads in (1, 2))
    assert one.states > 100_000
    assert (one.states, one.transitions, len(one.finds)) == (two.states, two.transitions, len(two.finds))


GALLERY = [  # the bug, the kernel that has it, one that does not, the operations, the promise, the operation that breaks it, steps
    ("G1", "6.1", "7.2", (*UFFD, *KSM), "unmerge-leaves-no-ksm", "unmergeable", 8),
    ("G1b", "6.1", "7.2", (*UFFD, *KSM, "mremap"), "unmerge-leaves-no-ksm", "mremap", 8),
    ("G1c", "6.1", "7.2", (*UFFD, *KSM, "ksm_run"), "unmerge-leaves-no-ksm", "ksm_run", 8),
    ("G2", "6.1", "7.2", (*KSM, "mprotect"), "unmerge-leaves-no-ksm", "unmergeable", 6),
    ("G5", "6.1", "7.2", (*KSM, "ksm_set"), "unmerge-leaves-no-ksm", "unmergeable", 5),
    ("G6", "6.1", "7.2", (*KSM, "clear_refs"), "soft-dirty-is-precise", "unmergeable", 6),
    ("G14", "6.1", "7.2", (*UFFD, "mremap"), "protection-only-where-armed", "mremap", 5),
    ("G15", "6.1", "7.2", UFFD, "protection-only-where-armed", "uffd_close", 5),
    ("G15b", "5.10", "6.1", UFFD, "protection-only-where-armed", "uffd_unregister", 5),
    ("G9", "5.10", "6.1", ("pin", "mprotect"), "pin-sees-stores", "write", 4),
    ("G9b", "5.10", "6.1", ("pin", *UFFD[:4]), "pin-sees-stores", "write", 5),  # releasing what nobody protected is enough
]


@pytest.mark.parametrize(
    ("bug", "kernel", "mended", "operations", "promise", "last", "steps"),
    [pytest.param(*row, id=row[0], marks=pytest.mark.long if row[1] == "5.10" else ()) for row in GALLERY],  # one more kernel to compile
)
def test_the_gallery_comes_out(
    bug: str, kernel: str, mended: str, operations: tuple[str, ...], promise: str, last: str, steps: int
) -> None:
    picked = 1 << [name for name, _ in PROMISES].index(promise)
    wanted = ("write", *operations)
    assert programs(search(PROFILES[kernel], wanted, steps, picked)).get((promise, last)) == steps
    assert (promise, last) not in programs(search(PROFILES[mended], wanted, steps, picked))


@pytest.mark.long
def test_a_child_reads_what_its_parent_stored_later() -> None:
    """G26, CVE-2020-29374: base pages before 5.8."""
    operations = ("write", "fork", "vmsplice", "munmap")
    assert programs(search(OLD, operations, 5, among=PIECES))[("isolation", "write")] == 5
    assert not programs(search(PROFILES["5.10"], operations, 5))


def test_dirty_cow_comes_out_of_the_pieces_of_a_forced_store() -> None:
    """G23, CVE-2016-5195: GUP follows, faults and follows again, and MADV_DONTNEED comes between."""
    operations = ("write", "read", "mprotect", "dontneed", "begin", "retry")
    assert set(programs(search(OLD, operations, 7, among=PIECES))) == {("isolation", "retry"), ("isolation", "read")}
    assert not programs(search(PROFILES["5.10"], operations, 8))


def test_the_third_option_of_the_review_raises_an_event_nobody_caused_and_blocks_the_caller() -> None:
    third = PROFILES["6.1"].but(break_ksm=2)
    operations = ("write", *UFFD[:3], *KSM)
    found = search(third, operations, 8, 1 << 2, among=operations)
    one = distinct([counterexample(found, find) for find in found.tally.finds])[0]
    assert one.promises == ("no-event-without-a-write",)
    last = one.test.body[len(one.steps) - 1]
    assert (last.verb, last.outcome) == ("unmergeable", "blocked")  # type: ignore[union-attr]


def test_a_counterexample_is_a_test_of_the_language() -> None:
    found = search(PROFILES["6.1"], ("write", *UFFD, *KSM), 8)
    for find in found.tally.finds:
        test = counterexample(found, find).test
        assert parse(to_text(test)) == (test,)


def test_what_does_not_fit_in_memory_ends_with_a_sentence() -> None:
    tally = Search(PROFILES["7.2"], Bound(depth=9), memory=4 << 20).run()
    assert tally.stopped == "the memory is full: 4 MiB"
    assert not tally.closed
    assert tally.states > 1000


def test_a_survey_keeps_each_bug_once() -> None:
    bounds = [Bound(depth=5, operations=("write", "fork", *UFFD, *more)) for more in ((), ("mremap",), ("mprotect",))]
    survey = Survey(PROFILES["6.1"], [*bounds, Bound(depth=1)])
    survey.run(Limits(ALL, True, 1, 1 << 30, 1 << 30, float("inf")), lambda _: None)
    assert [one.test.name for one in survey.found] == [
        "explore/protection-only-where-armed-uffd-close",
        "explore/protection-only-where-armed-mremap-userfaultfd",
    ]
    assert [tally.depth for _, tally in survey.done] == [5, 5, 5, 1]


def test_a_search_that_reaches_every_state_says_so() -> None:
    survey = Survey(PROFILES["7.2"], [Bound(depth=depth, operations=(*ALWAYS, "fork", "exit")) for depth in (100, 3)])
    survey.run(Limits(ALL, True, 1, 1 << 30, 1 << 30, float("inf")), lambda _: None)
    assert "1 of 2 searches closed: each state comes from a program of at most 6 steps" in summary(survey)
    survey.done.pop(0)
    assert "closed" not in summary(survey)
