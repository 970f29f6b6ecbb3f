"""`breakcow stress`."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from breakcow.stress import Options, Stressed, Summary


def stress(
    *, on: tuple[str, ...] = ("host",), seconds: int = 0, operations: int = 0, seed: int = 0, processes: int = 8, json: bool = False
) -> int:
    """Have many processes share and unshare memory at random under ksmd at full speed, and check what they were promised.

    They write, fork, protect, merge, unmerge, move and exit, for a time or a number of operations; 10 seconds if neither is given.

    Parameters
    ----------
    on
        The kernels: host, vm:6.1, vm:PATH of a bzImage. May be repeated.
    seconds
        How long.
    operations
        How many operations of all processes together.
    seed
        Of what each process does; what comes of it depends on timing as well.
    processes
        How many at most at a time.
    json
        Write one JSON object a line for each kernel instead of lines for people.
    """
    import msgspec

    from breakcow.cli.say import INTERRUPTED, WrongUseError, exit_code
    from breakcow.report.terminal import Screen, write
    from breakcow.stress import Options
    from breakcow.stress.words import lines
    from breakcow.suite import backends

    names = backends.names(on)
    if any(backends.is_model(name) for name in names):
        raise WrongUseError(f"--on {' '.join(on)}: a model is not under stress: name a kernel, as host or vm:6.1")
    if seconds < 0 or operations < 0 or seed < 0 or not 1 <= processes <= 64:
        raise WrongUseError("--seconds, --operations and --seed want a number from 0, --processes one from 1 to 64")
    options = Options(seconds or (0 if operations else 10), operations, seed, processes)
    verdicts: list[str] = []
    for name in names:
        result, interrupted = _one(name, options)
        verdicts.append(result.verdict)
        if json:
            sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        else:
            write(Screen(), lines(result))
        if interrupted:
            return INTERRUPTED
    return exit_code(verdicts)


def _one(name: str, options: "Options") -> tuple["Stressed", bool]:
    """The run on one kernel, and whether Ctrl-C ended it."""
    from breakcow.backend.errors import LostBackend
    from breakcow.cli.say import mention
    from breakcow.stress import Run, Stressed, Summary
    from breakcow.suite import backends

    interrupted = False
    try:
        with backends.kernel(name, mention) as kernel:
            run = Run(kernel, options)
            try:
                run.go(_show)
            except KeyboardInterrupt:
                interrupted = True
    except LostBackend as lost:
        return Stressed(name, "", "error", str(lost), options, Summary()), False
    finally:
        if sys.stderr.isatty():
            print(file=sys.stderr)
    return run.result(interrupted), interrupted


def _show(summary: "Summary") -> None:
    """A line on standard error, on a terminal."""
    from breakcow.stress.words import progress

    if sys.stderr.isatty():
        print(f"\r{progress(summary)}", end="", file=sys.stderr, flush=True)
