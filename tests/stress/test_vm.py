"""Stress on kernels in a virtual machine; skipped where none is cached."""

import json
import subprocess
import sys
from typing import Any

import pytest

from breakcow.backend.vm.kernels import cached

SERIES = {kernel.series for kernel in cached()}
pytestmark = [pytest.mark.vm, pytest.mark.skipif("6.1" not in SERIES, reason="needs breakcow kernels fetch 6.1")]


def stress(*words: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([sys.executable, "-m", "breakcow", "stress", "--json", *words], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.long
def test_6_1_leaves_protected_pages_merged_and_that_is_known() -> None:
    code, run = stress("--on", "vm:6.1", "--operations", "6000", "--seed", "3")
    assert (code, run["verdict"], run["console"]) == (0, "known", "")
    assert run["summary"]["known"]["unmerge-uffd-wp"] > 0
    assert run["summary"]["known"]["merge-drops-soft-dirty"] > 0
    assert {found["excuse"] for found in run["findings"] if found["cause"] == "unmerge-uffd-wp"} == {"fixed in 6.2 (6cce3314b928)"}
