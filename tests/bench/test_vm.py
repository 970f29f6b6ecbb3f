"""Benchmarks on a kernel in a virtual machine with one CPU; skipped where none is cached."""

import subprocess
import sys
from pathlib import Path

import pytest

from breakcow.backend.vm.kernels import cached
from breakcow.bench.figures import KINDS, read

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif("6.1" not in {kernel.series for kernel in cached()}, reason="needs breakcow kernels fetch 6.1"),
]


@pytest.mark.long
def test_6_1_comes_to_figures_but_where_it_lacks_the_interface(tmp_path: Path) -> None:
    words = ["--on", "vm:6.1", "--mib", "4", "--repeats", "1", "--warmup", "1", "--json", str(tmp_path / "a.json")]
    done = subprocess.run([sys.executable, "-m", "breakcow", "bench", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    (found,) = read(tmp_path / "a.json")
    assert found.backend == "vm:6.1"
    assert found.machine.kernel.startswith("6.1.")
    assert found.machine.cpus == 1
    assert set(found.skipped) == {"wp-async", "pagemap-scan"}
    assert {figure.name for figure in found.figures} == set(KINDS) - set(found.skipped)
