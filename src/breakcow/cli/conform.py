"""`breakcow conform`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from breakcow.backend.measure import Kernel
    from breakcow.conform.random_programs import Finding
    from breakcow.conform.result import Result
    from breakcow.conform.tours import Tour
    from breakcow.kernel import Profile


def conform(
    *,
    on: str = "host",
    tours: bool = False,
    pages: int = 2,
    depth: int = 2,
    programs: int = 1000,
    seed: int = 0,
    shard: str = "1/1",
    json: Path | None = None,
) -> int:
    """Run programs on a kernel and hold every observation after every step against its model.

    Random programs of about 30 steps, or with --tours every transition of the specification within a bound. A program that differs is
    shrunk and printed as a litmus test. Exit status 1 if one differs.

    Parameters
    ----------
    on
        The kernel: host, vm:6.1, vm:PATH of a bzImage.
    tours
        Take every transition from every state within --depth steps of where each prologue ends (written, merged, protected, forked, ...).
    pages
        Of the tours: 1 or 2, of up to two processes.
    depth
        Of the tours.
    programs
        How many random programs, of consecutive seeds.
    seed
        Of the first.
    shard
        Run only part K of N, as 2/4: the parts of several machines are merged by `breakcow merge`.
    json
        Write the result to this file.
    """
    from breakcow.backend.measure import measure
    from breakcow.cli.say import BROKEN, OK, RUN_FAILED, WrongUseError, complain, mention
    from breakcow.conform.result import write
    from breakcow.report.conformance import words
    from breakcow.suite import backends

    (name, *others) = backends.names((on,))
    if others or backends.is_model(name):
        raise WrongUseError(f"--on {on}: programs run on a real kernel: name one, as host or vm:6.1")
    if programs < 1 or seed < 0:
        raise WrongUseError("--programs wants a number from 1, --seed one from 0")
    if pages not in (1, 2) or depth not in (1, 2, 3):
        raise WrongUseError("--pages wants 1 or 2, --depth 1, 2 or 3")
    part = _shard(shard)
    with backends.kernel(name, mention) as kernel:
        abilities = kernel.probe()
        if abilities.abilities["root"]:
            complain(abilities.abilities["root"])
            return RUN_FAILED
        profile = measure(kernel).profile
        if tours:
            result = _tours(kernel, name, profile, pages, depth, part)
        else:
            result = _random(kernel, name, profile, range(seed + part[0], seed + programs, part[1]))
    print(words(result))
    if json:
        write(json, [result])
    return BROKEN if result.differences else OK


def _shard(text: str) -> tuple[int, int]:
    """K/N as (K - 1, N). Raises WrongUseError."""
    from breakcow.cli.say import WrongUseError

    part, _, whole = text.partition("/")
    if not (part.isdigit() and whole.isdigit() and 1 <= int(part) <= int(whole)):
        raise WrongUseError(f"--shard {text}: K/N is wanted, as 2/4")
    return int(part) - 1, int(whole)


def _random(kernel: "Kernel", name: str, profile: "Profile", seeds: range) -> "Result":
    """Random programs."""
    from breakcow.backend.model import ModelBackend
    from breakcow.conform.random_programs import Tally
    from breakcow.conform.random_programs import conform as run
    from breakcow.conform.result import Result

    tally = Tally()
    found = []
    start = time.monotonic()
    for finding in run(kernel, ModelBackend(profile), seeds, tally, _Progress(len(seeds))):
        found.append(_said(finding))
        print(found[-1])
    return Result(
        *("random", name, kernel.probe().release, profile.name, "random programs of 30 steps, 3 processes, 5 pages"),
        seeds=((seeds[0], seeds[-1]),) if seeds else (),
        programs=tally.programs,
        steps=tally.steps,
        skipped=tally.skipped,
        promises=dict(tally.promises),
        disturbed=tally.disturbed,
        differences=tuple(found),
        seconds=round(time.monotonic() - start, 3),
    )


def _tours(kernel: "Kernel", name: str, profile: "Profile", pages: int, depth: int, part: tuple[int, int]) -> "Result":
    """Tours of a bound."""
    from breakcow.backend.model import ModelBackend
    from breakcow.cli.say import mention
    from breakcow.conform.able import EVERY, possible
    from breakcow.conform.result import Result
    from breakcow.conform.tours import Covered, plan, run
    from breakcow.explore.bound import Bound

    verbs = possible(EVERY, kernel.probe().abilities)
    bound = Bound(2, pages, 1, 1, depth, verbs, scans=1)
    mention(f"{name}: finding the programs that take every transition; compiling the rules of {profile.name} first takes about 20 s, once")
    planned: list[Tour] = list(plan(profile, bound))
    covered = Covered()
    found = []
    start = time.monotonic()
    progress = _Progress(len(range(part[0], len(planned), part[1])))
    for finding in run(kernel, ModelBackend(profile), iter(planned), part, covered, progress):
        found.append(_said(finding))
        print(found[-1])
    left_out = ", ".join(sorted(set(EVERY) - set(verbs)))
    without = f", without {left_out}" if left_out else ""
    return Result(
        *("tours", name, kernel.probe().release, profile.name, f"2 processes, {pages} pages, {depth} steps from each prologue{without}"),
        shards=(f"{part[0] + 1}/{part[1]}",),
        transitions=covered.transitions,
        confirmed=covered.confirmed,
        programs=covered.programs,
        steps=covered.steps,
        disturbed=covered.disturbed,
        inferred=covered.inferred,
        differences=tuple(found),
        seconds=round(time.monotonic() - start, 3),
    )


def _said(finding: "Finding") -> str:
    """A program that differs, and where."""
    from breakcow.litmus import to_text

    d = finding.difference
    said = f"step {d.step}: the model allows {d.field} {d.expected}, observed {d.observed} {d.process} {d.page}".rstrip()
    return f"{to_text(finding.test)}\n{finding.origin}: {said}{'' if finding.again else ', once and not again'}"


class _Progress:
    """A line on standard error that counts, on a terminal."""

    def __init__(self, programs: int) -> None:
        self.programs = programs
        self.done = 0

    def __call__(self) -> None:
        self.done += 1
        if sys.stderr.isatty() and (self.done % 20 == 0 or self.done == self.programs):
            end = "\n" if self.done == self.programs else ""
            print(f"\r{self.done} of {self.programs} programs", end=end, file=sys.stderr, flush=True)
