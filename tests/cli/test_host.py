"""The command line on this machine's own kernel."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from breakcow.backend.host import lacking

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())

HEAD = "litmus t/long\n    Long enough to be interrupted.\n\nparam v = 1 | 2 | 3 | 4 | 5 | 6\nmemory x\n\n"
LONG = HEAD + "".join(f"A  write x {number}\n" for number in range(180)) + "A  write x {v}\nA  expect x = {v}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t" / "long.litmus"
    path.parent.mkdir()
    path.write_text(LONG)
    return path


def start(file: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "breakcow", "run", str(file), "--on", "host"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def complaints(err: str) -> list[str]:
    """What was said on stderr, but for the notice that another run goes first."""
    return [line for line in err.splitlines() if "another run of breakcow" not in line]


def test_this_kernel_keeps_a_simple_promise(file: Path) -> None:
    with start(file) as process:
        out, err = process.communicate()
    assert (process.returncode, complaints(err)) == (0, [])
    assert out.endswith(f"host ({platform.release()}): 6 ok\n")


def test_an_agent_that_dies_costs_one_test_and_the_rest_goes_on(file: Path) -> None:
    with start(file) as process:
        assert process.stdout
        first = process.stdout.readline()
        (agent,) = children(process.pid)
        os.kill(agent, signal.SIGKILL)
        out = first + process.stdout.read()
    assert process.returncode == 3
    assert "error: t/long[v=" in out
    assert "host was lost: " in out
    assert out.count("ok      host") == 5
    assert "5 ok, 1 error" in out


def test_ctrl_c_leaves_no_process(file: Path) -> None:
    with start(file) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        agents = children(process.pid)
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
    assert (process.returncode, complaints(err)) == (130, [])
    assert out.endswith("interrupted: this is what was done until then\n")
    assert not [pid for pid in agents if Path(f"/proc/{pid}").exists()]


def test_the_doctor_names_what_there_is(file: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "breakcow", "doctor"], capture_output=True, text=True, check=True)
    assert f"  yes  release {platform.release()}" in done.stdout
    assert "  yes  models of 5.10" in done.stdout
    assert "snapshots: breakcow.snapshot(), breakcow snapshot PID\n" in done.stdout
