"""The C that reproducers are made of: files in `fragments/`, of which a reproducer has those that it needs, and what they need.

Lines that begin with `//` are no C:
    //needs NAME...   these fragments come before it
    //many NAME...    so do these, where the test has more than one process
    //after NAME...   so do these, in a reproducer that has them
    //with NAME       what follows, up to `//else` or `//end`, is only for a reproducer that has that fragment
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Fragment:
    """needs, many, after: names of fragments. includes: the lines that begin with #include. lines: all others."""

    needs: tuple[str, ...]
    many: tuple[str, ...]
    after: tuple[str, ...]
    includes: tuple[str, ...]
    lines: tuple[str, ...]


@cache
def fragment(name: str) -> Fragment:
    """The fragment of the file `fragments/NAME.c`."""
    text = files("breakcow.reproducer").joinpath("fragments", f"{name}.c").read_text("utf-8")
    lines = text.rstrip("\n").split("\n")
    return Fragment(
        tuple(_named(lines, "//needs ")),
        tuple(_named(lines, "//many ")),
        tuple(_named(lines, "//after ")),
        tuple(line for line in lines if line.startswith("#include")),
        tuple(line for line in lines if not line.startswith(("#include", "//needs ", "//many ", "//after "))),
    )


def closure(names: Iterable[str]) -> set[str]:
    """The fragments `names` and all that they need."""
    found: set[str] = set()
    waiting = list(names)
    many = "many" in waiting
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += fragment(name).needs + (fragment(name).many if many else ())
    return found


def joined(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The #include lines, sorted, and the text of the fragments `names` and all that they need, each after what it needs."""
    chosen = closure(names)
    order: dict[str, None] = {}
    for name in sorted(chosen):
        _place(name, chosen, order)
    includes = {line for name in chosen for line in fragment(name).includes}
    texts = ["\n".join(_of(fragment(name).lines, chosen)).strip("\n") for name in order]
    return sorted(includes), [text for text in texts if text]


def _named(lines: list[str], directive: str) -> list[str]:
    """The names behind a directive."""
    return [name for line in lines if line.startswith(directive) for name in line.split()[1:]]


def _place(name: str, chosen: set[str], order: dict[str, None]) -> None:
    """Put a fragment into the order, behind all that comes before it."""
    if name in order:
        return
    for other in (*fragment(name).needs, *(one for one in fragment(name).many + fragment(name).after if one in chosen)):
        _place(other, chosen, order)
    order[name] = None


def _of(lines: tuple[str, ...], chosen: set[str]) -> list[str]:
    """The lines that are for a reproducer of the fragments `chosen`."""
    kept: list[str] = []
    wanted = True
    for line in lines:
        if line.startswith("//with "):
            wanted = line.split()[1] in chosen
        elif line == "//else":
            wanted = not wanted
        elif line == "//end":
            wanted = True
        elif wanted:
            kept.append(line)
    return kept
