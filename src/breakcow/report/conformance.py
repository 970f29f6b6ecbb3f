"""Results of conform, as text and as a page of the docs."""

from collections.abc import Sequence
from fractions import Fraction

from breakcow.conform.result import Result
from breakcow.conform.stretches import said

PAGE = """# Conformance: the specification held to real kernels

`breakcow conform` runs programs on a kernel and compares every observation after every step with the specification of the behaviours
that were measured on it. This page is written from the results beside it, by
`breakcow merge docs/conformance.json --markdown docs/conformance.md`.

## Tours

Every transition of the specification within the bound: each operation from each state that is reached. A transition is confirmed when it
was taken in a program on which kernel and specification agree from the first step to the last.

No kernel shows whether a page is writable or exclusive. So every state that is reached is also the last of a program, which goes on to
find that out of every page of every process: by a store, which takes a page fault where the entry is not writable, and before it by a read
pin (`process_vm_readv`), for which a page is copied that is not exclusive (since 5.19). A state is told when kernel and specification agree
to the end of such a program.

Shards are parts of the programs, dealt out in turn (`--shard`): where the table names them the others have not run yet, and figures are of
those that have.

{tours}

## Random programs

Longer programs beyond that bound, each named by its seed: `breakcow conform --seed FIRST --programs NUMBER` makes the same ones,
with `--huge` those with a huge page.

{random}

## Differences

Each is a kernel that breaks a promise (see [the finds](finds)), or a rule that is not right yet.

{differences}

## Would it notice?

[Thirteen wrong rules](wrong-rules.md), put into the specification one after the other, are found on the host in seconds.
"""

TOURS = (
    *("kernel", "release", "bound", "transitions", "confirmed", "states told", "pages: writable or not", "exclusive or not"),
    *("programs", "steps", "differ"),
)


def words(one: Result) -> str:
    """One result in lines for people."""
    rate = f"{one.programs / max(one.seconds, 0.001):.0f} programs and {one.steps / max(one.seconds, 0.001):.0f} steps a second"
    lines = [f"{one.on} ({one.release}), profile {one.profile}: {one.bound}"]
    if one.kind == "tours":
        lines.append(f"  {one.confirmed} of {one.transitions} transitions confirmed, {one.share:.2f} %")
        lines.append(
            f"  {one.told} of {one.states} states told: {one.writable} pages whether they are writable, {one.inferred} whether exclusive"
        )
    lines.append(f"  {one.programs} programs, {one.steps} steps, {one.skipped} not for this kernel, {rate}")
    if one.disturbed:
        lines.append(f"  {one.disturbed} programs not judged: memory of other processes is mergeable too, and spoilt them")
    lines += [f"  {number} programs broke the promise {promise}" for promise, number in sorted(one.promises.items())]
    return "\n".join([*lines, f"  {len(one.differences)} differ from the model"])


def page(results: Sequence[Result]) -> str:
    """The page of the docs."""
    tours = [
        (
            *(one.on, one.release, _bound(one), f"{one.transitions:,}", f"{one.share:.2f} %", f"{one.told:,} of {one.states:,}"),
            *(f"{one.writable:,}", f"{one.inferred:,}", f"{one.programs:,}", f"{one.steps:,}", _number(one)),
        )
        for one in results
        if one.kind == "tours"
    ]
    random = [
        (one.on, one.release, one.bound, said(one.seeds), f"{one.programs:,}", f"{one.steps:,}", _number(one))
        for one in results
        if one.kind == "random"
    ]
    found = [f"### {one.on} ({one.release})\n\n```\n{text}\n```" for one in results for text in one.differences]
    return PAGE.format(
        tours=_table(TOURS, tours),
        random=_table(("kernel", "release", "bound", "seeds", "programs", "steps", "differ"), random),
        differences="\n\n".join(found) or "None.",
    )


def _bound(one: Result) -> str:
    """The bound, and which shards of its programs ran if not all did."""
    share = sum(Fraction(1, int(shard.partition("/")[2])) for shard in one.shards)
    return one.bound if share == 1 else f"{one.bound}, only shards {', '.join(one.shards)}"


def _number(one: Result) -> str:
    return str(len(one.differences))


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
