"""A kernel that runs the next programs while what it showed of the last is judged."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from breakcow.backend.errors import Disturbed
from breakcow.backend.measure import Kernel
from breakcow.backend.observation import Observation
from breakcow.litmus.program import Program

PATIENCE = 0.5  # seconds that other processes are given to be done with their mergeable memory
AHEAD = 8  # programs that are given to the kernel before the first is asked for

Seen = tuple[Observation, ...]
Item = TypeVar("Item")
Under = tuple[Item, Program, Callable[[], Seen]]  # under way: what is to be called for what it shows


class Ahead:
    """Runs programs on a kernel, one after the other, some ahead of what is asked for."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def all(self, programs: Iterable[tuple[Item, Program]]) -> Iterator[tuple[Item, Program, Seen | None]]:
        """Each of the programs, what it was given with, and what `run` says of it. Raises LostBackend."""
        waiting: deque[Under[Item]] = deque()
        for item, flat in programs:
            waiting.append((item, flat, self.kernel.ask(flat)))
            if len(waiting) > AHEAD:
                yield self._shown(*waiting.popleft())
        while waiting:
            yield self._shown(*waiting.popleft())

    def run(self, flat: Program) -> Seen | None:
        """What the kernel shows, or None if memory of other processes spoils it and goes on to; each time that is waited for once.
        Raises LostBackend."""
        return self._patiently(flat, self.kernel.ask(flat))

    def _shown(self, item: Item, flat: Program, answer: Callable[[], Seen]) -> tuple[Item, Program, Seen | None]:
        return item, flat, self._patiently(flat, answer)

    def _patiently(self, flat: Program, answer: Callable[[], Seen]) -> Seen | None:
        for again in (True, False):
            try:
                return answer()
            except Disturbed:
                if again:
                    time.sleep(PATIENCE)
                    answer = self.kernel.ask(flat)
        return None
