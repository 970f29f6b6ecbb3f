"""Kernels x tests as one page that needs nothing else: no network, no script. Behind each cell: what this kernel did in that test."""

from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import TextIO
from xml.etree.ElementTree import Element, SubElement, tostring

from breakcow.report.printable import printable, printable_lines
from breakcow.report.storyboard import board
from breakcow.suite.record import VERDICTS, Record
from breakcow.suite.trial import from_text

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


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
    root = Element("html", lang="en")
    _head(root)
    body = SubElement(root, "body")
    _add(body, "h1", "breakcow: kernels \N{MULTIPLICATION SIGN} tests")
    backends = list(dict.fromkeys(record.backend for record in records))
    _add(body, "p", f"{len({record.test for record in records})} tests on {len(backends)} kernels.")
    if interrupted:
        _add(body, "p", "The run was interrupted: not all tests were run.", "error")
    main = SubElement(body, "main")
    _subjects(main, records, backends)
    _tests(main, records, backends)
    for record in records:
        _cell(main, record, _model_of_good_conduct(record, records))
    return f"<!doctype html>\n{tostring(root, encoding='unicode', method='html')}\n"


def _add(parent: Element, tag: str, text: str = "", kind: str = "", **attributes: str) -> Element:
    """A new element below `parent`. text: made harmless. kind: its class."""
    added = SubElement(parent, tag, {**({"class": kind} if kind else {}), **attributes})
    added.text = printable(text)
    return added


def _head(root: Element) -> None:
    """Title, style, and the rule that nothing is ever loaded."""
    head = SubElement(root, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": POLICY})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    SubElement(head, "title").text = "breakcow: kernels x tests"
    SubElement(head, "style").text = files("breakcow.report").joinpath("page.css").read_text()


def _table(parent: Element, caption: str, first: str, records: Sequence[Record], backends: Sequence[str]) -> Element:
    """A table with a column for each kernel; its body."""
    box = SubElement(parent, "div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": caption})
    table = SubElement(box, "table")
    _add(table, "caption", caption)
    row = SubElement(SubElement(table, "thead"), "tr")
    _add(row, "th", first, scope="col")
    for backend in backends:
        kernel = next((record.kernel for record in records if record.backend == backend and record.kernel), "")
        _add(_add(row, "th", backend, scope="col"), "small", kernel)
    return SubElement(table, "tbody")


def _subjects(parent: Element, records: Sequence[Record], backends: Sequence[str]) -> None:
    """How many tests of each subject came to which verdict on each kernel."""
    body = _table(parent, "Subjects", "subject", records, backends)
    count = Counter((_subject(record), record.backend, record.verdict) for record in records)
    for subject in sorted({_subject(record) for record in records}):
        row = SubElement(body, "tr")
        _add(row, "th", subject, scope="row")
        for backend in backends:
            cell = SubElement(row, "td")
            for verdict in VERDICTS:
                if count[subject, backend, verdict]:
                    _add(cell, "div", f"{count[subject, backend, verdict]} {verdict}", verdict)


def _tests(parent: Element, records: Sequence[Record], backends: Sequence[str]) -> None:
    """Every test on every kernel, each verdict a link to what happened."""
    label = SubElement(SubElement(parent, "p"), "label")
    SubElement(label, "input", {"type": "checkbox", "id": "exceptions"}).tail = " only tests that are not ok everywhere"
    body = _table(parent, "Tests", "test", records, backends)
    found = {(record.test, record.backend): record for record in records}
    for test in sorted({record.test for record in records}):
        verdicts = {found[test, backend].verdict for backend in backends if (test, backend) in found}
        row = SubElement(body, "tr", {"class": "everywhere" if verdicts == {"ok"} else "", "id": _anchor("test", test)})
        _add(row, "th", test, scope="row")
        for backend in backends:
            cell = SubElement(row, "td")
            if (test, backend) in found:
                verdict = found[test, backend].verdict
                link = {"href": f"#{_anchor(backend, test)}", "aria-label": printable(f"{verdict}: {test} on {backend}")}
                _add(cell, "a", verdict, verdict, **link)


def _cell(parent: Element, record: Record, good: Record | None) -> None:
    """What one kernel did in one test, beside a kernel that keeps the promise if this one does not."""
    section = SubElement(parent, "section", {"class": "cell", "id": _anchor(record.backend, record.test), "tabindex": "-1"})
    _add(section, "h2", f"{record.test} on {record.backend}")
    _add(section, "p", f"{record.verdict}: {record.why}" if record.why else record.verdict, record.verdict)
    if record.reasons:
        reasons = SubElement(section, "ul")
        for reason in record.reasons:
            _add(reasons, "li", reason.sentence())
    _text(section, record)
    if record.observations:
        _story(section, [record, good] if good else [record])
    for claim in record.unobserved:
        _add(section, "p", f"not judged: {claim}", "skip")
    said = [record.console, *(seen.console for seen in record.observations)]
    if any(said):
        SubElement(section, "pre", {"aria-label": "console"}).text = "\n".join(printable_lines("".join(said)))
    _add(SubElement(section, "p"), "a", "back to the table", href=f"#{_anchor('test', record.test)}")


def _text(parent: Element, record: Record) -> None:
    """The test, with the lines that a reason names marked."""
    failing = {reason.line for reason in record.reasons}
    text = SubElement(parent, "pre", {"aria-label": "test"})
    for number, line in enumerate(printable_lines(record.text.rstrip("\n")), 1):
        _add(text, "mark" if number in failing else "span", line).tail = "\n"


def _story(parent: Element, records: Sequence[Record]) -> None:
    """The storyboard of these records, side by side."""
    trial = from_text(records[0].text, records[0].source)
    body = _table(parent, "What it did", "page", records, [record.backend for record in records])
    body.set("class", "board")
    for head, rows in board(trial.test, trial.program, records):
        step = SubElement(body, "tr", {"class": "step"})
        _add(step, "th", head.text, colspan=str(len(records) + 1), scope="rowgroup")
        for row in rows:
            line = SubElement(body, "tr", {"class": "differs-here" if row.differs else ""})
            _add(line, "th", row.label or "result", scope="row")
            changed = row.changed or [True] * len(row.cells)
            for cell, now in zip(row.cells, changed, strict=True):
                _add(line, "td", cell, ("changed" if row.changed else "") if now else "still")


def _model_of_good_conduct(record: Record, records: Sequence[Record]) -> Record | None:
    """A record of the same test on a kernel where it is ok, if it is not here."""
    if record.verdict in {"ok", "skip"}:
        return None
    return next((other for other in records if (other.sha256, other.verdict) == (record.sha256, "ok")), None)


def _subject(record: Record) -> str:
    """What comes before the first slash of a test's name."""
    return record.test.partition("/")[0]


def _anchor(kind: str, test: str) -> str:
    """An identifier of the page: letters, digits, hyphens and escapes only, one for each pair."""
    return "-".join("".join(char if char.isascii() and char.isalnum() else f"_{ord(char):x}_" for char in word) for word in (kind, test))
