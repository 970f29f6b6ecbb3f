"""Kernels x tests as a table: subjects as rows, kernels as columns, then every test that is not ok everywhere."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from breakcow.report.failure import Line
from breakcow.report.printable import printable
from breakcow.report.terminal import VERDICT_STYLE, summary, write
from breakcow.suite.record import VERDICTS, Record

NO_TERMINAL = 1000  # columns


class Matrix:
    """Shows progress for each kernel while records come, the table at the end. plan: backend -> number of tests."""

    def __init__(self, console: Console, plan: dict[str, int]) -> None:
        self._console, self._plan = console, plan
        self._records: list[Record] = []
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._tasks = {name: self._progress.add_task(printable(name), total=count) for name, count in plan.items()}
        self._progress.start()

    def record(self, record: Record) -> None:
        """Count one record; where there is no terminal, say so once for each kernel that is done."""
        self._records.append(record)
        self._progress.update(self._tasks[record.backend], advance=1)
        done = sum(one.backend == record.backend for one in self._records)
        if done == self._plan[record.backend] and not self._console.is_terminal:
            write(self._console, [Line(printable(f"{record.backend}: all {done} tests done"))])

    def end(self, interrupted: bool) -> None:
        """Show the tables."""
        self._progress.stop()
        for shown in (subjects(self._records), exceptions(self._records)):
            if shown.row_count:
                self._table(shown)
        write(self._console, summary(self._records))
        if interrupted:
            write(self._console, [Line("interrupted: this is what was done until then", "bad")])

    def _table(self, table: Table) -> None:
        """Print a table; where there is no terminal to fit, as wide as it is."""
        if not self._console.is_terminal:
            wide = self._console.options.update(max_width=NO_TERMINAL)
            self._console.width = max(self._console.width, self._console.measure(table, options=wide).maximum)
        self._console.print(table)


def subjects(records: Sequence[Record]) -> Table:
    """A row for each subject, a column for each kernel: how many tests came to which verdict."""
    table = _table("subject", records)
    for subject in sorted({_subject(record) for record in records}):
        cells = [_counts([record for record in column if _subject(record) == subject]) for column in _columns(records)]
        table.add_row(Text(printable(subject)), *cells)
    return table


def exceptions(records: Sequence[Record]) -> Table:
    """A row for each test that is not ok on every kernel."""
    table = _table("not ok everywhere", records)
    for test in sorted({record.test for record in records if record.verdict != "ok"}):
        found = [{record.test: record.verdict for record in column}.get(test, "") for column in _columns(records)]
        table.add_row(Text(printable(test)), *[Text(verdict, VERDICT_STYLE.get(verdict, "")) for verdict in found])
    return table


def _table(first: str, records: Sequence[Record]) -> Table:
    """An empty table with a column for each kernel."""
    table = Table()
    table.add_column(first, overflow="fold")
    for column in _columns(records):
        table.add_column(Text(f"{printable(column[0].backend)}\n{printable(column[0].kernel)}"), overflow="fold")
    return table


def _columns(records: Sequence[Record]) -> Iterator[list[Record]]:
    """The records of each kernel."""
    for backend in dict.fromkeys(record.backend for record in records):
        yield [record for record in records if record.backend == backend]


def _subject(record: Record) -> str:
    """What comes before the first slash of a test's name."""
    return record.test.partition("/")[0]


def _counts(records: Sequence[Record]) -> Text:
    """`12 ok, 1 known`."""
    count = Counter(record.verdict for record in records)
    parts = [Text(f"{count[verdict]} {verdict}", VERDICT_STYLE[verdict]) for verdict in VERDICTS if count[verdict]]
    return Text("\n").join(parts)
