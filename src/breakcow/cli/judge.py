"""`breakcow judge`."""

from collections import Counter
from pathlib import Path


def judge(
    records: Path,
    /,
    *,
    ktap: bool = False,
    junit: Path | None = None,
    jsonl: Path | None = None,
    strict: bool = False,
) -> int:
    """Judge a recorded run again with today's rules and models; no kernel runs.

    Parameters
    ----------
    records
        Records, as `breakcow run --jsonl` writes them.
    ktap
        Write KTAP instead of lines for people.
    junit
        Write JUnit XML to this file as well.
    jsonl
        Write the records with their new verdicts to this file as well.
    strict
        A skip is an error, unless the kernel is too old for what the test needs.
    """
    from breakcow.cli.output import feed, reports, terminal
    from breakcow.suite.again import judge_again
    from breakcow.suite.record import read

    judged = [judge_again(record) for record in read(records)]
    plan = Counter(record.backend for record in judged)
    judged.sort(key=lambda record: list(plan).index(record.backend))
    with reports(plan, None if ktap else lambda: terminal(plan, False), junit=junit, jsonl=jsonl) as outputs:
        return feed(judged, outputs, strict)
