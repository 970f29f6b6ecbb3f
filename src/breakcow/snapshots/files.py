"""What can be said of a file, and taken out of it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from . import image, layout
from .buffers import Shape
from .image import Image
from .layout import BLOCK


def info(path: Path) -> Iterator[str]:
    """Lines about a file. Raises BadFileError, OSError."""
    data, records = image.opened(path)
    yield f"{path}: {len(data)} bytes, {len(records)} take{'s' if len(records) > 1 else ''}"
    for number, record in enumerate(records):
        size = sum(end - start for start, end in record.ranges)
        stored = sum(stored for _, _, stored, _ in record.entries())
        when = time.strftime(" at %Y-%m-%d %H:%M:%S", time.localtime(record.said["time"])) if "time" in record.said else ""
        packed = ", zstd" if record.packed else ""
        yield f"take {number}{when}: {size} bytes in {len(record.ranges)} ranges, {stored} stored{packed}"
    last = records[-1]
    for number, shape in enumerate(Shape.of(wire) for wire in last.said["buffers"]):
        kind = f"array {shape.dtype} {shape.shape}" if shape.dtype else f"buffer {shape.format} {shape.shape}"
        yield f"  {number}: {kind}, {shape.length} bytes"
    if "pid" in last.said:
        yield f"  process {last.said['pid']}: {last.said['command']}"
        yield from (f"  {start:x}-{end:x}" for start, end in last.said["whole"])


def damaged(path: Path) -> Iterator[str]:
    """A line for each block that is not what was written. Raises BadFileError, OSError."""
    data, records = image.opened(path)
    for number, record in enumerate(records):
        for start, end in image.damage(data, record):
            yield f"take {number}: the memory from {start:#x} to {end:#x} is not what was saved"
    end = layout.aligned(records[-1].end)
    if end < len(data):
        yield f"{len(data) - end} bytes behind take {len(records) - 1} are no take: one was not finished, or its head is damaged"


def restore(found: Image, to: Path) -> Iterator[Path]:
    """Write each buffer, or each range of a process, to a file of its own: their paths."""
    to.mkdir(parents=True, exist_ok=True)
    for number, shape in enumerate(found.buffers):
        if shape.dtype:
            import numpy

            path = to / f"{number}.npy"
            numpy.save(path, found[number])
        else:
            path = to / f"{number}.bin"
            _write(path, found.at(shape.address, shape.address + shape.length) if shape.length else memoryview(b""))
        yield path
    for start, end in [] if found.buffers else found.ranges:
        path = to / f"{start:x}-{end:x}.bin"
        _write(path, found.at(start, end))
        yield path


def _write(path: Path, view: memoryview) -> None:
    """The bytes; what is all zeros stays a hole."""
    with open(path, "wb") as file:
        os.ftruncate(file.fileno(), len(view))
        for at in range(0, len(view), BLOCK):
            block = bytes(view[at : at + BLOCK])
            if block.count(0) != len(block):
                os.pwrite(file.fileno(), block, at)
