"""Images of another process that knows nothing of it: exact, and the process goes on as if nothing had been."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import breakcow
from breakcow.snapshots.image import Image

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="another process is attached to by root alone, where kernel.yama.ptrace_scope is set"
)

WRITER = """
    import sys, threading, time
    import numpy as np
    cells = np.zeros(1 << 19, np.int64)
    shared = [0]
    print(cells.ctypes.data, flush=True)

    def sleeper():
        while shared[0] >= 0:
            time.sleep(0.001)

    def write():
        n = 0
        while shared[0] >= 0:
            n += 1
            cells[n * 40503 % len(cells)] = n
        shared.append(n)

    threads = [threading.Thread(target=each) for each in (write, sleeper, sleeper)]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    shared[0] = -1
    for thread in threads:
        thread.join()
    expected = np.zeros_like(cells)
    for n in range(max(1, shared[1] - len(cells)), shared[1] + 1):
        expected[n * 40503 % len(cells)] = n
    print("unharmed" if (cells == expected).all() else "harmed", flush=True)
"""
CELLS = 1 << 19


@contextmanager
def running(code: str) -> Iterator["subprocess.Popen[str]"]:
    """A program, which is gone afterwards."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def command(*words: object, status: int = 0) -> "subprocess.CompletedProcess[str]":
    """Run breakcow snapshot."""
    done = subprocess.run(
        [sys.executable, "-m", "breakcow", "snapshot", *map(str, words)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def exact(image: Image, address: int) -> int:
    """The image of the cells is what the program had after some store, whose number this is."""
    cells = np.frombuffer(image.at(address, address + CELLS * 8), np.int64)
    last = int(cells.max())
    expected = np.zeros_like(cells)
    for number in range(max(1, last - CELLS), last + 1):
        expected[number * 40503 % CELLS] = number
    assert (cells == expected).all(), f"{(cells != expected).sum()} cells are not those of store {last}"
    return last


def test_a_process_that_writes_with_other_threads_asleep(tmp_path: Path) -> None:
    with running(WRITER) as process:
        assert process.stdout
        address = int(process.stdout.readline())
        last = 0
        for number in range(4):
            time.sleep(0.1)
            done = command(process.pid, "-o", tmp_path / f"{number}", *(("--compress", "zstd") if number == 3 else ()))
            assert "paused for" in done.stdout
            store = exact(breakcow.load(tmp_path / f"{number}"), address)
            assert store > last
            last = store
        assert process.communicate("end\n", timeout=60) == ("unharmed\n", "")
    assert "whole" in command("verify", tmp_path / "0").stdout


def test_a_series_of_a_process(tmp_path: Path) -> None:
    with running(WRITER) as process:
        assert process.stdout
        address = int(process.stdout.readline())
        done = command(process.pid, "-o", tmp_path / "x", "--series", "--every", "100ms", "--takes", 4)
        assert len(done.stdout.splitlines()) == 4
        stores = [exact(breakcow.load(tmp_path / "x", take=number), address) for number in range(4)]
        assert stores == sorted(set(stores))
        assert process.communicate("end\n", timeout=60) == ("unharmed\n", "")


def test_a_process_that_ends_keeps_the_takes_before(tmp_path: Path) -> None:
    with running("import sys, time; print('here', flush=True); time.sleep(1.5)") as process:
        assert process.stdout and process.stdout.readline()
        done = command(process.pid, "-o", tmp_path / "x", "--series", "--every", "200ms", status=3)
        assert "has ended" in done.stderr
    assert breakcow.load(tmp_path / "x").takes >= 1


def test_control_c_leaves_the_process_alone(tmp_path: Path) -> None:
    with running(WRITER) as process:
        assert process.stdout
        process.stdout.readline()
        words = [sys.executable, "-m", "breakcow", "snapshot", str(process.pid), "-o", str(tmp_path / "x"), "--series", "--every", "50ms"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as taking:
            assert taking.stdout and taking.stdout.readline()
            time.sleep(0.2)
            taking.send_signal(signal.SIGINT)
            assert taking.wait(60) == 130
        assert process.communicate("end\n", timeout=60) == ("unharmed\n", "")
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_killed_it_leaves_the_process_alone(tmp_path: Path) -> None:
    """At any moment after the first take, from when on it makes no call in the process."""
    order = random.Random(1)
    with running(WRITER) as process:
        assert process.stdout
        address = int(process.stdout.readline())
        for number in range(5):
            to = tmp_path / str(number)
            words = [sys.executable, "-m", "breakcow", "snapshot", str(process.pid), "-o", str(to), "--series", "--every", "1ms"]
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as taking:
                assert taking.stdout and taking.stdout.readline()
                time.sleep(order.random() * 0.1)
                taking.kill()
            image = breakcow.load(to, take=0)
            exact(image, address)
        assert process.communicate("end\n", timeout=60) == ("unharmed\n", "")


def test_what_a_file_has_can_be_taken_out(tmp_path: Path) -> None:
    array = np.arange(10_000.0)
    with breakcow.snapshot(array, bytearray(b"abc" * 5000), to=tmp_path / "x"):
        pass
    command("restore", tmp_path / "x", "--to", tmp_path / "out")
    assert np.array_equal(np.load(tmp_path / "out" / "0.npy"), array)
    assert (tmp_path / "out" / "1.bin").read_bytes() == b"abc" * 5000
    assert "array <f8 (10000,), 80000 bytes" in command("info", tmp_path / "x").stdout
    data = bytearray((tmp_path / "x").read_bytes())
    data[-30_000] ^= 1
    (tmp_path / "x").write_bytes(data)
    assert "is not what was saved" in command("verify", tmp_path / "x", status=1).stdout


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["4194305", "-o", "x"], 3, "no process"),
        (["1", "--range", "12-13", "-o", "x"], 2, "hexadecimal"),
        (["1", "--every", "soon", "-o", "x"], 2, "10s"),
        (["1", "--compress", "rar", "-o", "x"], 2, "zstd"),
        (["info", "/proc/self/exe"], 3, "not a snapshot"),
    ],
)
def test_bad_input_gets_a_sentence(words: list[str], status: int, why: str, tmp_path: Path) -> None:
    done = command(*[str(tmp_path / word) if word == "x" else word for word in words], status=status)
    assert why in done.stderr and "Traceback" not in done.stderr
