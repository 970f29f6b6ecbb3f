"""What a program calls."""

import os
from typing import overload

from .pieces import Pieces
from .series import Series
from .snapshot import Snapshot
from .track import Tracker


@overload
def snapshot(*buffers: object, to: str | os.PathLike[str], compress: str | None = None) -> Snapshot: ...
@overload
def snapshot(*buffers: object) -> Pieces: ...
def snapshot(*buffers: object, to: str | os.PathLike[str] | None = None, compress: str | None = None) -> Snapshot | Pieces:
    """Take an image of buffers as they are now, while the program goes on writing them. Returns when everything is frozen.

    buffers: NumPy arrays, mmap objects, memoryviews, of private memory; the image is one cut over all of them.
    to: the file that gets the image; without one, the image comes as an iterator over (offset, view). compress: None or "zstd".
    SnapshotError if an exact image cannot be had; OSError if the file cannot be made.
    """
    if to is None:
        return Pieces(buffers)
    return Snapshot(buffers, to, _compression(compress))


def series(*args: object, compress: str | None = None) -> Series:
    """Images of the same buffers, one after the other: series(array, ..., path). Each take copies only what changed since the one before.

    path: the file that gets them. compress: None or "zstd". SnapshotError if exact images cannot be had; OSError if the file cannot be
    made.
    """
    *buffers, path = args
    if not isinstance(path, str | os.PathLike):
        raise TypeError("the last argument of series() is the path of its file")
    return Series(tuple(buffers), path, _compression(compress))


def track(*buffers: object) -> Tracker:
    """Watch which pages of the buffers are written, at no cost to the stores after the first to each page. SnapshotError if that cannot
    be had.
    """
    return Tracker(buffers)


def _compression(name: str | None) -> str | None:
    """The name, if it can be had. ValueError if it is not known, ModuleNotFoundError if its library is missing."""
    if name not in {None, "zstd"}:
        raise ValueError(f'compress={name!r}: None or "zstd"')
    if name:
        import zstandard  # noqa: F401  # better now than in the copier
    return name
