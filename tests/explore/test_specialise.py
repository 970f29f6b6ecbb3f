"""Rules made for one search: what is a constant in them, what is left out, and that nothing else is."""

import ast

import pytest

pytest.importorskip("numba")

import numpy as np

from breakcow.explore import compiled
from breakcow.explore.bound import ALWAYS, KINDS, Bound
from breakcow.explore.search import Search
from breakcow.explore.specialise import Constants, Rules, specialise
from breakcow.kernel import PROFILES
from breakcow.mm.actions import VERB
from breakcow.mm.schema import State

HEAD = "def top(s: State, p: int, v: int, n: int) -> int:\n"
USERFAULTFD = (*ALWAYS, *KINDS["userfaultfd"])


def made(text: str, start: Constants, **numbers: int) -> tuple[str, Constants]:
    """The functions that top() reaches, in `text`, and the constants; operations 7 and 8 are never taken."""
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    kept, constants = specialise(Rules(functions, numbers, {7, 8}), ("top",), start)
    return "\n".join(map(ast.unparse, kept.values())), constants


def body(lines: str, start: Constants, **numbers: int) -> str:
    """What is left of top() with these lines."""
    text, _ = made(HEAD + "".join(f"    {line}\n" for line in lines.splitlines()), start, **numbers)
    return "\n".join(line[4:] for line in text.splitlines()[1:])


FRAME, SWAP = ("Pte", "frame"), ("Pte", "swap")


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("return s.pte[p, v].swap", "return 3"),
        ("pte = s.pte[p, v]\nreturn pte.swap + 1", "return 4"),
        ("if s.pte[p, v].swap == 3:\n    return 1\nreturn 2", "return 1"),
        ("if not s.pte[p, v].swap:\n    n = 5\nreturn n", "return n"),
        ("return n if s.pte[p, v].swap and n else 0", "return n if n else 0"),
        ("return 1 if n or s.pte[p, v].swap else 0", "return 1"),
        ("return 1 if other(n) and (not s.pte[p, v].swap) else 0", "return 1 if other(n) and 0 else 0"),
        ("while s.pte[p, v].swap != 3:\n    n += 1\nreturn n", "return n"),
        ("for w in range(n):\n    s.pte[p, w].swap = 3\nreturn n", "return n"),
        ("s.pte[p, v].swap = 3\nk = s.pte[p, v].swap\nreturn k << 1", "return 6"),
        ("a = s.pte[p, v]\nb = s.pte[p, n]\na.swap, b.swap = (b.swap, a.swap)\nreturn n", "return n"),
        ("verb = n\nreturn 1 if verb == PIN else 2", "return 2"),
        ("verb = n\nreturn 1 if verb in (PIN, READ) else 2", "verb = n\nreturn 1 if verb in (READ,) else 2"),
    ],
)
def test_what_is_left_of_a_rule(lines: str, left: str) -> None:
    assert body(lines, {SWAP: 3}, PIN=7, READ=1) == left


@pytest.mark.parametrize(
    "lines",
    [
        "s.pte[p, v].swap = n",
        "s.pte[p, v].swap += 1",
        "s.pte[p, v].swap = 4",
        "s.pte[p, v].swap, n = (n, 3)",
        "pte = s.pte[p, v]\npte.swap = other(3)",
        "s.pte[p, v].frame = n\ns.pte[p, v].swap = s.pte[p, v].frame",
    ],
)
def test_a_field_that_may_get_another_value_is_none(lines: str) -> None:
    text = HEAD + "".join(f"    {line}\n" for line in f"{lines}\nreturn s.pte[p, v].swap".splitlines())
    left, constants = made(text, {SWAP: 3, FRAME: 0})
    assert SWAP not in constants
    assert left.endswith("return s.pte[p, v].swap")


def test_what_a_constant_keeps_from_being_reached_changes_nothing() -> None:
    text = HEAD + "    if s.pte[p, v].swap:\n        swap_in(s, p, v)\n    return s.pte[p, v].frame\n"
    text += "def swap_in(s: State, p: int, v: int) -> None:\n    s.pte[p, v].swap = 0\n    s.pte[p, v].frame = 7\n"
    left, constants = made(text, {SWAP: 0, FRAME: 0})
    assert constants == {SWAP: 0, FRAME: 0}
    assert left == "def top(s: State, p: int, v: int, n: int) -> int:\n    return 0"


def test_a_function_that_gives_one_number_is_that_number() -> None:
    text = HEAD + "    return n if waits(s, p, v) else 0\n"
    text += "def waits(s: State, p: int, v: int) -> int:\n    found = 0\n    if s.pte[p, v].swap:\n        found = 1\n    return found\n"
    assert made(text, {SWAP: 0})[0].endswith("return 0")


def test_a_record_that_is_not_known_is_refused() -> None:
    with pytest.raises(TypeError, match=r"of which record is x\.swap"):
        made(HEAD + "    x = other(s)\n    x.swap = 3\n    return 0\n", {SWAP: 3})


def test_what_no_operation_of_a_search_changes_is_no_part_of_its_states() -> None:
    rules = Search(PROFILES["7.2"], Bound(1, 2, operations=USERFAULTFD)).rules
    for field in (SWAP, ("Reference", "pinned"), ("Ghost", "mergeable"), ("Vma", "mergeable"), ("Page", "ksm"), ("Page", "node")):
        assert rules.LEFT_OUT[field] == 0, field
    assert rules.LEFT_OUT["Vma", "prot"] == 3
    for field in (("Pte", "uffd_wp"), ("Page", "content"), ("Process", "waiting"), ("Ghost", "armed"), ("Vma", "registered")):
        assert field not in rules.LEFT_OUT, field
    assert "ref" not in rules.RECORD.names


def test_a_state_in_which_a_constant_has_another_value_is_refused() -> None:
    search = Search(PROFILES["7.2"], Bound(1, 2, operations=USERFAULTFD))
    state = State(search.state, search.profile)
    with pytest.raises(ValueError, match="is not 1, as this search was compiled to think"):
        compiled.fill(np.zeros(1, search.rules.RECORD)[0], state, search.rules.LEFT_OUT)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("operations", "depth"),
    [
        (USERFAULTFD, 5),
        pytest.param((*ALWAYS, *KINDS["ksm"], *KINDS["fork"], *KINDS["threads"], "mprotect"), 4, marks=pytest.mark.long),
        pytest.param(
            (*ALWAYS, *KINDS["pins"], *KINDS["pipes"], *KINDS["mappings"], *KINDS["fork"], "clear_refs", "pageout"),
            4,
            marks=pytest.mark.long,
        ),
    ],
)
def test_it_is_the_same_search(operations: tuple[str, ...], depth: int) -> None:
    """With the rules of all operations, and with those made for these alone: as many states, transitions, and ways to break a promise."""
    bound = Bound(depth=depth, operations=operations)
    counts = []
    for among in (frozenset(operations), frozenset(VERB)):
        tally = Search(PROFILES["6.1"], bound, among=among).run()
        counts.append((tally.states, tally.transitions, sorted((find.depth, find.promises) for find in tally.finds)))
    assert counts[0] == counts[1]
    assert counts[0][0] > 1000
