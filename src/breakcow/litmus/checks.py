"""What the words of a test must agree with: pages declared, processes alive, names and limits."""

from __future__ import annotations

import re
from pathlib import Path

from breakcow.litmus.errors import did_you_mean
from breakcow.litmus.operations import PROCESSES, bounded
from breakcow.litmus.requirements import REQUIREMENTS
from breakcow.litmus.structure import Line, Word
from breakcow.litmus.syntax import Fixed, PageRef
from breakcow.litmus.words import OUTCOMES, RESERVED
from breakcow.mm.actions import BIRTHS, LIMITS, VERBS, Verb

ONE_PAGE = {verb.name for verb in VERBS if "{each}" in verb.pattern and verb.name != "mremap"}
PAGE = re.compile(r"[a-z][a-z0-9_]{0,15}")
NAME = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*(\[[A-Za-z0-9=,._-]+\])?")
RELEASE = re.compile(r"[0-9]{1,2}\.[0-9]{1,3}")
COMMIT = re.compile(r"[0-9a-f]{12}")
REPORT = re.compile(r"docs/finds/[a-z0-9][a-z0-9-]*\.md")


class Scope:
    """What a line may name: the pages declared, and the processes that exist, at the point of the body that is being read."""

    def __init__(self) -> None:
        self.memory: list[tuple[str, ...]] = []
        self.huge: list[int] = []
        self.rests: set[str] = set()
        self.pages: set[str] = set()
        self.born = {"A": 0}
        self.exited: dict[str, int] = {}

    def has(self, page: str) -> bool:
        """Whether `page` is declared."""
        return page in self.pages

    def declare(self, line: Line) -> None:
        """A `memory` line; `memory huge` declares a huge region, whose last page is all that is left of it."""
        words = line.groups[0]
        if words[0] == "huge":
            words = words[1:]
            if len(words) < 2:
                raise line.error(line.groups[0][-1], "a huge page has two names at least: the last is all base pages that are left of it")
            self.huge.append(len(self.memory))
            self.rests.add(str(words[-1]))
        for word in words:
            if word in self.pages:
                raise line.error(word, f"page '{word}' is declared twice")
            if word in RESERVED:
                raise line.error(word, f"'{word}' is a word of the language and cannot name a page")
            if not PAGE.fullmatch(word):
                raise line.error(word, f"'{word[:40]}' cannot name a page: a small letter, then small letters, digits or _; 16 at most")
            if len(self.pages) == LIMITS["pages"]:
                raise line.error(word, f"a test has at most {LIMITS['pages']} pages")
            self.pages.add(str(word))
        self.memory.append(tuple(str(word) for word in words))

    def page(self, line: Line, word: Word, name: str) -> str:
        """The declared page `name`, for which the text has `word`."""
        if name not in self.pages:
            has = (
                f"memory has {', '.join(page for mapping in self.memory for page in mapping)}" if self.memory else "no line 'memory' above"
            )
            raise line.error(word, f"page '{name[:40]}' is not declared: {has}")
        return str(name)

    def step_pages(self, line: Line, words: tuple[Word, ...], verb: Verb) -> tuple[str, ...]:
        """The pages that a step names."""
        for at, word in enumerate(words):
            if word in self.rests and verb.name in ONE_PAGE:
                raise line.error(word, f"'{word}' is all that is left of a huge page: '{verb.name}' is done to single pages")
            if word in words[:at]:
                raise line.error(word, f"'{word[:40]}' stands here twice")
        return tuple(self.page(line, word, word) for word in words)

    def ref(self, line: Line, word: Word, process: str) -> PageRef:
        """The page that a claim names on a line of `process`: `x`, or `B.x`."""
        owner, dot, name = word.partition(".")
        if dot:
            self.exists(line, word, owner)
            return PageRef(owner, self.page(line, word, name))
        page = self.page(line, word, word)
        if process == "-":
            raise line.error(word, f"whose page? write 'A.{page}', or the process in place of '-'")
        return PageRef(process, page)

    def exists(self, line: Line, word: Word, process: str) -> None:
        """Refuse a process that no fork has made."""
        if process not in PROCESSES:
            raise line.error(word, f"'{process[:40]}' is no process: one of {', '.join(PROCESSES)}")
        if process not in self.born:
            raise line.error(word, f"{process} is named before any fork made it: write 'A  fork {process}' above")

    def runs(self, line: Line, word: Word) -> None:
        """Refuse a step of a process that does not exist, or no longer."""
        self.exists(line, word, word)
        if word in self.exited:
            raise line.error(word, f"{word} has exited on line {self.exited[word]}")

    def after(self, line: Line, words: tuple[Word, ...], verb: Verb, process: str, argument: int) -> None:
        """What a step changes: a fork or spawn makes a process, an exit ends one."""
        if verb.name == "spawn" and self.huge:
            raise line.error(words[0], "the specification does not know huge pages in a program that execve() started")
        if verb.name in BIRTHS:
            child = PROCESSES[argument]
            if child in self.born:
                raise line.error(words[-1], f"{child} already exists" + (f" since line {self.born[child]}" if self.born[child] else ""))
            self.born[child] = line.place.number
        if verb.name == "exit":
            self.exited[process] = line.place.number


def actor(line: Line, word: Word, verb: Verb) -> str:
    """The process of a step that does `verb`; "-" for the kernel's own work."""
    operation = " ".join(line.groups[1])[:60]
    if verb.kernel and word != "-":
        raise line.error(word, f"'{operation}' is no process's work: write '-  {operation}'")
    if not verb.kernel and word == "-":
        raise line.error(word, f"'{operation}' is the work of a process: write 'A  {operation}'")
    return str(word)


def title(line: Line, word: Word, file: str) -> str:
    """The name of a test, which is also its file's."""
    if not NAME.fullmatch(word):
        raise line.error(
            word, f"'{word[:60]}' is no name: it is SUBJECT/NAME, of small letters, digits and dashes, such as ksm/unmerge-uffd-wp"
        )
    expected = word.split("[")[0] + ".litmus"
    if file.endswith(".litmus") and not f"/{Path(file).absolute().as_posix()}".endswith("/" + expected):
        raise line.error(word, f"a test's name is its file's: this file is not '{expected}'")
    return str(word)


def required(line: Line, word: Word, before: tuple[str, ...]) -> str:
    """A word of a `require` line."""
    if word not in REQUIREMENTS:
        known = f"one of {', '.join(REQUIREMENTS)}"
        raise line.error(word, f"unknown requirement '{word[:40]}'" + did_you_mean(word, REQUIREMENTS, known))
    if word in before:
        raise line.error(word, f"'{word}' is required twice")
    return str(word)


def fixed(line: Line) -> Fixed:
    """A `fixed` line."""
    release, commit, subject = line.groups[0]
    if not RELEASE.fullmatch(release):
        raise line.error(release, f"'{release[:40]}' is no release: the first that has the fix, such as 6.2")
    if not COMMIT.fullmatch(commit):
        raise line.error(commit, f"'{commit[:40]}' is no commit: the first 12 hexadecimal digits of its hash, in small letters")
    return Fixed(str(release), str(commit), str(subject))


def report(line: Line) -> str:
    """The report that an `unfixed` line names."""
    word = line.groups[0][0]
    if not REPORT.fullmatch(word):
        raise line.error(word, "an unfixed bug is reported in docs/finds/NAME.md, where NAME has small letters, digits and dashes")
    return str(word)


def outcome(line: Line, word: Word, verb: Verb) -> tuple[str, int | None]:
    """The outcome and the value that the text after `->` stands for."""
    if word in OUTCOMES:
        return OUTCOMES[word], None
    if not word.isdigit():
        known = "ok, blocks, SIGBUS, SIGSEGV, an errno such as EINVAL, or the value of a read"
        raise line.error(word, f"'{word[:40]}' is no outcome" + did_you_mean(word, OUTCOMES, known))
    if verb.name != "read":
        raise line.error(word, "only a 'read' gives a value; other steps give ok, blocks, a signal or an errno")
    return "ok", bounded(line, word, 0, 255, "a page's content is")
