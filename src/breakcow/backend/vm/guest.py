"""What the guest does before the agent runs: mounts, swap, the second serial port. Process 1 of the VM; standard library only."""

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
    """Prepare the machine, run `main()` of the module `agent` in a child with its stdin and stdout on the port, and power off when it ends."""
    for kind, target in _MOUNTS:
        _mount(kind, target)
    _swapon()
    port = _raw(_PORT)
    child = os.fork()
    if child == 0:
        os.dup2(port, 0)
        os.dup2(port, 1)
        importlib.import_module(agent).main()
        sys.exit(0)
    while os.wait()[0] != child:
        pass
    _libc.reboot(ctypes.c_uint(0x4321FEDC))  # LINUX_REBOOT_CMD_POWER_OFF
    signal.pause()


def _mount(kind: str, target: str) -> None:
    """Mount a file system; one that this kernel lacks is left out."""
    os.makedirs(target, exist_ok=True) if not os.path.isdir(target) and target.count("/") == 1 else None
    _libc.mount(kind.encode(), target.encode(), kind.encode(), 0, None)


def _swapon() -> None:
    """Swap on the disk, if the machine has one."""
    if os.path.exists(_SWAP):
        _libc.swapon(_SWAP.encode(), 0)


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
