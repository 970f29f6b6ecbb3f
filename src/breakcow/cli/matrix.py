"""`breakcow matrix`."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def matrix(
    *kernels: str,
    html: Path | None = None,
    junit: Path | None = None,
    jsonl: Path | None = None,
    jobs: Annotated[int, Parameter(name=["--jobs", "-j"])] = 1,
) -> int:
    """Run the whole corpus on several kernels and show kernels x tests.

    Parameters
    ----------
    kernels
        Series (6.1), versions (6.12.43), paths of bzImages, or what `run --on` takes. Without: every cached kernel.
    html
        Write the tables to this file as a page, with what each kernel did behind each cell.
    junit
        Write JUnit XML to this file as well.
    jsonl
        Write the records to this file as well, one JSON line each.
    jobs
        How many kernels run at a time.
    """
    from breakcow.cli.output import feed, reports
    from breakcow.cli.say import mention
    from breakcow.report.matrix import Matrix
    from breakcow.report.terminal import Screen
    from breakcow.suite import backends
    from breakcow.suite.corpus import corpus
    from breakcow.suite.run import run
    from breakcow.suite.trial import trial

    trials = [trial(*chosen) for chosen in corpus()]
    names = backends.kernels(kernels)
    plan = {name: len(trials) for name in names}
    with (
        reports(plan, lambda: Matrix(Screen(), plan), junit=junit, jsonl=jsonl, html=html) as outputs,
        closing(run(trials, names, jobs, mention)) as stream,
    ):
        return feed(stream, outputs)
