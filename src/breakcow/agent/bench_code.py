"""The loops that benchmarks time: machine code for x86-64, called through ctypes, as a loop of Python takes longer than a page fault.

stride(address, step, count, byte): store `byte` at address, address + step, ..., `count` times.
serve(uffd, count, buffer): read a message, release the page that it names, `count` times; what is left to do where one of the two
    fails. buffer: 56 bytes, the message and then a struct uffdio_writeprotect with its length set and its mode 0.
"""

import ctypes
import mmap
import struct

from .abi import PAGE, address_of

# (bytes, assembler); a test assembles the right column and compares
CODE = (
    ("53", "stride: push rbx"),
    ("55", "push rbp"),
    ("41 54", "push r12"),
    ("41 55", "push r13"),
    ("41 56", "push r14"),
    ("48 89 fb", "mov rbx, rdi"),
    ("48 89 f5", "mov rbp, rsi"),
    ("49 89 d4", "mov r12, rdx"),
    ("49 89 cd", "mov r13, rcx"),
    ("4d 89 c6", "mov r14, r8"),
    ("b8 e4 00 00 00", "mov eax, 228"),  # clock_gettime(CLOCK_MONOTONIC_RAW, times)
    ("bf 04 00 00 00", "mov edi, 4"),
    ("4c 89 f6", "mov rsi, r14"),
    ("0f 05", "syscall"),
    ("44 88 2b", "next: mov byte ptr [rbx], r13b"),
    ("48 01 eb", "add rbx, rbp"),
    ("49 ff cc", "dec r12"),
    ("75 f5", "jne next"),
    ("b8 e4 00 00 00", "mov eax, 228"),  # clock_gettime(CLOCK_MONOTONIC_RAW, times + 16)
    ("bf 04 00 00 00", "mov edi, 4"),
    ("49 8d 76 10", "lea rsi, [r14+16]"),
    ("0f 05", "syscall"),
    ("41 5e", "pop r14"),
    ("41 5d", "pop r13"),
    ("41 5c", "pop r12"),
    ("5d", "pop rbp"),
    ("5b", "pop rbx"),
    ("c3", "ret"),
    ("53", "serve: push rbx"),
    ("55", "push rbp"),
    ("41 54", "push r12"),
    ("89 fb", "mov ebx, edi"),
    ("48 89 f5", "mov rbp, rsi"),
    ("49 89 d4", "mov r12, rdx"),
    ("31 c0", "again: xor eax, eax"),  # read(uffd, buffer, 32)
    ("89 df", "mov edi, ebx"),
    ("4c 89 e6", "mov rsi, r12"),
    ("ba 20 00 00 00", "mov edx, 32"),
    ("0f 05", "syscall"),
    ("48 83 f8 20", "cmp rax, 32"),
    ("75 2d", "jne out"),
    ("49 8b 44 24 10", "mov rax, [r12+16]"),  # uffd_msg.arg.pagefault.address
    ("48 25 00 f0 ff ff", "and rax, -4096"),
    ("49 89 44 24 20", "mov [r12+32], rax"),
    ("b8 10 00 00 00", "mov eax, 16"),  # ioctl(uffd, UFFDIO_WRITEPROTECT, buffer + 32)
    ("89 df", "mov edi, ebx"),
    ("be 06 aa 18 c0", "mov esi, 0xc018aa06"),
    ("49 8d 54 24 20", "lea rdx, [r12+32]"),
    ("0f 05", "syscall"),
    ("48 85 c0", "test rax, rax"),
    ("75 05", "jne out"),
    ("48 ff cd", "dec rbp"),
    ("75 bf", "jne again"),
    ("48 89 e8", "out: mov rax, rbp"),
    ("41 5c", "pop r12"),
    ("5d", "pop rbp"),
    ("5b", "pop rbx"),
    ("c3", "ret"),
)
_SERVE = 74  # where the second begins, in bytes

_page = mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def code() -> bytes:
    """The machine code."""
    return b"".join(bytes.fromhex(line[0]) for line in CODE)


_page[: len(code())] = code()
_at = ctypes.addressof(ctypes.c_char.from_buffer(_page))
_LONG = ctypes.c_long
_stride = ctypes.CFUNCTYPE(None, _LONG, _LONG, _LONG, _LONG, _LONG)(_at)
_serve = ctypes.CFUNCTYPE(_LONG, _LONG, _LONG, _LONG)(_at + _SERVE)


def stride(address: int, step: int, count: int, byte: int) -> int:
    """Store a byte at `count` addresses, `step` apart: the nanoseconds that it took."""
    times = bytearray(32)
    _stride(address, step, count, byte, address_of(times))
    began, parts, ended, more = struct.unpack("<4q", times)
    return int((ended - began) * 10**9 + more - parts)


def serve(uffd: int, count: int) -> int:
    """Release `count` pages that are stored to; what is left to do where the userfaultfd gives no more."""
    buffer = ctypes.create_string_buffer(bytes(32) + struct.pack("<QQQ", 0, PAGE, 0))
    return int(_serve(uffd, count, ctypes.addressof(buffer)))
