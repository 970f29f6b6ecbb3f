"""`for offset, view in breakcow.snapshot(...)`: the image piece by piece, with bounded memory."""

import mmap
import os
from collections.abc import Iterator
from typing import Self

from .copying import HUGE
from .snapshot import Frozen, Stats


class Pieces(Iterator[tuple[int, memoryview]]):
    """Gives (offset, view): a part of the image, and where it begins in the bytes of the buffers, one behind the other. Every byte comes
    once.

    A view is good until the next is asked for. The image is the state when this was made; the program may write on, also between two
    pieces. Ends by itself, or with `close`; then nothing is protected any more. SnapshotError where the image is lost.
    """

    def __init__(self, things: tuple[object, ...]) -> None:
        window = os.memfd_create("breakcow-window", os.MFD_CLOEXEC)
        try:
            os.ftruncate(window, HUGE)
            self._window = memoryview(mmap.mmap(window, HUGE, prot=mmap.PROT_READ))
            self._frozen = Frozen(things, {"do": "pieces"}, (window,))
        finally:
            os.close(window)
        self._shapes = [export.shape for export in self._frozen.exports]
        self._parts: list[tuple[int, memoryview]] = []
        self._left = True

    @property
    def stats(self) -> Stats:
        """What it did; all of it after the last piece."""
        return self._frozen.stats

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[int, memoryview]:
        while not self._parts:
            if not self._left:
                raise StopIteration
            try:
                self._advance()
            except BaseException:
                self.close()
                raise
        return self._parts.pop(0)

    def close(self) -> None:
        """No more pieces are wanted."""
        if self._left and not self._frozen.foreign:
            self._left = False
            self._frozen.end(reuse=False)

    def __del__(self) -> None:
        if hasattr(self, "_left"):
            self.close()

    def _advance(self) -> None:
        """Ask for the next piece, and cut out what belongs to the buffers."""
        self._frozen.send({"do": "next"})
        answer = self._frozen.receive()
        if "done" in answer:
            self._frozen.note(answer["done"])
            self._frozen.end(reuse=True)
            self._left = False
            return
        start, end = answer["piece"]
        before = 0
        for shape in self._shapes:
            first, last = max(start, shape.address), min(end, shape.address + shape.length)
            if first < last:
                self._parts.append((before + first - shape.address, self._window[first - start : last - start]))
            before += shape.length
