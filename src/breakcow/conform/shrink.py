"""The shortest program that still shows what a longer one showed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations

from breakcow.litmus import LitmusError, parse, to_text
from breakcow.litmus.syntax import Comment, Expect, Step, Test
from breakcow.mm.actions import BIRTHS

Line = Step | Expect | Comment
FEW = 12  # lines of a program of which two are taken out at once


def shrink(test: Test, shows: Callable[[Test], bool]) -> Test:
    """`test` without every line, process, page and pair of lines that `shows` does not need. What the language refuses, as a step of a
    child never born, is not tried."""
    while True:
        test = _without_lines(test, shows)
        fewer = (*_in_the_parent(test), *_without_a_page(test), *_without_two_lines(test))
        smaller = next((one for one in fewer if _valid(one) and shows(one)), None)
        if smaller is None:
            return test
        test = smaller


def _without_lines(test: Test, shows: Callable[[Test], bool]) -> Test:
    """`test` without every line that `shows` does not need, the last ones first."""
    smaller = True
    while smaller:
        smaller = False
        for number in reversed(range(len(test.body))):
            candidate = _without(test, (number,))
            if _valid(candidate) and shows(candidate):
                test = candidate
                smaller = True
    return test


def _in_the_parent(test: Test) -> Iterator[Test]:
    """`test` with one process less: what a child does its parent does, and bears no child."""
    for number, birth in enumerate(test.body):
        if isinstance(birth, Step) and birth.verb in BIRTHS:
            child = chr(ord("A") + birth.argument)
            rest = _without(test, (number,))
            yield replace(rest, body=tuple(_by(line, birth.process) if _process(line) == child else line for line in rest.body))


def _process(line: Line) -> str:
    return line.process if isinstance(line, Step) else ""


def _by(line: Line, process: str) -> Line:
    return replace(line, process=process) if isinstance(line, Step) else line


def _without_a_page(test: Test) -> Iterator[Test]:
    """`test` with one page less in one step that names several."""
    for number, step in enumerate(test.body):
        if isinstance(step, Step) and len(step.pages) > 1:
            for page in (step.pages[0], step.pages[-1]):
                fewer = replace(step, pages=tuple(one for one in step.pages if one != page))
                yield replace(test, body=(*test.body[:number], fewer, *test.body[number + 1 :]))


def _without_two_lines(test: Test) -> Iterator[Test]:
    """What opens something and what closes it, or a fork and what its child does: neither can go alone."""
    if len(test.body) <= FEW:
        for pair in combinations(range(len(test.body)), 2):
            yield _without(test, pair)


def _without(test: Test, numbers: tuple[int, ...]) -> Test:
    return replace(test, body=tuple(line for number, line in enumerate(test.body) if number not in numbers))


def _valid(test: Test) -> bool:
    try:
        parse(to_text(test))
    except LitmusError:
        return False
    return True
