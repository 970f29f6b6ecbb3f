"""Parameters: one file stands for every combination of their options, by filling the {holes} of its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from breakcow.litmus.errors import did_you_mean
from breakcow.litmus.structure import Line, Word, line_of

TESTS = 200  # that one file may stand for
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HOLE = re.compile(r"\{([^{}]*)\}")
NO_HOLES = {"title", "description", "note", "covers", "param", "choice", "option"}
BODY = {"step", "expect"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A `param`: options maps the name of each option to its text."""

    name: Word
    line: Line
    options: dict[str, str]


Choice = dict[str, str]  # parameter -> option


def parameters(lines: list[Line]) -> dict[str, Parameter]:
    """The parameters that the lines of a file declare, by name."""
    found: dict[str, Parameter] = {}
    open_one: Parameter | None = None
    for line in lines:
        if line.kind in {"param", "choice"}:
            name = line.groups[0][0]
            _named(line, name, found, "parameter")
            found[str(name)] = Parameter(name, line, {})
            open_one = found[str(name)] if line.kind == "choice" else None
            for word in line.groups[0][1:]:
                _option(line, word, word, found[str(name)].options)
        elif line.kind == "option":
            if not open_one:
                raise line.error(1, "an option stands right below a line 'param NAME'")
            _option(line, line.groups[0][0], "".join(line.groups[0][1:]), open_one.options)
        elif line.kind != "note":
            open_one = None
    _check(lines, found)
    return found


def _check(lines: list[Line], found: dict[str, Parameter]) -> None:
    """Refuse a parameter without options or without a hole, and more tests than a file may stand for."""
    for parameter in found.values():
        if not parameter.options:
            reason = f"'param {parameter.name}' has no options: write them below it, indented, as 'OPTION: STEP; STEP'"
            raise parameter.line.error(parameter.name, reason)
        if not any("{" + parameter.name + "}" in line.place.text for line in lines if line.kind not in NO_HOLES):
            reason = f"parameter '{parameter.name}' fills no hole: no line has '{{{parameter.name}}}'"
            raise parameter.line.error(parameter.name, reason)
    count = prod(len(parameter.options) for parameter in found.values())
    if count > TESTS:
        last = list(found.values())[-1]
        raise last.line.error(last.name, f"the parameters make {count} tests of this file: at most {TESTS}")


def choices(found: dict[str, Parameter]) -> Iterator[Choice]:
    """Every combination of options."""
    for options in product(*(parameter.options for parameter in found.values())):
        yield dict(zip(found, options, strict=True))


def suffix(choice: Choice) -> str:
    """What a choice adds to the name of the test: `[order=merge-first,break=dontneed]`, or nothing."""
    return f"[{_described(choice)}]" if choice else ""


def filled(line: Line, found: dict[str, Parameter], choice: Choice) -> Iterator[Line]:
    """`line` with the chosen options in its holes: as many lines as that makes."""
    text = line.place.text if line.kind == "fixed" else line.place.text.split("#")[0].rstrip()
    if line.kind in NO_HOLES or "{" not in text:
        yield line
        return
    names = [match[1] for match in HOLE.finditer(text)]
    if line.kind == "fixed":
        names = [name for name in names if name in found]
        if not names:
            yield line
            return
    for name in names:
        if name not in found:
            known = f"the parameters are {', '.join(found)}" if found else "the file has no 'param' line"
            raise line.error(text.index("{" + name) + 1, f"'{{{name[:40]}}}' names no parameter" + did_you_mean(name, found, known))
    stray = re.search("[{}]", HOLE.sub(lambda match: " " * len(match[0]), text))
    if stray and line.kind != "fixed":
        raise line.error(stray.start() + 1, "a hole is '{', the name of a parameter, '}'")
    yield from _with(line, text, {name: found[name] for name in names}, choice)


def _with(line: Line, text: str, used: dict[str, Parameter], choice: Choice) -> Iterator[Line]:
    """`line`, whose text without its comment is `text`, with the options of the parameters used."""
    parts = {name: parameter.options[choice[name]] for name, parameter in used.items()}
    alone = HOLE.fullmatch(text)
    texts = [part.strip() for part in parts[alone[1]].split(";")] if alone else [_one(line, text, parts, choice)]
    if alone and line.comment:
        yield replace(line, kind="note", groups=())
    for each in filter(None, texts):
        remark = f" (in '{each}', with {_described({name: choice[name] for name in used})})"
        place = replace(line.place, hole=min(text.index("{" + name + "}") for name in used) + 1, remark=remark)
        made = line_of(each, place)
        allowed = BODY if line.kind in BODY | {"template"} else {line.kind}
        if made.kind not in allowed:
            raise place.error(1, "an option may fill in steps and 'expect' lines in the body, and the rest of a header line")
        yield made if alone else replace(made, comment=line.comment)


def _one(line: Line, text: str, parts: dict[str, str], choice: Choice) -> str:
    """`text` with its holes filled, still one line."""
    for name, part in parts.items():
        if ";" in part:
            column = text.index("{" + name) + 1
            raise line.error(column, f"option '{choice[name]}' of '{name}' has several steps: write '{{{name}}}' on a line of its own")
        text = text.replace("{" + name + "}", part)
    return text


def _option(line: Line, head: Word, text: str, options: dict[str, str]) -> None:
    """Take one option: its name as it is written, indented and with its colon where it has one, and its text."""
    name = Word(head.strip().rstrip(":"), head.number, head.column + len(head) - len(head.lstrip()))
    _named(line, name, options, "option")
    if "{" in text or "}" in text:
        raise line.error(name, f"option '{name}' has a hole: only the lines of the test have holes")
    options[str(name)] = str(text)


def _named(line: Line, name: Word, before: dict[str, Parameter] | dict[str, str], what: str) -> None:
    """Refuse a name that is none, or is taken."""
    if not WORD.fullmatch(name) or len(name) > 30:
        raise line.error(name, f"'{name[:40]}' cannot name a {what}: letters, digits, '-', '_' or '.', at most 30")
    if name in before:
        raise line.error(name, f"{what} '{name}' stands here twice")


def _described(choice: Choice) -> str:
    return ",".join(f"{name}={option}" for name, option in choice.items())
