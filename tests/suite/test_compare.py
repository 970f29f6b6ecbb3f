"""What changed between two runs."""

from breakcow.backend.observation import Observation, Outcome, PageSeen, ProcessSeen
from breakcow.suite.compare import runs
from report.samples import EACH, sample


def seen(page: PageSeen, result: str = "ok") -> Observation:
    return Observation(Outcome(result), {"A": ProcessSeen("running", {"x": page})}, counters={"cow_ksm": 1})


def changes(*pairs: tuple[Observation, Observation]) -> list[tuple[str, str, str]]:
    before, after = ([sample("ok", observations=tuple(side))] for side in zip(*pairs, strict=True))
    return [(change.where, change.before, change.after) for change in runs(before, after)]


def test_equal_runs_differ_in_nothing_but_time() -> None:
    assert list(runs(EACH, EACH)) == []
    assert list(runs([sample("ok", seconds=1.0)], [sample("ok", seconds=2.0)])) == []


def test_verdicts_and_missing_tests() -> None:
    found = list(runs([EACH[0], EACH[1]], [sample("broken", "worse"), EACH[2]]))
    assert [(change.test, change.where, change.after) for change in found] == [
        ("cow/fork", "the test", "not run"),
        ("ksm/unmerge", "verdict", "broken worse"),
        ("sd/write", "the test", "skip"),
    ]


def test_two_kernels_are_compared_test_by_test() -> None:
    found = list(runs([sample("ok")], [sample("ok", backend="host", observations=(seen(PageSeen("none")),))]))
    assert {change.test for change in found} == {"ksm/unmerge"}
    assert found[0].where != "the test"


def test_only_the_first_step_that_differs_is_told() -> None:
    one, other = seen(PageSeen("page", 0)), seen(PageSeen("zero"))
    assert changes((one, one), (one, other), (one, other)) == [("action 2, A x state", "page", "zero")]


def test_what_one_side_cannot_see_is_no_difference() -> None:
    assert changes((seen(PageSeen("page", 0, ksm=True)), seen(PageSeen("page", 0)))) == []
    assert changes((seen(PageSeen("page", 0, ksm=True)), seen(PageSeen("page", 0, ksm=False)))) != []


def test_outcomes_count() -> None:
    assert changes((seen(PageSeen("none")), seen(PageSeen("none"), "EIO"))) == [("action 1, outcome", "ok", "EIO")]
