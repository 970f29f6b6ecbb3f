"""The litmus process: an ELF image of a few hundred bytes, written by us, x86-64.

A litmus process must do nothing to its memory but what the test says, must survive its own SIGSEGV and SIGBUS, and must be cheap to fork.
So it is no interpreter but a loop: receive a request, make that one system call (or that one copy between user addresses), send the result.
All knowledge is in the controller. A page fault that ends in a signal makes the result `SIGNAL_BASE - signal`.

Request, 64 bytes and then what should lie at `BUFFER` before the call:
    number, six arguments, number of bytes to answer (8, or `HEADER` + bytes wanted from `BUFFER`): eight little-endian 64-bit words.
    Number `COPY` is no system call: copy `argument 2` bytes from address `argument 1` to address `argument 0`, as user mode does.
    After clone(2) the child, which shares no socket with its parent, goes on at the file descriptor that is argument 5 and answers nothing.
Answer: the result in the first word, then the rest of what was asked for.
"""

import struct

CODE_ADDRESS = 0x400000
DATA_ADDRESS = 0x500000  # the request; requests end before 0x501080
STACK_TOP = 0x510000  # only the signal handler has a stack; a frame with AVX-512 or AMX state takes up to 11 KiB
HEADER = 64
BUFFER = DATA_ADDRESS + HEADER
BUFFER_BYTES = 4096 + 64  # a page, and a few words
SOCKET = 3  # the file descriptor that the first process listens on
COPY = -1
SIGNAL_BASE = -5000

# (bytes, assembler, why); a test assembles the middle column and compares
CODE = (
    ("bc 00 00 51 00", "start: mov esp, 0x510000", "a stack that is not [stack]: its address is the same in every process"),
    ("bb 03 00 00 00", "mov ebx, 3", "ebx: the socket of this process"),
    ("b8 2d 00 00 00", "next: mov eax, 45", "recvfrom(socket, request, 4224, 0, 0, 0)"),
    ("89 df", "mov edi, ebx", ""),
    ("be 00 00 50 00", "mov esi, 0x500000", ""),
    ("ba 80 10 00 00", "mov edx, 4224", ""),
    ("45 31 d2", "xor r10d, r10d", ""),
    ("45 31 c0", "xor r8d, r8d", ""),
    ("45 31 c9", "xor r9d, r9d", ""),
    ("0f 05", "syscall", ""),
    ("48 83 f8 40", "cmp rax, 64", "the controller is gone (0), or no request"),
    ("7c 64", "jl die", ""),
    ("bd 00 00 50 00", "mov ebp, 0x500000", "ebp: the request"),
    ("48 8b 45 00", "mov rax, [rbp]", ""),
    ("48 8b 7d 08", "mov rdi, [rbp+8]", ""),
    ("48 8b 75 10", "mov rsi, [rbp+16]", ""),
    ("48 8b 55 18", "mov rdx, [rbp+24]", ""),
    ("4c 8b 55 20", "mov r10, [rbp+32]", ""),
    ("4c 8b 45 28", "mov r8, [rbp+40]", ""),
    ("4c 8b 4d 30", "mov r9, [rbp+48]", ""),
    ("48 83 f8 ff", "cmp rax, -1", "COPY"),
    ("74 13", "je copy", ""),
    ("0f 05", "syscall", "the system call that was asked for"),
    ("48 83 7d 00 38", "cmp qword ptr [rbp], 56", "clone: is this the child?"),
    ("75 11", "jne reply", ""),
    ("48 85 c0", "test rax, rax", ""),
    ("75 0c", "jne reply", ""),
    ("44 89 cb", "mov ebx, r9d", "the child listens on its own socket"),
    ("eb a4", "jmp next", ""),
    ("48 89 d1", "copy: mov rcx, rdx", ""),
    ("f3 a4", "rep movsb", "each byte faults as user mode does, and is retried"),
    ("31 c0", "xor eax, eax", ""),
    ("48 89 45 00", "reply: mov [rbp], rax", "sendto(socket, request, wanted, MSG_NOSIGNAL, 0, 0)"),
    ("b8 2c 00 00 00", "mov eax, 44", ""),
    ("89 df", "mov edi, ebx", ""),
    ("89 ee", "mov esi, ebp", ""),
    ("8b 55 38", "mov edx, [rbp+56]", ""),
    ("41 ba 00 40 00 00", "mov r10d, 0x4000", ""),
    ("45 31 c0", "xor r8d, r8d", ""),
    ("45 31 c9", "xor r9d, r9d", ""),
    ("0f 05", "syscall", ""),
    ("e9 7a ff ff ff", "jmp next", ""),
    ("31 ff", "die: xor edi, edi", "exit_group(0)"),
    ("b8 e7 00 00 00", "mov eax, 231", ""),
    ("0f 05", "syscall", ""),
    ("48 c7 c0 78 ec ff ff", "handler: mov rax, -5000", "(edi: signal, rdx: ucontext): go on at reply with SIGNAL_BASE - signal"),
    ("48 29 f8", "sub rax, rdi", ""),
    ("48 89 82 90 00 00 00", "mov [rdx+144], rax", "gregs[REG_RAX] of the ucontext: 40 + 13 * 8"),
    ("48 8d 05 bc ff ff ff", "lea rax, [rip+reply]", ""),
    ("48 89 82 a8 00 00 00", "mov [rdx+168], rax", "gregs[REG_RIP]: 40 + 16 * 8"),
    ("c3", "ret", "to the restorer"),
    ("b8 0f 00 00 00", "restorer: mov eax, 15", "rt_sigreturn"),
    ("0f 05", "syscall", ""),
)

_HEADERS = 64 + 3 * 56  # the ELF header and three program headers; the code follows
_PT_LOAD, _PT_GNU_STACK = 1, 0x6474E551
_R, _W, _X = 4, 2, 1
_REQUEST = struct.Struct("<8q")
_NOTHING = (0,) * 6


def code() -> bytes:
    """The machine code."""
    return b"".join(bytes.fromhex(line[0]) for line in CODE)


def address(label: str) -> int:
    """Where the line with this label lies in memory."""
    at = CODE_ADDRESS + _HEADERS
    for hexadecimal, assembler, _ in CODE:
        if assembler.startswith(label + ":"):
            return at
        at += len(bytes.fromhex(hexadecimal))
    raise KeyError(label)


def image() -> bytes:
    """A static ELF executable: the code, and zeroed memory for the request and the stack."""
    size = _HEADERS + len(code())
    ident = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)  # 64 bits, little-endian, version 1
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, address("start"), 64, 0, 0, 64, 56, 3, 64, 0, 0)
    segments = struct.pack("<IIQQQQQQ", _PT_LOAD, _R | _X, 0, CODE_ADDRESS, CODE_ADDRESS, size, size, 4096)
    segments += struct.pack("<IIQQQQQQ", _PT_LOAD, _R | _W, 0, DATA_ADDRESS, DATA_ADDRESS, 0, STACK_TOP - DATA_ADDRESS, 4096)
    segments += struct.pack("<IIQQQQQQ", _PT_GNU_STACK, _R | _W, 0, 0, 0, 0, 0, 16)
    return header + segments + code()


def request(number: int, arguments: tuple[int, ...], payload: bytes = b"", wanted: int = 0) -> bytes:
    """One request: `payload` will lie at BUFFER, `wanted` bytes of BUFFER come back with the result."""
    return _REQUEST.pack(number, *arguments, *_NOTHING[len(arguments) :], HEADER + wanted if wanted else 8) + payload
