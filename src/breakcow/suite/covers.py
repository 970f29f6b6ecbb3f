"""What of the kernel's own test programs the corpus covers, case by case, and what it does not, with the reason.

The cases are data, kernel_cases.toml. What covers one is said by the test itself: `covers ksm_functional_tests/test_unmerge`.
"""

import fnmatch
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

from breakcow.litmus.syntax import Test


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a program, by the name that the program prints. why, takes: why no test covers it, and what it would take; else ""."""

    program: str
    name: str
    why: str = ""
    takes: str = ""

    @property
    def line(self) -> str:
        """What a test writes behind `covers`."""
        return f"{self.program}/{self.name}"


@cache
def cases() -> tuple[Case, ...]:
    """Every case of every program, in the order of the data. Raises ValueError for a case that stands there twice."""
    data = tomllib.loads(files("breakcow.suite").joinpath("kernel_cases.toml").read_text("utf-8"))
    found = [_case(entry["name"], case + ending, data["out"]) for entry in data["program"] for case, ending in _names(entry)]
    lines = [case.line for case in found]
    twice = sorted({line for line in lines if lines.count(line) > 1})
    if twice:
        raise ValueError(f"kernel_cases.toml names {twice[0]!r} twice")
    return tuple(found)


def _names(entry: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """The cases of an entry, each with each of its endings."""
    return product(entry["cases"], entry.get("with", [""]))


def _case(program: str, name: str, out: list[dict[str, Any]]) -> Case:
    """A case, with the first reason that its line is under."""
    line = f"{program}/{name}"
    reason = next(
        (entry for entry in out if any(fnmatch.fnmatchcase(line, pattern) for pattern in entry["cases"])), {"why": "", "takes": ""}
    )
    return Case(program, name, reason["why"], reason["takes"])


def covering(tests: Iterable[Test]) -> dict[str, list[str]]:
    """Line of each case -> the names of the tests that say they cover it."""
    found: dict[str, list[str]] = {case.line: [] for case in cases()}
    for test in tests:
        for text in test.covers:
            if text in found:
                found[text].append(test.name)
    return found


def unknown(tests: Iterable[Test]) -> list[str]:
    """What tests say they cover of these programs, and no case is called: a slip of the pen. As `TEST: covers TEXT`."""
    programs = {case.program for case in cases()}
    known = {case.line for case in cases()}
    return [
        f"{test.name}: covers {text}" for test in tests for text in test.covers if text.partition("/")[0] in programs and text not in known
    ]
