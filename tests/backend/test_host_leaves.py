"""What the agent on this machine's kernel leaves behind, however it ends: no process, no changed setting."""

import contextlib
import fcntl
import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.host_programs import flat, on_host, results
from breakcow import litmus
from breakcow.agent import ksm, thp
from breakcow.agent.saved import COMPACTION, FILE
from breakcow.agent.settings import LEFT, LOCK_DIRECTORY, PUT_BACK
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
    files |= {name: text for name in thp.START if (text := thp.setting(thp.path(name)))}
    files |= {"compaction": Path(COMPACTION).read_text()}  # every kernel with a profile has it
    return files | {"cpus": str(os.sched_getaffinity(ksm.find())), "nice": str(os.getpriority(os.PRIO_PROCESS, ksm.find()))}


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


KEPT = Path(LOCK_DIRECTORY, FILE)


def killed_with_all(program: str = "A write x 1", memory: str = "x y") -> dict[str, str]:
    """Run a program, and kill the agent as a job that is torn down is killed: with its watcher. What settings are then."""
    backend = HostBackend()
    backend.run(flat(program, memory))
    agent = agent_of(backend)
    os.setpriority(os.PRIO_PROCESS, ksm.find(), -20)  # as `breakcow bench` does, and another CPU than a run gives it
    os.sched_setaffinity(ksm.find(), {max(os.sched_getaffinity(0))})
    processes = [int(word) for word in Path(f"/proc/{agent}/task/{agent}/children").read_text().split()]
    for pid in (*processes, agent):  # the watcher first, or it would see the agent's end
        os.kill(pid, signal.SIGKILL)
    backend.close()
    assert gone([agent, *processes])
    return settings()


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """No run is under way."""
    with open(f"{LOCK_DIRECTORY}/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def doctor() -> str:
    return subprocess.run([sys.executable, "-m", "breakcow", "doctor"], capture_output=True, text=True, check=True).stdout


@pytest.mark.needs("ksm")
def test_the_run_after_puts_back_what_one_left_that_was_killed_with_its_watcher(alone: None) -> None:
    before = settings()
    changed = killed_with_all("A madvise x mergeable\n- ksm scan 1\n- ksm set use_zero_pages 1\n- ksm set max_page_sharing 10")
    assert {name for name in before if changed[name] != before[name]} >= {"run", "pages_to_scan", "max_page_sharing", "compaction", "nice"}
    assert killed_with_all() != before  # this one has put the first's back, and is killed as well
    said: list[str] = []
    with HostBackend(said.append) as backend:
        backend.run(flat("A write x 1"))
        assert KEPT.exists()
    assert settings() == before
    assert not KEPT.exists()
    assert said == [PUT_BACK]


@pytest.mark.needs("ksm", "thp")
def test_the_settings_of_huge_pages_are_put_back_too(alone: None) -> None:
    name = "khugepaged/scan_sleep_millisecs"
    setting = Path(thp.path(name))
    found = setting.read_text()
    with locked():
        setting.write_text("20000")  # whatever this machine has it at, it is not what a run sets
    try:
        assert killed_with_all(memory="huge x y rest")[name] == thp.START[name]
        with HostBackend() as backend:
            backend.run(flat("A write x 1"))
        assert setting.read_text() == "20000\n"
    finally:
        with locked():
            setting.write_text(found)


@pytest.mark.needs("ksm")
def test_the_doctor_tells_of_settings_that_are_left_and_changes_none(alone: None) -> None:
    before = settings()
    with HostBackend() as backend:
        backend.run(flat("A write x 1"))
        assert LEFT not in doctor().replace("\n", " ")  # they are those of a run that lives
    changed = killed_with_all()
    assert LEFT in doctor().replace("\n", " ")
    assert settings() == changed
    with HostBackend() as backend:
        backend.run(flat("A write x 1"))
    assert LEFT not in doctor().replace("\n", " ")
    assert settings() == before


WITNESS = """
import os, sys
from breakcow.agent.settings import Settings
SETTINGS = ("/sys/kernel/mm/", "/proc/sys/vm/")
def hook(event, arguments):
    if event == "open" and str(arguments[0]).startswith(SETTINGS) and arguments[2] & os.O_ACCMODE:
        os.write(2, f"{os.path.exists(sys.argv[1])} {arguments[0]}\\n".encode())
sys.addaudithook(hook)
Settings(print, lambda: True).restore()
"""


@pytest.mark.needs("ksm")
def test_the_file_is_there_from_before_the_first_setting_is_changed_until_the_last_is_put_back(alone: None) -> None:
    done = subprocess.run([sys.executable, "-c", WITNESS, str(KEPT)], stderr=subprocess.PIPE, text=True, check=True)
    opened = done.stderr.splitlines()  # by the watcher too
    assert (opened[0], opened[-1]) == (f"True {COMPACTION}", f"True {ksm.DIRECTORY}/run")
    assert not [line for line in opened if not line.startswith("True")]
    assert not KEPT.exists()


@pytest.mark.needs("ksm")
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda text: text[: len(text) // 2], "it is cut short"),
        (lambda text: text.replace('"boot": "', '"boot": "0'), "it is of another boot"),
        (lambda text: text.replace("sleep_millisecs", "../../../tmp/breakcow"), "it names files that no run changes"),
    ],
    ids=["cut", "boot", "path"],
)
def test_a_file_that_is_not_to_be_trusted_is_told_and_ignored(alone: None, spoil: Callable[[str], str], why: str) -> None:
    before = settings()
    with HostBackend() as backend:
        backend.run(flat("A write x 1"))
        kept = json.loads(KEPT.read_text())
    kept["settings"][f"{ksm.DIRECTORY}/sleep_millisecs"] = "12345"
    with locked():
        KEPT.write_text(spoil(json.dumps(kept)))
    said: list[str] = []
    with HostBackend(said.append) as backend:
        backend.run(flat("A write x 1"))
    assert said == [f"{KEPT} is ignored: {why}"]
    assert settings() == before
    assert not KEPT.exists()


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
