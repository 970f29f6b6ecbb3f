"""JUnit as an XML parser reads it."""

import io
import re
from xml.etree import ElementTree

from breakcow.report.junit import Junit
from report.samples import EACH, EVIL, sample

COUNTS = ("tests", "failures", "errors", "skipped")
RESULTS = ("failure", "error", "skipped")
SCHEMA = {  # what Surefire, Jenkins and GitLab agree on: element -> attributes that it must have, that it may have, elements in it
    "testsuites": (set[str](), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": ({"name", *COUNTS[:3]}, {"time", "skipped"}, {"properties", "testcase"}),
    "properties": (set(), set[str](), {"property"}),
    "property": ({"name", "value"}, set(), set()),
    "testcase": ({"name"}, {"classname", "time"}, set(RESULTS)),
    **dict.fromkeys(RESULTS, (set(), {"type", "message"}, set())),
}


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


def test_an_interrupted_run_says_so_in_its_last_suite() -> None:
    properties = {one.get("name"): [each.get("name") for each in one.iter("property")] for one in written(*EACH, interrupted=True)}
    assert properties == {"model:6.1": ["kernel"], "host": ["kernel", "interrupted"]}


def test_elements_and_attributes_are_those_of_the_schemas() -> None:
    for element in written(*EACH, sample("error", EVIL), interrupted=True).iter():
        wanted, allowed, below = SCHEMA[element.tag]
        assert wanted <= set(element.keys()) <= wanted | allowed, element.tag
        assert {child.tag for child in element} <= below, element.tag
        assert all(re.fullmatch(r"\d+", element.get(count, "0")) for count in COUNTS)
        assert re.fullmatch(r"\d+\.\d{3}", element.get("time", "0.000"))
        assert sum(child.tag in RESULTS for child in element) <= 1


def test_the_counts_are_those_of_the_cases() -> None:
    for suite in written(*EACH).iter("testsuite"):
        cases = list(suite.iter("testcase"))
        found = {count: str(sum(case.find(tag) is not None for case in cases)) for count, tag in zip(COUNTS[1:], RESULTS, strict=True)}
        assert found | {"tests": str(len(cases))} == {count: suite.get(count) for count in COUNTS}
