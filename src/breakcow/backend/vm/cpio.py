"""The cpio archive of an initramfs ("newc": Documentation/driver-api/early-userspace/buffer-format.rst), written byte by byte."""

import stat
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One member. mode: type and permission bits as in stat(2). data: its content. device: major, minor."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def archive(entries: list[Entry]) -> bytes:
    """The archive of `entries`; folders that they need come first, nothing in it depends on the time or the user."""
    members = [*_folders(entries), *entries]
    body = b"".join(_member(entry, number) for number, entry in enumerate(members, 1))
    return body + _member(Entry("TRAILER!!!", 0), 0)


def _folders(entries: list[Entry]) -> list[Entry]:
    parts = [entry.path.split("/")[:-1] for entry in entries]
    paths = {"/".join(part[:depth]) for part in parts for depth in range(1, len(part) + 1)}
    present = {entry.path for entry in entries}
    return [Entry(path, stat.S_IFDIR | 0o755) for path in sorted(paths - present)]


def _member(entry: Entry, number: int) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
