"""From the text of a litmus file to its tests."""

from __future__ import annotations

import stat
import textwrap
from collections.abc import Iterator
from pathlib import Path

from breakcow.litmus import checks
from breakcow.litmus.claims import claim
from breakcow.litmus.errors import LitmusError
from breakcow.litmus.operations import match
from breakcow.litmus.parameters import Choice, Parameter, choices, filled, parameters, suffix
from breakcow.litmus.printer import to_text
from breakcow.litmus.structure import BYTES, COLUMNS, LINES, Line, lines_of
from breakcow.litmus.syntax import Comment, Expect, Fixed, Step, Test
from breakcow.mm.actions import LIMITS

TOTAL = 40_000  # lines of the bodies of all tests of a file


def parse(text: str, file: str = "<string>") -> tuple[Test, ...]:
    """The tests that `text` holds: one, or one for each combination of its parameters' options.

    file: what errors call the text; if it ends in ".litmus", the test's name must be the file's. Raises `LitmusError`.
    """
    lines = lines_of(text, file)
    title = next(line for line in lines if line.kind == "title")
    name = checks.title(title, title.groups[0][0], file)
    found = parameters(lines)
    if found and "[" in name:
        raise title.error(title.groups[0][0], "a name with '[' is of a test whose parameters are filled in: it has no 'param' line")
    tests: list[Test] = []
    room = TOTAL
    for choice in choices(found):
        tests.append(_test(name, lines, found, choice, text))
        room -= len(tests[-1].body)
        if room < 0:
            raise title.error(1, f"the tests of one file have at most {TOTAL} lines together")
    return tuple(tests)


def parse_file(path: str | Path) -> tuple[Test, ...]:
    """The tests of the file at `path`. Raises `LitmusError`, also for a file that cannot be read."""
    file = str(path)
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise LitmusError(file, 1, 1, "", "this is no regular file")
        with Path(path).open("rb") as stream:
            data = stream.read(BYTES + 1)
    except (OSError, ValueError) as error:
        raise LitmusError(file, 1, 1, "", f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").split("\n")
        shown = before[-1] if before[-1].isprintable() else ""
        raise LitmusError(file, len(before), len(shown) + 1, shown, f"byte {error.start} is not UTF-8, as a litmus test is") from None
    return parse(text, file)


def _test(name: str, lines: list[Line], found: dict[str, Parameter], choice: Choice, source: str) -> Test:
    """The test that one choice of options makes."""
    reading = _Reading()
    for line in lines:
        for each in filled(line, found, choice):
            reading.line(each)
    title = next(line for line in lines if line.kind == "title")
    reading.finish(title)
    test = Test(
        name=name + suffix(choice),
        description=reading.description,
        require=reading.require,
        memory=tuple(reading.scope.memory),
        huge=tuple(reading.scope.huge),
        body=tuple(reading.body),
        fixed=tuple(reading.fixed),
        unfixed=reading.unfixed,
        covers=tuple(reading.covers),
        source=source,
    )
    if not _fits(to_text(test)):
        raise title.error(1, f"printed, this test would have more than {LINES} lines, {COLUMNS} characters in a line or {BYTES} bytes")
    return test


def _fits(text: str) -> bool:
    """Whether `parse` would take a text of this size."""
    lines = text.split("\n")
    return len(lines) <= LINES + 1 and max(map(len, lines)) <= COLUMNS and len(text.encode()) <= BYTES


class _Reading:
    """A test while its lines are read, one after the other."""

    def __init__(self) -> None:
        self.scope = checks.Scope()
        self.description = ""
        self.require: tuple[str, ...] = ()
        self.covers: list[str] = []
        self.body: list[Step | Expect | Comment] = []
        self.steps = 0
        self.fixed: list[Fixed] = []
        self.unfixed = ""

    def line(self, line: Line) -> None:
        """Take one line."""
        getattr(self, f"_{line.kind}")(line)
        if line.kind == "note" or (line.comment and line.kind not in {"step", "expect"}):
            self.body.append(Comment(line.comment, line.place.number))
        if len(self.body) > LINES:
            raise line.error(1, f"a test has at most {LINES} lines, those that options fill in included")

    def finish(self, title: Line) -> None:
        """Refuse a test that says nothing."""
        if not self.scope.memory:
            raise title.error(1, "the test has no 'memory' line: write 'memory x y' for a mapping of two pages")
        if not self.steps:
            raise title.error(1, "the test has no step: write one below the header, such as 'A  write x 7'")

    def _title(self, line: Line) -> None:
        pass

    _note = _param = _choice = _option = _title

    def _description(self, line: Line) -> None:
        self.description = textwrap.dedent("\n".join(_with_gaps(line)))

    def _require(self, line: Line) -> None:
        for word in line.groups[0]:
            self.require += (checks.required(line, word, self.require),)

    def _covers(self, line: Line) -> None:
        self.covers.append(str(line.groups[0][0]))

    def _memory(self, line: Line) -> None:
        self.scope.declare(line)

    def _step(self, line: Line) -> None:
        process, operation = line.groups[0][0], line.groups[1]
        verb, words, argument = match(line, operation)
        actor = checks.actor(line, process, verb)
        if actor != "-":
            self.scope.runs(line, process)
        pages = self.scope.step_pages(line, words, verb)
        outcome, value = checks.outcome(line, line.groups[2][0], verb) if line.groups[2:] else ("ok", None)
        self.scope.after(line, operation, verb, actor, argument)
        self.steps += 1
        if self.steps > LIMITS["steps"]:
            raise line.error(process, f"a test has at most {LIMITS['steps']} steps")
        self.body.append(Step(actor, verb.name, pages, argument, outcome, value, line.comment, line.place.number))

    def _expect(self, line: Line) -> None:
        process, *claims = line.groups
        if process[0] != "-":
            self.scope.exists(line, process[0], process[0])
        if not self.steps:
            raise line.error(process[0], "an 'expect' line speaks of the step before it: there is none yet")
        atoms = tuple(claim(line, words, str(process[0]), self.scope) for words in claims)
        self.body.append(Expect(str(process[0]), atoms, line.comment, line.place.number))

    def _fixed(self, line: Line) -> None:
        self._open(line)
        self.fixed.append(checks.fixed(line))

    def _unfixed(self, line: Line) -> None:
        self._open(line)
        if self.fixed:
            raise line.error(1, "a promise that a 'fixed' line says is mended is not 'unfixed'")
        self.unfixed = checks.report(line)

    def _open(self, line: Line) -> None:
        """Refuse a second word on whether the promise is mended."""
        if self.unfixed:
            raise line.error(1, "the 'unfixed' line above says that nobody has mended this promise")


def _with_gaps(line: Line) -> Iterator[str]:
    """The lines of a description, the blank ones between them too."""
    before = line.groups[0][0].number
    for word in line.groups[0]:
        yield from [""] * (word.number - before - 1)
        yield str(word)
        before = word.number
