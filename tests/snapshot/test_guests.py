"""Live snapshots on other kernels: exact, or refused with a sentence (tools/snapshots.py)."""

import subprocess
import sys
from pathlib import Path

import pytest

from breakcow.backend.vm import kernels

TOOL = Path(__file__).parents[2] / "tools" / "snapshots.py"


@pytest.mark.vm
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("series", "exact"), [("6.1", False), pytest.param("6.12", True, marks=pytest.mark.long)])
def test_a_guest_is_exact_or_refused(series: str, exact: bool) -> None:
    if series not in {kernel.series for kernel in kernels.cached()}:
        pytest.skip(f"needs breakcow kernels fetch {series}")
    done = subprocess.run([sys.executable, str(TOOL), "--rounds", "1", series], capture_output=True, text=True, timeout=800, check=False)
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith(f"| {series} ")]
    assert done.returncode == 0 and len(rows) == 2 * 6, done.stdout + done.stderr
    for row in rows:
        assert (int(row[3]) >= 1) == exact and ("it needs Linux 6.4" in row[4]) != exact
