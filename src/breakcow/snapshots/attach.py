"""Stopping another process with ptrace(2), and having it make a few system calls, so that it notices nothing but the pause."""

import ctypes
import os
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from breakcow.agent import abi

from . import maps
from .errors import SnapshotError

SEIZE, INTERRUPT, SINGLESTEP, DETACH, GETREGSET, SETREGSET = 0x4206, 0x4207, 9, 17, 0x4204, 0x4205
NT_PRSTATUS, EVENT_STOP, WALL = 1, 128, 0x40000000
REGISTERS = struct.Struct("<27Q")  # struct user_regs_struct
R10, R9, R8, RAX, RDX, RSI, RDI, ORIG_RAX, RIP, CS = 7, 8, 9, 10, 12, 13, 14, 15, 16, 17
CODE_64 = 0x33  # the code segment of 64-bit programs
SYSCALL = b"\x0f\x05"
HELD = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}  # not while a process is stopped and has registers that are not its own

_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes, _ptrace.restype = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p), ctypes.c_long


class Stopped:
    """A process whose threads are all stopped. `call` has the first of them make a system call."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.signals: dict[int, list[int]] = {}  # thread -> signals that came meanwhile, and that it has to get
        self.instruction = 0

    def stop(self) -> None:
        """Stop every thread, those included that are made meanwhile."""
        while fresh := [tid for tid in self._threads() if tid not in self.signals]:
            for tid in fresh:
                try:
                    ptrace(SEIZE, tid)
                except OSError as error:
                    if tid == self.pid:
                        raise SnapshotError(f"process {self.pid} cannot be attached to ({error.strerror}): {_why(self.pid)}") from None
                    continue  # it has ended
                self.signals[tid] = []
                ptrace(INTERRUPT, tid)
                self._await(tid)

    def call(self, number: int, *arguments: int) -> int:
        """A system call of the process. Raises OSError."""
        saved = self._registers(self.pid)
        if saved[CS] != CODE_64:
            raise SnapshotError(f"process {self.pid} is no 64-bit program")
        changed = list(saved)
        changed[RAX], changed[ORIG_RAX], changed[RIP] = number, (1 << 64) - 1, self._syscall_instruction()
        for register, argument in zip((RDI, RSI, RDX, R10, R8, R9), arguments, strict=False):
            changed[register] = argument & ((1 << 64) - 1)
        try:
            self._set(self.pid, changed)
            ptrace(SINGLESTEP, self.pid)
            while (stopped := self._await(self.pid)) != signal.SIGTRAP:
                self.signals[self.pid].append(stopped)
                ptrace(SINGLESTEP, self.pid)
            result = self._registers(self.pid)[RAX]
        finally:
            self._set(self.pid, list(saved))
        if result > (1 << 64) - 4096:
            raise OSError((1 << 64) - result, os.strerror((1 << 64) - result))
        return result

    def detach(self) -> None:
        """All threads go on, with the signals that came meanwhile."""
        for tid, signals in self.signals.items():
            with suppress(ProcessLookupError):
                ptrace(DETACH, tid, 0, signals[0] if signals else 0)
                for number in signals[1:]:
                    abi.syscall(234, self.pid, tid, number)  # tgkill
        self.signals = {}

    def _threads(self) -> list[int]:
        try:
            return [int(tid) for tid in os.listdir(f"/proc/{self.pid}/task")]
        except FileNotFoundError:
            raise SnapshotError(f"there is no process {self.pid}") from None

    def _await(self, tid: int) -> int:
        """Wait until the thread stops: the signal that it stopped with, which it is given later if it is one of its own."""
        _, status = os.waitpid(tid, WALL)
        if not os.WIFSTOPPED(status):
            self.signals.pop(tid, None)
            raise SnapshotError(f"process {self.pid} ended")
        number = os.WSTOPSIG(status)
        if status >> 16 == EVENT_STOP:
            if number != signal.SIGTRAP:
                raise SnapshotError(f"process {self.pid} is stopped by {signal.Signals(number).name}: let it go on first")
        elif number != signal.SIGTRAP and not self.instruction:
            self.signals[tid].append(number)
        return number

    def _registers(self, tid: int) -> tuple[int, ...]:
        buffer = bytearray(REGISTERS.size)
        vector = bytearray(struct.pack("<QQ", abi.address_of(buffer), len(buffer)))
        ptrace(GETREGSET, tid, NT_PRSTATUS, abi.address_of(vector))
        return REGISTERS.unpack(buffer)

    def _set(self, tid: int, registers: list[int]) -> None:
        buffer = bytearray(REGISTERS.pack(*registers))
        vector = bytearray(struct.pack("<QQ", abi.address_of(buffer), len(buffer)))
        ptrace(SETREGSET, tid, NT_PRSTATUS, abi.address_of(vector))

    def _syscall_instruction(self) -> int:
        """Where the vdso of the process has the instruction that makes a system call."""
        if not self.instruction:
            vdso = next((each for each in maps.mappings(self.pid) if each.name == "[vdso]"), None)
            if vdso is None:
                raise SnapshotError(f"process {self.pid} has no vdso")
            with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
                found = os.pread(memory.fileno(), vdso.end - vdso.start, vdso.start).find(SYSCALL)
            if found < 0:
                raise SnapshotError(f"the vdso of process {self.pid} makes no system call")
            self.instruction = vdso.start + found
        return self.instruction


@contextmanager
def stopped(pid: int) -> Iterator[Stopped]:
    """The process stands still while the block runs. SnapshotError if it cannot be stopped."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    process = Stopped(pid)
    try:
        process.stop()
        yield process
    finally:
        process.detach()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ptrace(request: int, tid: int, address: int = 0, data: int = 0) -> None:
    """ptrace(2). Raises OSError."""
    if _ptrace(request, tid, address, data) == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _why(pid: int) -> str:
    """What may keep ptrace from a process."""
    with open(f"/proc/{pid}/status") as file:
        tracer = next((line.split()[1] for line in file if line.startswith("TracerPid:")), "0")
    return f"process {tracer} traces it" if tracer != "0" else "run as its user, or as root (see also kernel.yama.ptrace_scope)"
