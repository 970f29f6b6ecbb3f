"""`breakcow bench`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

LEAST_MEMORY = 768  # MiB of a VM: a kernel with less than 512 turns huge pages off (mm/huge_memory.c: hugepage_init)

if TYPE_CHECKING:
    from breakcow.bench.figures import Report
    from breakcow.bench.run import Sample


def bench(
    *names: str,
    on: tuple[str, ...] = ("host",),
    repeats: int = 9,
    warmup: int = 2,
    mib: int = 64,
    json: Path | None = None,
    html: Path | None = None,
    compare: tuple[Path, Path] | None = None,
) -> int:
    """Measure how long a kernel takes to share, unshare, protect and tell. There is no verdict.

    Samples are taken in rounds, one of each benchmark, on one CPU, at the highest priority. Exit status 3 if a kernel cannot be measured.

    Parameters
    ----------
    names
        Benchmarks; all without.
    on
        The kernels: host, vm:6.1, vm:PATH of a bzImage. May be repeated.
    repeats
        How many samples of each.
    warmup
        How many rounds before them do not count.
    mib
        How much memory each works on, in MiB.
    json
        Write the figures to this file.
    html
        Write a page with a chart to this file.
    compare
        Measure nothing: show the figures of two such files beside each other.
    """
    from breakcow.bench import figures, page
    from breakcow.bench.words import compared, lines, pairs
    from breakcow.cli.say import OK, WrongUseError
    from breakcow.report.terminal import Screen, write
    from breakcow.suite import backends

    chosen = _chosen(names)
    if compare:
        try:
            before, after = (figures.read(path) for path in compare)
        except figures.BadReportError as error:
            raise WrongUseError(str(error)) from None
        for pair in pairs(before, after):
            write(Screen(), compared(*pair))
        reports = [*before, *after]
    else:
        if not (1 <= repeats <= 500 and 0 <= warmup <= 100 and 2 <= mib <= 1 << 16 and mib % 2 == 0):
            raise WrongUseError("--repeats wants a number from 1 to 500, --warmup one from 0 to 100, --mib an even one from 2")
        wanted = backends.names(on)
        if any(backends.is_model(name) for name in wanted):
            raise WrongUseError(f"--on {' '.join(on)}: a model takes no time that means anything: name a kernel, as host or vm:6.1")
        reports = []
        for name in wanted:
            reports.append(_one(name, chosen, warmup, repeats, mib))
            write(Screen(), lines(reports[-1]))
    if json and not compare:
        figures.write(json, reports)
    if html:
        html.write_text(page.page(reports), encoding="utf-8")
    return OK


def _chosen(names: Sequence[str]) -> list[str]:
    """The benchmarks of these names, in the order of the table. Raises WrongUseError."""
    from breakcow.bench.figures import KINDS
    from breakcow.cli.say import WrongUseError

    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise WrongUseError(f"there is no benchmark {unknown[0]}: there are {', '.join(KINDS)}")
    return [name for name in KINDS if name in names or not names]


def _one(name: str, names: Sequence[str], warmup: int, repeats: int, mib: int) -> "Report":
    """The figures of one kernel."""
    from breakcow.bench.run import run
    from breakcow.cli.say import mention
    from breakcow.suite import backends

    def show(sample: "Sample") -> None:
        if sys.stderr.isatty():
            print(f"\r{name}: round {sample.round + 1} of {warmup + repeats}, {sample.name:20}", end="", file=sys.stderr, flush=True)

    try:
        with backends.kernel(name, mention, memory=LEAST_MEMORY + 4 * mib) as kernel:
            return run(kernel, names, warmup, repeats, mib, show)
    finally:
        if sys.stderr.isatty():
            print(file=sys.stderr)
