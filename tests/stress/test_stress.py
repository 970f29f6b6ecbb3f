"""Stress on this machine's kernel: it finds nothing new there, sees what is broken on purpose from outside, and leaves nothing behind."""

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from breakcow.agent import abi, uffd
from breakcow.agent.controller import Controller
from breakcow.agent.settings import LOCK_DIRECTORY, Settings
from breakcow.agent.stress import Options, Stress
from breakcow.agent.stress_slots import CAUSES
from breakcow.backend.host import lacking
from breakcow.stress.known import KNOWN, excuse

KSM = Path("/sys/kernel/mm/ksm")
SETTINGS = ("run", "sleep_millisecs", "pages_to_scan", "max_page_sharing", "use_zero_pages")
on_host = pytest.mark.skipif(bool(lacking()) or os.geteuid() != 0 or not KSM.exists(), reason="needs root, KSM and x86-64 Linux")


@contextmanager
def start(*words: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "breakcow", "stress", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()  # where the test ended before the run


def result(*words: str) -> tuple[int, dict[str, Any]]:
    with start("--json", *words) as process:
        out, _ = process.communicate()
    return process.returncode, json.loads(out)


def settings() -> dict[str, str]:
    """KSM's settings while no run is under way."""
    Path(LOCK_DIRECTORY).mkdir(mode=0o700, exist_ok=True)
    with Path(LOCK_DIRECTORY, "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return {name: (KSM / name).read_text() for name in SETTINGS}


def children(pid: int) -> list[int]:
    """The processes below one, however deep."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *children(child)]
    return found


def lives(pid: int) -> bool:
    """The process is there, and is no zombie: who waits for orphans, if anybody does, may have yet to."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def areas(pid: int) -> list[tuple[int, int]]:
    """The areas of a process of a run: start, end."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return []
    spans = [tuple(int(word, 16) for word in match) for match in re.findall(r"^(1[0-9a-f]{9})-(1[0-9a-f]{9}) rw", maps, re.MULTILINE)]
    return [(start, end) for start, end in spans]


def until_the_end(process: "subprocess.Popen[str]", interfere: Callable[[int], None], least: int = 0) -> tuple[int, str]:
    """Interfere with the processes of a run, while it has at least so many, until it is over: its exit status, and what it printed."""
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(process.communicate)  # all the time: a run that fills a pipe which nobody reads would never be over
        while not told.done():
            living = [pid for pid in children(process.pid) if areas(pid)]
            for pid in living if len(living) >= least else ():
                with suppress(OSError):
                    interfere(pid)
    return process.returncode, told.result()[0]


@on_host
def test_this_kernel_breaks_nothing_that_is_not_known() -> None:
    before = settings()
    code, run = result("--operations", "30000", "--seed", "5", "--processes", "6")
    assert (code, [found for found in run["findings"] if not found["excuse"]]) == (0, [])
    assert run["verdict"] in {"ok", "known"}
    summary = run["summary"]
    assert summary["operations"] >= 30000
    assert all(summary[name] for name in ("stores", "events", "forks", "protections", "unmerges", "moves", "checks", "audits", "scans"))
    assert summary["merges_seen"] and summary["breaks_seen"]
    assert summary["processes"] == 0
    assert settings() == before


@on_host
def test_a_store_of_a_stranger_is_a_broken_isolation() -> None:
    def scribble(pid: int) -> None:
        for first, end in areas(pid):
            with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
                for address in range(first, end, abi.PAGE):
                    os.pwrite(memory.fileno(), b"stranger", address + 1024)

    with start("--seconds", "20", "--seed", "1") as process:
        code, out = until_the_end(process, scribble)
    assert code == 1
    assert "isolation is broken: process " in out
    assert b"stranger".hex() in out
    assert "repeat: breakcow stress --on host --seconds 20 --seed 1 --processes 8" in out


@on_host
def test_a_protection_that_goes_missing_is_broken() -> None:
    def release(pid: int) -> None:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            if "userfaultfd" in os.readlink(link):
                pidfd = os.pidfd_open(pid)
                fd = abi.syscall(abi.PIDFD_GETFD, pidfd, int(link.name), 0)
                for first, end in areas(pid):
                    uffd.release(fd, first, end - first)
                os.close(fd)
                os.close(pidfd)

    with start("--seconds", "20", "--seed", "1") as process:
        code, out = until_the_end(process, release)
    assert code == 1
    assert "broken" in out.splitlines()[0]
    assert "protect-traps-every-write is broken: process " in out


@on_host
def test_an_event_of_a_stranger_is_an_event_without_a_write() -> None:
    def touch(pid: int) -> None:
        for first, end in areas(pid):
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                for address in range(first + 1024, end, abi.PAGE):
                    byte = bytearray(os.pread(memory.fileno(), 1, address).ljust(1))  # what is there already: only the event is wrong
                    iovecs = bytearray(struct.pack("<QQQQ", abi.address_of(byte), 1, address, 1))
                    at = abi.address_of(iovecs)
                    abi.syscall(abi.PROCESS_VM_WRITEV, pid, at, 1, at + 16, 1, 0)

    with start("--seconds", "20", "--seed", "2") as process:
        code, out = until_the_end(process, touch)
    assert code == 1
    assert "no-event-without-a-write is broken: process " in out


@on_host
def test_a_process_that_is_killed_by_a_fault_is_broken() -> None:
    with start("--seconds", "4", "--seed", "1") as process:
        code, out = until_the_end(process, lambda pid: os.kill(pid, signal.SIGSEGV), least=4)  # fewer may find out what the kernel can do
    assert code == 1
    assert "killed by SIGSEGV" in out


@on_host
def test_ctrl_c_leaves_nothing_and_tells_what_was_done() -> None:
    before = settings()
    with start("--seconds", "60", "--processes", "5") as process:
        while len(children(process.pid)) < 5 and process.poll() is None:
            time.sleep(0.01)
        left = children(process.pid)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert "interrupted; until then" in out
    assert "Traceback" not in err
    assert not [pid for pid in left if lives(pid)]
    assert settings() == before


@on_host
def test_a_fork_that_returns_late_brings_nobody_back_to_life(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(number: int, *arguments: int) -> int:
        result = syscall(number, *arguments)
        if number == abi.CLONE and result:
            time.sleep(0.3)  # the child's life, and the run, may be over meanwhile
        return result

    syscall = abi.syscall
    said: list[Any] = []
    monkeypatch.setattr(abi, "syscall", late)
    held = Settings(print, lambda: True)
    try:
        run = Stress(Options(0, 1500, 1, 8), said.append)
        run.run()
        run.close()
    finally:
        held.restore()
    assert said[-1]["summary"]["processes"] == 0
    assert said[-1]["summary"]["forks"]


def test_every_cause_has_its_fix_or_its_report() -> None:
    assert set(CAUSES) <= set(KNOWN)
    root = Path(__file__).parents[2]
    for known in KNOWN.values():
        assert bool(known.report) != bool(known.fixed)
        assert not known.report or (root / known.report).exists()


def test_a_fix_excuses_no_kernel_that_has_it() -> None:
    assert excuse("unmerge-uffd-wp", "6.1.0-56-cloud-amd64") == "fixed in 6.2 (6cce3314b928)"
    assert excuse("unmerge-uffd-wp", "6.2.0") == ""
    assert excuse("", "6.1.0") == ""


@pytest.mark.parametrize("request_", [{}, {"seconds": 1, "operations": 0, "seed": 0, "processes": 65}, None, {"seconds": "x"}])
def test_a_request_that_makes_no_sense_is_a_sentence(request_: object) -> None:
    said: list[dict[str, object]] = []
    controller = Controller(said.append)
    controller.answer(json.dumps({"stress": request_}).encode())
    controller.close()
    assert "a stress request has" in str(said[0]["error"])


def test_a_model_is_not_under_stress() -> None:
    done = subprocess.run([sys.executable, "-m", "breakcow", "stress", "--on", "model:6.1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "a model is not under stress" in done.stderr
