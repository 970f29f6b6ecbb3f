"""The syntax tree of a litmus test: plain frozen values, equal when the tests are equal.

Line numbers are carried for messages and do not take part in equality.
"""

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class PageRef:
    """A page of a process. `process` is always filled in: a page written without one belongs to the process of its line."""

    process: str
    page: str


@dataclass(frozen=True, slots=True)
class Step:
    """One line that does something.

    process: "A".."F", or "-" for the kernel's own work.
    verb: the `name` of a `Verb` of the action table.
    pages: the pages named, in the order written; empty where the verb takes none.
    argument: value, protection bits, feature bits, scan, child's index (A = 0), number of scans, run value, or knob * 1000 + number.
    outcome: what the line must give: "ok" (default), an errno name, "SIGBUS", "SIGSEGV", or "blocked" (written `blocks`).
    value: what a `read` must give (`-> 7`); None if not stated.
    comment: what follows "#" on the line.
    """

    process: str
    verb: str
    pages: tuple[str, ...] = ()
    argument: int = 0
    outcome: str = "ok"
    value: int | None = None
    comment: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Atom:
    """One claim of an `expect` line.

    kind, and what it takes (all may be negated with `not` unless a value is compared):
      content (page, value) `x = 7`       present / none / zero / swapped (pages)   a page, no page, the shared zero page, a swap entry
      same (two or more pages)            moved (pages): another frame than before the last step
      ksm, protected, soft-dirty (pages)  the bits user space can see
      writable, dirty, exclusive (pages)  the bits only the specification shows
      pinned (page, value) `pinned x = 7`, spliced (page, value) `spliced x = 7`: what the device or the pipe holds
      blocked / exited (the process)      reported (pages): the last step's PAGEMAP_SCAN reported them
      event (pages, or none for `no event`): write-protect events of the last step
      counter (name, value)               `counter pages_sharing = 1`, `counter ksm_merging_pages = 2`, `counter cow_ksm = 1` (this step)
    """

    kind: str
    pages: tuple[PageRef, ...] = ()
    value: int | None = None
    name: str = ""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Expect:
    """A line of claims about the state after the step before it."""

    process: str
    atoms: tuple[Atom, ...]
    comment: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a line of its own, without its "#". Those of the header and the end stand first and last in the body."""

    comment: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Fixed:
    """`fixed 6.2 6cce3314b928 subject`: the release and the commit that mended the promise this test states."""

    release: str
    commit: str
    subject: str


@dataclass(frozen=True, slots=True)
class Test:
    """A concrete test (parameters already expanded).

    name: `subject/words`, followed by `[param=option,...]` if it came out of parameters. description: lines without their indentation.
    huge: the mappings, by their place in `memory`, that are huge regions (`memory huge x y`).
    source: the text of the file it was read from, to which the line numbers belong.
    """

    __test__: ClassVar[bool] = False  # for pytest, which takes a class of this name for its own

    name: str
    description: str
    require: tuple[str, ...]
    memory: tuple[tuple[str, ...], ...]
    body: tuple[Step | Expect | Comment, ...]
    fixed: tuple[Fixed, ...] = ()
    unfixed: str = ""
    covers: tuple[str, ...] = ()
    huge: tuple[int, ...] = ()
    source: str = field(default="", compare=False)
