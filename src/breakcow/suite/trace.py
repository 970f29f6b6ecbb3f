"""What a kernel did in the steps of a test, with its model's calls beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breakcow.backend.model import Call, ModelBackend
from breakcow.backend.observation import Observation
from breakcow.backend.trace import Traced
from breakcow.kernel import Profile
from breakcow.suite.backends import Kernel
from breakcow.suite.trial import Trial

STEP_SECONDS = 30  # of a step in which every fault has to pass probes


@dataclass(frozen=True, slots=True)
class Step:
    """One action: its line in the test as `show` prints it, what was seen after it (None if it was not run), and who did what in it."""

    line: int
    text: str
    action: int
    seen: Observation | None
    kernel: Traced
    model: tuple[Call, ...]


def traced(trial: Trial, kernel: Kernel, profile: Profile, actions: Sequence[int]) -> list[Step]:
    """Run a test on an open kernel and follow it in these actions. Raises LostBackend, RunFailed if it cannot be traced."""
    seen = kernel.run(trial.program, STEP_SECONDS, actions)
    return steps(trial, seen, kernel.traced, ModelBackend(profile), actions)


def steps(
    trial: Trial, seen: Sequence[Observation], traced: Mapping[int, Traced], model: ModelBackend, actions: Sequence[int]
) -> list[Step]:
    """What was seen, what the kernel did and what the model does in each of these actions."""
    text = trial.text.split("\n")
    found = []
    for number in actions:
        line = trial.test.body[trial.program.actions[number].item].line
        after = seen[number] if number < len(seen) else None
        did = traced.get(number, Traced())
        found.append(Step(line, text[line - 1], number, after, did, model.trace(trial.program, number)))
    return found
