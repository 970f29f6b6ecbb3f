"""Text from elsewhere cannot act on a terminal or break a line format."""

import pytest

from breakcow.report.printable import printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [bold] <b> & text", "plain [bold] <b> & text"),
        ("größer ≠ 日本", "größer ≠ 日本"),
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("a\nb\rc\td\0", "a\\nb\\rc\\td\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("safe\u202egnol", "safe\\u202egnol"),
        ("\u2028\ud800\ufffe", "\\u2028\\ud800\\ufffe"),
    ],
)
def test_harmful_characters_become_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_stay_lines() -> None:
    assert printable_lines("a\tb\n\x1bc") == ["a   b", "\\x1bc"]
