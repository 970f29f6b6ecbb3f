"""What a claim of a test is in C: an expression that answers it."""

from collections.abc import Iterator
from itertools import combinations

from breakcow.litmus.claims import claimed
from breakcow.litmus.syntax import Atom, Expect, PageRef, Step, Test

OF_A_PAGE = {  # claim -> the function that answers it; its fragment has the same name
    "present": "present",
    "none": "none",
    "zero": "zero",
    "swapped": "swapped",
    "moved": "moved",
    "ksm": "ksm_page",
    "protected": "uffd_wp",
    "soft-dirty": "soft_dirty",
    "event": "event",
    "huge": "huge",
}
OF_A_VALUE = {"content": "holds", "pinned": "pinned", "spliced": "spliced"}
UNSEEN = ("writable", "dirty", "exclusive")  # no kernel shows these
OF_UFFD = ("event", "blocked")  # never so without a userfaultfd
COUNTERS = {  # counter -> fragment, the expression that answers it
    "pages_shared": ("counter", 'counts(ksm_read("pages_shared"), {value})'),
    "pages_sharing": ("counter", 'counts(ksm_read("pages_sharing"), {value})'),
    "ksm_zero_pages": ("zero_pages", 'counts(ksm_read("ksm_zero_pages") - zero_pages_before, {value})'),
    "cow_ksm": ("cow_ksm", "counts(new_cow_ksm(), {value})"),
    "ksm_merging_pages": ("merging_pages", "merging_pages({process}, {value})"),
}
FRAGMENT = {"present": "pages"}


def checked(test: Test) -> dict[Expect, tuple[Atom, ...]]:
    """The claims of each `expect` line that a program can check, and that can fail."""
    opens = any(isinstance(item, Step) and item.verb == "uffd_open" for item in test.body)
    left_out = UNSEEN if opens else UNSEEN + OF_UFFD
    return {item: tuple(atom for atom in item.atoms if atom.kind not in left_out) for item in test.body if isinstance(item, Expect)}


def needs(atom: Atom) -> set[str]:
    """The fragments that a claim needs."""
    found = {"expect"} | ({"not"} if atom.negated else set())
    if atom.kind == "counter":
        return found | {COUNTERS[atom.name][0]}
    if atom.kind == "event" and not atom.pages:
        return found | {"any_event"}
    function = OF_A_PAGE.get(atom.kind) or OF_A_VALUE.get(atom.kind) or atom.kind
    return found | {FRAGMENT.get(function, function)}


def lines(atom: Atom, process: str) -> Iterator[str]:
    """The C lines that check a claim on a line of `process`: one for each page, or pair of pages, that it is made of."""
    for pages, answer in _answers(atom, process):
        said = f"{process}  {claimed(Atom(atom.kind, pages, atom.value, atom.name, atom.negated), process)}"
        yield f'expect({f"not({answer})" if atom.negated else answer}, "{said}");'


def _answers(atom: Atom, process: str) -> Iterator[tuple[tuple[PageRef, ...], str]]:
    """The parts of a claim: pages, and the expression that says whether it holds without its `not`."""
    if atom.kind == "same":
        first, *others = atom.pages
        for one, other in combinations(atom.pages, 2) if atom.negated else [(first, other) for other in others]:
            yield (one, other), f"same({one.process}, {one.page}, {other.process}, {other.page})"
    elif atom.kind == "counter":
        yield (), COUNTERS[atom.name][1].format(process=process, value=atom.value)
    elif atom.kind in OF_A_PAGE and atom.pages:
        yield from (((ref,), f"{OF_A_PAGE[atom.kind]}({ref.process}, {ref.page})") for ref in atom.pages)
    elif atom.kind == "reported":
        yield from (((ref,), f"reported({ref.page})") for ref in atom.pages)
    elif atom.kind in OF_A_VALUE:
        yield from (((ref,), f"{OF_A_VALUE[atom.kind]}({ref.process}, {ref.page}, {atom.value})") for ref in atom.pages)
    elif atom.kind == "event":
        yield (), "any_event()"
    else:
        yield (), f"{atom.kind}({process})"  # blocked, exited
