"""docs/covers.md: the cases of the kernel's own programs, each with the tests that cover it, or with the reason why none does."""

from collections.abc import Iterable, Iterator

from breakcow.litmus.syntax import Test
from breakcow.suite.covers import Case, cases, covering

HEAD = """# What of the kernel's own tests is covered

Linux has programs that test this area, in `tools/testing/selftests/mm`. These are their cases, by the names that they print (Linux 7.2),
and the litmus tests that promise the same. What is covered is stated by the tests themselves, in lines `covers PROGRAM/CASE`, and this
page is written from them: `breakcow covers > docs/covers.md`.

A litmus test promises what the case checks, and more: it is observed after each step, compared with the specification, and held to the
[promises](promises.md). Where a case has no test, the reason stands below its table, with what it would take.
"""


def lines(tests: Iterable[Test]) -> Iterator[str]:
    """The lines of the page."""
    found = covering(tests)
    yield from HEAD.splitlines()
    yield from _summary(found)
    for program in _programs():
        yield from _program(program, [case for case in cases() if case.program == program], found)


def _programs() -> list[str]:
    """The programs, in the order of the data."""
    return list(dict.fromkeys(case.program for case in cases()))


def _summary(found: dict[str, list[str]]) -> Iterator[str]:
    """How many of each program."""
    yield from ("", "| program | cases | covered | not covered, with reason |", "| --- | --- | --- | --- |")
    for program in _programs():
        part = [case for case in cases() if case.program == program]
        covered = sum(bool(found[case.line]) for case in part)
        yield f"| [{program}](#{program}) | {len(part)} | {covered} | {len(part) - covered} |"


def _program(program: str, part: list[Case], found: dict[str, list[str]]) -> Iterator[str]:
    """The section of one program."""
    yield from ("", f"## {program}")
    covered = [case for case in part if found[case.line]]
    if covered:
        yield from ("", "| case | covered by |", "| --- | --- |")
        yield from (f"| {_cell(case.name)} | {_tests(found[case.line])} |" for case in covered)
    out: dict[tuple[str, str], list[str]] = {}
    for case in part:
        if not found[case.line]:
            out.setdefault((case.why, case.takes), []).append(case.name)
    if out:
        yield from ("", "Not covered:")
    for (why, takes), names in out.items():
        yield from ("", f"- {why} It would take {takes}", *(f"  - {_cell(name)}" for name in names))


def _tests(names: list[str]) -> str:
    """The files that hold the tests, each once, as links."""
    stems = dict.fromkeys(name.partition("[")[0] for name in names)
    return ", ".join(f"[{stem}](../litmus/{stem}.litmus)" for stem in stems)


def _cell(text: str) -> str:
    """A name in Markdown, where a bar ends a cell."""
    return text.strip().replace("|", "\\|")
