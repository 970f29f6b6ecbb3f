"""From a number of the action table to the rule that executes it. The compiled form replaces this by a chain of calls."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from breakcow.mm.actions import VERBS

Rule = Callable[[Any, int, int, int, int], int]


def rule(name: str) -> Rule:
    """The function that `file.function` of the action table names."""
    file, function = name.split(".")
    found: Rule = getattr(import_module(f"breakcow.mm.{file}"), function)
    return found


RULES = tuple(rule(verb.rule) for verb in VERBS)


def dispatch(s: Any, verb: int, p: int, v: int, n: int, c: int) -> int:
    """Execute the rule of action `verb`; gives OK, a negative errno, BLOCKED, SIGBUS, SIGSEGV or BUSY."""
    return RULES[verb](s, p, v, n, c)
