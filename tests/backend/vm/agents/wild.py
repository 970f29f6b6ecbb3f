"""An agent for tests of lost machines: it answers the first action as it should, then does what the program's page is called."""

import json
import os
import sys
import time
from collections.abc import Callable

from breakcow.agent.kmsg import Kmsg
from breakcow.agent.wire import Wire


def main() -> None:
    say({"notice": "wild"})
    log = Kmsg()
    wire = Wire()
    for line in sys.stdin.buffer:
        request = json.loads(wire.unpack(line))
        if "probe" in request:
            say({"release": os.uname().release, "abilities": {}})
            continue
        DEEDS["fine"]()
        say({"outcome": {"result": "ok"}, "processes": {}, "console": log.news()})
        DEEDS[request["run"]["pages"][0]]()
        say({"outcome": {"result": "ok"}, "processes": {}, "console": log.news()})
        say({"done": True})


def say(answer: dict[str, object]) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


def kmsg(text: str) -> None:
    with open("/dev/kmsg", "w") as file:
        file.write(text)


def sysrq(letter: str) -> None:
    with open("/proc/sysrq-trigger", "w") as file:
        file.write(letter)


def flood() -> None:
    while True:
        os.write(1, b"x" * 4096)


DEEDS: dict[str, Callable[[], object]] = {
    "fine": lambda: None,
    "warn": lambda: kmsg("<4>WARNING: CPU: 0 PID: 1 at mm/ksm.c:1 \x1b[31mred\n"),
    "chat": lambda: kmsg("<6>nothing to worry about\n"),
    "crash": lambda: sysrq("c"),
    "reboot": lambda: sysrq("b"),
    "hang": lambda: time.sleep(1e6),
    "nonsense": lambda: os.write(1, b"\x1b[2Jhello\n"),
    "flood": flood,
    "leave": lambda: sys.exit("the agent has had enough"),
}
