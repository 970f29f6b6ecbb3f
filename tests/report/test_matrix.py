"""Kernels x tests as a table."""

import io

from rich.console import Console

from breakcow.report.matrix import Matrix
from report.samples import EACH, sample


def test_the_tables() -> None:
    out = io.StringIO()
    report = Matrix(Console(file=out, width=120), {"model:6.1": 3, "host": 3})
    for record in EACH:
        report.record(record)
    report.end(False)
    text = out.getvalue()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line.startswith("│")]
    assert ["cow", "1 ok", "1 differs"] in rows
    assert ["ksm", "1 known", "1 broken"] in rows
    assert ["ksm/unmerge", "known", "broken"] in rows
    assert ["cow/evil", "", "error"] in rows
    assert text.startswith("model:6.1: all 3 tests done\nhost: all 3 tests done\n")
    assert "  1 skipped on model:6.1: this kernel has no soft-dirty" in text


def test_no_name_is_cut_short_in_a_pipe() -> None:
    out = io.StringIO()
    report = Matrix(Console(file=out, width=40), {"model:6.1": 1, "host": 1})
    name = "subject/" + "long-" * 20
    report.record(sample("known", test=name))
    report.record(sample("ok", test=name, backend="host"))
    report.end(False)
    assert f"│ {name} │ known " in out.getvalue()
