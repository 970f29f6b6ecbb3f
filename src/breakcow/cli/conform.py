"""`breakcow conform`."""

import os
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from breakcow.conform.result import Result
    from breakcow.conform.work import Start, Work


def conform(
    *,
    on: str = "host",
    tours: bool = False,
    pages: int = 2,
    depth: int = 2,
    programs: int = 1000,
    seed: int = 0,
    huge: bool = False,
    shard: str = "1/1",
    jobs: Annotated[int | None, Parameter(name=["--jobs", "-j"])] = None,
    engine: Literal["one", "ray"] = "one",
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
        Take every transition from every state within --depth steps of where each prologue ends (written, merged, protected, forked, ...),
        and end a program in every state, to find out by stores and read pins which of its pages are writable, and which exclusive.
    pages
        Of the tours: 1 or 2, of up to two processes.
    depth
        Of the tours.
    programs
        How many random programs, of consecutive seeds.
    seed
        Of the first.
    huge
        Random programs with a transparent huge page each.
    shard
        Run only part K of N, as 2/4: the parts of several machines are merged by `breakcow merge`.
    jobs
        How many guests of a VM run programs side by side, as many as there are processors if nothing is said; with --engine ray how many
        workers. The host is one kernel: 1.
    engine
        one kernel, started by this process, or workers of a Ray cluster: the one of RAY_ADDRESS, or one that is started on this machine.
    json
        Write the result to this file.
    """
    from breakcow.cli.say import BROKEN, OK, WrongUseError, mention
    from breakcow.conform.guests import Guests
    from breakcow.conform.result import write
    from breakcow.conform.work import Work, do
    from breakcow.report.conformance import words
    from breakcow.suite import backends

    (name, *others) = backends.names((on,))
    if others or backends.is_model(name):
        raise WrongUseError(f"--on {on}: programs run on a real kernel: name one, as host or vm:6.1")
    if programs < 1 or seed < 0:
        raise WrongUseError("--programs wants a number from 1, --seed one from 0")
    if huge and tours:
        raise WrongUseError("--huge is for random programs: tours have no huge pages")
    if pages not in (1, 2) or depth not in (1, 2, 3):
        raise WrongUseError("--pages wants 1 or 2, --depth 1, 2 or 3")
    jobs = kernels(jobs, engine, name)
    part = _shard(shard)
    if tours:
        mention(f"{name}: finding the programs that take every transition; compiling the rules of its profile first takes about 20 s, once")
    work = Work(name, range(seed + part[0], seed + programs, part[1]), (pages, depth) if tours else (), part, huge)
    start = partial(backends.kernel, name, mention)
    result = _spread(work, jobs, start) if engine == "ray" else do(work, partial(Guests, start, jobs), print, _Progress())
    print(words(result))
    if json:
        write(json, [result])
    return BROKEN if result.differences else OK


def kernels(jobs: int | None, engine: str, name: str) -> int:
    """How many kernels run the programs: what was asked for, or one for each processor. Raises WrongUseError."""
    from breakcow.cli.say import WrongUseError
    from breakcow.conform.guests import MOST

    if jobs is None:
        return 1 if name == "host" else min(len(os.sched_getaffinity(0)), MOST)
    if jobs < 1 or (engine == "one" and jobs > 1 and name == "host"):
        raise WrongUseError("--jobs wants a number from 1, and for the host, which is one kernel, 1")
    if engine == "one" and jobs > MOST:
        raise WrongUseError(f"--jobs wants a number from 1 to {MOST}; more with --engine ray")
    return jobs


def _spread(work: "Work", jobs: int, start: "Start") -> "Result":
    """By the workers of a cluster: one result, as of one process."""
    from breakcow.cli.say import WrongUseError, mention

    if not find_spec("ray"):
        raise WrongUseError("--engine ray needs Ray, which is not installed: pip install 'breakcow[ray]'")
    from breakcow.conform.cluster import as_one, parts, spread

    results: list[Result] = []
    works = parts(work, jobs)
    for result in spread(works, start):
        results.append(result)
        mention(f"{work.on}: {len(results)} of {len(works)} parts are done")
        print(*result.differences, sep="\n", end="\n" if result.differences else "")
    return as_one(work, results)


def _shard(text: str) -> tuple[int, int]:
    """K/N as (K - 1, N). Raises WrongUseError."""
    from breakcow.cli.say import WrongUseError

    part, _, whole = text.partition("/")
    if not (part.isdigit() and whole.isdigit() and 1 <= int(part) <= int(whole)):
        raise WrongUseError(f"--shard {text}: K/N is wanted, as 2/4")
    return int(part) - 1, int(whole)


class _Progress:
    """A line on standard error that counts, on a terminal."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self, programs: int) -> None:
        self.done += 1
        if sys.stderr.isatty() and (self.done % 20 == 0 or self.done == programs):
            end = "\n" if self.done == programs else ""
            print(f"\r{self.done} of {programs} programs", end=end, file=sys.stderr, flush=True)
