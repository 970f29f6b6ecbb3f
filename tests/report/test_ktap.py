"""KTAP as a parser of it reads it: plans, nesting, directives, diagnostics, and nothing that a test's text could forge."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from breakcow.backend.vm.cache import folder
from breakcow.report.ktap import Ktap
from breakcow.suite.corpus import corpus
from breakcow.suite.record import Record
from report import ktap_reader
from report.samples import EACH, EVIL, sample

RESULT = re.compile(r"^(?P<indent> *)(?P<status>ok|not ok) (?P<number>\d+) (?P<name>[^#]*?)(?: # (?P<directive>.*))?$")

RUN = [sys.executable, "-m", "breakcow", "run", "--ktap", "--on", "model:6.1", "--on", "model:7.2"]
KERNEL_SOURCES = sorted(folder("sources").glob("*/source.tar.xz"))


def written(records: tuple[Record, ...], plan: dict[str, int], interrupted: bool = False) -> list[str]:
    out = io.StringIO()
    report = Ktap(out, plan, lambda record: [f"why {record.why}", ""])
    for record in records:
        report.record(record)
    report.end(interrupted)
    return out.getvalue().splitlines()


def results(lines: list[str]) -> list[tuple[int, str, int, str, str]]:
    """(indent, status, number, name, directive) of every result line."""
    matches = [match for line in lines if (match := RESULT.match(line))]
    return [(len(m["indent"]), m["status"], int(m["number"]), m["name"], m["directive"] or "") for m in matches]


def test_every_verdict_has_its_line() -> None:
    lines = written(EACH, {"model:6.1": 3, "host": 3})
    assert lines[:5] == ["KTAP version 1", "1..2", "  KTAP version 1", "  # Subtest: model:6.1", "  1..3"]
    assert results(lines) == [
        (2, "ok", 1, "cow/fork", ""),
        (2, "not ok", 2, "ksm/unmerge", "XFAIL known, fixed in 6.2 (6cce3314b928)"),
        (2, "ok", 3, "sd/write", "SKIP this kernel has no soft-dirty"),
        (0, "ok", 1, "model:6.1", ""),
        (2, "not ok", 1, "ksm/unmerge", ""),
        (2, "not ok", 2, "cow/fork", "differs from model, line 6"),
        (2, "not ok", 3, "cow/evil", "ERROR host was lost: it died"),
        (0, "not ok", 2, "host", ""),
    ]


def test_a_bad_record_is_explained_before_its_line_and_a_good_one_is_not() -> None:
    lines = written(EACH, {"model:6.1": 3, "host": 3})
    at = lines.index("  not ok 1 ksm/unmerge")
    assert lines[at - 2 : at] == ["  # why line 7, A x: expected not ksm, observed frame 0, = 7, ksm", "  #"]
    assert not any("why known" in line for line in lines)


def test_a_run_cut_short_is_not_ok() -> None:
    lines = written(EACH[:2], {"model:6.1": 3, "host": 3}, interrupted=True)
    assert lines[-2:] == ["not ok 1 model:6.1", "# interrupted: not all tests of the plan were run"]


def test_text_cannot_forge_a_directive_or_a_line() -> None:
    lines = written((sample("error", EVIL, test="x # SKIP all\nok 2 y"),), {"model:6.1": 1})
    assert [line for line in lines if "\x1b" in line] == []
    assert len(results(lines)) == 2
    assert not [line for line in lines if "# SKIP" in line and not line.startswith("  # ")]


def test_a_strict_reader_reads_it() -> None:
    models, host = ktap_reader.read("\n".join(written(EACH, {"model:6.1": 3, "host": 3})) + "\n")
    assert [(one.name, one.ok, one.skipped) for one in models.below] == [
        ("cow/fork", True, False),
        ("ksm/unmerge", False, False),
        ("sd/write", True, True),
    ]
    assert (models.name, models.ok, host.name, host.ok) == ("model:6.1", True, "host", False)
    assert {one.directive.split(" ")[0] for one in [*models.below, *host.below] if one.directive} == {"XFAIL", "SKIP", "ERROR", "differs"}


@pytest.fixture(scope="module")
def whole() -> str:
    """The whole corpus on two models."""
    return subprocess.run(RUN, capture_output=True, text=True, check=True).stdout


def test_a_strict_reader_reads_the_whole_corpus(whole: str) -> None:
    tests = [chosen.test.name for chosen in corpus()]
    assert [[one.name for one in backend.below] for backend in ktap_reader.read(whole)] == [tests, tests]


@pytest.mark.skipif(not KERNEL_SOURCES, reason="no kernel source is cached: `breakcow kernels build` fetches one")
def test_the_parser_of_the_kernel_reads_the_whole_corpus(tmp_path: Path, whole: str) -> None:
    unpack = ["tar", "-xJf", str(KERNEL_SOURCES[0]), "-C", str(tmp_path), "--wildcards", "*/tools/testing/kunit/*"]
    subprocess.run(unpack, check=True)
    parse = [sys.executable, str(next(tmp_path.rglob("kunit.py"))), "parse", f"--json={tmp_path / 'parsed.json'}"]
    parsed = subprocess.run(parse, input=whole, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "ERROR" not in parsed.stdout + parsed.stderr
    own = ktap_reader.read(whole)
    groups = json.loads((tmp_path / "parsed.json").read_text())["sub_groups"]
    status = {True: "PASS", False: "FAIL"}
    assert [[(case["name"], case["status"]) for case in group["test_cases"]] for group in groups] == [
        [(one.name, "SKIP" if one.skipped else status[one.ok]) for one in backend.below] for backend in own
    ]
