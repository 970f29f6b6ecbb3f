"""Taking figures on a kernel."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from breakcow import __version__
from breakcow.bench.figures import Machine, Report, figure

SILENCE_SECONDS = 600.0  # between two samples under TCG


class Kernel(Protocol):
    """A real kernel, as suite.backends has it."""

    name: str

    def converse(self, request: dict[str, object], seconds: float) -> Iterator[dict[str, object]]:
        """The answers to a request, up to the last."""


class Sample(msgspec.Struct, frozen=True):
    """As the agent tells it. round: which, from 0; nanoseconds: spent on `amount` bytes, pages or events."""

    name: str
    round: int
    nanoseconds: int
    amount: int


def run(kernel: Kernel, names: Sequence[str], warmup: int, repeats: int, mib: int, progress: Callable[[Sample], None]) -> Report:
    """The figures of benchmarks: `warmup` rounds that do not count, then `repeats` that do. Raises LostBackend, RunFailed."""
    taken: dict[str, list[tuple[int, int]]] = defaultdict(list)
    skipped: dict[str, str] = {}
    machine = Machine("", "", 0, 0)
    request = {"names": list(names), "repeats": warmup + repeats, "mib": mib}
    for answer in kernel.converse({"bench": request}, SILENCE_SECONDS):
        if "sample" in answer:
            sample = msgspec.convert(answer["sample"], Sample)
            progress(sample)
            if sample.round >= warmup:
                taken[sample.name].append((sample.nanoseconds, sample.amount))
        elif "skip" in answer:
            skip = msgspec.convert(answer["skip"], dict[str, str])
            skipped[skip["name"]] = skip["why"]
        elif "machine" in answer:
            machine = msgspec.convert(answer["machine"], Machine)
    figures = tuple(figure(name, taken[name]) for name in names if taken[name] and name not in skipped)
    return Report(__version__, kernel.name, machine, mib, warmup, figures, skipped)
