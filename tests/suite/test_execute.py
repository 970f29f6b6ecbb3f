"""A kernel that is lost, missing, or told to stop: each costs what it must and no more. The kernel here is the model, made mortal."""

from collections.abc import Iterable
from threading import Event
from types import TracebackType
from typing import Self

import pytest

from breakcow import litmus
from breakcow.backend.errors import LostBackend
from breakcow.backend.model import ModelBackend
from breakcow.backend.observation import Observation
from breakcow.backend.vm.cache import UnavailableError
from breakcow.kernel import PROFILES
from breakcow.litmus.program import Program
from breakcow.suite import execute
from breakcow.suite.execute import on_kernel
from breakcow.suite.record import Record
from breakcow.suite.trial import Trial, trial

FIRST = 100  # no program that measures a kernel stores so much


class Mortal(ModelBackend):
    """The model of 6.12, or another, lost whenever a program stores FIRST + one of `deadly`."""

    opened = 0

    def __init__(self, deadly: Iterable[int] = (), console: str = "", profile: str = "6.12") -> None:
        super().__init__(PROFILES[profile])
        self.name, self.deadly, self.console = "vm:6.12", set(deadly), console

    def __enter__(self) -> Self:
        self.opened += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def run(self, program: Program, step_seconds: float = 5) -> tuple[Observation, ...]:
        seen = super().run(program)
        if self.deadly & {action.argument - FIRST for action in program.actions}:
            lost = LostBackend("it fell silent")
            lost.observations, lost.console = seen[:1], self.console
            raise lost
        return seen


def trials(count: int) -> list[Trial]:
    text = "litmus t/store\n    A store is seen.\n\nmemory x\n\nA  write x {0}\nA  expect x = {0}\n"
    return [trial(litmus.parse(text.format(FIRST + number))[0], "") for number in range(1, count + 1)]


def records(kernel: Mortal, count: int, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    monkeypatch.setattr(execute, "kernel", lambda name, notice: kernel)
    return list(on_kernel("vm:6.12", trials(count), Event(), print))


def verdicts(found: list[Record]) -> list[str]:
    return [record.verdict for record in found]


def test_a_loss_costs_one_test(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Mortal({2, 4})
    found = records(kernel, 5, monkeypatch)
    assert verdicts(found) == ["ok", "error", "ok", "error", "ok"]
    assert (found[1].why, len(found[1].observations)) == ("vm:6.12 was lost: it fell silent", 1)
    assert kernel.opened == 3


def test_what_is_lost_every_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Mortal({1, 2, 3, 4, 5})
    found = records(kernel, 5, monkeypatch)
    assert verdicts(found) == ["error"] * 5
    assert [record.why for record in found[3:]] == ["not run: vm:6.12 was lost 3 times in a row"] * 2
    assert kernel.opened == 3


def test_losses_that_are_not_in_a_row_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdicts(records(Mortal({1, 2, 4, 5}), 6, monkeypatch)) == ["error", "error", "ok", "error", "error", "ok"]


def test_a_panic_is_the_kernels_fault_and_its_console_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    console = "[    1.0] BUG: kernel NULL pointer dereference\n[    1.1] Kernel panic - not syncing: Fatal exception\n"
    (record,) = records(Mortal({1}, console), 1, monkeypatch)
    assert (record.verdict, record.console) == ("broken", console)
    assert record.why == "vm:6.12 was lost: Kernel panic - not syncing: Fatal exception"


def test_a_kernel_that_cannot_be_had_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def kernel(name: str, notice: object) -> Mortal:
        asked.append(name)
        raise UnavailableError("There is no kernel 9.9.")

    monkeypatch.setattr(execute, "kernel", kernel)
    found = list(on_kernel("vm:9.9", trials(3), Event(), print))
    assert [(record.verdict, record.why) for record in found] == [("error", "There is no kernel 9.9.")] * 3
    assert asked == ["vm:9.9"]


def test_stop_ends_after_the_test_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "kernel", lambda name, notice: Mortal())
    stop = Event()
    running = on_kernel("vm:6.12", trials(5), stop, print)
    assert next(running).verdict == "ok"
    stop.set()
    assert list(running) == []


def test_what_a_kernel_lacks_is_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "kernel", lambda name, notice: Mortal(profile="6.1"))
    (test,) = litmus.parse("litmus t/smart\n    Needs more.\n\nrequire smart-scan\nmemory x\n\nA  write x 7\n")
    (record,) = on_kernel("vm:6.12", [trial(test, "")], Event(), print)
    assert (record.verdict, record.why, record.observations) == ("skip", "ksmd has no smart_scan", ())
