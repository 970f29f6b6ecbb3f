"""What two observations of one step disagree on."""

from typing import Any

import msgspec
import pytest

from breakcow.backend.compare import Difference, difference
from breakcow.backend.observation import Event, Observation, Outcome, PageSeen, ProcessSeen

PAGE = PageSeen("page", 0, False, 7, 1, False, False, True, True, True, True)
SEEN = Observation(
    Outcome("ok", 7, faults=0),
    {"A": ProcessSeen("running", {"x": PAGE, "y": PageSeen("none", uffd_wp=False)}, {"x": 7}, {"x": 7}, 2)},
    {"B": Outcome("ok")},
    (Event("wp", "A", "x"),),
    {"pages_shared": 1, "cow_ksm": 0},
)


def bent(**fields: Any) -> Observation:
    return msgspec.structs.replace(SEEN, **fields)


def process(**fields: Any) -> Observation:
    return bent(processes={"A": msgspec.structs.replace(SEEN.processes["A"], **fields)})


def page(**fields: Any) -> Observation:
    return process(pages=SEEN.processes["A"].pages | {"x": msgspec.structs.replace(PAGE, **fields)})


def test_the_same_does_not_differ() -> None:
    assert difference(0, SEEN, SEEN) == []


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (bent(outcome=Outcome("EIO", 7)), Difference(3, "", "", "outcome", "ok", "EIO")),
        (bent(outcome=Outcome("ok", 8)), Difference(3, "", "", "value", "7", "8")),
        (bent(outcome=Outcome("ok", 7, faults=1)), Difference(3, "", "", "faults", "0", "1")),
        (bent(resumed={}), Difference(3, "B", "", "resumed", "ok", "none")),
        (bent(resumed={"B": Outcome("SIGBUS")}), Difference(3, "B", "", "resumed", "ok", "SIGBUS")),
        (bent(resumed=SEEN.resumed | {"C": Outcome("ok")}), Difference(3, "C", "", "resumed", "none", "ok")),
        (bent(events=()), Difference(3, "", "", "events", "wp A.x", "none")),
        (bent(events=(*SEEN.events, Event("fork", "A"))), Difference(3, "", "", "events", "wp A.x", "wp A.x, fork A")),
        (bent(processes={}), Difference(3, "A", "", "process", "running", "none")),
        (bent(processes=SEEN.processes | {"B": ProcessSeen("exited")}), Difference(3, "B", "", "process", "none", "exited")),
        (bent(counters={"pages_shared": 2}), Difference(3, "", "", "pages_shared", "1", "2")),
        (process(state="blocked"), Difference(3, "A", "", "process", "running", "blocked")),
        (process(pinned={"x": 8}), Difference(3, "A", "x", "pinned", "7", "8")),
        (process(spliced={"x": 8}), Difference(3, "A", "x", "spliced", "7", "8")),
        (process(spliced={"x": 7, "y": 1}), Difference(3, "A", "y", "spliced", "None", "1")),
        (process(merging=3), Difference(3, "A", "", "ksm_merging_pages", "2", "3")),
        (page(frame=1), Difference(3, "A", "x", "frame", "0", "1")),
        (page(moved=True), Difference(3, "A", "x", "moved", "False", "True")),
        (page(content=-1), Difference(3, "A", "x", "content", "7", "-1")),
        (page(ksm=True), Difference(3, "A", "x", "ksm", "False", "True")),
        (page(uffd_wp=True), Difference(3, "A", "x", "uffd_wp", "False", "True")),
    ],
)
def test_one_difference(observed: Observation, expected: Difference) -> None:
    assert difference(3, SEEN, observed) == [expected]


def test_what_either_side_cannot_observe_is_not_compared() -> None:
    names = ("frame", "content", "mapcount", "ksm", "uffd_wp", "soft_dirty", "writable", "dirty", "exclusive")
    blind = page(**dict.fromkeys(names))
    assert difference(0, SEEN, blind) == difference(0, blind, SEEN) == []
    assert difference(0, SEEN, bent(outcome=Outcome("ok"), counters={})) == []
    assert difference(0, bent(outcome=Outcome("ok"), counters={}), SEEN) == []
    assert difference(0, SEEN, process(merging=None)) == difference(0, process(merging=None), SEEN) == []
    assert difference(0, SEEN, process(pages={"x": PAGE})) == []


def test_a_pin_that_only_the_specification_sees_is_not_compared() -> None:
    assert difference(0, SEEN, process(pinned={}, spliced={})) == []


def test_pages_in_different_states_differ_in_nothing_else() -> None:
    assert [found.field for found in difference(0, SEEN, page(state="zero", frame=None, content=9, mapcount=0, ksm=True))] == ["state"]


def test_all_differences_are_told_the_telling_ones_first() -> None:
    observed = bent(
        outcome=Outcome("EIO"),
        events=(),
        processes={"A": ProcessSeen("running", {"x": msgspec.structs.replace(PAGE, content=1, uffd_wp=True)}, {}, {}, 3)},
        counters={"cow_ksm": 1},
    )
    assert [found.field for found in difference(0, SEEN, observed)] == [
        "outcome",
        "events",
        "content",
        "uffd_wp",
        "ksm_merging_pages",
        "cow_ksm",
    ]
