"""From observations to a verdict: ok, known, broken, differs or error (skip is said before anything runs)."""

from collections.abc import Sequence
from dataclasses import dataclass

from breakcow.backend import promises
from breakcow.backend.compare import Difference
from breakcow.backend.observation import Observation
from breakcow.backend.vm.console import trouble
from breakcow.litmus.program import Program
from breakcow.litmus.syntax import Test
from breakcow.suite.expect import check
from breakcow.suite.record import Reason
from breakcow.suite.release import predates

RUN_BROKE = {
    "hang": "did not answer within the time limit",
    "busy": "could not start: its process is still blocked in an earlier operation, or gone",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """verdict, why, reasons, unobserved: as in Record."""

    verdict: str
    why: str = ""
    reasons: tuple[Reason, ...] = ()
    unobserved: tuple[str, ...] = ()


def judge(test: Test, program: Program, seen: Sequence[Observation], release: str, difference: Difference | None = None) -> Judgement:
    """The verdict on one run of `test` on a kernel of `release`.

    seen: one observation for each action. difference: the first that the model of this kernel does not allow, None if it allows all.
    The first thing that went wrong decides between `broken` and `error`: a process that stays busy because an earlier
    step did what it must not is a consequence, one that is busy though all was well before is a mistake in the test or in us.
    """
    claims, unobserved = check(test, program, seen)
    found = claims + _promises(test, program, seen) + _warnings(test, program, seen)
    reasons = sorted(found + _difference(test, program, difference), key=lambda reason: reason.step)
    verdict, why = _verdict(test, found, reasons, release)
    return Judgement(verdict, why, tuple(reasons), tuple(unobserved))


def _verdict(test: Test, found: list[Reason], reasons: list[Reason], release: str) -> tuple[str, str]:
    """Verdict and sentence. `found`: what contradicts a claim or a promise; `reasons`: that and what contradicts the model."""
    if not reasons:
        return "ok", ""
    first = min(found, key=lambda reason: reason.step) if found else reasons[0]
    if first.kind == "outcome" and first.observed in RUN_BROKE:
        return "error", f"line {first.line}: {first.process} {first.claim} {RUN_BROKE[first.observed]}"
    known = _known(test, release)
    if found and not known:
        return "broken", first.sentence()
    differs = [reason for reason in reasons if reason.kind == "model"]
    if differs:
        return "differs", differs[0].sentence()
    return "known", known


def _known(test: Test, release: str) -> str:
    """Why a broken promise is no news on this kernel, empty if it is."""
    later = next((fix for fix in test.fixed if predates(release, fix.release)), None)
    if later is not None:
        return f"fixed in {later.release} ({later.commit})"
    return f"no kernel has fixed it: {test.unfixed}" if test.unfixed else ""


def _promises(test: Test, program: Program, seen: Sequence[Observation]) -> list[Reason]:
    """The promises of every test that these observations break."""
    return [
        Reason("promise", one.step, _line(test, program, one.step), one.promise, "kept", one.sentence, one.process, one.page)
        for one in promises.broken(program, tuple(seen))
    ]


def _warnings(test: Test, program: Program, seen: Sequence[Observation]) -> list[Reason]:
    """What the kernel printed that no kernel should."""
    said = ((step, trouble(one.console)) for step, one in enumerate(seen))
    return [Reason("console", step, _line(test, program, step), "console", "no warning", words) for step, words in said if words]


def _difference(test: Test, program: Program, found: Difference | None) -> list[Reason]:
    """What the model of this kernel does not allow."""
    if found is None:
        return []
    line = _line(test, program, found.step)
    expected, observed = (f"{found.field} {value}" for value in (found.expected, found.observed))
    return [Reason("model", found.step, line, found.field, expected, observed, found.process, found.page)]


def _line(test: Test, program: Program, step: int) -> int:
    """The line of the test that action `step` comes from."""
    return test.body[program.actions[step].item].line
