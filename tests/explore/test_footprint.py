"""What a step may read or change: never less than it does."""

import ast

import pytest

pytest.importorskip("numba")

import numpy as np

from breakcow.explore import groups as groups_of
from breakcow.explore import search as searches
from breakcow.explore.bound import ALWAYS, KINDS, Bound
from breakcow.explore.footprint import Footprint, Ranges
from breakcow.explore.search import ALL, Search
from breakcow.explore.several import STATE, UNKNOWN, Value
from breakcow.kernel import PROFILES
from breakcow.mm.actions import VERB, VERBS
from breakcow.mm.schema import Bounds

NUMBER = {verb.name: number for number, verb in enumerate(VERBS)}


def cells(text: str, *arguments: Value, ranges: Ranges | None = None) -> set[str]:
    """What top() touches of one process with two pages, written as `pte[0, 1].frame`."""
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    found = Footprint(functions, {"PIN": 7}, Bounds(1, 2), {} if ranges is None else ranges)
    found.call("top", STATE, *arguments)
    return {f"{name}{list(index)}.{field}" if index else f"{name}.{field}" for name, index, field in found.touched}


def body(lines: str, *arguments: Value, ranges: Ranges | None = None) -> set[str]:
    """The same of top(s, v, n) with these lines."""
    text = "def top(s, v, n):\n" + "".join(f"    {line}\n" for line in lines.splitlines())
    return cells(text, *(arguments or (UNKNOWN, UNKNOWN)), ranges=ranges)


FIRST, SECOND = "pte[0, 0].frame", "pte[0, 1].frame"


@pytest.mark.parametrize(
    ("lines", "touched"),
    [
        ("return s.pte[0, 1].frame", {SECOND}),
        ("s.pte[0, 1].frame = 3", {SECOND}),
        ("return s.pte[0, v].frame", {FIRST, SECOND}),
        ("s.pte[0, v].frame = 3", {FIRST, SECOND}),
        ("pte = s.pte[0, 0]\nif n:\n    pte = s.pte[0, 1]\nreturn pte.frame", {FIRST, SECOND}),
        ("if n:\n    return s.pte[0, 0].frame\nreturn s.pte[0, 1].frame", {FIRST, SECOND}),
        ("n = 2\nif n:\n    return s.pte[0, 0].frame\nreturn s.pte[0, 1].frame", {FIRST}),
        ("for w in range(s.pte.shape[1]):\n    s.pte[0, w].frame += 1", {FIRST, SECOND}),
        ("for w in range(1):\n    s.pte[0, w].frame += 1", {FIRST}),
        ("for w in range(v, n):\n    s.pte[0, w].frame = 0", {FIRST, SECOND}),
        ("for w in range(2):\n    if n:\n        break\n    v = 1\nif v == 1:\n    s.pte[0, 0].frame = 0", {FIRST}),
        ("for w in range(2):\n    if w == 1:\n        break\n    s.pte[0, w].frame = 0", {FIRST}),
        ("for w in range(2):\n    if w == 0:\n        continue\n    s.pte[0, w].frame = 0", {SECOND}),
        ("k = 0\nwhile k < n:\n    k += 1\nif k == 7:\n    s.pte[0, 0].frame = 0", {FIRST}),
        ("k = 0\nwhile k < 2:\n    k += 1\nif k == 7:\n    s.pte[0, 0].frame = 0", set()),
        ("k = 0\nwhile 1:\n    k += 1\n    if n:\n        return 0\n    if k == 3:\n        s.pte[0, 0].frame = 0", {FIRST}),
        ("return 1 if n and s.pte[0, 0].frame else 0", {FIRST}),
        ("n = 0\nreturn 1 if n and s.pte[0, 0].frame else 0", set()),
        ("return 1 if v < n <= s.pte[0, 0].frame else 0", {FIRST}),
        ("a = s.pte[0, 0]\nb = s.pte[0, 1]\na.frame, b.frame = b.frame, a.frame", {FIRST, SECOND}),
        ("s.step.value = 3\nif s.step.value == 4:\n    s.pte[0, 0].frame = 0", {"step.value"}),
        ("s.step.value = n\nif s.step.value == 4:\n    s.pte[0, 0].frame = 0", {"step.value", FIRST}),
        ("if s.step.sleeps:\n    s.pte[0, 0].frame = 0", set()),  # what a step begins with is cleared
        ("if s.step.choices:\n    s.pte[0, 0].frame = 0", {"step.choices", FIRST}),  # but for its choices
        ("if n:\n    s.step.value = 1\nif s.step.value:\n    s.pte[0, 0].frame = 0", {"step.value", FIRST}),
        ("s.resumed[v].ended = 1\nif s.resumed[0].ended:\n    s.pte[0, 0].frame = 0", {"resumed[0].ended", FIRST}),
    ],
)
def test_what_is_read_or_set_on_any_path(lines: str, touched: set[str]) -> None:
    assert body(lines) == touched


def test_a_rule_may_be_called_in_a_condition() -> None:
    text = "def top(s, v, n):\n    if n and other(s, 1):\n        return 1\n    return 0\n"
    text += "def other(s, w):\n    s.pte[0, w].frame = 5\n    return 1\n"
    assert cells(text, UNKNOWN, UNKNOWN) == {SECOND}


def test_what_only_one_path_set_is_not_known() -> None:
    text = "def top(s, v, n):\n    if n and other(s):\n        v = 1\n    if s.step.value == 0:\n        s.pte[0, 0].frame = 0\n"
    text += "    if s.step.value == 5:\n        s.pte[0, 1].frame = 0\ndef other(s):\n    s.step.value = 5\n    return 1\n"
    assert cells(text, UNKNOWN, UNKNOWN) == {FIRST, SECOND, "step.value"}


def test_a_field_that_holds_one_of_a_few_numbers() -> None:
    ranges: Ranges = {("proc", "verb"): {0, 3}}
    lines = "verb = s.proc[v].verb\nif verb == 3:\n    s.pte[0, 0].frame = 0\nif verb == PIN:\n    s.pte[0, 1].frame = 0"
    assert body(lines, ranges=ranges) == {"proc[0].verb", FIRST}
    assert body("s.proc[0].verb = PIN", ranges=ranges) == {"proc[0].verb"}
    assert ranges == {("proc", "verb"): {0, 3, 7}}
    assert body(lines, ranges=ranges) == {"proc[0].verb", FIRST, SECOND}
    with pytest.raises(AssertionError, match="verb"):
        body("s.proc[0].verb = n", ranges=ranges)


def test_a_name_for_two_kinds_of_records_is_refused() -> None:
    with pytest.raises(TypeError, match="no rule names two kinds of records alike"):
        body("x = s.pte[0, 0]\nif n:\n    x = s.vma[0, 0]\nreturn 0")


@pytest.mark.compiled
def test_a_load_of_one_process_has_to_do_with_little_of_another() -> None:
    found = Search(PROFILES["7.2"], Bound(2, 1, contents=1, operations=(*ALWAYS, *KINDS["userfaultfd"], *KINDS["fork"])), symmetric=False)
    part = {actor: found.groups.get(actor, -1) for actor in ((NUMBER["read"], 0), (NUMBER["read"], 1), (NUMBER["fork"], 0))}
    assert sorted(part.values()) == [-1, 0, 1]
    assert part[NUMBER["fork"], 0] == -1  # it makes all of the other


MIXTURES = [
    ("7.2", (*ALWAYS, *KINDS["ksm"], *KINDS["fork"]), 5),
    ("6.1", (*ALWAYS, *KINDS["userfaultfd"], "mergeable", "unmergeable", "ksm_scan", "process_vm_writev"), 5),
    pytest.param("6.1", (*ALWAYS, *KINDS["mappings"], *KINDS["fork"], *KINDS["threads"], "clear_refs"), 4, marks=pytest.mark.long),
    pytest.param("7.2", (*ALWAYS, *KINDS["userfaultfd"], *KINDS["prefaulting"], *KINDS["mappings"]), 4, marks=pytest.mark.long),
    pytest.param("5.10", (*ALWAYS, *KINDS["pins"], *KINDS["pipes"], *KINDS["kernel access"], *KINDS["fork"]), 4, marks=pytest.mark.long),
    pytest.param("7.2", (*ALWAYS, "pageout", "pagemap_scan", *KINDS["userfaultfd"], *KINDS["fork"]), 4, marks=pytest.mark.long),
]


def counts(profile: str, operations: tuple[str, ...], depth: int) -> tuple[object, ...]:
    """States and transitions of each level, and the ways in which promises are broken, contents under their own names."""
    search = Search(PROFILES[profile], Bound(depth=depth, operations=operations), ALL, symmetric=False, among=frozenset(VERB))
    levels: list[tuple[int, int]] = []
    tally = search.run(lambda now: levels.append((now.states, now.transitions)))
    kinds = {(find.depth, find.operation, find.promises) for find in tally.finds}
    return levels[-1], [level.size for level in search.levels], kinds


@pytest.mark.compiled
@pytest.mark.parametrize(("profile", "operations", "depth"), MIXTURES)
def test_steps_that_are_remembered_are_the_steps_that_the_rules_take(
    monkeypatch: pytest.MonkeyPatch, profile: str, operations: tuple[str, ...], depth: int
) -> None:
    """With what is kept of steps, with so little room for it that it is forgotten all the time, and with nothing kept."""
    kept = counts(profile, operations, depth)
    monkeypatch.setattr(searches, "ARENA", 1 << 17)
    forgotten = counts(profile, operations, depth)

    def none(rules: object, *_: object) -> object:
        return {}, np.zeros((0, rules.WORDS), np.int64)  # type: ignore[attr-defined]

    monkeypatch.setattr(searches, "groups", none)
    assert kept == forgotten == counts(profile, operations, depth)


@pytest.mark.compiled
def test_a_footprint_that_is_too_small_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """One field less, and the counts are others: this test would notice."""
    profile, operations, depth = "7.2", (*ALWAYS, *KINDS["ksm"], *KINDS["fork"]), 5
    kept = counts(profile, operations, depth)
    whole = groups_of.touched_by

    def smaller(step: Footprint, verb: int, process: int) -> object:
        return {cell for cell in whole(step, verb, process) if cell[::2] != ("pte", "frame")}

    monkeypatch.setattr(groups_of, "touched_by", smaller)
    monkeypatch.setattr(groups_of, "footprints", groups_of._found)
    assert counts(profile, operations, depth) != kept
