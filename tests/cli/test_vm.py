"""The command line on kernels in a virtual machine; skipped where none is cached."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from breakcow.backend.vm.kernels import cached

SERIES = {kernel.series for kernel in cached()}
pytestmark = pytest.mark.skipif(not {"6.1", "6.12"} <= SERIES, reason="needs breakcow kernels fetch 6.1 6.12")

TEST = """litmus t/merge
    Equal pages are merged and a store parts them.

param v = 1 | 2 | 3 | 4 | 5 | 6
memory x y

A  write x y {v}
A  madvise x y mergeable
-  ksm scan 3
A  expect same x y
A  write x 9
A  expect not same x y, x = 9, y = {v}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t" / "merge.litmus"
    path.parent.mkdir()
    path.write_text(TEST)
    return path


def start(*words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "breakcow", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def guests(pid: int) -> list[int]:
    """The QEMU processes of a breakcow process."""
    words = [word for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()]
    return [int(word) for word in words if "qemu" in Path(f"/proc/{word}/comm").read_text()]


def test_the_bug_of_the_review_is_known_on_6_1_and_gone_on_6_12() -> None:
    with start("run", "ksm/unmerge-uffd-wp", "--on", "vm:6.1", "--on", "vm:6.12", "-j", "2", "--ktap") as process:
        out, _ = process.communicate()
    assert process.returncode == 0
    assert re.search(r"^  not ok 1 ksm/unmerge-uffd-wp # XFAIL known, fixed in 6\.2 .*\nok 1 vm:6\.1\n", out, re.MULTILINE)
    assert "  ok 1 ksm/unmerge-uffd-wp\nok 2 vm:6.12\n" in out


@pytest.mark.long
def test_a_guest_that_dies_costs_one_test_and_a_fresh_one_goes_on(file: Path) -> None:
    with start("run", str(file), "--on", "vm:6.12") as process:
        assert process.stdout
        first = process.stdout.readline()
        (guest,) = guests(process.pid)
        os.kill(guest, signal.SIGKILL)
        out = first + process.stdout.read()
    assert process.returncode == 3
    assert "vm:6.12 was lost: " in out
    assert out.endswith("): 5 ok, 1 error\n")


def test_ctrl_c_leaves_no_guest(file: Path) -> None:
    with start("run", str(file), "--on", "vm:6.1", "--on", "vm:6.12", "-j", "2") as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        left = guests(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out.endswith("interrupted: this is what was done until then\n")
    assert left
    assert not [pid for pid in left if Path(f"/proc/{pid}").exists()]


def test_a_file_that_is_no_kernel_is_a_sentence(file: Path) -> None:
    with start("run", str(file), "--on", f"vm:{file}") as process:
        out, err = process.communicate()
    assert process.returncode == 3
    assert f"{file} is not a bzImage" in out
    assert "Traceback" not in err
