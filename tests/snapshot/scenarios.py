"""Snapshots of memory that is being written in every way there is, each held against the log of all writes."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import breakcow
from breakcow.snapshots.errors import SnapshotError

from . import writers
from .writers import Cells, Operation, Writer, private

REFUSED, EXACT = "refused", "exact"
SMALL, LARGE = 1 << 20, 8 << 20
TAKES = 4  # of a series


@dataclass(frozen=True)
class Scenario:
    """What is written, by how many threads, and with which operations. discards: it may discard or move pages, so that an image may be
    refused.
    """

    operations: tuple[Operation, ...] = (writers.scalar,)
    threads: int = 1
    size: int = SMALL
    huge: bool = False
    filled: bool = True
    discards: bool = False
    memory: Callable[[int, bool], Cells] = field(default=private)


def heap(size: int, _: bool) -> Cells:
    """An array between others on the heap, which begins and ends in the middle of a page."""
    before, cells, after = np.zeros(77, np.int64), np.zeros(5003, np.int64), np.zeros(99, np.int64)
    assert size and len(before) < len(after)
    return cells


SCENARIOS = {
    "one writer": Scenario(),
    "many threads": Scenario(threads=4),
    "slice stores": Scenario((writers.scalar, writers.slices)),
    "slice stores of many threads": Scenario((writers.scalar, writers.slices), threads=3),
    "readinto": Scenario((writers.scalar, writers.readinto)),
    "mprotect": Scenario((writers.scalar, writers.mprotected)),
    "dontneed": Scenario((writers.scalar, writers.dontneed), discards=True),
    "mremap": Scenario((writers.scalar, writers.moved), discards=True),
    "forks": Scenario((writers.scalar, writers.forked)),
    "huge pages": Scenario((writers.scalar, writers.slices), size=LARGE, huge=True),
    "holes": Scenario((writers.scalar, writers.slices), size=LARGE, filled=False),
    "edge of a heap": Scenario((writers.scalar, writers.slices), memory=heap),
}


def one(scenario: Scenario, seed: int, directory: Path) -> str:
    """Take a snapshot while the scenario runs and check every page of it: "exact", or "refused" by SnapshotError. AssertionError if it is
    wrong.
    """
    to = directory / "image.bcs"
    with _running(scenario, seed) as (cells, threads):
        bounds = [_numbers(threads)]
        with suppress(SnapshotError), breakcow.snapshot(cells, to=to) as snapshot:
            bounds.append(_numbers(threads))
            snapshot.wait()
    return _held_against(threads, to, [bounds])


def several(scenario: Scenario, seed: int, directory: Path) -> str:
    """The same with a series, whose takes before one that is refused have to be there."""
    to = directory / "series.bcs"
    order = random.Random(seed)
    taken = []
    with _running(scenario, seed) as (cells, threads), suppress(SnapshotError), breakcow.series(cells, to) as series:
        for _ in range(TAKES):
            before = _numbers(threads)
            series.take()
            taken.append([before, _numbers(threads)])
            time.sleep(order.random() * 0.01)
    return _held_against(threads, to, taken)


@contextmanager
def _running(scenario: Scenario, seed: int) -> Iterator[tuple[Cells, list[Writer]]]:
    """What is written and who writes it; all have stopped afterwards."""
    cells = scenario.memory(scenario.size, scenario.huge)
    if scenario.filled:
        cells[:] = 0
    threads = [Writer(cells, seed * 100 + each, each, scenario.threads, scenario.operations) for each in range(scenario.threads)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(random.Random(seed).random() * 0.005)
        yield cells, threads
    finally:
        for thread in threads:
            thread.stop()


def _numbers(threads: list[Writer]) -> list[int]:
    """How many stores each has made."""
    return [thread.number for thread in threads]


def _held_against(threads: list[Writer], to: Path, taken: list[list[list[int]]]) -> str:
    """Each image in the file is what some moment gives between the two in `taken`."""
    kept = breakcow.load(to).takes if to.exists() else 0
    for take, (before, after) in enumerate(taken[:kept]):
        image = breakcow.load(to, take=take)[0]
        for thread, first, last in zip(threads, before, after, strict=True):
            number = thread.check(image)
            assert first - 4 <= number <= last + 4, f"take {take} is of store {number}, and was taken between {first} and {last}"
    to.unlink(missing_ok=True)
    return EXACT if kept == len(taken) else REFUSED
