"""Which reports a command writes, chosen by the options that run, judge and matrix share."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path

import msgspec

from breakcow.cli.say import INTERRUPTED, WrongUseError, exit_code
from breakcow.report import trace
from breakcow.report.failure import Line, lines
from breakcow.report.form import Report
from breakcow.report.html import Html
from breakcow.report.jsonl import Jsonl
from breakcow.report.junit import Junit
from breakcow.report.ktap import Ktap
from breakcow.report.terminal import Screen, Terminal
from breakcow.suite.again import model_calls, profile_of, traced_steps
from breakcow.suite.record import Record


@contextmanager
def reports(
    plan: Mapping[str, int],
    screen: Callable[[], Report] | None,
    *,
    junit: Path | None,
    jsonl: Path | None,
    html: Path | None = None,
) -> Iterator[list[Report]]:
    """The reports that were asked for, files open: what cannot be written is said before anything runs.

    plan: backend -> number of tests. screen: makes the report on stdout, KTAP if None.
    """
    with ExitStack() as stack:
        try:
            chosen: list[Report] = []
            if junit:
                chosen.append(Junit(stack.enter_context(junit.open("wb")), _told))
            if jsonl:
                chosen.append(Jsonl(stack.enter_context(jsonl.open("w", encoding="utf-8"))))
            if html:
                chosen.append(Html(stack.enter_context(html.open("w", encoding="utf-8"))))
        except OSError as error:
            raise WrongUseError(f"cannot write {error.filename}: {error.strerror}") from None
        chosen.append(screen() if screen else Ktap(sys.stdout, plan, _told))
        yield chosen


def terminal(plan: Mapping[str, int], tell_known: bool) -> Terminal:
    """The report for people. tell_known: tell known bugs at length too."""
    told = {"broken", "differs", "error"} | ({"known"} if tell_known else set())
    return Terminal(Screen(), sum(plan.values()), lambda record: _explained(record) if record.verdict in told else ())


def feed(records: Iterable[Record], chosen: list[Report], strict: bool = False) -> int:
    """Give every record to every report; the exit code. strict: an unexpected skip is an error.

    Ctrl-C, and a disk that is full, end the reports with what came.
    """
    verdicts: list[str] = []
    interrupted = False
    try:
        for record in map(_strictly, records) if strict else records:
            verdicts.append(record.verdict)
            for report in chosen:
                report.record(record)
    except KeyboardInterrupt:
        interrupted = True
    except OSError:
        for report in chosen:
            with suppress(OSError):
                report.end(True)
        raise
    for report in chosen:
        report.end(interrupted)
    return INTERRUPTED if interrupted else exit_code(verdicts)


def _strictly(record: Record) -> Record:
    """The record, or, for a skip that should not be, an error."""
    if not record.unexpected:
        return record
    why = f"skipped, though it could run: {record.why} ({', '.join(record.unexpected)})"
    return msgspec.structs.replace(record, verdict="error", why=why)


def _explained(record: Record) -> Iterator[Line]:
    """A record told at length, with the calls of the kernel beside those of the model, or the model's alone."""
    if not record.trace:
        return lines(record, model_calls(record))
    return chain(lines(record), trace.lines(traced_steps(record), record.backend, profile_of(record).name))


def _told(record: Record) -> Iterator[str]:
    """The same as plain text."""
    return (line.text for line in _explained(record))
