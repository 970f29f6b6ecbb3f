"""A virtual machine: one QEMU process with a kernel, an initramfs, a console and a serial port for the agent.

Nothing of it has a name on disk, and it dies with breakcow, however breakcow dies (PR_SET_PDEATHSIG).
"""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

from breakcow.backend.vm.cache import Progress, UnavailableError, folder, silent, writing
from breakcow.backend.vm.console import Console, harmless
from breakcow.backend.vm.initramfs import LIBRARY_PATH

TCG = "tcg,thread=single"  # with several threads guests of these kernels panic or hang now and then
_PROBE_SECONDS = 5.0  # a kernel without a root file system has panicked long before, where KVM works
_CMDLINE = f"console=ttyS0 earlyprintk=ttyS0 panic=-1 nosoftlockup no_timer_check random.trust_cpu=on LD_LIBRARY_PATH={LIBRARY_PATH}"
_SHORT_BOOT = "acpi=off cryptomgr.notests"  # a third of what TCG spends on a stock kernel's start; nothing of mm/ depends on it
_DIES_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
_said: set[str] = set()
# PR_SET_PDEATHSIG fires when the *thread* that forked ends: all machines are started by one thread that lives as long as breakcow.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qemu")


class Machine:
    """A running guest.

    memory, swap: in MiB; swap is an NVMe disk. accel: as QEMU's -accel. stdin: to the agent's serial port. console: what it prints.
    Raises UnavailableError if QEMU is not there or refuses to start.
    """

    def __init__(self, kernel: Path, initramfs: Path | None, *, memory: int = 256, swap: int = 0, accel: str = TCG) -> None:
        arguments = _arguments(kernel, initramfs, memory, accel)
        console, console_end = os.pipe()
        disk = _disk(swap) if swap else None
        arguments += [*_ports(console_end), *(_drive(disk) if disk is not None else [])]
        kept = [console_end, *([disk] if disk is not None else [])]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as QEMU runs
        try:
            self._process = _starter.submit(_start, arguments, kept, self._errors).result()
        finally:
            for descriptor in kept:
                os.close(descriptor)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin: IO[bytes] = self._process.stdin
        self._stdout: IO[bytes] = self._process.stdout
        self.console = Console(console)

    @property
    def pid(self) -> int:
        """The process id of QEMU."""
        return self._process.pid

    def fileno(self) -> int:
        """The descriptor that is readable when the agent's port has something to say, or has closed."""
        return self._stdout.fileno()

    def read(self, size: int) -> bytes:
        """At most `size` bytes of what the agent's port says; nothing once QEMU has ended."""
        return os.read(self.fileno(), size)

    def running(self) -> bool:
        """False once QEMU has ended: the guest panicked, powered off, or QEMU was killed."""
        return self._process.poll() is None

    def wait(self, seconds: float) -> bool:
        """Wait for QEMU to end; False if it did not within `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ending(self) -> str:
        """How QEMU ended, "" if it ended by itself and without complaint."""
        self._errors.seek(0)
        said = harmless(self._errors.read()).strip()
        code = self._process.poll()
        killed = f"QEMU was killed by signal {-code}" if code is not None and code < 0 else ""
        return killed or (said.splitlines()[-1] if code and said else "")

    def stop(self) -> None:
        """End the guest now. Harmless if it has ended."""
        self._process.kill()
        self._process.wait()
        with suppress(OSError):  # what QEMU did not read any more
            self.stdin.close()
        self.console.close()
        self._stdout.close()
        self._errors.close()


def accelerator(kernel: Path, progress: Progress = silent) -> str:
    """KVM if a guest really starts with it, else TCG; tried once for each boot of this machine."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        _once(progress, "no usable /dev/kvm: guests run under TCG, which is slower")
        return TCG
    note = folder("kvm.json")
    host = [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), _program()]
    try:
        known = json.loads(note.read_text())
        works = bool(known["works"]) if known["host"] == host else None
    except (OSError, ValueError, KeyError):
        works = None
    if works is None:
        works = _kvm_works(kernel)
        if works or kernel.is_relative_to(folder("kernels")):  # any other kernel may itself be why nothing started
            _remember(note, {"host": host, "works": works})
    if not works:
        _once(progress, "/dev/kvm is here but starts no guest: guests run under TCG, which is slower")
    return "kvm" if works else TCG


def _once(progress: Progress, text: str) -> None:
    """Say what holds for every guest of this process when it is the first."""
    if text not in _said:
        _said.add(text)
        progress(text)


def _kvm_works(kernel: Path) -> bool:
    machine = Machine(kernel, None, accel="kvm")
    try:
        return machine.wait(_PROBE_SECONDS) and not machine.ending()
    finally:
        machine.stop()


def _remember(note: Path, value: dict[str, object]) -> None:
    with writing(note):
        note.parent.mkdir(parents=True, exist_ok=True)
        part = note.with_name(f".{note.name}.{os.getpid()}")
        part.write_text(json.dumps(value))
        part.replace(note)


def _program() -> str:
    found = shutil.which("qemu-system-x86_64")
    if found is None:
        raise UnavailableError("QEMU is not installed: `apt install qemu-system-x86`.")
    return found


def _arguments(kernel: Path, initramfs: Path | None, memory: int, accel: str) -> list[str]:
    machine = [_program(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-smp", "1", "-m", str(memory)]
    boot = ["-kernel", str(kernel), *(["-initrd", str(initramfs)] if initramfs else [])]
    line = _CMDLINE if accel == "kvm" else f"{_CMDLINE} {_SHORT_BOOT}"
    return [*machine, "-machine", "mem-merge=off", "-accel", accel, "-cpu", "host" if accel == "kvm" else "max", *boot, "-append", line]


def _ports(console: int) -> list[str]:
    """ttyS0 is the console, ttyS1 the agent's."""
    first = ["-chardev", f"file,id=console,path=/dev/fd/{console}", "-device", "isa-serial,chardev=console,index=0"]
    return [*first, "-chardev", "stdio,id=agent,signal=off", "-device", "isa-serial,chardev=agent,index=1"]


def _disk(size: int) -> int:
    """A descriptor of a sparse file of `size` MiB that has no name, formatted as swap (include/linux/swap.h: union swap_header)."""
    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(file.fileno())
    os.truncate(descriptor, size << 20)
    os.pwrite(descriptor, struct.pack("<III", 1, (size << 20) // 4096 - 1, 0), 1024)
    os.pwrite(descriptor, b"SWAPSPACE2", 4096 - 10)
    return descriptor


def _drive(disk: int) -> list[str]:
    return ["-drive", f"if=none,id=swap,format=raw,file=/dev/fd/{disk}", "-device", "nvme,drive=swap,serial=swap"]


def _start(arguments: list[str], kept: list[int], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    trampoline = [sys.executable, "-I", "-S", "-c", _DIES_WITH_PARENT, str(os.getpid()), *arguments]
    return subprocess.Popen(trampoline, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, pass_fds=kept)
