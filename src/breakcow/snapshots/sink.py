"""Where the pieces of an image go: into a record of a file."""

import os
from collections.abc import Callable, Sequence

from breakcow.agent.abi import PAGE

from . import compiled
from .layout import BLOCK, Draft
from .pagemap import Range

ZEROS = bytes(PAGE)
Pack = Callable[[bytes], bytes]


class Sink:
    """Writes a record to `file`, block by block, in any order; `close` makes it durable and whole.

    strangers: bytes of the ranges that are nobody's business; they are saved as zeros. pack: compresses a block, if the draft is packed.
    """

    def __init__(self, file: int, draft: Draft, strangers: Sequence[Range], pack: Pack | None = None) -> None:
        self.file, self.draft, self.strangers, self.pack = file, draft, strangers, pack
        self.position = draft.data
        self.holes = 0  # pages
        self.stored = 0  # bytes

    def open(self) -> None:
        """Give the file its length. Raises OSError where it may not be so long."""
        os.ftruncate(self.file, self.draft.end)

    def save(self, address: int, view: memoryview) -> None:
        """Keep what was at `address`: one piece, or several blocks in a row."""
        self._forget_strangers(address, view)
        at = 0
        while at < len(view):
            first = address + at
            length = min(len(view) - at, (first // BLOCK + 1) * BLOCK - first)
            self._block(first, view[at : at + length])
            at += length

    def close(self) -> None:
        """Write the front, which makes the record one, after the data is safe."""
        if self.pack:
            self.draft.end = self.position
        os.fsync(self.file)
        _write(self.file, self.draft.front(), self.draft.start)
        os.fsync(self.file)

    def _forget_strangers(self, address: int, view: memoryview) -> None:
        for start, end in self.strangers:
            first, last = max(start - address, 0), min(end - address, len(view))
            if first < last:
                view[first:last] = bytes(last - first)

    def _block(self, address: int, view: memoryview) -> None:
        crc = compiled.crc32(view)
        runs = _written(view)
        used = sum(end - start for start, end in runs)
        self.holes += (len(view) - used) // PAGE
        self.stored += used
        if self.pack is None:
            place = self.draft.place(address)
            for start, end in runs:
                _write(self.file, view[start:end], place + start)
            self.draft.enter(address, place, len(view) if runs else 0, crc)
        elif not runs:
            self.draft.enter(address, 0, 0, crc)
        else:
            self._packed(address, view, crc)

    def _packed(self, address: int, view: memoryview, crc: int) -> None:
        """Append the block, packed where that makes it smaller."""
        assert self.pack
        packed = self.pack(bytes(view))
        data = packed if len(packed) < len(view) else bytes(view)
        _write(self.file, data, self.position)
        self.draft.enter(address, self.position, len(data), crc)
        self.position += len(data)


def _written(view: memoryview) -> list[Range]:
    """The parts of a block whose pages are not all zeros."""
    if 0 not in bytes(view[::PAGE]):
        return [(0, len(view))]
    runs: list[Range] = []
    for start in range(0, len(view), PAGE):
        if view[start] or bytes(view[start : start + PAGE]) != ZEROS:
            if runs and runs[-1][1] == start:
                runs[-1] = runs[-1][0], start + PAGE
            else:
                runs.append((start, start + PAGE))
    return runs


def _write(file: int, data: memoryview | bytes | bytearray, position: int) -> None:
    """All of it. Raises OSError, with ENOSPC where a disk is full."""
    rest = memoryview(data)
    while rest:
        done = os.pwrite(file, rest, position)
        rest, position = rest[done:], position + done
