"""A test that did not go well: its text with failing lines marked, expected beside observed, the model's calls, how to repeat it."""

import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from breakcow.backend.model import Call
from breakcow.backend.observation import Observation
from breakcow.report.printable import printable, printable_lines
from breakcow.suite.record import Reason, Record
from breakcow.suite.wording import event_words, outcome_words, page_words

NOBODY_READS_MORE = 60  # calls of a step
FIELDS = frozenset({"pgtable.py", "page_alloc.py", "vma.py"})  # files of the specification that read and set fields: no steps of a path


class Line(NamedTuple):
    """One line of output. style: "", "bad", "good", "dim" or "title"; what it looks like is the terminal's matter."""

    text: str
    style: str = ""


def lines(record: Record, calls: Sequence[Call] = ()) -> Iterator[Line]:
    """All there is to say about a record that is not ok. calls: the model's, in the step of the first reason."""
    yield Line(printable(f"{record.verdict}: {record.test} on {record.backend}: {record.why}"), "title")
    if record.observations:
        yield from _text(record)
    for reason in record.reasons:
        yield from _reason(reason)
    if record.reasons and record.reasons[0].step < len(record.observations):
        yield from _step(record, record.reasons[0])
    yield from _calls(calls)
    yield from (Line(f"console: {text}") for text in printable_lines(record.console.rstrip("\n")) if record.console)
    yield from (Line(f"not judged: {printable(claim)}", "dim") for claim in record.unobserved)
    yield Line(f"repeat: {command(record)}", "title")


def command(record: Record) -> str:
    """The one command that repeats this record."""
    return printable(shlex.join(["breakcow", "run", record.source, "--on", record.backend]))


def _text(record: Record) -> Iterator[Line]:
    """The test's text, the lines that a reason names marked."""
    failing = {reason.line for reason in record.reasons}
    for number, text in enumerate(printable_lines(record.text.rstrip("\n")), 1):
        bad = number in failing
        yield Line(f"{'>' if bad else ' '} {number:3}  {text}".rstrip(), "bad" if bad else "")


def _reason(reason: Reason) -> Iterator[Line]:
    """One reason, what was expected above what was observed."""
    where = " ".join(word for word in (reason.process, reason.page) if word)
    head = f"line {reason.line}{f', {where}' if where else ''}: "
    if reason.kind == "promise":
        yield Line(printable(f"{head}promise {reason.claim} is broken: {reason.observed}"), "bad")
        return
    label = "the model allows" if reason.kind == "model" else "expected"
    width = max(len(label), len("observed"))
    yield Line(printable(f"{head}{label:{width}}  {reason.expected}"), "good")
    yield Line(printable(f"{' ' * len(head)}{'observed':{width}}  {reason.observed}"), "bad")


def _step(record: Record, first: Reason) -> Iterator[Line]:
    """Everything that was seen after the first step that went wrong, with what was expected of each page beside it."""
    seen = record.observations[first.step]
    expected: dict[tuple[str, str], list[str]] = {}
    for reason in record.reasons:
        if reason.step == first.step:
            expected.setdefault((reason.process, reason.page), []).append(reason.claim if reason.kind == "promise" else reason.expected)
    happened = [outcome_words(seen.outcome), *(event_words(event) for event in seen.events)]
    happened += [f"{name} resumed: {outcome_words(outcome)}" for name, outcome in seen.resumed.items()]
    yield Line(printable(f"seen after the step: {', '.join(happened)}"))
    yield from _pages(seen, expected)
    yield from (Line(f"  console: {text}") for text in printable_lines(seen.console.rstrip("\n")) if seen.console)


def _pages(seen: Observation, expected: dict[tuple[str, str], list[str]]) -> Iterator[Line]:
    """A line for each page of each process."""
    rows = [(name, page, page_words(look)) for name, process in seen.processes.items() for page, look in process.pages.items()]
    width = max((len(words) for _, _, words in rows), default=0)
    for name, page, words in rows:
        wanted = ", ".join(expected.get((name, page), []))
        text = f"  {name} {page}: {words:{width}}" + (f"   expected {wanted}" if wanted else "")
        yield Line(printable(text.rstrip()), "bad" if wanted else "")
    gone = [f"  {name} {process.state}" for name, process in seen.processes.items() if process.state != "running"]
    yield from (Line(printable(text)) for text in gone)


def _calls(calls: Sequence[Call]) -> Iterator[Line]:
    """The model's calls in the failing step: the path to the innermost one, and all of them as a tree."""
    calls = [call for call in calls if call.file not in FIELDS]
    if not calls:
        return
    yield Line(f"the model, in this step: {' <- '.join(call.function for call in innermost(calls))}")
    for call in calls[:NOBODY_READS_MORE]:
        yield Line(printable(f"  {'  ' * call.depth}{call.function}({call.arguments}) = {call.result}  [{call.file}]"), "dim")
    if len(calls) > NOBODY_READS_MORE:
        yield Line(f"  and {len(calls) - NOBODY_READS_MORE} more calls", "dim")


def innermost(calls: Sequence[Call]) -> list[Call]:
    """The calls from the deepest one (the last of several: what comes before it asked questions) up to the one that began."""
    if not calls:
        return []
    index = max(range(len(calls)), key=lambda number: (calls[number].depth, number))
    chain = [calls[index]]
    for call in reversed(calls[:index]):
        if call.depth < chain[-1].depth:
            chain.append(call)
    return chain
