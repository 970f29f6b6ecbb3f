"""Many system calls of this process in one go, by a few bytes of machine code.

An observation is some twenty reads. Each costs Python ten times what it costs the kernel, in an emulated machine above all.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

from . import abi

ENTRY = 64  # bytes: number, six arguments, and the place of the result
# (bytes, assembler, why), as in stub.CODE
CODE = (
    ("53", "gather: push rbx", "void gather(void *entries, int count)"),
    ("55", "push rbp", ""),
    ("48 89 fb", "mov rbx, rdi", ""),
    ("89 f5", "mov ebp, esi", ""),
    ("48 8b 03", "next: mov rax, [rbx]", ""),
    ("48 8b 7b 08", "mov rdi, [rbx+8]", ""),
    ("48 8b 73 10", "mov rsi, [rbx+16]", ""),
    ("48 8b 53 18", "mov rdx, [rbx+24]", ""),
    ("4c 8b 53 20", "mov r10, [rbx+32]", ""),
    ("4c 8b 43 28", "mov r8, [rbx+40]", ""),
    ("4c 8b 4b 30", "mov r9, [rbx+48]", ""),
    ("0f 05", "syscall", ""),
    ("48 89 43 38", "mov [rbx+56], rax", ""),
    ("48 83 c3 40", "add rbx, 64", ""),
    ("ff cd", "dec ebp", ""),
    ("75 d7", "jne next", ""),
    ("5d", "pop rbp", ""),
    ("5b", "pop rbx", ""),
    ("c3", "ret", ""),
)

Read = tuple[int, int, int]  # file descriptor, bytes, offset; NEXT: what comes next in a file that has no offsets (read(2))
NEXT = -1


class Gather:
    """Reads (pread(2), read(2)), to be made again and again: at least one.

    data: what they read, in places as long as what is asked for, one after the other. What a read does not fill stays as it was.
    """

    def __init__(self, reads: Sequence[Read]) -> None:
        self.data = bytearray(sum(size for _, size, _ in reads))
        at = abi.address_of(self.data)
        words: list[int] = []
        for fd, size, offset in reads:
            words += (abi.READ if offset == NEXT else abi.PREAD64, fd, at, size, offset, 0, 0, 0)
            at += size
        self.count = len(reads)
        self.calls = bytearray(struct.pack(f"<{len(words)}q", *words))
        self.at = abi.address_of(self.calls)
        self.results = struct.Struct("<" + "56xq" * self.count)

    def read(self) -> tuple[int, ...]:
        """Make all of them: of each how many bytes it read, or -errno."""
        _gather(self.at, self.count)
        return self.results.unpack(self.calls)

    def one(self) -> bytes | None:
        """Make the only one: what it read, or None where there is nothing to be read yet. OSError."""
        (length,) = self.read()
        if length == -errno.EAGAIN:
            return None
        if length < 0:
            raise OSError(-length, os.strerror(-length))
        return bytes(self.data[:length])


class Again:
    """Reads that are mostly those of the time before.

    reads: of the last time. data: what they read, each in a place as long as it asked for. results: of each how many bytes, or -errno.
    """

    def __init__(self) -> None:
        self.reads: tuple[Read, ...] = ()
        self.data = b""
        self.results: tuple[int, ...] = ()
        self.gather: Gather | None = None

    def read(self, reads: tuple[Read, ...]) -> bool:
        """Make these reads: whether they are those of the time before, and came to the same."""
        before = (self.reads, self.results, self.data)
        if reads != self.reads:
            self.reads, self.gather = reads, Gather(reads) if reads else None
        self.results = self.gather.read() if self.gather else ()
        self.data = bytes(self.gather.data) if self.gather else b""
        return (reads, self.results, self.data) == before


def code() -> bytes:
    """The machine code."""
    return b"".join(bytes.fromhex(line[0]) for line in CODE)


def _load() -> int:
    """Where the machine code lies, to be executed and not to be written."""
    file = os.memfd_create("breakcow-gather", os.MFD_CLOEXEC)
    try:
        os.write(file, code())
        return abi.syscall(abi.MMAP, 0, abi.PAGE, abi.PROT_READ | abi.PROT_EXEC, abi.MAP_PRIVATE, file, 0)
    finally:
        os.close(file)


_gather = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)(_load())
