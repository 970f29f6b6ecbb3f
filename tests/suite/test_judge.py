"""Every verdict, from observations that the model of a kernel makes and that are then bent."""

import re

import msgspec
import pytest

from breakcow import litmus
from breakcow.backend.model import ModelBackend
from breakcow.backend.observation import Observation, Outcome
from breakcow.kernel import PROFILES
from breakcow.litmus.program import Program
from breakcow.suite.execute import lacks, on_model, on_profile
from breakcow.suite.judge import Judgement
from breakcow.suite.trial import Trial, trial

UNMERGE = """litmus t/unmerge
    MADV_UNMERGEABLE unshares KSM pages that userfaultfd write-protects.

memory x y

A  write x y 7
A  madvise x y mergeable
-  ksm scan 2
A  uffd open
A  uffd register x y wp
A  uffd protect x y
A  madvise x y unmergeable
{claim}

{fixed}
"""
CLAIM = "A  expect not same x y"
FIXED = "fixed 6.2  6cce3314b928 mm/ksm: fix KSM COW breaking with userfaultfd-wp via FAULT_FLAG_UNSHARE"
UNFIXED = "unfixed docs/finds/some-bug.md"


def ready(claim: str = CLAIM, fixed: str = FIXED) -> Trial:
    (test,) = litmus.parse(UNMERGE.format(claim=claim, fixed=fixed))
    return trial(test, test.name)


def as_kernel(made: Trial, name: str, seen: tuple[Observation, ...] | None = None) -> Judgement:
    """The verdict on observations, the model's own if none are given, as if a kernel of that release had made them."""
    profile = PROFILES[name]
    return on_profile(made, seen or ModelBackend(profile).run(made.program), profile.release, profile)


def bent(seen: tuple[Observation, ...], step: int, **fields: object) -> tuple[Observation, ...]:
    changed = list(seen)
    changed[step] = msgspec.structs.replace(seen[step], **fields)
    return tuple(changed)


def test_ok_on_a_kernel_that_keeps_the_promise() -> None:
    assert as_kernel(ready(), "6.12") == Judgement("ok")


def test_known_on_a_kernel_older_than_the_fix() -> None:
    judged = as_kernel(ready(), "6.1")
    assert (judged.verdict, judged.why) == ("known", "fixed in 6.2 (6cce3314b928)")
    assert {reason.kind for reason in judged.reasons} == {"expect", "promise"}


def test_known_where_a_report_is_all_there_is() -> None:
    assert as_kernel(ready(fixed=UNFIXED), "6.1").why == "no kernel has fixed it: docs/finds/some-bug.md"


def test_broken_without_an_excuse() -> None:
    judged = as_kernel(ready(fixed=""), "6.1")
    assert judged.verdict == "broken"
    assert judged.why == judged.reasons[0].sentence()


def test_broken_on_a_kernel_that_should_have_the_fix() -> None:
    seen = ModelBackend(PROFILES["6.1"]).run(ready().program)
    judged = as_kernel(ready(), "6.12", seen)
    assert judged.verdict == "broken"
    assert {reason.kind for reason in judged.reasons} == {"expect", "promise", "model"}


def test_a_promise_counts_though_no_line_states_it() -> None:
    judged = as_kernel(ready(claim="A  expect x = 7", fixed=""), "6.1")
    assert judged.verdict == "broken"
    assert {(reason.kind, reason.claim) for reason in judged.reasons} == {("promise", "unmerge-leaves-no-ksm")}


def test_differs_where_only_the_model_disagrees() -> None:
    made = ready(claim="")
    seen = ModelBackend(PROFILES["6.12"]).run(made.program)
    judged = as_kernel(made, "6.12", bent(seen, 3, counters={**seen[3].counters, "pages_sharing": 5}))
    assert (judged.verdict, [reason.kind for reason in judged.reasons]) == ("differs", ["model"])
    assert "pages_sharing 5" in judged.why


def test_a_difference_is_no_known_bug() -> None:
    made = ready()
    seen = ModelBackend(PROFILES["6.1"]).run(made.program)
    assert as_kernel(made, "6.1", bent(seen, 3, counters={**seen[3].counters, "pages_sharing": 5})).verdict == "differs"


@pytest.mark.parametrize("result", ["hang", "busy"])
def test_an_operation_that_did_not_run_is_an_error(result: str) -> None:
    made = ready()
    seen = ModelBackend(PROFILES["6.12"]).run(made.program)
    judged = as_kernel(made, "6.12", bent(seen, 3, outcome=Outcome(result))[:4])
    assert judged.verdict == "error"
    assert judged.why.startswith("line 8: - ksm_scan")


def test_busy_after_a_broken_step_is_only_its_consequence() -> None:
    made = ready(fixed="")
    seen = ModelBackend(PROFILES["6.12"]).run(made.program)
    blocked = bent(bent(seen, 2, outcome=Outcome("blocked")), 3, outcome=Outcome("busy"))
    judged = as_kernel(made, "6.12", blocked)
    assert judged.verdict == "broken"
    assert "expected ok, observed blocked" in judged.why


def test_the_model_of_a_free_kernel_must_keep_the_promise_on_every_path() -> None:
    text = "litmus t/reuse\n    Reuse.\n\nmemory x\n\nA  write x 7\nA  fork B\nB  exit\nA  write x 8\nA  expect {claim}moved x\n"
    made = {}
    for claim in ("", "not "):
        (test,) = litmus.parse(text.format(claim=claim))
        made[claim] = trial(test, test.name)
    assert on_model("model:6.12", made["not "]).verdict == "ok"
    free = [on_model("model:5.10", each) for each in made.values()]
    assert [record.verdict for record in free] == ["broken", "broken"]
    assert free[0].observations != free[1].observations


def test_what_is_lacking_is_said_in_sentences() -> None:
    (test,) = litmus.parse("litmus t/smart\n    Needs more.\n\nrequire smart-scan\nmemory x\n\nA  write x 7\n")
    record = on_model("model:6.1", trial(test, test.name))
    assert (record.verdict, record.observations) == ("skip", ())
    assert record.why == "ksmd has no smart_scan"


def test_what_can_do_nothing_runs_nothing() -> None:
    (test,) = litmus.parse("litmus t/any\n    Needs nothing.\n\nmemory x\n\nA  write x 7\n")
    abilities = ModelBackend(PROFILES["6.1"]).probe()
    assert lacks(trial(test, ""), abilities) == ""
    nothing = msgspec.structs.replace(abilities, abilities=dict.fromkeys(abilities.abilities, "this machine runs Plan 9"))
    assert lacks(trial(test, ""), nothing) == "this machine runs Plan 9"


def test_a_kernel_that_warns_breaks_a_promise() -> None:
    made = ready(claim="")
    seen = ModelBackend(PROFILES["6.12"]).run(made.program)
    judged = as_kernel(made, "6.12", bent(seen, 3, console="[    3.1] WARNING: CPU: 0 PID: 1 at mm/ksm.c:1\n"))
    assert (judged.verdict, [reason.kind for reason in judged.reasons]) == ("broken", ["console"])
    assert judged.why == "line 8: expected no warning, observed WARNING: CPU: 0 PID: 1 at mm/ksm.c:1"


def test_a_bug_of_ours_costs_one_test_and_says_where() -> None:
    made = ready()
    record = on_model("model:6.12", Trial(made.test, made.text, Program(made.program.processes, (), (), made.program.actions), made.source))
    assert record.verdict == "error"
    assert re.match(r"a bug of breakcow: \w+: .* \(\w+\.py:\d+\)$", record.why)
