"""What one run of conform does from beginning to end: a kernel is started, measured, given its programs, and its result put together."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from breakcow.backend.errors import RunFailed
from breakcow.backend.measure import Kernel, measure
from breakcow.backend.model import ModelBackend
from breakcow.conform.able import EVERY, possible
from breakcow.conform.random_programs import Finding, Tally, conform
from breakcow.conform.result import Result
from breakcow.conform.stretches import stretch
from breakcow.kernel import Profile
from breakcow.litmus import to_text

Start = Callable[[], AbstractContextManager[Kernel]]
Progress = Callable[[int], None]  # told after each program how many there are in all


@dataclass(frozen=True, slots=True)
class Work:
    """Programs for a kernel.

    on: its name. seeds: of random programs. Or tours: of how many pages and how deep, () for random programs; part: which of how many.
    huge: random programs have a huge page each.
    """

    on: str
    seeds: range
    tours: tuple[int, int] | tuple[()] = ()
    part: tuple[int, int] = (0, 1)
    huge: bool = False


def do(work: Work, start: Start, say: Callable[[str], None], progress: Progress) -> Result:
    """Run the programs and say what differs as it is found. start: the kernel. Raises LostBackend, and RunFailed for one that lacks what
    it takes."""
    with start() as kernel:
        if lack := kernel.probe().abilities["root"]:
            raise RunFailed(lack)
        profile = measure(kernel).profile
        return _tours(work, kernel, profile, say, progress) if work.tours else _random(work, kernel, profile, say, progress)


def _random(work: Work, kernel: Kernel, profile: Profile, say: Callable[[str], None], progress: Progress) -> Result:
    """Random programs."""
    tally, seeds = Tally(), work.seeds
    bound = f"random programs of 30 steps, 3 processes, 5 pages{', a huge page in each' if work.huge else ''}"
    found = []
    start = time.monotonic()
    for finding in conform(kernel, ModelBackend(profile), seeds, tally, lambda: progress(len(seeds)), work.huge):
        found.append(said(finding))
        say(found[-1])
    return Result(
        *("random", work.on, kernel.probe().release, profile.name, bound),
        seeds=stretch(seeds),
        programs=tally.programs,
        steps=tally.steps,
        skipped=tally.skipped,
        promises=dict(sorted(tally.promises.items())),
        disturbed=tally.disturbed,
        differences=tuple(found),
        seconds=round(time.monotonic() - start, 3),
    )


def _tours(work: Work, kernel: Kernel, profile: Profile, say: Callable[[str], None], progress: Progress) -> Result:
    """Tours of a bound."""
    from breakcow.conform.tours import Covered, plan, run  # what compiles rules takes its time to import
    from breakcow.explore.bound import Bound

    assert work.tours
    (pages, depth), part = work.tours, work.part
    verbs = possible(EVERY, kernel.probe().abilities)
    planned = list(plan(profile, Bound(2, pages, 1, 1, depth, verbs, scans=1)))
    number = len(range(part[0], len(planned), part[1]))
    covered = Covered()
    found = []
    start = time.monotonic()
    for finding in run(kernel, ModelBackend(profile), iter(planned), part, covered, lambda: progress(number)):
        found.append(said(finding))
        say(found[-1])
    left_out = ", ".join(sorted(set(EVERY) - set(verbs)))
    without = f", without {left_out}" if left_out else ""
    return Result(
        *(
            "tours",
            work.on,
            kernel.probe().release,
            profile.name,
            f"2 processes, {pages} pages, {depth} step{'s' if depth > 1 else ''} from each prologue{without}",
        ),
        shards=(f"{part[0] + 1}/{part[1]}",),
        transitions=covered.transitions,
        confirmed=covered.confirmed,
        programs=covered.programs,
        steps=covered.steps,
        disturbed=covered.disturbed,
        inferred=covered.inferred,
        writable=covered.writable,
        states=covered.states,
        told=covered.told,
        differences=tuple(found),
        seconds=round(time.monotonic() - start, 3),
    )


def said(finding: Finding) -> str:
    """A program that differs, and where."""
    d = finding.difference
    words = f"step {d.step}: the model allows {d.field} {d.expected}, observed {d.observed} {d.process} {d.page}".rstrip()
    return f"{to_text(finding.test)}\n{finding.origin}: {words}{'' if finding.again else ', once and not again'}"
