"""Each claim of the language, kept, broken and beyond sight, on observations written by hand."""

import pytest

from breakcow import litmus
from breakcow.backend.observation import Event, Observation, Outcome, PageSeen, ProcessSeen
from breakcow.suite.expect import check

OK = Outcome("ok")


def parsed(body: str) -> litmus.syntax.Test:
    (test,) = litmus.parse(f"litmus x/y\n    A promise.\n\nmemory x y z\n\n{body}\n")
    return test


def seen(
    *, outcome: Outcome = OK, events: tuple[Event, ...] = (), counters: dict[str, int] | None = None, **pages: PageSeen
) -> Observation:
    return Observation(outcome, {"A": ProcessSeen("running", pages)}, events=events, counters=counters or {})


def verdict(claim: str, *observations: Observation) -> str:
    """ "kept", "broken" or "unseen": the answer to one claim after one step with these observations."""
    pages = " ".join("xyz"[: len(observations)])
    test = parsed(f"A  write {pages} 7\nA  expect {claim}")
    broken, unobserved = check(test, litmus.program(test), observations)
    return "broken" if broken else "unseen" if unobserved else "kept"


PAGE = PageSeen("page", 0, False, 7, 2, True, True, False)
BLIND = PageSeen("page")
ZERO, NONE = PageSeen("zero", uffd_wp=False), PageSeen("none")


@pytest.mark.parametrize(
    ("claim", "page", "expected"),
    [
        ("x = 7", PAGE, "kept"),
        ("x = 8", PAGE, "broken"),
        ("x = 7", BLIND, "unseen"),
        ("x = 0", ZERO, "kept"),
        ("x = 0", NONE, "broken"),
        ("x = 0", PageSeen("swap"), "unseen"),
        ("present x", PAGE, "kept"),
        ("present x", ZERO, "broken"),
        ("none x", NONE, "kept"),
        ("none x", PageSeen("unmapped"), "kept"),
        ("none x", PAGE, "broken"),
        ("zero x", ZERO, "kept"),
        ("not zero x", ZERO, "broken"),
        ("ksm x", PAGE, "kept"),
        ("not ksm x", PAGE, "broken"),
        ("ksm x", BLIND, "unseen"),
        ("not ksm x", BLIND, "unseen"),
        ("ksm x", ZERO, "broken"),
        ("protected x", PAGE, "kept"),
        ("not protected x", NONE, "kept"),
        ("protected x", BLIND, "unseen"),
        ("soft-dirty x", PAGE, "broken"),
        ("writable x", PAGE, "unseen"),
        ("dirty x", PAGE, "unseen"),
        ("exclusive x", PageSeen("page", exclusive=True), "kept"),
        ("not exclusive x", PageSeen("page", exclusive=True), "broken"),
        ("moved x", PAGE, "broken"),
        ("not moved x", PAGE, "kept"),
    ],
)
def test_a_claim_on_one_page(claim: str, page: PageSeen, expected: str) -> None:
    assert verdict(claim, seen(x=page)) == expected


@pytest.mark.parametrize(
    ("claim", "frames", "expected"),
    [
        ("same x y z", (0, 0, 0), "kept"),
        ("same x y z", (0, 0, 1), "broken"),
        ("not same x y z", (0, 1, 2), "kept"),
        ("not same x y z", (0, 1, 1), "broken"),
        ("same x y", (0, None, 0), "unseen"),
        ("not same x y", (None, None, 0), "unseen"),
    ],
)
def test_same_frames(claim: str, frames: tuple[int | None, ...], expected: str) -> None:
    x, y, z = (PageSeen("page", frame) for frame in frames)
    assert verdict(claim, seen(x=x, y=y, z=z)) == expected


def test_zero_pages_are_one_frame_and_no_page_is_none() -> None:
    assert verdict("same x y", seen(x=ZERO, y=ZERO)) == "kept"
    assert verdict("not same x y", seen(x=ZERO, y=PAGE)) == "kept"
    assert verdict("not same x y", seen(x=NONE, y=NONE)) == "kept"
    assert verdict("same x y", seen(x=NONE, y=NONE)) == "broken"


def test_moved_and_events_are_of_the_whole_step() -> None:
    moved = seen(x=PageSeen("page", 1, True), events=(Event("wp", "A", "x"),))
    after = seen(x=PageSeen("page", 1, False))
    assert verdict("moved x", moved, after) == "kept"
    assert verdict("event x", moved, after) == "kept"
    assert verdict("no event", moved, after) == "broken"
    assert verdict("not event y", moved, after) == "kept"
    assert verdict("event y", moved, after) == "broken"
    assert verdict("no event", seen(x=PAGE, events=(Event("fork", "A"),))) == "kept"


def test_counters_are_of_the_step_for_cow_ksm_and_absolute_else() -> None:
    one, two = seen(counters={"cow_ksm": 1, "pages_sharing": 3}), seen(counters={"cow_ksm": 1, "pages_sharing": 2})
    assert verdict("counter cow_ksm = 2", one, two) == "kept"
    assert verdict("counter pages_sharing = 2", one, two) == "kept"
    assert verdict("counter pages_sharing = 3", one, two) == "broken"
    assert verdict("counter ksm_zero_pages = 0", one, two) == "unseen"
    assert verdict("counter ksm_merging_pages = 2", one) == "unseen"


def test_what_a_device_and_a_pipe_hold() -> None:
    held = Observation(OK, {"A": ProcessSeen("running", {"x": PAGE}, pinned={"x": 7}, spliced={"x": 3})})
    assert verdict("pinned x = 7, spliced x = 3", held) == "kept"
    assert verdict("pinned x = 8", held) == "broken"
    assert verdict("pinned y = 7", held) == "broken"


def test_the_state_of_a_process_and_pages_of_one_that_is_gone() -> None:
    blocked, gone = Observation(OK, {"A": ProcessSeen("blocked")}), Observation(OK, {"A": ProcessSeen("exited")})
    assert verdict("blocked", blocked) == "kept"
    assert verdict("not blocked", blocked) == "broken"
    assert verdict("exited", gone) == "kept"
    assert verdict("not ksm x", gone) == "broken"


@pytest.mark.parametrize(
    ("step", "outcome", "good"),
    [
        ("A  write x 7", OK, True),
        ("A  write x 7", Outcome("SIGBUS"), False),
        ("A  write x 7 -> SIGBUS", Outcome("SIGBUS"), True),
        ("A  write x 7 -> SIGBUS", OK, False),
        ("A  write x 7 -> blocks", Outcome("blocked"), True),
        ("A  write x 7 -> blocks", OK, False),
        ("A  read x -> 7", Outcome("ok", 7), True),
        ("A  read x -> 7", Outcome("ok", 8), False),
        ("A  read x", Outcome("ok", 8), True),
    ],
)
def test_how_a_step_ends(step: str, outcome: Outcome, good: bool) -> None:
    test = parsed(step)
    broken, unobserved = check(test, litmus.program(test), [seen(outcome=outcome)])
    assert (broken == []) == good
    assert unobserved == []


def test_a_reason_says_where_and_what_beside_what() -> None:
    test = parsed("A  write x 7\nA  expect not ksm x")
    (reason,), _ = check(test, litmus.program(test), [seen(x=PAGE)])
    assert reason.sentence() == "line 7, A x: expected not ksm, observed frame 0, = 7, ksm, protected, mapped 2 times"
    assert (reason.step, reason.process, reason.page) == (0, "A", "x")


def reason_of(claim: str, *observations: Observation) -> tuple[str, str, str]:
    """(place, expected, observed) of the one claim that does not hold."""
    pages = " ".join("xyz"[: len(observations)])
    test = parsed(f"A  write {pages} 7\nA  expect {claim}")
    ((reason,), _) = check(test, litmus.program(test), observations)
    return f"{reason.process} {reason.page}".strip(), reason.expected, reason.observed


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("same x y", ("A y", "the frame of A x", "frame 1")),
        ("not same x z", ("A z", "another frame than A x", "frame 0")),
        ("pinned x = 7", ("A x", "pinned = 7", "pinned = 3")),
        ("spliced x = 7", ("A x", "spliced = 7", "not spliced")),
        ("blocked", ("A", "blocked", "running")),
        ("exited", ("A", "exited", "running")),
        ("no event", ("", "no event", "event wp A x")),
        ("event y", ("A y", "event", "event wp A x")),
        ("not event x", ("A x", "no event", "event wp A x")),
        ("counter ksm_merging_pages = 1", ("A", "ksm_merging_pages = 1", "ksm_merging_pages = 2")),
        ("counter pages_shared = 1", ("", "pages_shared = 1", "pages_shared = 4")),
    ],
)
def test_what_is_said_of_a_claim_that_does_not_hold(claim: str, words: tuple[str, str, str]) -> None:
    pages = {name: PageSeen("page", frame) for name, frame in zip("xyz", (0, 1, 0), strict=True)}
    process = ProcessSeen("running", pages, pinned={"x": 3}, merging=2)
    assert reason_of(claim, Observation(OK, {"A": process}, events=(Event("wp", "A", "x"),), counters={"pages_shared": 4})) == words


def test_what_is_said_of_what_is_gone_quiet_or_unseen() -> None:
    gone = Observation(OK, {"A": ProcessSeen("killed")})
    assert reason_of("same x y", gone) == ("A y", "the frame of A x", "A killed")
    assert reason_of("not blocked", Observation(OK, {"A": ProcessSeen("blocked")})) == ("A", "not blocked", "blocked")
    assert reason_of("event x", seen(x=PAGE)) == ("A x", "event", "no event")
    test = parsed("A  write x 7\nA  expect dirty x, counter cow_ksm = 1")
    _, unobserved = check(test, litmus.program(test), [seen(x=PAGE)])
    assert unobserved == ["line 7: dirty of A x cannot be seen on this kernel", "line 7: cow_ksm = 1 cannot be seen on this kernel"]
