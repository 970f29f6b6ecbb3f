"""A stress run in lines for people."""

from collections.abc import Iterator

from breakcow.report.failure import Line
from breakcow.stress.known import KNOWN
from breakcow.stress.run import Finding, Stressed, Summary

STYLE = {"ok": "good", "known": "title", "skip": "dim"}


def lines(run: Stressed) -> Iterator[Line]:
    """Verdict, what was done, what is known, what is broken, and how to run it again."""
    why = f": {run.why}" if run.why else ""
    yield Line(f"{run.verdict:7} {run.backend} ({run.kernel or 'unknown kernel'}){why}", STYLE.get(run.verdict, "bad"))
    yield from (Line(f"  {sentence}") for sentence in _done(run.summary) if run.summary.operations)
    for cause, number in run.summary.known.items():
        example = next(found for found in run.findings if found.cause == cause)
        yield Line(f"  {number} times: {KNOWN[cause].what}", "" if example.excuse else "bad")
        yield Line(f"    {example.excuse or 'this kernel should have the fix'}; for example {_place(example)}", "dim")
    for found in run.findings:
        if found.cause not in run.summary.known:
            yield from _finding(found)
    yield from (Line(f"  console: {line}", "dim") for line in run.console.splitlines())
    yield Line(f"  repeat: {command(run)}", "dim")


def command(run: Stressed) -> str:
    """The command line that makes the same choices again; what comes of them depends on timing as well."""
    options = run.options
    limits = [f"--{name} {value}" for name, value in (("seconds", options.seconds), ("operations", options.operations)) if value]
    return f"breakcow stress --on {run.backend} {' '.join(limits)} --seed {options.seed} --processes {options.processes}"


def progress(summary: Summary) -> str:
    """One line while it runs."""
    known = sum(summary.known.values())
    return f"{summary.seconds:.0f} s: {summary.operations} operations, {summary.events} events, {summary.merges_seen} merges, {known} known"


def _done(summary: Summary) -> Iterator[str]:
    """What was done, and how much of it a second."""
    seconds = max(summary.seconds, 0.001)

    def rate(number: int) -> str:
        return f"{number} ({number / seconds:.0f} a second)"

    yield f"{rate(summary.operations)} operations in {summary.seconds:.1f} s, by {summary.born + summary.forks} processes"
    yield f"{rate(summary.stores)} stores, {rate(summary.events)} events, {rate(summary.merges_seen)} merges seen"
    breaks = f"{rate(summary.breaks_seen)} by stores" if summary.cow_ksm is None else rate(summary.cow_ksm)
    yield f"{breaks} KSM pages broken, {rate(summary.scans)} full scans of ksmd"
    others = ("protections", "unmerges", "forks", "moves", "checks", "audits")
    yield ", ".join(f"{getattr(summary, name)} {name}" for name in others)
    if summary.neighbours:
        yield f"KSM's counters were not compared: memory of others is mergeable ({', '.join(summary.neighbours)})"


def _finding(found: Finding) -> Iterator[Line]:
    """One broken promise at length."""
    yield Line(f"  {found.promise} is broken: {_place(found)}", "dim" if found.excuse else "bad")
    yield Line(f"    expected  {found.expected}")
    yield Line(f"    found     {found.found}")
    if found.excuse:
        yield Line(f"    {found.excuse}", "dim")
    if found.known:
        yield Line(f"    the process knew of the page: {found.known}", "dim")


def _place(found: Finding) -> str:
    """Which process, doing what, with which page."""
    if not found.process:
        return found.operation
    return f"process {found.process} (pid {found.pid}), {found.operation}, page {found.page} at {found.address:#x}"
