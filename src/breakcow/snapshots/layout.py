"""The file: records one behind the other, each the state of ranges of memory at one instant. docs/snapshot.md describes every byte.

A record is a fixed head, a description in JSON, a table with one entry for each block of at most 64 KiB, and the data. The data of a
record that is not packed has the order of the memory, so that it can be mapped; what was never written stays a hole in the file.
"""

import functools
import itertools
import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from breakcow.agent.abi import PAGE

from .errors import BadFileError
from .pagemap import Range

MAGIC = b"breakcow"
VERSION = 1
BLOCK = 1 << 16  # bytes of memory that one entry of the table stands for, at most: blocks end at addresses that are multiples of it
HEAD = struct.Struct("<8sIIQQQII")  # magic, version, flags, bytes of JSON, entries, end of record, CRC of JSON and table, CRC of the head
ENTRY = struct.Struct("<QII")  # position in the file, bytes there, CRC-32 of the memory; 0 bytes: all zeros
PACKED = 1 << 0  # flag: each block is stored for itself, by zstd where that helps; else at its place, and holes are holes


def blocks(ranges: Sequence[Range]) -> Iterator[Range]:
    """The blocks of the ranges, in order, as addresses."""
    for start, end in ranges:
        edges = [start, *range((start // BLOCK + 1) * BLOCK, end, BLOCK), end]
        if start < end:
            yield from pairwise(edges)


def aligned(position: int) -> int:
    """The next position where a page may begin."""
    return -(-position // PAGE) * PAGE


class Record(NamedTuple):
    """One record of a file. start, data, end: positions. ranges: what it holds. said: its description. table: its entries, packed."""

    start: int
    data: int
    end: int
    packed: bool
    ranges: tuple[Range, ...]
    said: dict[str, Any]
    table: bytes

    def entries(self) -> Iterator[tuple[Range, int, int, int]]:
        """For each block: its addresses, position, bytes stored, CRC."""
        for block, entry in zip(blocks(self.ranges), ENTRY.iter_unpack(self.table), strict=True):
            yield block, *entry


class Draft:
    """A record that is being written: where each block goes, and in the end its bytes in front of the data.

    start: position of the record. packed: blocks are stored one behind the other, in the order in which they come.
    """

    def __init__(self, start: int, ranges: Sequence[Range], said: dict[str, Any], packed: bool) -> None:
        self.start, self.ranges, self.packed = start, tuple(ranges), packed
        self.json = json.dumps(said | {"ranges": [list(each) for each in ranges]}, separators=(",", ":")).encode()
        self.blocks = sum(-(-end // BLOCK) - first // BLOCK for first, end in ranges if first < end)
        self.table = bytearray(ENTRY.size * self.blocks)
        self.data = aligned(start + HEAD.size + len(self.json) + len(self.table))
        self.end = self.data if packed else self.data + sum(end - first for first, end in ranges)

    @functools.cached_property
    def number(self) -> dict[int, int]:
        """Which entry of the table a block has, by its address. Made after the freeze, which it would prolong."""
        return {block[0]: number for number, block in enumerate(blocks(self.ranges))}

    @functools.cached_property
    def _places(self) -> dict[int, int]:
        lengths = (end - start for start, end in blocks(self.ranges))
        return dict(zip(self.number, itertools.accumulate(lengths, initial=self.data), strict=False))

    def place(self, address: int) -> int:
        """Where the block that begins at this address goes, in a record that is not packed."""
        return self._places[address]

    def enter(self, address: int, position: int, stored: int, crc: int) -> None:
        """The block that begins at this address is stored."""
        ENTRY.pack_into(self.table, ENTRY.size * self.number[address], position, stored, crc)

    def front(self) -> bytes:
        """Head, description and table."""
        crc = zlib.crc32(self.table, zlib.crc32(self.json))
        head = HEAD.pack(MAGIC, VERSION, PACKED if self.packed else 0, len(self.json), self.blocks, self.end, crc, 0)
        return head[:-4] + struct.pack("<I", zlib.crc32(head[:-4])) + self.json + self.table


def read(data: memoryview, start: int) -> Record:
    """The record at `start` of a file. Raises BadFileError."""
    if len(data) < start + HEAD.size:
        raise BadFileError("it ends in the middle of a record")
    magic, version, flags, size, number, end, crc, own = HEAD.unpack_from(data, start)
    if magic != MAGIC:
        raise BadFileError("it is not a snapshot of breakcow")
    if version != VERSION:
        raise BadFileError(f"it is of version {version}, and this breakcow reads version {VERSION}")
    front = start + HEAD.size
    table = front + size
    if zlib.crc32(data[start : front - 4]) != own or not table + number * ENTRY.size <= end <= len(data):
        raise BadFileError("its head is damaged, or its end is missing")
    if zlib.crc32(data[front : table + number * ENTRY.size]) != crc:
        raise BadFileError("its table is damaged")
    said = json.loads(bytes(data[front:table]))
    ranges = tuple((first, last) for first, last in said["ranges"])
    entries = bytes(data[table : table + number * ENTRY.size])
    return Record(start, aligned(table + number * ENTRY.size), end, bool(flags & PACKED), ranges, said, entries)
