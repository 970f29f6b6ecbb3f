"""Several kernels that share the programs are one kernel to who gives them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from breakcow.backend.model import ModelBackend, Path
from breakcow.cli.conform import conform as command
from breakcow.cli.conform import kernels
from breakcow.cli.say import WrongUseError
from breakcow.conform.guests import MOST, Guests
from breakcow.conform.random_programs import Tally, conform
from breakcow.kernel import PROFILES
from breakcow.litmus.program import Program


class Counting(ModelBackend):
    """A kernel that counts what it is asked for."""

    asked = 0

    def ask(self, program: Program) -> Callable[[], Path]:
        self.asked += 1
        return super().ask(program)


def test_programs_are_dealt_out_and_every_kernel_is_closed() -> None:
    kernels: list[Counting] = []
    closed: list[Counting] = []

    @contextmanager
    def start() -> Iterator[Counting]:
        kernel = Counting(PROFILES["6.12"])
        kernels.append(kernel)
        yield kernel
        closed.append(kernel)

    tally = Tally()
    with Guests(start, 3) as guests:
        assert guests.probe() == kernels[0].probe()
        assert list(conform(guests, ModelBackend(PROFILES["6.12"]), range(20), tally, lambda: None)) == []
        assert not closed
    assert tally.programs == 20
    assert [kernel.asked for kernel in kernels] == [7, 7, 6]
    assert set(closed) == set(kernels)


def test_guests_that_do_not_start_leave_none_behind() -> None:
    closed: list[str] = []

    @contextmanager
    def start() -> Iterator[Counting]:
        if closed:
            raise OSError("no more")
        closed.append("not yet")
        try:
            yield Counting(PROFILES["6.12"])
        finally:
            closed.append("closed")

    with pytest.raises(OSError, match="no more"), Guests(start, 2):
        pass
    assert closed[-1] == "closed"


@pytest.mark.parametrize(("on", "jobs"), [("host", 2), ("vm:6.1", 0), ("vm:6.1", 9)])
def test_a_number_of_guests_that_cannot_be_is_refused(on: str, jobs: int) -> None:
    with pytest.raises(WrongUseError, match="--jobs wants a number from 1"):
        command(on=on, jobs=jobs)


@pytest.mark.parametrize("engine", ["one", "ray"])
def test_a_guest_for_each_processor_if_nothing_is_said(engine: str) -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert kernels(None, engine, "vm:6.1") == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert kernels(None, engine, "vm:6.1") == min(len(allowed), MOST)
    assert kernels(None, engine, "host") == 1
