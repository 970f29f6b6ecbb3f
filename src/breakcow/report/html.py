"""Kernels x tests as one page that needs nothing else: no network, no script. Behind each cell: what this kernel did in that test."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TextIO
from xml.etree.ElementTree import Element, SubElement

from breakcow.litmus.syntax import Comment
from breakcow.report.failure import command
from breakcow.report.markup import add, document, written
from breakcow.report.printable import printable, printable_lines
from breakcow.report.storyboard import board
from breakcow.suite.record import VERDICTS, Reason, Record
from breakcow.suite.trial import Trial, from_text

MEANING = {
    "ok": "the claims of the test and the promises hold, and the model of this kernel allows every observation",
    "known": "a claim or promise does not hold, and the test says why this is no news",
    "skip": "the machine or kernel lacks something",
    "broken": "a claim or promise does not hold: the kernel breaks what it promised",
    "differs": "all holds, but the model of this kernel does not allow an observation: the model, the profile or the kernel is wrong",
    "error": "the run itself broke: a hang, a lost kernel, a bug of breakcow",
    "[0] = 7": "a page: which frame, counted in the order of first sight, and what is in it",
    "x2": "the frame is mapped two times",
    "*": "changed in this step",
    "!": "differs between the kernels shown",
}


class Html:
    """Keeps the records and writes the page to `out` at the end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._records: list[Record] = []

    def record(self, record: Record) -> None:
        """Keep one record."""
        self._records.append(record)

    def end(self, interrupted: bool) -> None:
        """Write the page; that a run was interrupted is said on it."""
        self._out.write(page(self._records, interrupted))


def page(records: Sequence[Record], interrupted: bool = False) -> str:
    """The whole document."""
    root, main = document("breakcow: kernels x tests", "page.css")
    tables = SubElement(main, "div", {"class": "tables"})
    add(tables, "h1", "breakcow: kernels \N{MULTIPLICATION SIGN} tests")
    backends = list(dict.fromkeys(record.backend for record in records))
    tests: dict[str, dict[str, Record]] = {}
    for record in sorted(records, key=lambda record: record.test):
        tests.setdefault(record.test, {})[record.backend] = record
    add(tables, "p", f"{len(tests)} tests on {len(backends)} kernels.")
    if interrupted:
        add(tables, "p", "The run was interrupted: not all tests were run.", "error")
    _words(tables)
    _subjects(tables, records, backends)
    _tests(tables, tests, records, backends)
    for found in tests.values():
        for record in found.values():
            _cell(main, record, found)
    return written(root)


def _table(parent: Element, caption: str, first: str, records: Sequence[Record], backends: Sequence[str]) -> Element:
    """A table with a column for each kernel; its body."""
    box = SubElement(parent, "div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": caption})
    table = SubElement(box, "table")
    add(table, "caption", caption)
    row = SubElement(SubElement(table, "thead"), "tr")
    add(row, "th", first, scope="col")
    for backend in backends:
        kernel = next((record.kernel for record in records if record.backend == backend and record.kernel), "")
        add(add(row, "th", backend, scope="col"), "small", kernel)
    return SubElement(table, "tbody")


def _words(parent: Element) -> None:
    """What the words and marks of this page mean."""
    box = SubElement(parent, "details")
    add(box, "summary", "What the words mean")
    listed = SubElement(box, "dl")
    for word, meaning in MEANING.items():
        add(listed, "dt", word, word if word in VERDICTS else "")
        add(listed, "dd", meaning)


def _subjects(parent: Element, records: Sequence[Record], backends: Sequence[str]) -> None:
    """How many tests of each subject came to which verdict on each kernel."""
    body = _table(parent, "Subjects", "subject", records, backends)
    count = Counter((_subject(record.test), record.backend, record.verdict) for record in records)
    for subject in sorted({_subject(record.test) for record in records}):
        row = SubElement(body, "tr")
        add(add(row, "th", scope="row"), "a", subject, href=f"#{_anchor('subject', subject)}")
        for backend in backends:
            cell = SubElement(row, "td")
            for verdict in VERDICTS:
                if count[subject, backend, verdict]:
                    add(cell, "div", f"{count[subject, backend, verdict]} {verdict}", verdict)


def _tests(parent: Element, tests: Mapping[str, Mapping[str, Record]], records: Sequence[Record], backends: Sequence[str]) -> None:
    """Every test on every kernel, each verdict a link to what happened. Those that are ok everywhere show when asked for."""
    fine = {test for test, found in tests.items() if {record.verdict for record in found.values()} == {"ok"}}
    label = SubElement(SubElement(parent, "p"), "label")
    box = SubElement(label, "input", {"type": "checkbox", "id": "fine"})
    box.tail = f" show also what is ok everywhere ({len(fine)} of {len(tests)} tests)"
    if len(fine) == len(tests):
        box.set("checked", "")
    body = _table(parent, "Tests", "test", records, backends)
    subject = None
    for test, found in tests.items():
        if _subject(test) != subject:
            subject = _subject(test)
            row = SubElement(body, "tr", {"class": "step", "id": _anchor("subject", subject)})
            add(row, "th", subject, colspan=str(len(backends) + 1), scope="rowgroup")
        row = add(body, "tr", kind="fine" if test in fine else "", id=_anchor("test", test))
        add(row, "th", test, scope="row")
        for backend in backends:
            cell = SubElement(row, "td")
            if backend in found:
                _link(cell, found[backend], found[backend].verdict)


def _link(parent: Element, record: Record, words: str) -> None:
    """A link to what one kernel did in one test, named in full for those who hear it."""
    name = printable(f"{record.verdict}: {record.test} on {record.backend}")
    add(parent, "a", words, record.verdict, href=f"#{_anchor(record.backend, record.test)}", **{"aria-label": name})


def _cell(parent: Element, record: Record, found: Mapping[str, Record]) -> None:
    """What one kernel did in one test, beside a kernel that keeps the promise if this one does not. found: this test on each kernel."""
    section = SubElement(parent, "section", {"class": "cell", "id": _anchor(record.backend, record.test), "tabindex": "-1"})
    _ways(section, record, found)
    add(section, "h2", f"{record.test} on {record.backend}")
    add(section, "p", f"{record.verdict}: {record.why}" if record.why else record.verdict, record.verdict)
    if record.reasons:
        reasons = SubElement(section, "ul")
        for reason in record.reasons:
            add(reasons, "li", reason.sentence())
    for claim in record.unobserved:
        add(section, "p", f"not judged: {claim}", "skip")
    _text(section, record)
    if record.observations:
        good = _good(record, found)
        _story(section, [record, good] if good else [record])
    said = [record.console, *(seen.console for seen in record.observations)]
    if any(said):
        _lines(section, "Console").text = "\n".join(printable_lines("".join(said)))
    repeat = add(section, "p", f"{record.seconds:.2f} s on {record.kernel}. Repeat: " if record.kernel else "Repeat: ")
    add(repeat, "code", command(record))


def _ways(parent: Element, record: Record, found: Mapping[str, Record]) -> None:
    """Links from one cell: back to its row, and to the same test on the other kernels."""
    ways = SubElement(parent, "nav", {"aria-label": "this test"})
    add(ways, "a", "back to the table", href=f"#{_anchor('test', record.test)}")
    for other in found.values():
        if other is not record:
            _link(ways, other, f"{other.backend} {other.verdict}")


def _lines(parent: Element, heading: str) -> Element:
    """An empty block for lines below a heading; it can be scrolled with keys."""
    add(parent, "h3", heading)
    return SubElement(parent, "pre", {"tabindex": "0", "role": "region", "aria-label": heading})


def _text(parent: Element, record: Record) -> None:
    """The test, with the lines that a reason names marked."""
    failing = {reason.line for reason in record.reasons}
    text = _lines(parent, "Test")
    text.set("class", "test")
    for number, line in enumerate(printable_lines(record.text.rstrip("\n")), 1):
        add(text, "mark" if number in failing else "span", line).tail = "\n"


def _story(parent: Element, records: Sequence[Record]) -> None:
    """The storyboard of these records, side by side; below a step that went wrong what was promised."""
    trial = _trial(records[0].text, records[0].source)
    add(parent, "h3", "What it did")
    caption = "The pages after each step. * changed in it, ! differs between the kernels"
    body = _table(parent, caption, "page", records, [record.backend for record in records])
    body.set("class", "board")
    places = [item.line for item in trial.test.body if not isinstance(item, Comment)]
    for place, (head, rows) in zip(places, board(trial.test, trial.program, records), strict=True):
        reasons = [reason for reason in records[0].reasons if reason.line == place]
        step = SubElement(body, "tr", {"class": "step wrong" if reasons else "step"})
        add(step, "th", head.text, colspan=str(len(records) + 1), scope="rowgroup")
        for row in rows:
            line = add(body, "tr", kind="differs-here" if row.differs else "")
            add(line, "th", row.label or "result", scope="row")
            changed = row.changed or [True] * len(row.cells)
            for cell, now in zip(row.cells, changed, strict=True):
                add(line, "td", cell, ("changed" if row.changed else "") if now else "still")
        for reason in reasons:
            _promised(body, reason, len(records))


@lru_cache(maxsize=1)
def _trial(text: str, source: str) -> Trial:
    """The test made ready, once for all its kernels: their sections follow one another."""
    return from_text(text, source)


def _promised(body: Element, reason: Reason, columns: int) -> None:
    """A row that says what should have been, and what was."""
    row = SubElement(body, "tr", {"class": "promised"})
    add(row, "th", "not allowed" if reason.kind == "model" else "not kept", scope="row")
    add(row, "td", reason.sentence(), colspan=str(columns))


def _good(record: Record, found: Mapping[str, Record]) -> Record | None:
    """The same test on a kernel where it is ok, if it is not here."""
    if record.verdict in {"ok", "skip"}:
        return None
    return next((other for other in found.values() if (other.sha256, other.verdict) == (record.sha256, "ok")), None)


def _subject(test: str) -> str:
    """What comes before the first slash of a test's name."""
    return test.partition("/")[0]


def _anchor(kind: str, test: str) -> str:
    """An identifier of the page: letters, digits, hyphens and escapes only, one for each pair."""
    return "-".join("".join(char if char.isascii() and char.isalnum() else f"_{ord(char):x}_" for char in word) for word in (kind, test))
