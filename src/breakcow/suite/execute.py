"""One trial on one backend: skip it or run it, judge it, keep it. A kernel that is lost is started again for the rest."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

import msgspec

from breakcow import litmus
from breakcow.backend.abilities import Abilities
from breakcow.backend.errors import Disturbed, LostBackend, RunFailed
from breakcow.backend.measure import measure
from breakcow.backend.model import ModelBackend
from breakcow.backend.observation import Observation
from breakcow.backend.vm.cache import UnavailableError
from breakcow.backend.vm.console import trouble
from breakcow.kernel import PROFILES, Profile
from breakcow.suite.backends import Kernel, kernel
from breakcow.suite.judge import Judgement, judge
from breakcow.suite.record import VERDICTS, Record
from breakcow.suite.skips import unexpected
from breakcow.suite.trace import STEP_SECONDS
from breakcow.suite.trial import Trial

RESTARTS = 3  # in a row without one test that ran: the machine is not coming back


def on_model(name: str, trial: Trial) -> Record:
    """The record of a trial on a model. Every path that the specification allows must be right; kept is the first of the worst."""
    start = time.perf_counter()
    profile = PROFILES[name.removeprefix("model:")]
    model = ModelBackend(profile)
    if lacking := lacks(trial, model.probe()):
        return trial.record(name, profile.release, "skip", lacking)
    try:
        judged = [(judge(trial.test, trial.program, path, profile.release), path) for path in model.paths(trial.program)]
    except Exception as error:
        return trial.record(name, profile.release, "error", our_bug(error))
    worst, seen = max(judged, key=lambda pair: VERDICTS.index(pair[0].verdict))
    return _record(trial, name, profile.release, worst, seen, start)


def on_kernel(name: str, trials: Sequence[Trial], stop: Event, notice: Callable[[str], None], trace: bool = False) -> Iterator[Record]:
    """The records of all trials on one real kernel, one after the other. Ends early once `stop` is set.

    trace: run what goes wrong once more, and keep what the kernel itself did in the step that went wrong.
    """
    left = list(trials)
    failures = 0
    while left and failures < RESTARTS and not stop.is_set():
        try:
            with kernel(name, notice) as machine:
                abilities = machine.probe()
                profile = measure(machine).profile
                while left and not stop.is_set():
                    record = _try(left[0], machine, abilities, profile)
                    if trace and record.reasons:
                        record = _followed(record, left[0], machine, notice)
                    left.pop(0)
                    failures = 0
                    yield record
        except UnavailableError as error:
            yield from (trial.record(name, "", "error", str(error)) for trial in left)
            return
        except LostBackend as lost:
            failures += 1
            yield _lost(left.pop(0), name, lost)
    if failures == RESTARTS:
        yield from (trial.record(name, "", "error", f"not run: {name} was lost {RESTARTS} times in a row") for trial in left)


def _lost(trial: Trial, name: str, lost: LostBackend) -> Record:
    """The record of a trial during which the kernel was lost: the kernel's fault if it said so on its console."""
    said = trouble(lost.console)
    verdict, why = ("broken", f"{name} was lost: {said}") if said else ("error", f"{name} was lost: {lost}")
    return msgspec.structs.replace(trial.record(name, "", verdict, why), observations=lost.observations, console=lost.console)


def _try(trial: Trial, machine: Kernel, abilities: Abilities, profile: Profile) -> Record:
    """One trial on an open kernel, compared with the model of its measured profile. Raises LostBackend."""
    start = time.perf_counter()
    if lacking := lacks(trial, abilities):
        record = trial.record(machine.name, abilities.release, "skip", lacking)
        return msgspec.structs.replace(record, unexpected=unexpected(litmus.requirements(trial.test), abilities))
    try:
        seen = machine.run(trial.program)
    except Disturbed as disturbed:
        return trial.record(machine.name, abilities.release, "skip", str(disturbed))
    try:
        judgement = on_profile(trial, seen, abilities.release, profile)
    except Exception as error:
        judgement = Judgement("error", our_bug(error))
    record = _record(trial, machine.name, abilities.release, judgement, seen, start)
    return msgspec.structs.replace(record, profile=profile.values)


def _followed(record: Record, trial: Trial, machine: Kernel, notice: Callable[[str], None]) -> Record:
    """The record with what the kernel does in the step of its first reason, in another run. Raises LostBackend."""
    try:
        machine.run(trial.program, STEP_SECONDS, (record.reasons[0].step,))
    except RunFailed as failed:
        notice(f"{machine.name}: {failed}")
        return record
    return msgspec.structs.replace(record, trace=machine.traced)


def on_profile(trial: Trial, seen: tuple[Observation, ...], release: str, profile: Profile) -> Judgement:
    """The verdict on what a kernel of `release` did, compared with what the model of `profile` allows."""
    return judge(trial.test, trial.program, seen, release, ModelBackend(profile).check(trial.program, seen))


def our_bug(error: Exception) -> str:
    """An exception of the specification or of the judge in a sentence: it costs one test, and says where to look."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"a bug of breakcow: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"


def lacks(trial: Trial, abilities: Abilities) -> str:
    """What the kernel lacks for this trial, in sentences; empty if nothing. What lacks everything for one reason runs nothing."""
    reasons = set(abilities.abilities.values())
    if len(reasons) == 1 and "" not in reasons:
        return reasons.pop()
    words = litmus.requirements(trial.test)
    missing = (abilities.abilities.get(word, f"it is not known whether this kernel has {word}") for word in words)
    return "; ".join(dict.fromkeys(sentence for sentence in missing if sentence))


def _record(trial: Trial, name: str, release: str, judgement: Judgement, seen: tuple[Observation, ...], start: float) -> Record:
    """The record of a trial that ran; `start`: of time.perf_counter()."""
    return msgspec.structs.replace(
        trial.record(name, release, judgement.verdict, judgement.why),
        reasons=judgement.reasons,
        unobserved=judgement.unobserved,
        observations=seen,
        seconds=round(time.perf_counter() - start, 6),
    )
