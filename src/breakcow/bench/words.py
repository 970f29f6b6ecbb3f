"""Figures in lines for people: one kernel's, and two beside each other."""

from collections.abc import Iterator, Sequence

from breakcow.bench.figures import KINDS, Figure, Report
from breakcow.report.failure import Line

HEAD = f"  {'benchmark':14} {'median':>10}  {'unit':8}  {'quartiles':>21}  what"


def lines(report: Report) -> Iterator[Line]:
    """A kernel's figures."""
    machine = report.machine
    yield Line(f"{report.backend} ({machine.kernel}): {machine.processor}, {machine.cpus} CPUs, {machine.memory} MiB", "title")
    samples = max((len(figure.samples) for figure in report.figures), default=0)
    yield Line(f"  median of {samples} samples after {report.warmup} rounds to warm up, on {report.mib} MiB")
    yield Line(HEAD, "dim")
    for figure in report.figures:
        spread = f"{_number(figure.low)} to {_number(figure.high)}"
        yield Line(f"  {figure.name:14} {_number(figure.median):>10}  {figure.unit:8}  {spread:>21}  {KINDS[figure.name].what}")
    yield from (Line(f"  {name:14} no figure: {why}", "dim") for name, why in report.skipped.items())


def pairs(before: Sequence[Report], after: Sequence[Report]) -> list[tuple[Report, Report]]:
    """The reports to compare: those of the same backend, or the only ones."""
    if len(before) == len(after) == 1:
        return [(before[0], after[0])]
    return [(one, other) for one in before for other in after if one.backend == other.backend]


def compared(before: Report, after: Report) -> Iterator[Line]:
    """Two reports beside each other: the ratio of each pair of medians, and whether their quartiles overlap."""
    yield Line(f"A: {before.backend} ({before.machine.kernel})   B: {after.backend} ({after.machine.kernel})", "title")
    if (before.machine.processor, before.machine.cpus) != (after.machine.processor, after.machine.cpus):
        yield Line(f"  on other machines: {before.machine.processor} and {after.machine.processor}", "dim")
    yield Line(f"  {'benchmark':14} {'A':>10} {'B':>10}  {'unit':8}  {'B / A':>6}", "dim")
    found = {figure.name: figure for figure in after.figures}
    for one in before.figures:
        if one.name in found:
            yield Line(_compared(one, found[one.name]))


def ratio(one: Figure, other: Figure) -> float:
    """The second median as a multiple of the first."""
    return other.median / one.median


def overlap(one: Figure, other: Figure) -> bool:
    """The quartiles of the two overlap: the difference is no more than what each varies by."""
    return one.low <= other.high and other.low <= one.high


def _compared(one: Figure, other: Figure) -> str:
    """A row: which is faster is said only where the spread leaves no doubt."""
    factor = ratio(one, other)
    faster = (factor > 1) == (one.unit == "MiB/s")
    words = "within the spread" if overlap(one, other) else f"B is {'faster' if faster else 'slower'}"
    return f"  {one.name:14} {_number(one.median):>10} {_number(other.median):>10}  {one.unit:8}  {factor:6.2f}  {words}"


def _number(value: float) -> str:
    """Three or four digits that count."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
