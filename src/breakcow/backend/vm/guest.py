"""What the guest does before the agent runs: mounts, swap, the second serial port. Process 1 of the VM; standard library only."""

import contextlib
import ctypes
import importlib
import os
import signal
import sys
import termios

_MOUNTS = (
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("debugfs", "/sys/kernel/debug"),
    ("tracefs", "/sys/kernel/tracing"),
)
_PORT, _SWAP = "/dev/ttyS1", "/dev/nvme0n1"
_libc = ctypes.CDLL(None, use_errno=True)


def main(agent: str) -> None:
    """Prepare the machine, run `main()` of the module `agent` with the port as stdin and stdout, and end the machine when that ends."""
    for kind, target in _MOUNTS:
        _libc.mount(kind.encode(), target.encode(), kind.encode(), 0, None)  # what this kernel lacks is left out
    if os.path.exists(_SWAP):
        _libc.swapon(_SWAP.encode(), 0)
    port = _raw(_PORT)
    child = os.fork()
    if child == 0:
        os.dup2(port, 0)
        os.dup2(port, 1)
        _quiet()
        os.write(port, b'{"ready": true}\n')
        importlib.import_module(agent).main()
        sys.exit(0)
    while os.wait()[0] != child:
        pass
    _libc.reboot(0x1234567)  # LINUX_REBOOT_CMD_RESTART: QEMU ends, as it is told not to reboot; without ACPI nothing powers off
    signal.pause()


def _quiet() -> None:
    """From here on the console shows warnings and worse, and no times: what tests print is the same in every run."""
    for path, value in (("/proc/sys/kernel/printk", "5"), ("/sys/module/printk/parameters/time", "N")):
        with contextlib.suppress(OSError), open(path, "w") as file:
            file.write(value)


def _raw(path: str) -> int:
    """Open a serial port for bytes as they are: no echo, no line editing, no translation."""
    port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    mode = termios.tcgetattr(port)
    mode[0] = mode[1] = mode[3] = 0
    mode[2] = termios.CS8 | termios.CREAD | termios.CLOCAL | termios.B115200
    mode[4] = mode[5] = termios.B115200
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    termios.tcsetattr(port, termios.TCSANOW, mode)
    termios.tcflush(port, termios.TCIOFLUSH)
    return port
