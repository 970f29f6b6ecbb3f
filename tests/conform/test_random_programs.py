"""Random programs find a kernel that is not as its model says, and shrink to what shows it."""

import pytest

from breakcow.backend.errors import Disturbed
from breakcow.backend.model import ModelBackend
from breakcow.backend.observation import Observation
from breakcow.conform import ahead
from breakcow.conform.random_programs import Finding, Tally, conform
from breakcow.conform.shrink import shrink
from breakcow.kernel import PROFILES
from breakcow.litmus import parse, program, to_text
from breakcow.litmus.program import Program
from breakcow.litmus.syntax import Step, Test


def found(kernel: str, model: str, seeds: range, tally: Tally) -> list[Finding]:
    """The specification of one kernel stands in for a real one that behaves like it."""
    return list(conform(ModelBackend(PROFILES[kernel]), ModelBackend(PROFILES[model]), seeds, tally, lambda: None))


def test_a_kernel_that_is_as_its_model_says() -> None:
    tally = Tally()
    assert found("6.12", "6.12", range(20), tally) == []
    assert (tally.programs, tally.skipped) == (20, 0)
    assert tally.steps > 500


@pytest.mark.parametrize(("kernel", "model"), [("6.1", "6.12"), ("6.12", "6.1")])
def test_a_kernel_that_is_not(kernel: str, model: str) -> None:
    findings = found(kernel, model, range(10), Tally())
    assert findings
    for finding in findings:
        assert finding.difference is not None
        assert len(finding.test.body) < 12


def test_shrinking_keeps_just_what_shows() -> None:
    def shows(candidate: object) -> bool:
        flat = program(candidate)  # type: ignore[arg-type]
        return any(seen.outcome.result == "blocked" for seen in ModelBackend(PROFILES["7.2"]).run(flat))

    from breakcow.conform.generate import generate

    seed = next(seed for seed in range(200) if shows(generate(seed)))
    small = shrink(generate(seed), shows)
    verbs = [step.verb for step in small.body if isinstance(step, Step)]
    assert {"uffd_open", "uffd_register", "uffd_protect"} <= set(verbs)
    assert len(verbs) <= 5


class Spoilt(ModelBackend):
    """A kernel on which somebody else's memory is in the way of two programs in eight."""

    number = 0

    def run(self, flat: Program) -> tuple[Observation, ...]:
        self.number += 1
        if self.number in (3, 4, 7, 8):  # and is so still when it is tried again
            raise Disturbed("somebody else")
        return super().run(flat)


def test_programs_that_others_spoil_are_counted_and_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PATIENCE", 0)
    tally = Tally()
    assert not list(conform(Spoilt(PROFILES["6.12"]), ModelBackend(PROFILES["6.12"]), range(8), tally, lambda: None))
    assert (tally.programs, tally.disturbed) == (6, 2)


def test_lines_that_only_go_together_go_together() -> None:
    (test,) = parse("litmus t/pairs\n    Test.\n\nmemory x y\n\nA  fork B\nA  write x y 7\nB  write x 8\n")

    def shows(candidate: Test) -> bool:
        steps = [step for step in candidate.body if isinstance(step, Step)]
        forks, by_child = (sum(step.verb == "fork" for step in steps), sum(step.process == "B" for step in steps))
        return forks == by_child and any(step.pages and step.process == "A" for step in steps)

    assert to_text(shrink(test, shows)).splitlines()[-1] == "A  write y 7"


def test_programs_with_a_huge_page_find_a_rule_of_huge_pages() -> None:
    kernel, tally = ModelBackend(PROFILES["6.18"]), Tally()
    assert list(conform(kernel, ModelBackend(PROFILES["6.18"]), range(10), tally, lambda: None, huge=True)) == []
    wrong = ModelBackend(PROFILES["6.18"].but(huge_zero_wp=0))
    assert any(len(one.test.body) < 6 for one in conform(kernel, wrong, range(9, 27), tally, lambda: None, huge=True))
