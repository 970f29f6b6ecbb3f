"""What a program calls."""

import os

from .snapshot import Snapshot


def snapshot(*buffers: object, to: str | os.PathLike[str], compress: str | None = None) -> Snapshot:
    """Take an image of buffers as they are now, and save it to the file `to` while the program goes on.

    buffers: NumPy arrays, mmap objects, memoryviews; the image is one cut over all of them. compress: None or "zstd".
    Returns when everything is frozen. SnapshotError if an exact image cannot be had; OSError if the file cannot be made.
    """
    return Snapshot(buffers, to, compress)
