"""The freeze rule: no fault is answered before the last protecting ioctl has returned.

A writer stores each number first to a cell of x and then to the same cell of y. At one instant at most one cell differs, and there x is
ahead. The eight ranges are protected one after the other, slowly, those of x first. Whoever answers a fault meanwhile copies the old x, and
lets the writer go on to the y that is not protected yet.
"""

import itertools
import mmap
import os
import time
import traceback
from collections.abc import Sequence

import numpy as np
import pytest

from breakcow.agent.abi import PAGE
from breakcow.snapshots import features
from breakcow.snapshots.copying import Memory
from breakcow.snapshots.cut import Cut
from breakcow.snapshots.increments import Increments
from breakcow.snapshots.pagemap import Range

from .writers import Cells, private

RANGES, SIZE = 4, 1 << 16
CELLS = RANGES * SIZE // 8
STEP = 64  # so that a few thousand stores touch all pages


class Slow(Cut):
    """Protects slowly, so that a writer has time between two ioctls."""

    def protect(self, ranges: Sequence[Range]) -> None:
        """Protect them, and give the writer a chance between two."""
        for each in ranges:
            super().protect([each])
            time.sleep(0.003)


class Later(Slow, Increments):
    """The second cut of a series, of what was written since the first: most of it is protected ahead, the rest while nobody is answered."""


class Hasty(Slow):
    """Answers while it is still protecting."""

    def freeze(self) -> None:
        """Break the rule."""
        self.changed = self.ranges
        self.divide()
        for start, end in self.ranges:
            self.protect([(start, end)])
            self.copying.attend()

    def divide(self) -> None:
        """Once."""
        if not self.frozen:
            super().divide()


def image(kind: type[Cut], x: Cells, y: Cells) -> tuple[Cells, Cells]:
    """The image that this kind of cut takes of x and y while they are being written."""
    out = np.frombuffer(mmap.mmap(-1, 2 * CELLS * 8), np.int64)
    ranges = [(each.ctypes.data + number * SIZE, each.ctypes.data + (number + 1) * SIZE) for each in (x, y) for number in range(RANGES)]
    fds = [features.open_userfaultfd()[0], *(os.open(f"/proc/self/{name}", os.O_RDONLY) for name in ("mem", "pagemap"))]
    features.negotiate(fds[0], features.NEEDED)
    begin, go = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.read(begin, 1)
            _cut(kind, Memory(*fds), ranges, out, (x.ctypes.data, y.ctypes.data))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    for fd in (*fds, begin):
        os.close(fd)
    os.write(go, b"!")
    os.close(go)
    for number in itertools.count(1):
        cell = number * STEP % CELLS
        x[cell] = number
        y[cell] = number
        if number % 256 == 0 and (ended := os.waitpid(child, os.WNOHANG))[0]:
            assert ended[1] == 0
            break
    return out[:CELLS], out[CELLS:]


def _cut(kind: type[Cut], memory: Memory, ranges: Sequence[Range], out: Cells, bases: tuple[int, int]) -> None:
    """In the child: take the image into `out`."""

    def save(address: int, view: memoryview) -> None:
        for page in range(address, address + len(view), PAGE):
            which = 1 if bases[1] <= page < bases[1] + CELLS * 8 else 0
            at = which * CELLS + (page - bases[which]) // 8
            out[at : at + PAGE // 8] = np.frombuffer(view[page - address : page - address + PAGE], np.int64)

    cut = kind(memory, ranges, save)
    cut.register()
    time.sleep(0.05)
    if isinstance(cut, Increments):
        _first(cut)
    cut.freeze()
    if isinstance(cut, Increments):
        cut.prove()
    cut.divide()
    while cut.copying.step():
        pass
    cut.stop()


def _first(cut: Increments) -> None:
    """Take the first cut of a series, have everything be written again, and begin the next."""
    cut.freeze()
    cut.prove()
    cut.divide()
    while cut.copying.step():
        pass
    cut.saved()
    deadline = time.monotonic() + 60
    while sum(end - start for start, end in cut.written()) < 2 * RANGES * SIZE:
        assert time.monotonic() < deadline, "the writer does not write"
        cut.copying.attend()
    cut.ahead()
    cut.stop()


def broken(x: Cells, y: Cells) -> bool:
    """The image is of no instant."""
    return bool((y > x).any() or (y < x).sum() > 1)


@pytest.mark.parametrize(("kind", "least", "most"), [(Slow, 0, 0), (Later, 0, 0), (Hasty, 3, 10)])
def test_an_image_is_of_one_instant_unless_a_fault_is_answered_too_early(kind: type[Cut], least: int, most: int) -> None:
    if why := features.lacking(features.measured()):
        pytest.skip(why)
    found = 0
    for _ in range(10):
        x, y = (private(CELLS * 8) for _ in range(2))
        x[:] = y[:] = 0
        found += broken(*image(kind, x, y))
    assert least <= found <= most
