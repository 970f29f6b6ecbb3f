"""The controller in this process: the protocol, and users and kernels that lack something."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from breakcow import litmus
from breakcow.agent.controller import Controller
from breakcow.agent.process import Nursery, Process
from breakcow.agent.program import Program
from breakcow.litmus.requirements import REQUIREMENTS

ONE_WRITE = {"processes": ["A"], "pages": ["x"], "mappings": [0], "actions": [["A", "write", 0, 1, 7]]}


def answers(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    """What the controller answers; notices, as that another run is waited for, left out."""
    said: list[dict[str, Any]] = []
    controller = Controller(said.append)
    try:
        for request in requests:
            controller.answer(json.dumps(request).encode())
    finally:
        controller.close()
    return [answer for answer in said if "notice" not in answer]


def test_the_words_of_a_probe_are_the_requirements_of_the_language() -> None:
    found = answers({"probe": {}})[0]
    assert set(REQUIREMENTS) <= set(found["abilities"])
    assert found["release"] == os.uname().release


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to stop being it")
def test_a_user_who_is_not_root_gets_a_sentence() -> None:
    output, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(into, json.dumps(answers({"probe": {}}, {"run": ONE_WRITE})).encode())
        finally:
            os._exit(0)
    os.close(into)
    os.waitpid(child, 0)
    with os.fdopen(output) as stream:
        probed, refused = json.loads(stream.read())
    assert "superuser" in probed["abilities"]["root"]
    assert "superuser" in probed["abilities"]["ksm"]
    assert "superuser" in refused["error"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_nonce_changes_the_bytes_and_no_observation() -> None:
    one, other = (answers({"run": ONE_WRITE, "nonce": nonce}) for nonce in ("00" * 15, "ff" * 15))
    assert one == other
    assert one[0]["processes"]["A"]["pages"]["x"]["content"] == 7
    assert one[-1] == {"done": True}


def test_a_nursery_is_gone_when_closed() -> None:
    nursery = Nursery()
    process = nursery.birth([0x1000000000], [4096])
    assert nursery.ask(39) == nursery.pid != process.pid
    process.bury()
    nursery.close()
    for pid in (nursery.pid, process.pid):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_flattened_litmus_test_is_a_program_of_the_agent() -> None:
    test = litmus.parse("litmus a/b\n    Test.\n\nmemory x y\nmemory z\n\nA  madvise x y z mergeable\n-  ksm set max_page_sharing 10\n")[0]
    from breakcow.agent.program import program

    checked = program(litmus.program(test).wire())
    assert isinstance(checked, Program)
    assert checked.merges
    assert [(action.verb, action.page, action.count, action.argument) for action in checked.actions] == [
        ("mergeable", 0, 2, 0),
        ("mergeable", 2, 1, 0),
        ("ksm_set", 0, 0, 2010),
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_child_that_does_not_answer_at_its_birth_is_gone_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    born: list[int] = []

    def stopped(process: Process) -> None:
        if process.name == "B":
            born.append(process.pid)
            process.socket.settimeout(0.2)
            os.kill(process.pid, signal.SIGSTOP)
        prepare(process)

    prepare = Process.prepare
    monkeypatch.setattr(Process, "prepare", stopped)
    fork = {**ONE_WRITE, "processes": ["A", "B"], "actions": [["A", "fork", 0, 0, 1]]}
    assert answers({"run": fork})[-1] == {"error": "the run failed: timed out"}
    assert not Path(f"/proc/{born[0]}").exists()
