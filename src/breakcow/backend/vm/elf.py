"""What an initramfs needs to know of a 64-bit ELF file: the loader it asks for, its soname, and how much of it is ever loaded."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_STRTAB, _DT_SONAME = 0, 5, 14


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header: `p_type`, `p_offset`, `p_vaddr`, `p_filesz`."""

    kind: int
    offset: int
    address: int
    size: int


def is_elf(data: bytes) -> bool:
    """True for a 64-bit little-endian ELF file."""
    return data[:6] == b"\x7fELF\x02\x01"


def segments(data: bytes) -> Iterator[Segment]:
    """The program headers of the file."""
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _, offset, address, _, filesz = struct.unpack_from("<IIQQQQ", data, start + number * size)
        yield Segment(kind, offset, address, filesz)


def interpreter(data: bytes) -> str:
    """The path of the dynamic loader (PT_INTERP), "" for a static program."""
    for segment in segments(data):
        if segment.kind == _PT_INTERP:
            return data[segment.offset : segment.offset + segment.size].rstrip(b"\0").decode()
    return ""


def soname(data: bytes) -> str:
    """The name that others link this library by (DT_SONAME), "" if it has none."""
    tags = dict(_dynamic(data))
    if _DT_SONAME not in tags:
        return ""
    start = _file_offset(data, tags[_DT_STRTAB]) + tags[_DT_SONAME]
    return data[start : data.index(b"\0", start)].decode()


def loaded_part(data: bytes) -> bytes:
    """The file without what is never loaded: debug information, symbol tables, section headers."""
    end = max(segment.offset + segment.size for segment in segments(data))
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    kept = bytearray(data[: max(end, start + size * count)])
    struct.pack_into("<Q", kept, 40, 0)  # e_shoff
    struct.pack_into("<HH", kept, 60, 0, 0)  # e_shnum, e_shstrndx
    return bytes(kept)


def _dynamic(data: bytes) -> Iterator[tuple[int, int]]:
    for segment in segments(data):
        if segment.kind == _PT_DYNAMIC:
            for tag, value in struct.iter_unpack("<qQ", data[segment.offset : segment.offset + segment.size]):
                if tag == _DT_NULL:
                    return
                yield tag, value


def _file_offset(data: bytes, address: int) -> int:
    for segment in segments(data):
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
            return segment.offset + address - segment.address
    return address
