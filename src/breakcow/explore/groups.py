"""Operations that are looked at together: those of one actor that leave enough of the state alone (`footprint.py`, `recall.py`)."""

import ast
import json
import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from breakcow.explore import packing
from breakcow.explore.footprint import Footprint, Ranges
from breakcow.explore.several import STATE, UNKNOWN
from breakcow.mm.actions import VERBS
from breakcow.mm.schema import Bounds

LEFT_ALONE = 8  # a group leaves at least one in so many bits of the state alone
ASLEEP = (("proc", "verb"), ("proc", "pending_verb"))  # few operations can sleep: what is woken is one of them
Actor = tuple[int, int]  # verb, process


def groups(rules: ModuleType, bounds: Bounds, contents: int, actors: Iterable[Actor]) -> tuple[dict[Actor, int], npt.NDArray[np.int64]]:
    """The group of each (verb, process) that is in one, and the footprint of each group: a row of packed words with its bits set.

    The smallest footprints come first; what would leave too little alone is in no group.
    """
    prints = footprints(rules, bounds, contents, sorted(set(actors)))
    total = packing.Form(bounds, contents, rules.LEFT_OUT, rules.BITS).bits
    masks: dict[int, int] = {}
    found: dict[Actor, int] = {}
    order: dict[int, int] = {}
    for (verb, process), bits in sorted(prints.items(), key=lambda item: item[1].bit_count()):
        actor = -1 if VERBS[verb].kernel else process
        joined = masks.get(actor, 0) | bits
        if joined.bit_count() * LEFT_ALONE <= total * (LEFT_ALONE - 1):
            masks[actor] = joined
            found[verb, process] = order.setdefault(actor, len(order))
    return found, _rows([masks[actor] for actor in order], rules.WORDS)


def footprints(rules: ModuleType, bounds: Bounds, contents: int, actors: list[Actor]) -> dict[Actor, int]:
    """The footprint of each (verb, process) where these are all that are taken: the bits of a packed state that it may read or change. Kept
    beside the compiled rules."""
    path = Path(str(rules.__file__)).with_suffix(".json")
    known = json.loads(path.read_text()) if path.exists() else {}
    if str(actors) not in known:
        known[str(actors)] = list(_found(rules, bounds, contents, actors).values())
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(known))
        fresh.rename(path)
    return dict(zip(actors, known[str(actors)], strict=True))


def _found(rules: ModuleType, bounds: Bounds, contents: int, actors: list[Actor]) -> dict[Actor, int]:
    """Footprints depend on which operations can be asleep and be woken, and that on the footprints: until nothing is added."""
    tree = ast.parse(Path(str(rules.__file__)).read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    numbers = {name: value for name, value in vars(rules).items() if isinstance(value, int)}
    places = dict(packing.Form(bounds, contents, rules.LEFT_OUT, rules.BITS).places())
    ranges: Ranges = {field: {0} for field in ASLEEP}
    before: Ranges = {}
    while before != ranges:
        before = {field: set(values) for field, values in ranges.items()}
        prints = {}
        for verb, process in actors:
            touched = touched_by(Footprint(functions, numbers, bounds, ranges), verb, process)
            prints[verb, process] = sum(places.get(cell, 0) for cell in touched)
    return prints


def touched_by(step: Footprint, verb: int, process: int) -> set[packing.Cell]:
    """The cells that a step of this operation may touch, whatever its pages and argument, with all that the search makes of it."""
    step.call("may_be_tried", STATE, verb, process, UNKNOWN, UNKNOWN, UNKNOWN, 0)
    step.call("act", STATE, verb, process, UNKNOWN, UNKNOWN, UNKNOWN)
    step.call("follow", STATE, verb, process, UNKNOWN, UNKNOWN, UNKNOWN)
    step.call("breaches", STATE)
    step.call("normalise", STATE, 0)
    return step.touched


def _rows(masks: list[int], words: int) -> Any:
    """Numbers of any size as rows of 64-bit words, the lowest first."""
    rows = [[mask >> 64 * word & (1 << 64) - 1 for word in range(words)] for mask in masks]
    return np.array(rows, np.uint64).reshape(-1, words).view(np.int64)
