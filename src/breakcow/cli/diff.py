"""`breakcow diff`."""

from pathlib import Path


def diff(before: Path, after: Path, /) -> int:
    """Show what changed between two recorded runs: verdicts, and the first step of each test whose observations differ.

    With one backend in each file two kernels are compared, else each backend with itself. Exit status 1 if anything changed.

    Parameters
    ----------
    before
        Records, as `breakcow run --jsonl` writes them.
    after
        The records to compare with.
    """
    from breakcow.cli.say import BROKEN, OK
    from breakcow.report.failure import Line
    from breakcow.report.printable import printable
    from breakcow.report.terminal import Screen, write
    from breakcow.suite.compare import runs
    from breakcow.suite.record import read

    changes = list(runs(read(before), read(after)))
    console = Screen()
    test = ""
    for change in changes:
        if change.test != test:
            test = change.test
            write(console, [Line(printable(test), "title")])
        rows = [Line(f"  {change.where}"), Line(f"    - {change.before}", "bad"), Line(f"    + {change.after}", "good")]
        write(console, [Line(printable(row.text), row.style) for row in rows])
    count = len({change.test for change in changes})
    write(console, [Line(f"{count} {'test differs' if count == 1 else 'tests differ'}" if count else "no difference", "title")])
    return BROKEN if changes else OK
