"""What can be done with a record long after its run: judge it again, and ask the model what happens inside its failing step."""

import msgspec

from breakcow.backend.model import Call, ModelBackend
from breakcow.kernel import PROFILES, Profile, profile_for
from breakcow.suite.backends import is_model
from breakcow.suite.execute import on_profile
from breakcow.suite.record import Record
from breakcow.suite.trace import Step, steps
from breakcow.suite.trial import from_text


def profile_of(record: Record) -> Profile:
    """The profile of the record's kernel: as it was measured, or the nearest shipped one for a record without."""
    if record.profile:
        return Profile(record.kernel, record.kernel, {**profile_for(record.kernel).values, **record.profile})
    name = record.backend.removeprefix("model:")
    return PROFILES[name] if is_model(record.backend) and name in PROFILES else profile_for(record.kernel)


def judge_again(record: Record) -> Record:
    """The record with the verdict of today's rules and model on the observations it holds; unchanged if it has too few to judge.

    A record of a model is compared with the model of today, as a kernel's is. Raises litmus.LitmusError for a text that is no test now.
    """
    trial = from_text(record.text, record.source)
    if not record.observations or len(record.observations) < len(trial.program.actions):
        return record
    judged = on_profile(trial, record.observations, record.kernel, profile_of(record))
    return msgspec.structs.replace(record, verdict=judged.verdict, why=judged.why, reasons=judged.reasons, unobserved=judged.unobserved)


def traced_steps(record: Record) -> list[Step]:
    """What the record's kernel did in the steps that were followed, with the calls of its model beside it."""
    trial = from_text(record.text, record.source)
    return steps(trial, record.observations, record.trace, ModelBackend(profile_of(record)), sorted(record.trace))


def model_calls(record: Record) -> tuple[Call, ...]:
    """The calls of the model of the record's kernel in the step of the record's first reason; none if nothing went wrong in a step."""
    if not record.reasons:
        return ()
    trial = from_text(record.text, record.source)
    return tuple(ModelBackend(profile_of(record)).trace(trial.program, record.reasons[0].step))
