"""Every case of the kernel's programs has a test or a reason, and what tests say they cover is there."""

from pathlib import Path

from breakcow.report.covers import lines
from breakcow.suite.corpus import corpus
from breakcow.suite.covers import cases, covering, unknown

TESTS = [chosen.test for chosen in corpus()]
PAGE = Path(__file__).parents[2] / "docs" / "covers.md"


def test_no_case_is_without_a_test_or_a_reason() -> None:
    found = covering(TESTS)
    assert [case.line for case in cases() if not found[case.line] and not case.why] == []


def test_no_case_has_a_test_and_a_reason_for_none() -> None:
    found = covering(TESTS)
    assert [case.line for case in cases() if found[case.line] and case.why] == []


def test_what_tests_say_they_cover_is_a_case_of_the_program() -> None:
    assert unknown(TESTS) == []


def test_every_reason_is_for_something() -> None:
    assert all(case.takes for case in cases() if case.why)
    assert {case.program for case in cases()} >= {
        "ksm_functional_tests",
        "ksm_tests",
        "cow",
        "uffd-unit-tests",
        "pagemap_ioctl",
        "soft-dirty",
    }
    assert sum(case.program == "ksm_functional_tests" for case in cases()) == 10


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text("utf-8").splitlines() == list(lines(TESTS)), "breakcow covers > docs/covers.md"
