"""A kernel that runs the next program while what it showed of the last is judged."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from breakcow.backend.errors import Disturbed
from breakcow.backend.measure import Kernel
from breakcow.backend.observation import Observation
from breakcow.litmus.program import Program

PATIENCE = 0.5  # seconds that other processes are given to be done with their mergeable memory
AHEAD = 2  # programs that are given to the kernel before the first is asked for

Seen = tuple[Observation, ...]
Item = TypeVar("Item")


class Ahead:
    """One thread that runs programs on a kernel, one after the other. Leave its `with` block and it runs none any more."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._runner = ThreadPoolExecutor(1, "breakcow-ahead")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._runner.shutdown(wait=kind is None, cancel_futures=True)  # a kernel that hangs ends when it is closed

    def all(self, programs: Iterable[tuple[Item, Program]]) -> Iterator[tuple[Item, Program, Seen | None]]:
        """Each of the programs, what it was given with, and what `run` says of it. Raises LostBackend."""
        waiting: deque[tuple[Item, Program, Future[Seen | None]]] = deque()
        for item, flat in programs:
            waiting.append((item, flat, self._runner.submit(self._undisturbed, flat)))
            if len(waiting) > AHEAD:
                yield _shown(*waiting.popleft())
        for each in waiting:
            yield _shown(*each)

    def run(self, flat: Program) -> Seen | None:
        """What the kernel shows, or None if memory of other processes spoils it and goes on to; each time that is waited for once.
        Raises LostBackend."""
        return self._runner.submit(self._undisturbed, flat).result()

    def _undisturbed(self, flat: Program) -> Seen | None:
        for seconds in (PATIENCE, 0):
            try:
                return self.kernel.run(flat)
            except Disturbed:
                time.sleep(seconds)
        return None


def _shown(item: Item, flat: Program, seen: Future[Seen | None]) -> tuple[Item, Program, Seen | None]:
    return item, flat, seen.result()
