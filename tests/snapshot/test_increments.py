"""Cuts of a series, one thread: pages are released by hand, as they are for a store that waits."""

import os
from collections.abc import Iterator, Sequence

import pytest

from breakcow.agent.abi import PAGE
from breakcow.snapshots import features
from breakcow.snapshots.copying import Memory, writeprotect
from breakcow.snapshots.increments import Increments
from breakcow.snapshots.pagemap import Range

from .writers import Cells, private

PAGES = 300


class Watched(Increments):
    """Notes what it protects, and what it saves."""

    def __init__(self, cells: Cells) -> None:
        self.protected: list[Range] = []
        self.saved_pages: set[int] = set()
        self.start = cells.ctypes.data
        fds = [features.open_userfaultfd()[0], *(os.open(f"/proc/self/{name}", os.O_RDONLY) for name in ("mem", "pagemap"))]
        features.negotiate(fds[0], features.NEEDED)
        super().__init__(Memory(*fds), [(self.start, self.start + PAGES * PAGE)], self.note)
        self.register()

    def note(self, address: int, view: memoryview) -> None:
        """Keep in mind what was saved."""
        self.saved_pages |= {(address - self.start) // PAGE + page for page in range(len(view) // PAGE)}

    def protect(self, ranges: Sequence[Range]) -> None:
        """Protect, and keep it in mind."""
        self.protected += [((start - self.start) // PAGE, (end - self.start) // PAGE) for start, end in ranges]
        super().protect(ranges)

    def release(self, *pages: int) -> None:
        """As for a store to each of these pages."""
        for page in pages:
            writeprotect(self.memory.uffd, self.start + page * PAGE, self.start + (page + 1) * PAGE, 0)

    def take(self) -> tuple[list[Range], set[int]]:
        """A cut: what it protected, and which pages it saved."""
        self.protected, self.saved_pages = [], set()
        self.stop()
        self.freeze()
        self.prove()
        self.divide()
        while self.copying.step():
            pass
        self.saved()
        return self.protected, self.saved_pages


@pytest.fixture
def cut(copied_in: str) -> Iterator[Watched]:
    if why := features.lacking(features.measured()):
        pytest.skip(why)
    cells = private(PAGES * PAGE)
    cells[:] = 1
    found = Watched(cells)
    assert found.take() == ([(0, PAGES)], set(range(PAGES)))
    yield found
    found.stop()
    for fd in found.memory:
        os.close(fd)


def test_what_is_protected_ahead_is_not_protected_again_and_is_saved(cut: Watched) -> None:
    written = list(range(1, PAGES, 3))
    cut.release(*written)
    cut.protected = []
    cut.ahead()
    assert cut.protected == [(page, page + 1) for page in written]
    cut.release(7, 8, 299)
    assert cut.take() == ([(7, 9), (299, 300)], {*written, 8, 299})
    assert cut.take() == ([], set())


def test_what_was_protected_ahead_and_is_watched_no_more_is_forgotten(cut: Watched) -> None:
    cut.release(3, 5)
    cut.ahead()
    cut.watch([(cut.start + 2 * PAGE, cut.start + 4 * PAGE), (cut.start + 9 * PAGE, cut.start + 10 * PAGE)])
    cut.release(9)
    assert cut.take() == ([(9, 10)], {3, 9})
