"""Values of which not all is known: a number, one of several, or any; a part of the state whose index may be any. See footprint.py."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from math import prod

from breakcow.explore.packing import Cell

UNKNOWN = None
MOST_NUMBERS = 64  # that a value is one of


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the state: all of it (name empty), a grid (index None) or the records at an index, of which a number may be UNKNOWN."""

    name: str = ""
    index: tuple[int | None, ...] | None = None


Value = int | frozenset[int] | Place | None  # a number, one of several, a part of the state, or UNKNOWN
STATE = Place()


@dataclass
class Paths:
    """Where the paths through some statements lead: on (None if nowhere), out of the loop, to its next round, or out of the function."""

    on: "Known | None"
    breaks: "list[Known]" = field(default_factory=list)
    continues: "list[Known]" = field(default_factory=list)
    returns: "list[tuple[Value, Known]]" = field(default_factory=list)


@dataclass
class Known:
    """What is known at one point, on every path that leads there: local names, and cells of the state that hold one number."""

    names: dict[str, Value]
    cells: dict[Cell, int]

    def copy(self) -> "Known":
        """For a path of its own."""
        return Known(dict(self.names), dict(self.cells))


def both(a: Known | None, b: Known | None) -> Known | None:
    """What is known where two paths meet."""
    if a is None or b is None:
        return a or b
    names = dict(a.names)
    for name, value in b.names.items():
        names[name] = either(names[name], value) if name in names else value
    cells = {cell: number for cell, number in a.cells.items() if b.cells.get(cell) == number}
    return Known(names, cells)


def either(a: Value, b: Value) -> Value:
    """A value that is one of two."""
    if a == b:
        return a
    if isinstance(a, Place) and isinstance(b, Place) and a.name == b.name and a.index and b.index:
        return Place(a.name, tuple(one if one == other else UNKNOWN for one, other in zip(a.index, b.index, strict=True)))
    if isinstance(a, Place) or isinstance(b, Place):
        raise TypeError(f"{a} or {b}: no rule names two kinds of records alike")
    return UNKNOWN if a is UNKNOWN or b is UNKNOWN else frozenset(numbers(a) | numbers(b))


def numbers(value: int | frozenset[int]) -> frozenset[int]:
    """All that a value may be."""
    return value if isinstance(value, frozenset) else frozenset([value])


def each(rule: Callable[..., int], *values: Value) -> Value:
    """What a rule makes of numbers, whichever of several each is."""
    known = [numbers(value) for value in values if isinstance(value, (int, frozenset))]
    if len(known) < len(values) or prod(map(len, known)) > MOST_NUMBERS:
        return UNKNOWN
    results = frozenset(int(rule(*one)) for one in product(*known))
    return next(iter(results)) if len(results) == 1 else results
