"""A place of our own in tracefs (Documentation/trace): an instance with its own buffer, and probes that nobody else sees working.

Where tracefs is not mounted it is mounted for this process alone. A watcher takes instance and probes away when the tracer ends, however
that comes about.
"""

import contextlib
import ctypes
import os
import time

from . import abi
from .watcher import Watcher

MOUNTED = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
UNSHARE, CLONE_NEWNS, MS_REC, MS_PRIVATE = 272, 0x20000, 0x4000, 0x40000
MOUNT = 165
REMOVAL_SECONDS = 5  # the last event of a probe must have left its handler before the probe can go


class TraceError(Exception):
    """This kernel cannot be traced. The message is a sentence."""


class Instance:
    """A trace instance; `close` it.

    name: of the instance and of the group of its probes. root: of tracefs.
    """

    def __init__(self) -> None:
        self.root = _root()
        self.name = f"breakcow{os.getpid()}"
        self.folder = f"{self.root}/instances/{self.name}"
        self.watcher = Watcher(lambda: _remove(self.root, self.name), ())
        try:
            os.mkdir(self.folder)
        except OSError as error:
            self.watcher.close()
            raise TraceError(f"this kernel gives no trace instance ({error.strerror})") from None

    def close(self) -> None:
        """Nothing of it is left when this returns."""
        self.watcher.close()

    def has(self, file: str) -> bool:
        """Does the instance have this file?"""
        return os.path.exists(f"{self.folder}/{file}")

    def write(self, file: str, text: str) -> None:
        """Write a file of the instance. OSError if the kernel refuses."""
        _write(f"{self.folder}/{file}", text, os.O_TRUNC)

    def read(self, file: str) -> str:
        """A file of the instance."""
        with open(f"{self.folder}/{file}", errors="replace") as opened:
            return opened.read()

    def probe(self, definition: str) -> bool:
        """Define a kprobe event of this group; False if the kernel has no such function, or none that can be probed."""
        try:
            _write(f"{self.root}/kprobe_events", definition + "\n", os.O_APPEND)
        except OSError:
            return False
        return True

    def kprobes(self) -> bool:
        """Does this kernel have kprobes?"""
        return os.path.exists(f"{self.root}/kprobe_events")


def _root() -> str:
    """Where tracefs is mounted; if nowhere, it is now, for this process and those it starts. Raises TraceError."""
    for place in MOUNTED:
        if os.path.exists(f"{place}/instances"):
            return place
    try:
        abi.syscall(UNSHARE, CLONE_NEWNS)
        _mount("none", "/", "", MS_REC | MS_PRIVATE)
        _mount("tracefs", MOUNTED[0], "tracefs", 0)
    except OSError as error:
        raise TraceError(f"this kernel cannot be traced: tracefs cannot be mounted ({error.strerror})") from None
    return MOUNTED[0]


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    """mount(2)."""
    texts = [ctypes.create_string_buffer(text.encode()) for text in (source, target, kind)]
    abi.syscall(MOUNT, *(ctypes.addressof(text) for text in texts), flags, 0)


def _write(path: str, text: str, mode: int) -> None:
    """Write a whole text at once."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | mode)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _remove(root: str, name: str) -> None:
    """Take the instance away, then the probes that it used."""
    folder = f"{root}/instances/{name}"
    for file in ("tracing_on", "events/enable"):
        with contextlib.suppress(OSError):
            _write(f"{folder}/{file}", "0", os.O_TRUNC)
    end = time.monotonic() + REMOVAL_SECONDS
    while os.path.exists(folder) and time.monotonic() < end:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    while (left := _probes(root, name)) and time.monotonic() < end:
        for probe in left:
            with contextlib.suppress(OSError):
                _write(f"{root}/kprobe_events", f"-:{probe}\n", os.O_APPEND)


def _probes(root: str, name: str) -> list[str]:
    """The probes of this group that are defined: "group/event"."""
    try:
        with open(f"{root}/kprobe_events") as file:
            words = [line.split()[0].partition(":")[2] for line in file]
    except OSError:
        return []
    return [word for word in words if word.startswith(f"{name}/")]
