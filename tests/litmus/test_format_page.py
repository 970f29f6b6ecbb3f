"""docs/litmus-format.md says what the tables of the language say, and its examples are read as it says."""

import re
from pathlib import Path

import pytest

from breakcow.litmus import REQUIREMENTS, LitmusError, parse, parse_file, to_text
from breakcow.litmus.operations import NUMBERS, forms
from breakcow.litmus.parameters import TESTS
from breakcow.litmus.reader import TOTAL
from breakcow.litmus.structure import BYTES, COLUMNS, LINES
from breakcow.litmus.words import COUNTERS, ERRNOS, KINDS
from breakcow.mm.actions import FEATURES, KNOBS, LIMITS, PROTECTIONS, SCANS, VERBS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "litmus-format.md").read_text("utf-8")


def cell(text: str) -> str:
    """`text` in a cell of a Markdown table."""
    return text.replace("|", "\\|")


HOW_MANY = {0: "none", 1: "one or more", 2: "two or more"}
ROWS = [
    *(f"| `{form.shown()}` | {cell(form.verb.meaning)} |" for form in forms()),
    *(f"| `{kind}` | {HOW_MANY[how.pages]} | {'yes' if how.value else ''} | {how.meaning} |" for kind, how in KINDS.items()),
    *(f"| `{name}` | {meaning} |" for name, meaning in COUNTERS.items()),
    *(f"| `{word}` | {meaning} |" for word, meaning in REQUIREMENTS.items()),
    *(f"| {what} | {limit} |" for what, limit in [("processes", LIMITS["processes"]), ("pages", LIMITS["pages"])]),
    *(f"| {what} | {limit} |" for what, limit in [("steps", LIMITS["steps"]), ("full scans of one `ksm scan`", LIMITS["scans"])]),
    *(f"| {what} | {limit} |" for what, limit in [("bytes of a file", BYTES), ("lines of a file, or of a filled-in test", LINES)]),
    *(f"| {what} | {limit} |" for what, limit in [("characters of a line", COLUMNS), ("tests of one file", TESTS)]),
    f"| lines of all tests of one file together | {TOTAL} |",
    *(f"| `{name}` | {NUMBERS[name][0]} to {NUMBERS[name][1]} |" for name in [*KNOBS]),
]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_every_table_is_on_the_page(row: str) -> None:
    assert row in PAGE.splitlines()


def test_the_page_has_no_row_that_the_tables_lack() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith("| ---")]
    headings = [line for line, below in zip(PAGE.splitlines(), PAGE.splitlines()[1:], strict=False) if below.startswith("| ---")]
    assert sorted(set(rows) - set(ROWS) - set(headings)) == []


@pytest.mark.parametrize("word", [*FEATURES, *PROTECTIONS, *SCANS, *ERRNOS, *{verb.pattern.split()[0]: 0 for verb in VERBS}])
def test_every_word_is_on_the_page(word: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", PAGE)


EXAMPLES = re.findall(r"```\n(litmus .*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split()[1])
def test_the_examples_are_litmus_tests(text: str) -> None:
    for test in parse(text):
        assert parse(to_text(test)) == (test,)


def test_the_error_shown_is_the_error_given() -> None:
    shown = re.search(r"```\n(broken.litmus.*?)\n```", PAGE, re.DOTALL)
    assert shown
    with pytest.raises(LitmusError) as caught:
        parse("litmus a/broken\nmemory x\n\n\nA  madvis x mergeable\n", "a/broken.litmus")
    assert str(caught.value).replace("a/broken", "broken") == shown[1]


FILES = sorted((ROOT / "litmus").rglob("*.litmus"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_file_of_the_corpus_is_read_and_printed(path: Path) -> None:
    for test in parse_file(path):
        assert test.description
        assert parse(to_text(test)) == (test,)
