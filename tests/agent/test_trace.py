"""The tracer on this machine's kernel: what it tells, and that nothing of it stays, whatever ends the agent."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from breakcow.agent.tracefs import Instance, TraceError

LIST = (
    "mount -t tracefs tracefs /sys/kernel/tracing && ls /sys/kernel/tracing/instances && grep -c breakcow /sys/kernel/tracing/kprobe_events"
)
TWO_WRITES: dict[str, Any] = {
    "processes": ["A"],
    "pages": ["x", "y"],
    "mappings": [0, 0],
    "actions": [["A", "write", 0, 1, 7], ["A", "write", 1, 1, 7]],
}


def traceable() -> bool:
    """In a child: the mount that this may take stays there."""
    child = os.fork()
    if child == 0:
        try:
            Instance().close()
            os._exit(0)
        except TraceError:
            os._exit(1)
    return os.geteuid() == 0 and os.waitpid(child, 0)[1] == 0


pytestmark = pytest.mark.skipif(not traceable(), reason="tracefs cannot be used here")


def left() -> list[str]:
    """Instances and kprobes of ours that tracefs has."""
    out = subprocess.run(["unshare", "-m", "sh", "-c", LIST], capture_output=True, text=True, check=False).stdout.split()
    return [word for word in out if word.startswith("breakcow") or (word.isdigit() and word != "0")]


class Agent:
    def __init__(self) -> None:
        command = [sys.executable, "-I", "-m", "breakcow.agent"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next answer that is no notice."""
        assert self.process.stdout
        while "notice" in (answer := json.loads(self.process.stdout.readline())):
            pass
        return dict(answer)


@pytest.fixture
def agent() -> Iterator[Agent]:
    started = Agent()
    with started.process:
        yield started
        started.process.kill()


def test_each_action_tells_what_the_kernel_did_for_its_page(agent: Agent) -> None:
    agent.ask(run=TWO_WRITES, trace=[])
    for page in ("x", "y"):
        calls = agent.answer()["trace"]["calls"]
        assert {call["arguments"]["page"] for call in calls if "page" in call["arguments"]} == {page}
        assert {call["task"] for call in calls} == {"A"}
        assert calls[0]["depth"] == 0
    assert agent.answer() == {"done": True}


def test_only_the_actions_that_were_asked_for_are_traced(agent: Agent) -> None:
    agent.ask(run=TWO_WRITES, trace=[1])
    assert ["trace" in agent.answer() for _ in range(2)] == [False, True]
    agent.answer()
    agent.ask(run=TWO_WRITES)
    assert ["trace" in agent.answer() for _ in range(2)] == [False, False]


def test_after_a_run_nothing_is_left_though_the_agent_lives(agent: Agent) -> None:
    agent.ask(run=TWO_WRITES, trace=[])
    while "done" not in agent.answer():
        pass
    assert left() == []


def test_after_a_kill_nothing_is_left(agent: Agent) -> None:
    long = {**TWO_WRITES, "actions": TWO_WRITES["actions"] * 50}
    agent.ask(run=long, trace=[])
    agent.answer()
    assert left() != [], "it is tracing now"
    agent.process.send_signal(signal.SIGKILL)
    agent.process.wait()
    while left():  # the watcher is another process; pytest's own time limit ends this if it fails
        time.sleep(0.05)


def test_what_is_no_list_of_actions_is_a_sentence(agent: Agent) -> None:
    agent.ask(run=TWO_WRITES, trace="all")
    assert agent.answer() == {"error": "trace is a list of numbers of actions"}


def test_tracefs_stays_unmounted_for_everybody_else(agent: Agent) -> None:
    before = Path("/proc/self/mounts").read_text()
    agent.ask(run=TWO_WRITES, trace=[])
    agent.answer()
    assert Path("/proc/self/mounts").read_text() == before
