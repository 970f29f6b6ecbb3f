"""Seeds of random programs, as what one run after the other, or every shard of one, takes: first, last, and how far apart."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

Stretch = tuple[int, int, int]  # first, last, step


def stretch(seeds: range) -> tuple[Stretch, ...]:
    """The seeds of one run; none if there are none."""
    return ((seeds[0], seeds[-1], seeds.step),) if seeds else ()


def overlap(a: Iterable[Stretch], b: Iterable[Stretch]) -> list[int]:
    """The seeds that are in both."""
    ones = {seed for one in a for seed in _seeds(one)}
    return sorted(ones.intersection(seed for other in b for seed in _seeds(other)))


def joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """The same seeds in as few stretches as shards and runs that follow each other make. No seed may be there twice."""
    apart: list[Stretch] = []
    left = sorted((step, first, last) for first, last, step in stretches)
    while left:
        step, first, last = left[0]
        shards = [(a, b, n) for n, a, b in left[:step]]
        if whole := _whole(shards, step):
            first, last, step = whole
            del left[1 : len(shards)]
        apart.append((first, last, 1 if first == last else step))
        del left[0]
    return _in_a_row(sorted(apart))


def said(stretches: Iterable[Stretch]) -> str:
    """In words; of shards that follow each other, how many there are."""
    rows: list[list[Stretch]] = []
    for one in stretches:
        row = rows[-1] if rows else []
        if row and one[2] == row[0][2] > 1 and one[0] == row[-1][0] + 1:
            row.append(one)
        else:
            rows.append([one])
    return ", ".join(_row(row) for row in rows)


def _row(row: Sequence[Stretch]) -> str:
    step = row[0][2]
    return f"{row[0][0]} to {max(last for _, last, _ in row)}" + (f" ({len(row)} of every {step})" if step > 1 else "")


def _seeds(one: Stretch) -> range:
    first, last, step = one
    return range(first, last + 1, step)


def _whole(shards: Sequence[Stretch], number: int) -> Stretch | None:
    """The one stretch that `number` shards are, if these are all of them."""
    first, last = shards[0][0], max(end for _, end, _ in shards)
    if len(shards) != number or any(step != number for _, _, step in shards):
        return None
    begun = all(b[0] == a[0] + 1 for a, b in pairwise(shards))
    return (first, last, 1) if begun and sum(len(_seeds(one)) for one in shards) == last - first + 1 else None


def _in_a_row(stretches: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Those of one step that follow each other are one."""
    row: list[Stretch] = []
    for first, last, step in stretches:
        before = next((at for at, (_, end, apart) in enumerate(row) if end + step == first and apart == step), None)
        if before is None:
            row.append((first, last, step))
        else:
            row[before] = (row[before][0], last, step)
    return tuple(row)
