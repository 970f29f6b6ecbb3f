"""What Python calls of the compiled rules, apart from the search itself."""

from breakcow.explore.expand import breaches, by_operation, owner, settle
from breakcow.explore.normal import normalise
from breakcow.explore.packing import pack, unpack
from breakcow.explore.recall import CHOSEN
from breakcow.explore.table import find_or_insert, hash_row
from breakcow.explore.words import Row, States, Words
from breakcow.mm.ghost import follow
from breakcow.mm.promises import broken
from breakcow.mm.schema import State
from breakcow.mm.step import step


def run_step(s: State, verb: int, p: int, v: int, n: int, c: int) -> None:
    """step()."""
    step(s, verb, p, v, n, c)


def run_follow(s: State, verb: int, p: int, v: int, n: int, c: int) -> None:
    """follow()."""
    follow(s, verb, p, v, n, c)


def run_broken(s: State) -> int:
    """broken()."""
    return broken(s)


def advance(work: States, verb: int, p: int, v: int, n: int, c: int, symmetric: int) -> int:
    """Take a step in `work[0]` and bring it into its normal form; the promises that are broken now."""
    s = work[0]
    step(s, verb, p, v, n, c)
    follow(s, verb, p, v, n, c)
    bits = breaches(s) | broken(s)
    normalise(s, symmetric)
    return bits


def start(work: States, raw: Words, out: Words, symmetric: int) -> int:
    """Bring `work[0]` into its normal form and pack it into row 0 of `out`; its hash, or 0 if a value does not fit."""
    normalise(work[0], symmetric)
    return 0 if pack(raw, 0, out, 0) else hash_row(out, 0)


def leads_to(
    states: Words, i: int, actions: Words, work: States, raw: Words, made: Words, fresh: Words, probes: Words, tally: Row, counts: Row
) -> int:
    """Every transition from the packed state in row `i`: (i, action, choices, hash) in rows of `made`, the states that they lead to in
    `fresh`, contents under their own names; how many."""
    unpack(raw, 0, states, i)
    probes[0, CHOSEN] = 0
    k = 0
    for a in range(actions.shape[0]):
        k = by_operation(work, raw, made, k, probes, 1, i, actions, a, 0, 1, counts)
    settle(work, raw, made, fresh, k, actions, 0, 0, made, tally, counts)
    return k


def address(rows: Words, count: int, shards: int, owners: Row) -> None:
    """Which of so many shards has each of the first `count` packed states."""
    for i in range(count):
        owners[i] = owner(hash_row(rows, i), shards)


def accept(rows: Words, table: Row, fresh: Row) -> None:
    """Which of these packed states are new to `table`, which has room for them; they are in it now."""
    for i in range(rows.shape[0]):
        fresh[i] = find_or_insert(table, hash_row(rows, i))
