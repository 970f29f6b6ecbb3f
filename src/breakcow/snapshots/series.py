"""`breakcow.series()`: images of the same buffers, one after the other, in one file; each copies only what changed."""

import ctypes
import os
from typing import Self

from .errors import SnapshotError
from .image import load
from .layout import BLOCK
from .snapshot import Stats, into_file, remove


class Series:
    """Takes of the buffers, numbered from 0, in the file `path`, which appears with the first of them.

    What was written between two takes is found by its first store to each page, which waits some microseconds for it. Use it in a `with`
    block, or call `close`. A take that fails ends the series; the takes before it stay in the file.
    """

    def __init__(self, things: tuple[object, ...], path: str | os.PathLike[str], compress: str | None) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self.takes = 0
        self._busy = self._closed = False
        self._frozen, self._temporary = into_file("series", things, self.path, compress)

    @property
    def stats(self) -> Stats:
        """What the takes did: counts add up over all of them, and `freeze`, `holes` and `bytes` are of the last."""
        return self._frozen.stats

    def take(self) -> int:
        """Take one more image, of the memory as it is now; its number. Returns when it is frozen, and the copying goes on meanwhile."""
        self.wait()
        if self._closed:
            raise SnapshotError("the series is closed")
        self._talk({"do": "take"})
        self._busy = True
        self.takes += 1
        return self.takes - 1

    def wait(self) -> Stats:
        """Returns when every take is on the disk. SnapshotError if the last one is lost."""
        if self._busy:
            self._busy = False
            self._talk(None)
        return self.stats

    def restore(self, take: int) -> None:
        """Make the buffers what they were at a take. Only what differs is written."""
        self.wait()
        if any(export.readonly for export in self._frozen.exports):
            raise SnapshotError("a buffer is read-only: load() gives what was in it")
        image = load(self.path, take)
        for shape in image.buffers:
            view = image.at(shape.address, shape.address + shape.length) if shape.length else memoryview(b"")
            for at in range(0, shape.length, BLOCK):
                saved = bytes(view[at : at + BLOCK])
                if ctypes.string_at(shape.address + at, len(saved)) != saved:
                    ctypes.memmove(shape.address + at, saved, len(saved))

    def close(self) -> None:
        """The last take is on the disk, and nothing is protected any more, when this returns. SnapshotError if that take is lost."""
        if self._closed:
            return
        self.wait()
        self._talk({"do": "end"})
        self._end(reuse=True)

    def cancel(self) -> None:
        """Give up a take that is not finished yet; those before it stay in the file."""
        if not self._closed and not self._frozen.foreign:
            self._end(reuse=False)

    def _talk(self, request: dict[str, str] | None) -> None:
        """Ask, and note the answer; an answer that is an error ends the series."""
        try:
            if request:
                self._frozen.send(request)
            answer = self._frozen.receive()
        except BaseException:
            self.cancel()
            raise
        self._frozen.note(answer.get("frozen") or answer.get("done") or {})

    def _end(self, reuse: bool) -> None:
        self._closed, self._busy = True, False
        self._frozen.end(reuse)
        remove(self._temporary)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.cancel()
