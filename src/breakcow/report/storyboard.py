"""A test as a storyboard: after each step the pages of each process, and what changed; several kernels side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from breakcow.backend.compare import difference
from breakcow.backend.observation import Observation, PageSeen
from breakcow.litmus.program import Program
from breakcow.litmus.syntax import Comment, Expect, Test
from breakcow.report.failure import Line
from breakcow.report.printable import printable, printable_lines
from breakcow.suite.record import Record
from breakcow.suite.wording import bits, event_words, outcome_words

LEGEND = "* changed in this step   ! differs between the columns   xN mapped N times"
UNTOUCHED = PageSeen("none")


@dataclass(frozen=True, slots=True)
class Row:
    """One line below a step: what it is about and a cell for each kernel. differs: between the kernels. changed: for each kernel."""

    label: str
    cells: tuple[str, ...]
    differs: bool = False
    changed: tuple[bool, ...] = ()


def lines(test: Test, program: Program, records: Sequence[Record]) -> Iterator[Line]:
    """The storyboard of one test as these records, one a backend, saw it. All are records of `program`."""
    shown = board(test, program, records)
    labels = max((len(row.label) for _, rows in shown for row in rows), default=0)
    names = tuple(f"{record.backend} ({record.kernel})" for record in records)
    columns = [names, *(row.cells for _, rows in shown for row in rows)]
    widths = [max(len(cells[number]) for cells in columns) for number in range(len(records))]
    yield Line(printable(test.name), "title")
    yield from (Line(f"    {printable(text)}") for text in test.description.splitlines())
    yield Line(_join(" " * (labels + 8), names, widths, ()), "title")
    for head, rows in shown:
        yield head
        for row in rows:
            mark = "!" if row.differs else " "
            text = _join(f"   {mark}    {row.label:{labels}}", row.cells, widths, row.changed)
            yield Line(text, "bad" if row.differs else "" if any(row.changed) else "dim")
    yield from (Line(printable(f"{record.backend}: {record.verdict} {record.why}").rstrip(), "title") for record in records)
    yield Line(LEGEND, "dim")


def _join(label: str, cells: Sequence[str], widths: Sequence[int], changed: Sequence[bool]) -> str:
    """One line of columns; a star before each cell that changed."""
    stars = [*changed, *[False] * (len(cells) - len(changed))]
    parts = [f"{'*' if star else ' '} {cell:{width}}" for cell, width, star in zip(cells, widths, stars, strict=True)]
    return printable("  ".join([label, *parts]).rstrip())


def board(test: Test, program: Program, records: Sequence[Record]) -> list[tuple[Line, list[Row]]]:
    """Each line of the test that does or claims something, and the rows below it; all are records of `program`."""
    text = printable_lines(records[0].text)
    found: list[tuple[Line, list[Row]]] = []
    before: list[Observation | None] = [None] * len(records)
    for number, item in enumerate(test.body):
        if isinstance(item, Comment):
            continue
        head = f"{item.line:3}  {text[item.line - 1]}"
        if isinstance(item, Expect):
            found.append(_claim(head, item, records))
            continue
        steps = [index for index, action in enumerate(program.actions) if action.item == number]
        seen = [[record.observations[index] for index in steps if index < len(record.observations)] for record in records]
        found.append((Line(head, "title"), list(_rows(before, seen))))
        before = [now[-1] if now else None for now in seen]
    return found


def _claim(head: str, item: Expect, records: Sequence[Record]) -> tuple[Line, list[Row]]:
    """An `expect` line: does it hold on each kernel?"""
    broken = [sum(reason.line == item.line and reason.kind == "expect" for reason in record.reasons) for record in records]
    ran = [bool(record.observations) for record in records]
    cells = tuple(("holds" if not count else "does not hold") if done else "" for count, done in zip(broken, ran, strict=True))
    return Line(head, "bad" if any(broken) else "good"), [Row("", cells, len(set(cells)) > 1)]


def _rows(before: Sequence[Observation | None], seen: Sequence[Sequence[Observation]]) -> Iterator[Row]:
    """The rows of one step: how it ended, the pages, the counters that changed."""
    ends = tuple(ending(now) for now in seen)
    yield Row("", ends, len(set(ends)) > 1)
    last = [now[-1] if now else None for now in seen]
    differing = _differing(last)
    for process, page in _places(last):
        looks = [_look(now, process, page) for now in last]
        old = [_look(then, process, page) or UNTOUCHED for then in before]
        changed = tuple(now is not None and cell(now) != cell(then) for now, then in zip(looks, old, strict=True))
        yield Row(f"{process} {page}", tuple(cell(look) if look else "" for look in looks), (process, page) in differing, changed)
    yield from _states(last)
    counters = tuple(_counters(then, now) for then, now in zip(before, last, strict=True))
    if any(counters):
        yield Row("counters", counters)


def _differing(seen: Sequence[Observation | None]) -> set[tuple[str, str]]:
    """The pages in which some kernel contradicts the first."""
    first = seen[0]
    return {(found.process, found.page) for other in seen[1:] if first and other for found in difference(0, first, other)}


def ending(seen: Sequence[Observation]) -> str:
    """How the actions of a step ended, and what they set off."""
    words = list(dict.fromkeys(outcome_words(now.outcome) for now in seen))
    words += [event_words(event) for now in seen for event in now.events]
    words += [f"{name} resumed {outcome_words(outcome)}" for now in seen for name, outcome in now.resumed.items()]
    return ", ".join(words) or "not run"


def _places(seen: Sequence[Observation | None]) -> list[tuple[str, str]]:
    """Every page of every process that some kernel shows."""
    shown = ((name, page) for now in seen if now for name, process in now.processes.items() for page in process.pages)
    return list(dict.fromkeys(shown))


def _look(seen: Observation | None, process: str, page: str) -> PageSeen | None:
    """One page, None if it was not looked at."""
    found = seen.processes.get(process) if seen else None
    return found.pages.get(page) if found else None


def _states(seen: Sequence[Observation | None]) -> Iterator[Row]:
    """Processes that do not run."""
    names = dict.fromkeys(name for now in seen if now for name, process in now.processes.items() if process.state != "running")
    for name in names:
        cells = tuple(now.processes[name].state if now and name in now.processes else "" for now in seen)
        yield Row(name, cells, len(set(cells)) > 1)


def _counters(before: Observation | None, now: Observation | None) -> str:
    """The counters that this step changed."""
    old = before.counters if before else {}
    changed = {name: value for name, value in (now.counters if now else {}).items() if value != old.get(name, 0)}
    return ", ".join(f"{name} {value}" for name, value in changed.items())


def cell(page: PageSeen) -> str:
    """A page, short: `[0] = 7 ksm protected x2`."""
    words = [page.state if page.frame is None else f"[{page.frame}]"]
    if page.content is not None:
        words.append(f"= {page.content}" if page.content >= 0 else "= ?")
    words += bits(page)
    if page.mapcount is not None and page.mapcount != 1:
        words.append(f"x{page.mapcount}")
    return " ".join(words)
