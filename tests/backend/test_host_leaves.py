"""What the agent on this machine's kernel leaves behind, however it ends: no process, no changed setting."""

import contextlib
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.host_programs import flat, on_host, results
from breakcow import litmus
from breakcow.agent import ksm
from breakcow.agent.settings import COMPACTION
from breakcow.backend.errors import LostBackend, RunFailed
from breakcow.backend.host import HostBackend

pytestmark = on_host


def agent_of(backend: HostBackend) -> int:
    return backend._agent.pid


def descendants(pid: int) -> list[int]:
    """The litmus processes of an agent: all of its children that run the stub."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/maps").read_text().startswith("00400000-00401000"):
                    found.append(child)
    return found


def gone(pids: list[int]) -> bool:
    """They end, or are zombies that nobody reaps."""
    for _ in range(500):
        states = []
        for pid in pids:
            with contextlib.suppress(OSError):
                states.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
        if all(state == "Z" for state in states):
            return True
        time.sleep(0.01)
    return False


def settings() -> dict[str, str]:
    files = {name: Path(ksm.DIRECTORY, name).read_text() for name in ksm.TOUCHED if ksm.has(name)}
    files |= {"compaction": Path(COMPACTION).read_text()}  # every kernel with a profile has it
    return files | {"cpus": str(os.sched_getaffinity(ksm.find()))}


LONG = "A write x 7\nA madvise x y mergeable\nA fork B\n" + "- ksm scan 1\nB write y 1\n" * 60


@pytest.fixture
def alone(host: HostBackend) -> Iterator[None]:
    """The module's agent gives the machine back, and takes it again when it is next asked."""
    host.close()
    yield
    host.__init__()  # type: ignore[misc]


@pytest.mark.needs("ksm")
def test_settings_are_changed_while_it_runs_and_put_back_by_close(alone: None) -> None:
    before = settings()
    with HostBackend() as backend:
        backend.run(flat("A madvise x mergeable\n- ksm scan 1\n- ksm set use_zero_pages 1\n- ksm set max_page_sharing 10"))
        during = settings()
        litmus_processes = descendants(agent_of(backend))
    assert during != before
    assert during["run"].strip() == "1"
    assert during["compaction"].strip() == "0"
    assert settings() == before
    assert litmus_processes
    assert gone(litmus_processes)


@pytest.mark.needs("ksm")
def test_kills_at_any_moment_leave_no_process_and_no_changed_setting(alone: None) -> None:
    before = settings()
    moments = random.Random(1)
    for _ in range(10):
        backend = HostBackend()
        agent = agent_of(backend)
        backend._send({"run": flat(LONG).wire()})
        for _ in range(moments.randrange(1, 120)):
            backend._receive()
        processes = descendants(agent)
        os.kill(agent, signal.SIGKILL)
        with pytest.raises(LostBackend, match="the agent ended"):
            while True:
                backend._receive()
        backend.close()
        assert settings() == before
        assert gone([agent, *processes])


RUNNER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts work in the background has it ignored
from breakcow.backend.host import HostBackend
from breakcow.litmus.program import Action, Program
actions = (Action("A", "mergeable", 0, 1, 0, 0),) + (Action("-", "ksm_scan", 0, 0, 20, 0),) * 200
backend = HostBackend()
print(backend._agent.pid, flush=True)
backend.run(Program(("A",), ("x",), (0,), (actions[0],)))
print("ready", flush=True)
while True:
    backend.run(Program(("A",), ("x",), (0,), actions))
"""


@pytest.mark.needs("ksm")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_runner_that_is_killed_leaves_nothing(alone: None, how: signal.Signals) -> None:
    before = settings()
    runner = subprocess.Popen([sys.executable, "-c", RUNNER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert runner.stdout
    agent = int(runner.stdout.readline())
    assert runner.stdout.readline() == "ready\n"
    processes = descendants(agent)
    runner.send_signal(how)
    runner.wait()
    runner.stdout.close()
    assert gone([agent, *processes])
    with HostBackend() as backend:  # waits for the lock, which the watcher holds until all is put back
        backend.run(flat("A madvise x mergeable"))
    assert settings() == before


@pytest.mark.needs("ksm")
def test_two_runs_wait_for_each_other_and_say_so(alone: None) -> None:
    said: list[str] = []
    first = HostBackend()
    first.run(flat("A write x 1"))
    with HostBackend(said.append) as second:
        second._send({"run": flat("A write x 2").wire()})
        notice = second._answers.readline()
        assert b"another run of breakcow" in notice
        first.close()
        assert b'"content":2' in second._answers.readline()
        assert b"done" in second._answers.readline()
        second._unanswered = 0


def test_a_step_that_hangs_is_an_outcome_and_its_processes_are_gone(host: HostBackend) -> None:
    agent = agent_of(host)
    host.run(flat("A write x 1"))
    short = flat("A write x 1\nA fork B\nA write x 2\n")
    steps = (*short.actions[:2], *short.actions[2:] * 2000)  # more answers than a pipe holds: it is not done before they are read
    host._send({"run": replace(short, actions=steps).wire(), "step_seconds": 0.3})
    for _ in short.actions[:2]:
        host._receive()  # once the fork is told, its child has been asked what it is asked at its birth
    processes = descendants(agent)
    for process in processes[1:]:  # the first is the one that all are forked from
        os.kill(process, signal.SIGSTOP)
    answers = []
    while "done" not in (answer := host._receive()):
        answers.append(answer)
    host._unanswered = 0
    assert answers[-1]["outcome"] == {"result": "hang"}
    assert {seen["state"] for seen in answers[-1]["processes"].values()} == {"killed"}  # type: ignore[attr-defined]
    assert gone(processes[1:])
    assert results(host.run(flat("A write x 1"))) == ["ok"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b'{"run": 7}',
        b'{"run": {}, "nonce": "zz"}',
        b"\xff\xfe",
        b"[" * 100000,
        b'{"x":' * 50000,
        b'{"run":{"pages":[]}}',
    ],
)
def test_a_hostile_request_is_answered_with_a_sentence(host: HostBackend, line: bytes) -> None:
    host._requests.write(line + b"\n")
    host._requests.flush()
    with pytest.raises(RunFailed):
        host._receive()
    assert results(host.run(flat("A write x 1"))) == ["ok"]


def test_an_agent_that_is_gone_is_said(alone: None) -> None:
    backend = HostBackend()
    os.kill(agent_of(backend), signal.SIGKILL)
    with pytest.raises(LostBackend):
        backend.probe()
    backend.close()


def test_other_machines_and_users_get_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with HostBackend() as backend:
        found = backend.probe()
        assert set(found.abilities) == set(litmus.REQUIREMENTS)
        assert all("Darwin" in sentence for sentence in found.abilities.values())
        with pytest.raises(LostBackend, match="Darwin"):
            backend.run(flat("A write x 1"))
