"""A test as a storyboard, one kernel and two side by side."""

from breakcow import litmus
from breakcow.backend.observation import Observation, Outcome, PageSeen, ProcessSeen
from breakcow.report.storyboard import lines
from report.samples import sample

TEXT = "litmus cow/fork\n    A promise.\n\nmemory x\n\nA  write x 7\n# why\nA  write x 8\nA  expect x = 8\n"


def seen(**page: object) -> Observation:
    look = PageSeen("page", 0, content=7)
    fields = {**{name: getattr(look, name) for name in look.__struct_fields__}, **page}
    return Observation(Outcome("ok"), {"A": ProcessSeen("running", {"x": PageSeen(**fields)})}, counters={"cow_ksm": int(page == {})})


def board(*runs: tuple[Observation, ...]) -> list[str]:
    (test,) = litmus.parse(TEXT)
    records = [sample("ok", backend=f"model:{number}", text=TEXT, observations=run) for number, run in enumerate(runs)]
    return [line.text for line in lines(test, litmus.program(test), records)]


def test_each_step_shows_its_pages_and_marks_what_changed() -> None:
    shown = board((seen(), seen(content=8)))
    assert "  6  A  write x 7" in shown
    assert [line.split() for line in shown if "A x" in line] == [["A", "x", "*", "[0]", "=", "7"], ["A", "x", "*", "[0]", "=", "8"]]
    assert any("cow_ksm 1" in line for line in shown)


def test_what_did_not_change_has_no_star() -> None:
    assert [line.split()[2] for line in board((seen(), seen())) if "A x" in line] == ["*", "[0]"]


def test_two_kernels_side_by_side_mark_what_differs_and_not_what_one_cannot_see() -> None:
    ours, theirs = (seen(writable=True), seen(writable=True, ksm=True)), (seen(), seen(ksm=False))
    rows = [line for line in board(ours, theirs) if " A x" in line]
    assert ["!" in row for row in rows] == [False, True]
    assert "ksm" in rows[1]


def test_a_run_that_ended_early_shows_what_there_is() -> None:
    shown = board((seen(),), ())
    assert sum("not run" in line for line in shown) == 2
