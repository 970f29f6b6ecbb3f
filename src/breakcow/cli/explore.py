"""`breakcow explore`."""

import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from breakcow.explore.bound import Bound
    from breakcow.explore.survey import Survey
    from breakcow.kernel import Profile

TOGETHER = "all"


def explore(
    *,
    kernel: str = "7.3",
    promise: tuple[str, ...] = (),
    behaviour: tuple[str, ...] = (),
    processes: int = 2,
    pages: int = 2,
    mappings: int = 1,
    contents: int = 2,
    depth: int = 8,
    operations: tuple[str, ...] = (),
    kinds: str = "2",
    states: int = 2_000_000,
    seconds: float = 600,
    memory: int = 8,
    no_symmetry: bool = False,
    jobs: Annotated[int, Parameter(name=["--jobs", "-j"])] = 1,
    engine: Literal["threads", "ray"] = "threads",
    confirm: str = "",
    out: Path | None = None,
    json: Path | None = None,
    graph: Path | None = None,
) -> int:
    """Explore every program up to a bound on the specification, and print the shortest that breaks each promise.

    Nobody tells it where to look: operations are mixed by kinds (KSM, userfaultfd, mappings, fork, pins, pipes, and so on), and every
    program of each mixture is explored, breadth-first. Exit status 1 if a promise is broken.

    Parameters
    ----------
    kernel
        Whose behaviours: a profile, as 6.1 or 7.2.
    promise
        Which promises, by name; all of them if none is named. May be repeated.
    behaviour
        A behaviour to change, as break_ksm=fake-write or break_ksm=0. May be repeated.
    processes
        At most this many processes: 1 to 3.
    pages
        This many pages: 1 to 4.
    mappings
        In this many mappings.
    contents
        Contents that a page can have, besides zeros.
    depth
        Steps of a program, at most. `ksm scan 2` is one.
    operations
        Only these, by name as in `breakcow show`: write, read, mergeable, uffd_protect. May be repeated; one search.
    kinds
        How many kinds of operations a program may mix; all for one search of everything.
    states
        A search goes no deeper once it has seen this many.
    seconds
        Stop after this time.
    memory
        GiB that a search may take.
    no_symmetry
        Take contents for what they are, not for interchangeable.
    jobs
        Processors to use.
    engine
        threads of this process, or workers of a Ray cluster: the one of RAY_ADDRESS, or one that is started on this machine.
    confirm
        Run what is found on this kernel at once: host, vm:6.1, vm:PATH.
    out
        Write each program as a litmus test to this folder.
    json
        Write what was searched and found to this file.
    graph
        Draw the states and the steps between them to this file, as a page to walk through. For one search of some hundred states.
    """
    from breakcow.cli.say import BROKEN, OK, WrongUseError, complain
    from breakcow.explore.bound import MOST_CONTENTS, MOST_PAGES, MOST_PROCESSES, Bound
    from breakcow.explore.search import NoClusterError
    from breakcow.explore.survey import Limits, Survey
    from breakcow.report.exploration import write_json, write_tests

    _within("--processes", processes, MOST_PROCESSES)
    _within("--pages", pages, MOST_PAGES)
    _within("--mappings", mappings, pages)
    _within("--contents", contents, MOST_CONTENTS)
    _within("--depth", depth, 200)
    if jobs < 1 or memory < 1 or states < 1:
        raise WrongUseError("--jobs, --memory and --states want a number from 1")
    profile = _profile(kernel, behaviour)
    bound = Bound(processes, pages, mappings, contents, depth)
    survey = Survey(profile, _bounds(bound, operations, kinds))
    if graph:
        _draw(graph, survey, _picked(promise), not no_symmetry)
    limits = Limits(_picked(promise), not no_symmetry, jobs, memory << 30, states, time.monotonic() + seconds, engine == "ray")
    if limits.cluster:
        _need_ray()
    progress = _Progress()
    interrupted = False
    try:
        progress.compile(survey)
        survey.run(limits, progress)
    except KeyboardInterrupt:
        interrupted = True
        complain("interrupted: this is what is known so far")
    except NoClusterError as error:
        raise WrongUseError(str(error)) from None
    finally:
        progress.end()
    confirmed = _print(survey, confirm)
    if out:
        write_tests(out, survey)
    if json:
        write_json(json, survey, confirmed)
    if interrupted:
        raise KeyboardInterrupt
    return BROKEN if survey.found else OK


def _need_ray() -> None:
    from breakcow.cli.say import WrongUseError

    if not find_spec("ray"):
        raise WrongUseError("--engine ray needs Ray, which is not installed: pip install 'breakcow[ray]'")


def _within(name: str, value: int, most: int) -> None:
    from breakcow.cli.say import WrongUseError

    if not 1 <= value <= most:
        raise WrongUseError(f"{name} {value}: a number from 1 to {most} is wanted")


def _profile(kernel: str, changes: tuple[str, ...]) -> "Profile":
    """The kernel to explore. Raises WrongUseError."""
    from breakcow.cli.say import WrongUseError
    from breakcow.kernel import PROFILES
    from breakcow.kernel.behaviours import BEHAVIOURS

    if kernel not in PROFILES:
        raise WrongUseError(f"--kernel {kernel}: there are models of {', '.join(PROFILES)}")
    values = {}
    known = {one.name: one.values for one in BEHAVIOURS}
    for change in changes:
        name, _, value = change.partition("=")
        if name not in known:
            raise WrongUseError(f"--behaviour {change}: there is no behaviour {name!r}; there are {', '.join(known)}")
        words = known[name]
        if value not in words and value not in map(str, range(len(words))):
            raise WrongUseError(f"--behaviour {change}: {name} is one of {', '.join(words)}, or 0 to {len(words) - 1}")
        values[name] = words.index(value) if value in words else int(value)
    return replace(PROFILES[kernel].but(**values), name=", ".join([kernel, *changes]))


def _picked(promises: tuple[str, ...]) -> int:
    """The promises to check, a bit each. Raises WrongUseError."""
    from breakcow.cli.say import WrongUseError
    from breakcow.mm.promises import PROMISES

    names = [name for name, _ in PROMISES]
    for promise in promises:
        if promise not in names:
            raise WrongUseError(f"--promise {promise}: the promises are {', '.join(names)}")
    return sum(1 << bit for bit, name in enumerate(names) if name in promises or not promises)


def _bounds(bound: "Bound", operations: tuple[str, ...], number: str) -> "list[Bound]":
    """One bound for each search. Raises WrongUseError."""
    from breakcow.cli.say import WrongUseError
    from breakcow.explore.bound import kinds, mixtures
    from breakcow.mm.actions import VERB

    words = [word for group in operations for word in group.split(",")]
    for word in words:
        if word not in VERB:
            raise WrongUseError(f"--operations {word}: the operations are {', '.join(VERB)}")
    if words:
        return [replace(bound, operations=tuple(verb for verb in VERB if verb in words))]
    if number == TOGETHER:
        return [bound]
    if not number.isdigit() or not 1 <= int(number) <= len(kinds()):
        raise WrongUseError(f"--kinds {number}: a number from 1 to {len(kinds())}, or all")
    return [replace(bound, operations=mixture) for mixture in mixtures(int(number))]


def _draw(file: Path, survey: "Survey", picked: int, symmetric: bool) -> None:
    """Write the picture. Raises WrongUseError."""
    from breakcow.cli.say import WrongUseError
    from breakcow.explore.graph import TooManyStatesError, graph
    from breakcow.explore.survey import alone
    from breakcow.report.graph import page

    if len(survey.planned) > 1:
        raise WrongUseError("--graph draws one search: give --operations, or --kinds all")
    try:
        drawn = graph(survey.profile, alone(survey.planned[0]), picked, symmetric)
    except TooManyStatesError as error:
        raise WrongUseError(f"--graph: {error}") from None
    file.write_text(page(drawn), encoding="utf-8")


def _print(survey: "Survey", on: str) -> dict[str, str]:
    """Everything that was found, confirmed on a kernel if that is wanted: name of the program -> verdict."""
    from breakcow.cli.say import mention
    from breakcow.report.exploration import found, summary
    from breakcow.suite.confirm import confirm

    said = {}
    if on and survey.found:
        for verdict in confirm(survey.found, survey.profile, on, mention):
            said[verdict.record.test] = f"{on} ({verdict.record.kernel}): {verdict.words}"
            print(found(verdict.found, said[verdict.record.test]))
    for one in survey.found:
        if one.test.name not in said:
            print(found(one, ""))
    print(summary(survey))
    return said


class _Progress:
    """One line on a terminal that says how far the search is."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.last = 0.0

    def compile(self, survey: "Survey") -> None:
        """Compile the rules, and say so where that takes long."""
        from breakcow.cli.say import complain
        from breakcow.explore.survey import prepare

        for words in prepare(survey):
            complain(words)

    def __call__(self, survey: "Survey") -> None:
        from breakcow.report.exploration import progress

        now = time.monotonic()
        if self.terminal and now - self.last > 0.2:
            self.last = now
            print(f"\r\x1b[K{progress(survey)}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the line away."""
        if self.terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
