"""`breakcow trace`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from breakcow.suite.trial import Trial


def trace(test: str, /, *, on: str, step: int | None = None, json: bool = False) -> int:
    """Show what the kernel itself did in a test, beside its model: calls, fault flags and results, KSM's tracepoints.

    Exit status 3 if the kernel cannot run the test or cannot be traced.

    Parameters
    ----------
    test
        Name of a test, or a litmus file.
    on
        The kernel: host, vm:6.1, vm:PATH of a bzImage.
    step
        Only this line of the test, as `breakcow show` numbers them.
    json
        Write one JSON object instead of lines for people.
    """
    import msgspec

    from breakcow.backend.measure import measure
    from breakcow.cli.say import OK, WrongUseError, mention
    from breakcow.report.terminal import Screen, write
    from breakcow.report.trace import as_json, lines
    from breakcow.suite import backends
    from breakcow.suite.corpus import select
    from breakcow.suite.execute import lacks
    from breakcow.suite.trace import traced
    from breakcow.suite.trial import trial

    (name, *others) = backends.names((on,))
    chosen = select((test,))
    if others or backends.is_model(name):
        raise WrongUseError(f"--on {on}: a model's calls stand beside those of a kernel: name a kernel, as host or vm:6.1")
    if len(chosen) > 1:
        raise WrongUseError(
            f"{test} names {len(chosen)} tests, one is traced at a time: {', '.join(one.test.name for one in chosen[:3])} ..."
        )
    ready = trial(*chosen[0])
    actions = _actions(ready, step)
    with backends.kernel(name, mention) as kernel:
        abilities = kernel.probe()
        if lacking := lacks(ready, abilities):
            mention(f"{ready.test.name} cannot be judged on {name}: {lacking}")
        profile = measure(kernel).profile
        steps = traced(ready, kernel, profile, actions)
    if json:
        told = {"test": ready.test.name, "backend": name, "kernel": abilities.release, "model": profile.name, "steps": as_json(steps)}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        write(Screen(), lines(steps, name, profile.name))
    return OK


def _actions(ready: "Trial", step: int | None) -> Sequence[int]:
    """The actions of a line of the test; of all lines for None. Raises WrongUseError for a line that does nothing."""
    from breakcow.cli.say import WrongUseError

    lines = [ready.test.body[action.item].line for action in ready.program.actions]
    found = [number for number, line in enumerate(lines) if step in (None, line)]
    if not found:
        raise WrongUseError(
            f"--step {step}: nothing happens in that line; steps of {ready.test.name} are in {', '.join(map(str, dict.fromkeys(lines)))}"
        )
    return found
