"""A strict reader of KTAP version 1: what Documentation/dev-tools/ktap.rst says, and nothing more lenient."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

RESULT = re.compile(r"(?P<status>ok|not ok) (?P<number>[1-9]\d*)(?: (?:- )?(?P<name>[^#\n]*?))?(?: # (?P<directive>.*))?")


@dataclass
class Result:
    """A result line, and the results below it where it is of a subtest. directive: the whole text behind `#`."""

    name: str
    ok: bool
    directive: str = ""
    below: list["Result"] = field(default_factory=list)

    @property
    def skipped(self) -> bool:
        """Whether the directive says so."""
        return self.directive.split(" ")[0] == "SKIP"


def read(text: str) -> list[Result]:
    """The results of a whole output. Raises AssertionError where it breaks a rule."""
    lines = iter(text.removesuffix("\n").split("\n"))
    assert next(lines) == "KTAP version 1"
    return _block(lines, "", "")[0]


def _block(lines: Iterator[str], indent: str, name: str) -> tuple[list[Result], str]:
    """The results below a version line, up to the first line that is less indented, which comes back too."""
    plan, results, below = -1, list[Result](), list[Result]()
    line = next(lines, "")
    while line.startswith(indent) and line:
        said = line[len(indent) :]
        if said == "  KTAP version 1":
            header = next(lines)
            assert header.startswith(f"{indent}  # Subtest: "), header
            below, line = _block(lines, indent + "  ", header.partition(": ")[2])
            continue
        if match := re.fullmatch(r"1\.\.(\d+)", said):
            assert plan < 0, "two plans"
            plan = int(match[1])
        elif match := RESULT.fullmatch(said):
            assert int(match["number"]) == len(results) + 1, line
            results.append(Result(match["name"] or "", match["status"] == "ok", match["directive"] or "", below))
            below = []
        else:
            assert said.startswith("#"), line
        line = next(lines, "")
    assert len(results) == plan, f"{name}: {len(results)} results, planned {plan}"
    assert not below
    assert len({result.name for result in results}) == len(results), "two results of one name"
    return results, line
