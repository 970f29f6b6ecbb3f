"""JUnit XML as CI systems read it: a suite for each backend, a case for each test."""

from itertools import groupby
from typing import BinaryIO
from xml.etree import ElementTree

from breakcow.report.ktap import Explain
from breakcow.report.printable import printable
from breakcow.suite.record import Record

ELEMENT = {"broken": "failure", "differs": "failure", "error": "error", "skip": "skipped", "known": "skipped"}


class Junit:
    """Keeps the records and writes the document to `out` at the end. explain: the text of a case that is not ok."""

    def __init__(self, out: BinaryIO, explain: Explain) -> None:
        self._out, self._explain = out, explain
        self._records: list[Record] = []

    def record(self, record: Record) -> None:
        """Keep one record."""
        self._records.append(record)

    def end(self, interrupted: bool) -> None:
        """Write the document; that the run was interrupted is a property of the last suite."""
        counts = _counts(self._records)
        del counts["skipped"]  # schemas have it for a suite only
        root = ElementTree.Element("testsuites", {"name": "breakcow", **counts})
        groups = [list(group) for _, group in groupby(self._records, key=lambda record: record.backend)]
        for number, records in enumerate(groups, 1):
            suite = ElementTree.SubElement(root, "testsuite", {"name": printable(records[0].backend), **_counts(records)})
            properties = ElementTree.SubElement(suite, "properties")
            ElementTree.SubElement(properties, "property", name="kernel", value=printable(records[-1].kernel))
            if interrupted and number == len(groups):
                ElementTree.SubElement(properties, "property", name="interrupted", value="true")
            for record in records:
                self._case(suite, record)
        ElementTree.indent(root)
        ElementTree.ElementTree(root).write(self._out, encoding="utf-8", xml_declaration=True)

    def _case(self, suite: ElementTree.Element, record: Record) -> None:
        """Add one test case; a known bug is a skip of type `known`, so that it is neither a pass nor an alarm."""
        subject, _, name = printable(record.test).rpartition("/")
        group = f"{printable(record.backend)}.{subject}".rstrip(".")
        case = ElementTree.SubElement(suite, "testcase", classname=group, name=name, time=f"{record.seconds:.3f}")
        if record.verdict in ELEMENT:
            kind = ELEMENT[record.verdict]
            found = ElementTree.SubElement(case, kind, type=record.verdict, message=printable(record.why))
            if kind != "skipped":
                found.text = "\n".join(map(printable, self._explain(record)))


def _counts(records: list[Record]) -> dict[str, str]:
    """The attributes that count the cases of a suite."""
    kinds = [ELEMENT.get(record.verdict, "") for record in records]
    counts = {"failures": kinds.count("failure"), "errors": kinds.count("error"), "skipped": kinds.count("skipped")}
    seconds = sum(record.seconds for record in records)
    return {"tests": str(len(records)), **{key: str(value) for key, value in counts.items()}, "time": f"{seconds:.3f}"}
