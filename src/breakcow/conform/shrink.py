"""The shortest program that still shows what a longer one showed."""

from collections.abc import Callable
from dataclasses import replace

from breakcow.litmus import LitmusError, parse, to_text
from breakcow.litmus.syntax import Test


def shrink(test: Test, shows: Callable[[Test], bool]) -> Test:
    """`test` without every line that `shows` does not need. What the language refuses, as a step of a child never born, is not tried."""
    smaller = True
    while smaller:
        smaller = False
        for number in reversed(range(len(test.body))):
            candidate = replace(test, body=test.body[:number] + test.body[number + 1 :])
            if _valid(candidate) and shows(candidate):
                test = candidate
                smaller = True
    return test


def _valid(test: Test) -> bool:
    try:
        parse(to_text(test))
    except LitmusError:
        return False
    return True
