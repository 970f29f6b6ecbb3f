"""Programs written line by line for this machine's kernel, and what is looked at of them."""

import os

import pytest

from breakcow import litmus
from breakcow.backend import host as host_module
from breakcow.backend.observation import Observation, PageSeen
from breakcow.litmus.program import Program, program

on_host = pytest.mark.skipif(os.geteuid() != 0 or bool(host_module.lacking()), reason="needs root on x86-64 Linux")


def flat(body: str, memory: str = "x y") -> Program:
    text = "litmus a/b\n    Test.\n\nmemory " + memory + "\n\n" + "\n".join(line.strip() for line in body.strip().splitlines()) + "\n"
    return program(litmus.parse(text)[0])


def page(seen: Observation, name: str, process: str = "A") -> PageSeen:
    return seen.processes[process].pages[name]


def results(seen: tuple[Observation, ...]) -> list[str]:
    return [each.outcome.result for each in seen]
