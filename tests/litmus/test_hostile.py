"""Whatever is done to a good file: tests come out, or a sentence; never anything else."""

import random
import re
from pathlib import Path

import pytest

from breakcow.litmus import LitmusError, parse, parse_file, to_text
from breakcow.litmus.syntax import Test

from .test_parameters import TEXT as WITH_PARAMETERS

PLAIN = """\
litmus ksm/unmerge
    MADV_UNMERGEABLE unshares KSM pages.

    It does: see there.
require ksm, uffd-wp
covers mm/ksm.c: break_ksm
memory x y  # one mapping
memory z

A  write x y 7
# before the fork
A  fork B
A  madvise x y mergeable -> EINVAL
-  ksm scan 2
A  expect ksm x y, not same x B.y, x = 7, no event, counter pages_sharing = 1  # as promised
-  ksm set max_page_sharing 4
B  uffd open sigbus wp-async
B  read z -> 0
B  exit
fixed 6.2  6cce3314b928 mm/ksm: fix KSM COW breaking
"""
JUNK = list("{};#=,|-/ \n\t\0\r'\"\\$%\u202e\u00a0é𝕏")
JUNK += ["->", "..", "\n\n", "\r\n", "    ", "\x1b[2J", "$(id)", "{" * 300, "A " * 200, "9" * 400]
JUNK += [" not ", " B. ", " x ", " 7 ", "\nA  exit\n", "\nA  read x\n", "expect", "litmus", "param p\n", "{order}", "{break}", " B "]


def mutant(number: int) -> str:
    """One of the good files, cut, doubled, shuffled or filled with junk in a few places; the same for the same number."""
    draw = random.Random(number)
    text = draw.choice([PLAIN, WITH_PARAMETERS])
    for _ in range(draw.randint(1, 4)):
        text = damaged(text, draw) or "\n"
    return text


def damaged(text: str, draw: random.Random) -> str:
    """`text` with one damage."""
    low, high = sorted(draw.randrange(len(text) + 1) for _ in range(2))
    short = min(high, low + draw.randint(0, 12))
    lines = text.split("\n")
    shuffled = "\n".join(draw.sample(lines, len(lines)))
    junk = draw.choice(JUNK)
    rough = [text[:low], text[high:], text[:high] + text[low:], shuffled]
    small = [text[:low] + text[short:], text[:low] + junk + text[low:], text[:low] + junk + text[short:]]
    return draw.choice(small if draw.random() < 0.8 else rough)


def judged(text: str) -> bool:
    """Whether `text` was read; if it was refused, the message must be whole."""
    try:
        tests = parse(text)
    except LitmusError as error:
        first, shown, caret = str(error).split("\n")
        assert re.match(r"<string>:[1-9][0-9]*:[1-9][0-9]*: \S", first)
        assert first.isprintable() and shown.isprintable()
        assert shown.startswith(f"{error.line:5} | ")
        assert caret.strip(" |") == "^" and caret.index("^") - 7 == error.column
        assert error.column <= len(error.text) + 1
        return False
    assert tests
    for test in tests:
        assert isinstance(test, Test)
        assert parse(to_text(test)) == (test,)
    return True


def test_the_good_files_are_good() -> None:
    assert judged(PLAIN) and judged(WITH_PARAMETERS)


def test_damaged_files_are_read_or_refused_with_a_whole_sentence() -> None:
    read = sum(judged(mutant(number)) for number in range(1500))
    assert 50 < read < 1000  # both happen, so both are tested


def test_damaged_bytes_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    for number in range(100):
        draw = random.Random(number)
        data = bytearray(PLAIN.encode())
        for _ in range(draw.randint(1, 3)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            parse_file(path)
        except LitmusError as error:
            assert str(error).startswith(f"{path}:{error.line}:{error.column}: ")


@pytest.mark.parametrize("start", [0, 1, 7, 20, 60, 200, 400])
def test_every_beginning_of_a_file(start: int) -> None:
    for end in range(start, len(PLAIN), 7):
        judged(PLAIN[:end])


def test_repetition_is_refused_or_read_without_effort() -> None:
    for unit in [" ", "\n", "#", "{", "{order}", ";", "A ", "x", "-> ", ", ", "= ", "| ", "a: ", "    a:\n", "[", "\\"]:
        for head in ["", "litmus a/b\n", "litmus a/b\nmemory x\nA  ", "litmus a/b\nmemory x\nparam p\n", "litmus a/b\n    "]:
            judged((head + unit * 60_000)[:65_000])
            judged(head + unit * 100)
