"""From text to lines: what grammar.lark says, with the place of every word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from breakcow.litmus.errors import LitmusError, Place, did_you_mean

if TYPE_CHECKING:
    from lark import Lark, Token, Tree
    from lark.exceptions import UnexpectedInput

BYTES = 64 * 1024  # the largest file
LINES = 500  # of a file, and of a body whose parameters are filled in
COLUMNS = 500  # of a line

FORMS = {
    "litmus": "litmus SUBJECT/NAME",
    "require": "require WORD, WORD",
    "covers": "covers TEXT",
    "memory": "memory PAGE PAGE",
    "param": "param NAME = OPTION | OPTION, or 'param NAME' and below it, indented, a line 'OPTION: STEP; STEP' for each option",
    "fixed": "fixed RELEASE COMMIT SUBJECT",
    "unfixed": "unfixed docs/finds/NAME.md",
}
HEADER = ("require", "covers", "memory", "param")
STEP = "PROCESS OPERATION, as in 'A  write x 7', where PROCESS is one of A to F, or - for the kernel"
CLAIM = "PROCESS expect CLAIM, CLAIM, as in 'A  expect same x y, x = 7'"


class Word(str):
    """A word and where it stands: line and column, from 1."""

    number: int
    column: int

    def __new__(cls, text: str, number: int, column: int) -> Word:
        """The word `text` at a place."""
        word = super().__new__(cls, text)
        word.number = number
        word.column = column
        return word


@dataclass(frozen=True, slots=True)
class Line:
    """One line that means something.

    kind: the rule of the grammar ("step", "require", ...). groups: its words; an expect has its process and then one group for each
    claim, a step has its process, the words of its operation and, if stated, its outcome.
    comment: without the "#".
    """

    kind: str
    groups: tuple[tuple[Word, ...], ...]
    comment: str
    place: Place

    def error(self, word: Word | int, reason: str) -> LitmusError:
        """The error to raise for `word`, or for a column."""
        return self.place.error(word if isinstance(word, int) else word.column, reason)


def lines_of(text: str, file: str) -> list[Line]:
    """The lines of a whole file."""
    written = _checked(text, file)
    places = [Place(file, number, line) for number, line in enumerate(written, 1)]
    tree = _tree("\n".join(written) + "\n", "file", places)
    return [_line(node, places) for node in _nodes(tree)]


def line_of(text: str, place: Place) -> Line:
    """The one line that `text` is, in which a parameter was filled: it stands at `place`."""
    if len(text) > COLUMNS:
        raise place.error(1, f"a line has at most {COLUMNS} characters")
    found = _remembered(text)
    if isinstance(found, Line):
        return replace(found, place=place)
    raise place.error(1, found)


@lru_cache(maxsize=4096)
def _remembered(text: str) -> Line | str:
    """The line that `text` is, without its place, or what is wrong with it."""
    places = [Place("", 1, text)]
    try:
        return _line(_nodes(_tree(text + "\n", "line", places))[0], places)
    except LitmusError as error:
        return error.reason


def _checked(text: str, file: str) -> list[str]:
    """The lines of `text`, tabs expanded, nothing at their ends; nothing in them that a terminal or a reader would not show."""
    size = len(text.encode("utf-8", "replace"))
    if size > BYTES:
        raise LitmusError(file, 1, 1, "", f"the file has {size} bytes: a litmus test has at most {BYTES}")
    written = [line.rstrip() for line in text.replace("\r\n", "\n").expandtabs().split("\n")]
    for number, line in enumerate(written, 1):
        if not line.isprintable():
            raise _unprintable(file, number, line)
        if len(line) > COLUMNS:
            raise LitmusError(file, number, 1, line[:60] + " ...", f"a line has at most {COLUMNS} characters")
    if len(written) > LINES + 1:
        raise LitmusError(file, LINES + 1, 1, written[LINES], f"a litmus test has at most {LINES} lines")
    return written


def _unprintable(file: str, number: int, line: str) -> LitmusError:
    """The error for the first character of `line` that cannot be shown; the line is shown without such characters."""
    import unicodedata  # late: only a wrong test needs it

    column = next(at for at, character in enumerate(line, 1) if not character.isprintable())
    character = line[column - 1]
    shown = "".join(each if each.isprintable() else "?" for each in line)[: column + 60]
    name = unicodedata.name(character, "a control character")
    return LitmusError(file, number, column, shown, f"U+{ord(character):04X} ({name}) has no place in a litmus test")


@cache
def _parser() -> Lark:
    """The parser that grammar.lark describes."""
    from importlib.resources import files

    from lark import Lark

    grammar = files("breakcow.litmus").joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", start=["file", "line"], maybe_placeholders=False)


def _tree(text: str, start: str, places: list[Place]) -> Tree[Token]:
    """What `text` is by the grammar."""
    from lark.exceptions import UnexpectedInput

    parser = _parser()
    try:
        return parser.parse(text, start=start)
    except UnexpectedInput as error:
        raise _explained(error, places) from None


def _nodes(tree: Tree[Token]) -> list[Tree[Token]]:
    """The lines of a tree."""
    return [node for node in tree.children if not isinstance(node, str)]


def _line(node: Tree[Token], places: list[Place]) -> Line:
    """The line that a node below `file` or `line` is."""
    from lark import Token

    first = next(token for token in node.scan_values(lambda value: isinstance(value, Token)))
    comment = next((child[1:].strip() for child in node.children if isinstance(child, Token) and child.type == "COMMENT"), "")
    loose = _words(node.children)
    groups = tuple(_words(child.children) for child in node.children if not isinstance(child, Token))
    return Line(str(node.data), (loose, *groups) if loose else groups, comment, places[(first.line or 1) - 1])


def _words(children: list[Token | Tree[Token]]) -> tuple[Word, ...]:
    """The tokens among `children` that are no comments."""
    from lark import Token

    tokens = [child for child in children if isinstance(child, Token) and child.type != "COMMENT"]
    return tuple(Word(token.rstrip(), token.line or 1, token.column or 1) for token in tokens)


def _explained(error: UnexpectedInput, places: list[Place]) -> LitmusError:
    """What the grammar could not read, as a sentence."""
    line = error.line or -1
    if getattr(error, "token", None) == "" or not 1 <= line <= len(places):
        return places[-1].error(len(places[-1].text) + 1, "the file ends too early: what is missing is 'litmus SUBJECT/NAME'")
    place = places[line - 1]
    return place.error(min(error.column, len(place.text) + 1), _reason(place.text, error.column))


def _reason(text: str, column: int) -> str:
    """Why the grammar stopped at `column` of a line."""
    words = text.split()
    first = words[0] if words else ""
    if text.startswith(" "):
        return "only the description, right below the 'litmus' line, and the options of a 'param' line are indented"
    if column == 1:
        return _misplaced(first)
    if ";" in text[column - 1 : column]:
        return "';' separates steps only in the options of a parameter: write each step on a line of its own"
    form = FORMS.get(first) or (CLAIM if words[1:2] == ["expect"] else STEP)
    return f"this is not how such a line is written: {form}"


def _misplaced(first: str) -> str:
    """Why no line can start with the word `first` here."""
    if not first:
        return "a litmus test starts with 'litmus SUBJECT/NAME'"
    if first in HEADER:
        return f"'{first}' belongs above the first step, and below the 'litmus' line and the description"
    if first == "litmus":
        return "one 'litmus' line starts a file, and a file holds one test"
    if first in FORMS or first == "-" or (len(first) == 1 and first.isupper()):
        return "this line stands too early: a test is a 'litmus' line, the header, the steps, and last 'fixed' or 'unfixed'"
    meant = f": did you mean '{first.upper()}'?" if first in set("abcdef") else did_you_mean(first, FORMS, f"a step is {STEP}")
    return f"no line starts with '{first[:40]}'{meant}"
