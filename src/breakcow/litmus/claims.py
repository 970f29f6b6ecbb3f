"""The claims of an `expect` line, read and written by the table of words.py."""

from __future__ import annotations

from breakcow.litmus.checks import Scope
from breakcow.litmus.errors import did_you_mean
from breakcow.litmus.operations import bounded
from breakcow.litmus.structure import Line, Word
from breakcow.litmus.syntax import Atom, PageRef
from breakcow.litmus.words import CLAIMS, COUNTERS, KINDS, OF_A_PROCESS


def claim(line: Line, words: tuple[Word, ...], process: str, scope: Scope) -> Atom:
    """The claim that `words` make on a line of `process`."""
    negated = words[0] in {"not", "no"}
    value = words[-1] if words[-2:-1] == ("=",) else None
    subject = words[1 if negated else 0 : len(words) if value is None else -2]
    if not subject:
        raise line.error(words[0], f"what follows '{words[0]}'? one of {', '.join(CLAIMS)}")
    atom = _counter(line, subject, process) if subject[0] == "counter" else _kind(line, subject, process, scope, words[0] == "no")
    if negated and (value is not None or atom.kind == "counter"):
        raise line.error(words[0], "a claim that compares a value has no 'not': write the value it must have")
    compares = atom.kind == "counter" or KINDS[atom.kind].value
    if compares != (value is not None):
        raise line.error(words[-1], _comparison(atom.kind, compares))
    if value is None:
        return Atom(atom.kind, atom.pages, negated=negated)
    highest, what = (9999, "a counter is") if atom.kind == "counter" else (255, "a page's content is")
    return Atom(atom.kind, atom.pages, bounded(line, value, 0, highest, what), atom.name)


def claimed(atom: Atom, process: str) -> str:
    """`atom` as it is written on a line of `process`: what `claim` reads."""
    if atom.kind == "event" and not atom.pages:
        return "no event"
    words = ["not"] if atom.negated else []
    words += [] if atom.kind == "content" else [atom.kind]
    words += [atom.name] if atom.name else []
    words += [ref.page if ref.process == process else f"{ref.process}.{ref.page}" for ref in atom.pages]
    words += ["=", str(atom.value)] if atom.value is not None else []
    return " ".join(words)


def _comparison(kind: str, compares: bool) -> str:
    """What is wrong with a value that is missing, or should not be there."""
    if kind == "content":
        return "a page's name alone claims nothing: write 'x = 7' for its content, or put a word such as 'present' before it"
    return f"'{kind}' compares a value: write '= NUMBER' after it" if compares else f"'{kind}' compares no value"


def _counter(line: Line, words: tuple[Word, ...], process: str) -> Atom:
    """`counter NAME`."""
    known = ", ".join(COUNTERS)
    if len(words) != 2:
        raise line.error(words[-1], f"'counter' takes one of {known}, and its value: counter pages_sharing = 1")
    name = words[1]
    if name not in COUNTERS:
        raise line.error(name, f"'{name[:40]}' is no counter" + did_you_mean(name, COUNTERS, f"one of {known}"))
    if name == OF_A_PROCESS and process == "-":
        raise line.error(name, f"'{name}' is of a process: write the process in place of '-'")
    return Atom("counter", name=str(name))


def _kind(line: Line, words: tuple[Word, ...], process: str, scope: Scope, none_at_all: bool) -> Atom:
    """A claim of `KINDS`, its value and its negation left out."""
    kind = str(words[0]) if words[0] in KINDS and words[0] != "content" else "content"
    named = words if kind == "content" else words[1:]
    if none_at_all:
        if words != ("event",):
            raise line.error(words[0], "'no' is only said of events: 'no event'; for all else write 'not'")
        named = ()
    elif kind == "event" and not named:
        raise line.error(words[0], "'event' takes the pages it is raised for; or write 'no event'")
    if kind == "content" and len(words) > 1 and not scope.has(words[0].split(".")[-1]):
        raise line.error(words[0], f"unknown claim '{words[0][:40]}'" + did_you_mean(words[0], CLAIMS, f"one of {', '.join(CLAIMS)}"))
    return Atom(kind, _pages(line, words[0], named, kind, process, scope, none_at_all))


def _pages(
    line: Line, first: Word, named: tuple[Word, ...], kind: str, process: str, scope: Scope, none_at_all: bool
) -> tuple[PageRef, ...]:
    """The pages of a claim, each with its process."""
    fewest = KINDS[kind].pages
    if process == "-" and (none_at_all or not fewest):
        raise line.error(first, f"'{kind}' is said of a process: write the process in place of '-'")
    if not fewest and named:
        raise line.error(named[0], f"'{kind}' is said of the process of the line and takes no page")
    if len(named) < fewest and not none_at_all:
        raise line.error(first, f"'{kind}' takes {'two pages or more' if fewest == 2 else 'a page or more'}")
    refs = tuple(scope.ref(line, word, process) for word in named)
    for at, word in enumerate(named):
        if refs[at] in refs[:at]:
            raise line.error(word, f"'{word}' stands here twice")
    return refs
