"""A guard at work over memory of this process, which holds the userfaultfd as well: what is gone then, the guard has taken off."""

import ctypes
import os
import threading
from collections.abc import Iterator

import pytest

from breakcow.agent import abi, uffd
from breakcow.snapshots import compiled, features
from breakcow.snapshots.copying import MESSAGE, PAGEFAULT, writeprotect
from breakcow.snapshots.guard import Guard, over
from breakcow.snapshots.pagemap import Pagemap, Range

from .writers import private

HUGE = 2 << 20
MAP_FIXED = 0x10


class Watched:
    """Memory in three ranges that is protected and guarded, with a hole at the end."""

    def __init__(self) -> None:
        self.cells = private(20 << 20)
        self.cells[: len(self.cells) // 2] = 1
        start = self.cells.ctypes.data
        self.ranges: list[Range] = [(start + at, start + end) for at, end in ((0, 5 << 20), (6 << 20, 7 << 20), (8 << 20, 20 << 20))]
        self.fd, _ = features.open_userfaultfd()
        features.negotiate(self.fd, features.NEEDED)
        self.pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
        for first, end in self.ranges:
            assert uffd.register(self.fd, first, end - first) == "ok"
            writeprotect(self.fd, first, end, uffd.WRITEPROTECT_MODE_WP)
        found = over(self.fd, self.ranges, -1)
        assert found
        self.guard: Guard = found

    @property
    def protected(self) -> list[Range]:
        """What is."""
        return [each for start, end in self.ranges for each in Pagemap(self.pagemap).protected(start, end)]


@pytest.fixture
def watched() -> Iterator[Watched]:
    if why := features.lacking(features.measured()):
        pytest.skip(why)
    if compiled.found() is None:
        pytest.skip("guard.c cannot be compiled here: apt install gcc libc6-dev")
    found = Watched()
    yield found
    os.close(found.fd)
    os.close(found.pagemap)


def test_nothing_is_protected_or_watched_when_it_has_ended(watched: Watched) -> None:
    assert watched.protected == watched.ranges
    watched.guard.end()
    assert watched.protected == []
    other, _ = features.open_userfaultfd()
    features.negotiate(other, features.NEEDED)
    assert [uffd.register(other, start, end - start) for start, end in watched.ranges] == ["ok"] * len(watched.ranges)
    os.close(other)


def test_a_store_goes_on_whose_message_was_read_and_not_answered(watched: Watched) -> None:
    address = watched.ranges[-1][1] - 1
    writer = threading.Thread(target=ctypes.memset, args=(address, 7, 1), daemon=True)
    writer.start()
    while True:
        try:
            event, _, found, _ = MESSAGE.unpack(os.read(watched.fd, MESSAGE.size))
            break
        except BlockingIOError:
            pass
    assert (event, found) == (PAGEFAULT, address // 4096 * 4096)
    watched.guard.end()
    writer.join(30)
    assert not writer.is_alive() and watched.cells.data.cast("B")[-1] == 7


def test_one_that_is_dismissed_does_nothing(watched: Watched) -> None:
    watched.guard.dismiss()
    assert watched.protected == watched.ranges


def test_what_was_unmapped_does_not_hold_it_up(watched: Watched) -> None:
    start = watched.ranges[0][0]
    abi.syscall(abi.MMAP, start + HUGE, HUGE, 0, abi.MAP_PRIVATE | abi.MAP_ANONYMOUS | MAP_FIXED, -1, 0)
    watched.guard.end()
    assert watched.protected == []
