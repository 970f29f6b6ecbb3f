"""JUnit as an XML parser reads it."""

import io
from xml.etree import ElementTree

from breakcow.report.junit import Junit
from report.samples import EACH, EVIL, sample


def written(*records: object, interrupted: bool = False) -> ElementTree.Element:
    out = io.BytesIO()
    report = Junit(out, lambda record: [f"told {record.test}", "in lines"])
    for record in records:
        report.record(record)  # type: ignore[arg-type]
    report.end(interrupted)
    return ElementTree.fromstring(out.getvalue())


def test_a_suite_for_each_backend_with_right_counts() -> None:
    root = written(*EACH)
    counts = [{key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped")} for suite in root]
    assert counts == [
        {"name": "model:6.1", "tests": "3", "failures": "0", "errors": "0", "skipped": "2"},
        {"name": "host", "tests": "3", "failures": "2", "errors": "1", "skipped": "0"},
    ]
    assert (root.get("tests"), root.get("time")) == ("6", "1.500")


def test_each_verdict_has_its_element() -> None:
    cases = {
        (case.get("classname"), case.get("name")): [(child.tag, child.get("type")) for child in case]
        for case in written(*EACH).iter("testcase")
    }
    assert cases == {
        ("model:6.1.cow", "fork"): [],
        ("model:6.1.ksm", "unmerge"): [("skipped", "known")],
        ("model:6.1.sd", "write"): [("skipped", "skip")],
        ("host.ksm", "unmerge"): [("failure", "broken")],
        ("host.cow", "fork"): [("failure", "differs")],
        ("host.cow", "evil"): [("error", "error")],
    }


def test_a_failure_is_told_and_control_characters_are_gone() -> None:
    root = written(sample("error", EVIL))
    (error,) = root.iter("error")
    assert error.text == "told ksm/unmerge\nin lines"
    assert error.get("message") == "\\x1b]0;owned\\x07 # SKIP <b>&\\n"


def test_an_interrupted_run_says_so() -> None:
    assert [one.get("name") for one in written(*EACH[:1], interrupted=True).iter("property")] == ["interrupted"]
