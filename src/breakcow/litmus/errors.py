"""What a wrong litmus test is answered with: where, the line with a caret, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class LitmusError(Exception):
    """A litmus test that cannot be read. `str()` is the whole message, of several lines.

    file: as given to `parse`. line, column: from 1. text: the line. reason: the sentence.
    """

    def __init__(self, file: str, line: int, column: int, text: str, reason: str) -> None:
        super().__init__(file, line, column, text, reason)
        self.file = file
        self.line = line
        self.column = column
        self.text = text
        self.reason = reason

    def __str__(self) -> str:
        gutter = f"{self.line:5} | "
        caret = " " * (len(gutter) - 2) + "| " + " " * (self.column - 1) + "^"
        return f"{self.file}:{self.line}:{self.column}: {self.reason}\n{gutter}{self.text}\n{caret}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands in the file.

    text: the line as written. hole: column of the hole that a parameter filled, 0 if none; every error of such a line points there.
    remark: which options filled it.
    """

    file: str
    number: int
    text: str
    hole: int = 0
    remark: str = ""

    def error(self, column: int, reason: str) -> LitmusError:
        """The error to raise for `column` (from 1) of this line."""
        return LitmusError(self.file, self.number, self.hole or max(column, 1), self.text, reason + self.remark)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """`: did you mean 'madvise'?`, or, if nothing in `known` is like `word`, `: ` and `otherwise`."""
    import difflib  # late: only a wrong test needs it

    close = difflib.get_close_matches(word[:40], list(known), n=1)
    if close:
        return f": did you mean '{close[0]}'?"
    return f": {otherwise}" if otherwise else ""


def listed(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
