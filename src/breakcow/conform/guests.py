"""Several guests of one kernel as one kernel: programs are dealt out to them in turn, and they run side by side."""

from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from types import TracebackType
from typing import Self

from breakcow.backend.abilities import Abilities
from breakcow.backend.measure import Kernel
from breakcow.backend.observation import Observation
from breakcow.conform.ahead import AHEAD
from breakcow.conform.work import Start
from breakcow.litmus.program import Program

MOST = AHEAD  # more would wait for programs


class Guests:
    """`number` kernels that `start` starts, all while in a `with` block. What is asked for one by one, the first does."""

    def __init__(self, start: Start, number: int) -> None:
        self._start, self._number = start, number
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            kernels = [stack.enter_context(self._start()) for _ in range(self._number)]
            for kernel in kernels:
                kernel.probe()  # or all but the first would only start when it is their turn
            self._stack = stack.pop_all()
        self._first: Kernel = kernels[0]
        self._turns = cycle(kernels)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def probe(self) -> Abilities:
        """As Kernel.probe."""
        return self._first.probe()

    def run(self, program: Program) -> tuple[Observation, ...]:
        """As Kernel.run."""
        return self._first.run(program)

    def ask(self, program: Program) -> Callable[[], tuple[Observation, ...]]:
        """As Kernel.ask, of the guest whose turn it is."""
        return next(self._turns).ask(program)
