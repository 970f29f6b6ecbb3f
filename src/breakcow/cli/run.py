"""`breakcow run`."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from breakcow.litmus.syntax import Test


def run(
    *tests: str,
    on: tuple[str, ...] = (),
    ktap: bool = False,
    junit: Path | None = None,
    jsonl: Path | None = None,
    jobs: Annotated[int, Parameter(name=["--jobs", "-j"])] = 1,
    list_: Annotated[bool, Parameter(name="--list")] = False,
    covers: bool = False,
    strict: bool = False,
    trace: bool = False,
) -> int:
    """Run tests on models and kernels, and judge them.

    Without arguments: the whole corpus on the model of every profile and, where it can, on this machine's kernel.

    Parameters
    ----------
    tests
        Names (ksm/unmerge-uffd-wp), subjects (ksm), patterns ('*/fork-*'), litmus files or folders of them.
    on
        Where: model (every profile), model:6.1, host, vm:6.1, vm:PATH of a bzImage. May be repeated.
    ktap
        Write KTAP instead of lines for people.
    junit
        Write JUnit XML to this file as well.
    jsonl
        Write the records to this file as well, one JSON line each.
    jobs
        How many processes run models, and how many kernels run at a time.
    list_
        Print the names of the tests and run nothing.
    covers
        With --list: print below each test what it covers, a line each.
    strict
        A skip is an error, unless the kernel is too old for what the test needs.
    trace
        Run what goes wrong on a kernel once more, and show what the kernel itself did in that step, beside its model.
    """
    from breakcow.cli.output import feed, reports, terminal
    from breakcow.cli.say import WrongUseError, mention
    from breakcow.suite import backends
    from breakcow.suite.corpus import select
    from breakcow.suite.run import run as records
    from breakcow.suite.trial import trial

    if jobs < 1:
        raise WrongUseError(f"-j {jobs}: at least one job is needed")
    chosen = select(tests)
    if list_:
        sys.stdout.writelines(_listed(one.test, covers) for one in chosen)
        return 0
    names = backends.names(on) or backends.everything()
    plan = {name: len(chosen) for name in names}
    trials = [trial(*one) for one in chosen]
    with (
        reports(plan, None if ktap else lambda: terminal(plan, bool(tests)), junit=junit, jsonl=jsonl) as outputs,
        closing(records(trials, names, jobs, mention, trace)) as stream,
    ):
        return feed(stream, outputs, strict)


def _listed(test: "Test", covers: bool) -> str:
    """The name of a test and, if wanted, what it covers."""
    return "".join(f"{line}\n" for line in (test.name, *(f"    covers {text}" for text in test.covers if covers)))
