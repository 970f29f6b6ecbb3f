"""Random programs on a real kernel, each held against the model of the profile that was measured on it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from breakcow.backend.compare import Difference
from breakcow.backend.measure import Kernel
from breakcow.backend.model import ModelBackend
from breakcow.backend.promises import broken
from breakcow.conform.able import EVERY, UNSAID, possible
from breakcow.conform.ahead import Ahead
from breakcow.conform.generate import generate
from breakcow.conform.shrink import shrink
from breakcow.litmus import parse, program, requirements, to_text
from breakcow.litmus.program import Program
from breakcow.litmus.syntax import Test


@dataclass(frozen=True, slots=True)
class Finding:
    """origin: which program, as "seed 7". test: the shortest that still differed. difference: what it showed then. again: it shows it once
    more."""

    origin: str
    test: Test
    difference: Difference
    again: bool


@dataclass
class Tally:
    """programs, steps: run so far. skipped: programs that this kernel cannot run. promises: broken promise -> programs that broke it.
    disturbed: programs that memory of other processes kept from being what they say."""

    programs: int = 0
    steps: int = 0
    skipped: int = 0
    promises: Counter[str] = field(default_factory=Counter)
    disturbed: int = 0


def conform(
    kernel: Kernel, model: ModelBackend, seeds: range, tally: Tally, progress: Callable[[], None], huge: bool = False
) -> Iterator[Finding]:
    """Run the programs of `seeds` and yield every one whose observations the model does not allow. huge: with a huge page each.
    Raises LostBackend."""
    able = kernel.probe().abilities
    ahead = Ahead(kernel)
    for (seed, test), flat, seen in ahead.all(_programs(seeds, able, tally, huge)):
        if seen is None:
            tally.disturbed += 1
            continue
        tally.programs += 1
        tally.steps += len(seen)
        tally.promises.update({one.promise for one in broken(flat, seen)})
        if difference := model.check(flat, seen):
            yield smallest(ahead, model, Finding(f"seed {seed}", test, difference, False))
        progress()


def _programs(seeds: range, able: dict[str, str], tally: Tally, huge: bool) -> Iterator[tuple[tuple[int, Test], Program]]:
    """The programs of `seeds` that this kernel can run; the others are counted."""
    verbs = possible(EVERY, able)
    for seed in seeds:
        test = generate(seed, verbs, huge)
        if any(able.get(word) for word in requirements(test) if word not in UNSAID):
            tally.skipped += 1
        else:
            yield (seed, test), program(test)


def smallest(ahead: Ahead, model: ModelBackend, found: Finding) -> Finding:
    """What was found, shrunk as long as it shows."""
    differences = {to_text(found.test): found.difference}

    def differs(candidate: Test) -> bool:
        flat = program(candidate)
        seen = ahead.run(flat)
        difference = model.check(flat, seen) if seen else None
        if difference:
            differences[to_text(candidate)] = difference
        return difference is not None

    shrunk = shrink(found.test, differs)
    again = differs(shrunk)
    (read,) = parse(to_text(shrunk))
    return Finding(found.origin, read, differences[to_text(shrunk)], again)
