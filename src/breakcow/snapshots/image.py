"""`breakcow.load()`: an image as a file has it."""

import bisect
import mmap
import os
import zlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, overload

from . import layout
from .buffers import Shape
from .errors import BadFileError
from .layout import Record
from .pagemap import Range

CASTS = "cbB?hHiIlLqQnNfd"  # the formats that a memoryview can show


class Image(Sequence[Any]):
    """The buffers of an image, in the order in which they were given; changes to them stay in this process.

    Each is a NumPy array if it was one, else a memoryview. takes: how many the file has. ranges: the addresses that the image has.
    """

    def __init__(self, path: str | os.PathLike[str], take: int | None = None) -> None:
        self._file, self.records = opened(path)
        self.takes = len(self.records)
        if take is not None and not -self.takes <= take < self.takes:
            raise IndexError(f"{os.fspath(path)} has {self.takes} takes, numbered from 0")
        chosen = self.records[: (self.takes if take is None else take % self.takes + 1)]
        self.buffers = [Shape.of(wire) for wire in chosen[-1].said["buffers"]]
        self.ranges: list[Range] = [(start, end) for start, end in chosen[-1].said.get("whole", chosen[-1].ranges)]
        self._data = _memory(self._file, chosen, self.ranges)

    def __len__(self) -> int:
        return len(self.buffers)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return self._object(self.buffers[index])

    def at(self, start: int, end: int) -> memoryview:
        """The bytes from one address to another, which lie in one range. KeyError if they do not."""
        position = 0
        for first, last in self.ranges:
            if first <= start <= end <= last:
                return self._data[position + start - first : position + end - first]
            position += last - first
        raise KeyError(f"{start:#x}-{end:#x}")

    def _object(self, shape: Shape) -> Any:
        view = self.at(shape.address, shape.address + shape.length) if shape.length else memoryview(bytearray())
        if shape.dtype:
            import numpy

            flat = numpy.frombuffer(view, dtype=numpy.dtype(shape.dtype))
            return flat.reshape(shape.shape, order="F" if shape.order == "F" else "C")
        if shape.format in CASTS and shape.order == "C" and shape.length:
            return view.cast(shape.format, shape.shape)  # type: ignore[call-overload]  # mypy wants a literal
        return view


def opened(path: str | os.PathLike[str]) -> tuple[memoryview, list[Record]]:
    """The file, mapped, and its records. Raises BadFileError, OSError."""
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise BadFileError(f"{os.fspath(path)}: it is empty")
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    try:
        return data, list(_records(data))
    except BadFileError as error:
        raise BadFileError(f"{os.fspath(path)}: {error}") from None


def _records(data: memoryview) -> Iterator[Record]:
    """The records. BadFileError if the first is not whole; a later one that is not was never finished, and does not count."""
    start = 0
    while start < len(data):
        try:
            record = layout.read(data, start)
        except BadFileError:
            if start == 0:
                raise
            return
        yield record
        start = layout.aligned(record.end)


def content(data: memoryview, block: Range, position: int, stored: int) -> memoryview | bytes:
    """The memory of a block, as the file has it. Raises BadFileError if it cannot be unpacked."""
    size = block[1] - block[0]
    if not stored:
        return bytes(size)
    found = data[position : position + stored]
    if stored == size:
        return found
    import zstandard

    try:
        return zstandard.ZstdDecompressor().decompress(found, max_output_size=size)
    except zstandard.ZstdError as error:
        raise BadFileError(f"the block at {block[0]:#x} cannot be unpacked: {error}") from None


def damage(data: memoryview, record: Record) -> Iterator[Range]:
    """The blocks of a record whose bytes are not what was written."""
    for block, position, stored, crc in record.entries():
        try:
            good = zlib.crc32(content(data, block, position, stored)) == crc
        except BadFileError:
            good = False
        if not good:
            yield block


def _memory(data: memoryview, records: Sequence[Record], whole: Sequence[Range]) -> memoryview:
    """The bytes of the ranges `whole`, one behind the other, after all records: the file itself where it has them so."""
    if len(records) == 1 and not records[0].packed:
        return data[records[0].data : records[0].end]
    filled = memoryview(mmap.mmap(-1, max(sum(end - start for start, end in whole), 1)))
    starts = [start for start, _ in whole]
    places = list(accumulate((end - start for start, end in whole), initial=0))
    for record in records:
        for (start, end), position, stored, _ in record.entries():
            found = content(data, (start, end), position, stored)
            number = max(bisect.bisect_right(starts, start) - 1, 0)
            while number < len(whole) and starts[number] < end:
                first, last = max(start, starts[number]), min(end, whole[number][1])
                if first < last:
                    at = places[number] + first - starts[number]
                    filled[at : at + last - first] = found[first - start : last - start]
                number += 1
    return filled


def load(path: str | os.PathLike[str], take: int | None = None) -> Image:
    """The image in a file, or one take of a series (the last, if it is not said), mapped: nothing is read until it is used.

    Raises BadFileError if the file is damaged where its structure is, IndexError if it has no such take, OSError.
    """
    return Image(path, take)
