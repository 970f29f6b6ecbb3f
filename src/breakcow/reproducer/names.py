"""Names of pages that mean something else in C get another name."""

import re
from collections.abc import Iterable
from dataclasses import replace

from breakcow.litmus.syntax import Atom, Expect, PageRef, Step, Test

KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register restrict return "
    "short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof main unix linux"
)
NO_CODE = re.compile(r'/\*.*?\*/|"(\\.|[^"\\])*"', re.DOTALL)


def renamed(test: Test, texts: Iterable[str]) -> Test:
    """The test, with a `page_` before the name of each page that is a word of C or of `texts`."""
    taken = set(KEYWORDS.split()).union(*(re.findall(r"[A-Za-z_]\w*", NO_CODE.sub(" ", text)) for text in texts))
    names = {page: f"page_{page}" if page in taken else page for pages in test.memory for page in pages}
    memory = tuple(tuple(names[page] for page in pages) for pages in test.memory)
    body = tuple(_renamed(item, names) if isinstance(item, Step | Expect) else item for item in test.body)
    return replace(test, memory=memory, body=body)


def _renamed(item: Step | Expect, names: dict[str, str]) -> Step | Expect:
    """A line of the body."""
    if isinstance(item, Step):
        return replace(item, pages=tuple(names[page] for page in item.pages))
    return replace(item, atoms=tuple(_atom(atom, names) for atom in item.atoms))


def _atom(atom: Atom, names: dict[str, str]) -> Atom:
    """A claim."""
    return replace(atom, pages=tuple(PageRef(ref.process, names[ref.page]) for ref in atom.pages))
