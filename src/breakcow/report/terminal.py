"""For people: live progress on a terminal, plain lines in a pipe, then what went wrong and a summary in which a skip is no pass."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from breakcow.report.failure import Line
from breakcow.report.printable import printable
from breakcow.suite.record import VERDICTS, Record

STYLE = {"": "", "bad": "red", "good": "green", "dim": "dim", "title": "bold"}
VERDICT_STYLE = {"ok": "green", "known": "yellow", "skip": "cyan", "broken": "bold red", "differs": "bold magenta", "error": "bold red"}


class Screen(Console):
    """Standard output. That nobody reads it any more is an error like any other, so that what was started is ended."""

    def on_broken_pipe(self) -> None:
        """Instead of leaving the program at once."""
        raise BrokenPipeError


class Terminal:
    """Shows records on `console` as they come.

    total: how many will come. explain: the lines that tell a record, none for one that needs no telling.
    """

    def __init__(self, console: Console, total: int, explain: Callable[[Record], Iterable[Line]]) -> None:
        self._console, self._explain = console, explain
        self._records: list[Record] = []
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True) if console.is_terminal else None
        self._task = self._progress.add_task("", total=total) if self._progress else None
        self._shown = self._progress or nullcontext()
        self._shown.__enter__()

    def record(self, record: Record) -> None:
        """Show one record: on a terminal only what is not plainly ok stays to be read."""
        self._records.append(record)
        if self._progress and self._task is not None:
            self._progress.update(self._task, advance=1, description=printable(f"{record.backend} {record.test}"))
        explained = list(self._explain(record))
        if explained:
            write(self._console, [*explained, Line("")])
        elif not self._progress or record.verdict != "ok":
            write(self._console, [_row(record)])

    def end(self, interrupted: bool) -> None:
        """Show the summary."""
        self._shown.__exit__(None, None, None)
        write(self._console, summary(self._records))
        if interrupted:
            write(self._console, [Line("interrupted: this is what was done until then", "bad")])


def write(console: Console, rows: Iterable[Line | Text]) -> None:
    """Print lines as they are, made harmless: no markup, no wrapping, no highlighting."""
    for row in rows:
        text = row if isinstance(row, Text) else Text(printable(row.text), STYLE[row.style])
        console.print(text, soft_wrap=True, highlight=False, markup=False)


def _row(record: Record) -> Text:
    """A record in one line: verdict, backend, test, and why."""
    text = Text(f"{record.verdict:7}", VERDICT_STYLE[record.verdict])
    why = f"  # {record.why}" if record.why else ""
    return text.append(printable(f" {record.backend:10} {record.test}{why}"), "default")


def summary(records: Iterable[Record]) -> Iterable[Line | Text]:
    """Counts for each backend, then the reasons of skips and how many claims no kernel showed."""
    records = list(records)
    for backend in dict.fromkeys(record.backend for record in records):
        yield _counts(backend, [record for record in records if record.backend == backend])
    skips = Counter((record.backend, record.why, bool(record.unexpected)) for record in records if record.verdict == "skip")
    for (backend, why, unexpected), count in skips.items():
        yield Line(printable(f"  {count} skipped on {backend}{', which could run here' if unexpected else ''}: {why}"), "dim")
    for backend in dict.fromkeys(record.backend for record in records if record.unobserved):
        count = sum(len(record.unobserved) for record in records if record.backend == backend)
        yield Line(printable(f"  {count} claims could not be judged on {backend}: this kernel does not show them"), "dim")


def _counts(backend: str, records: list[Record]) -> Text:
    """`model:6.1: 58 ok, 2 known, 1 skip`."""
    count = Counter(record.verdict for record in records)
    text = Text(printable(f"{backend} ({records[-1].kernel or 'unknown kernel'}): "))
    parts = [Text(f"{count[verdict]} {verdict}", VERDICT_STYLE[verdict]) for verdict in VERDICTS if count[verdict]]
    return text.append(Text(", ").join(parts))
