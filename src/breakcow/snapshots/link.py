"""The program's side of a copier: starting one, handing it the userfaultfd, hearing from it."""

import atexit
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import compiled, features, wire
from .errors import SnapshotError

ROOT = Path(__file__).parents[2]
START = "import sys; sys.path[:0] = sys.argv[2:]; from breakcow.snapshots.copier import main; main(int(sys.argv[1]))"
CLOSING_SECONDS = 2
GONE = "the process that copies was killed: there is no image"

_handing_over = threading.Lock()  # held while this process has a userfaultfd open: a fork then would give the child one for good


class Copier:
    """A process that copies, idle or at work. It is asked for one thing at a time."""

    def __init__(self) -> None:
        compiled.path()  # the first time it takes a moment, which is better spent before anything is frozen
        ours, theirs = socket.socketpair()
        self.channel = ours
        with theirs:
            fd = theirs.fileno()
            paths = [str(ROOT), *(path for path in sys.path if path.endswith("-packages"))]
            command = [sys.executable, "-I", "-S", "-c", START, str(fd), *paths]
            self.process = subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.DEVNULL, start_new_session=True)
        _living.add(self)
        if "ready" not in self.receive():
            raise SnapshotError(GONE)

    def ask(self, message: dict[str, Any], wanted: int, fds: Sequence[int]) -> None:
        """Send a request together with a new userfaultfd of this process, which has the features `wanted`, and the descriptors."""
        try:
            with _handing_over:
                watched, _ = features.open_userfaultfd()
                try:
                    features.negotiate(watched, wanted)
                    wire.send(self.channel, message, [watched, *fds])
                finally:
                    os.close(watched)
            # only now: with a copy of the userfaultfd open here, a writer could wait for ever, and with the interpreter's lock
            wire.send(self.channel, {"do": "go"})
        except ConnectionError:
            self.close()
            raise SnapshotError(GONE) from None

    def send(self, message: dict[str, Any]) -> None:
        """Say something; whether it is heard shows at the next `receive`."""
        with suppress(OSError):
            wire.send(self.channel, message)

    def receive(self) -> dict[str, Any]:
        """What it says next. SnapshotError if it failed, or was killed."""
        try:
            message, _ = wire.receive(self.channel)
        except EOFError:
            self.close()
            raise SnapshotError(GONE) from None
        if "failed" in message:
            raise SnapshotError(message["failed"])
        return message

    def close(self) -> None:
        """It ends, and with it every protection. Returns when it is gone, and its guard."""
        _living.discard(self)
        with suppress(OSError):
            self.channel.shutdown(socket.SHUT_WR)
        with suppress(ChildProcessError):
            try:
                self.process.wait(CLOSING_SECONDS)
            except subprocess.TimeoutExpired:  # it waits for a disk
                self.process.kill()
                self.process.wait()
        with suppress(OSError):
            self.channel.settimeout(CLOSING_SECONDS)
            while self.channel.recv(1 << 16):
                pass
        self.channel.close()


_living: set[Copier] = set()
_idle: list[Copier] = []


def take() -> Copier:
    """A copier: the idle one, if it is there and alive, else a new one."""
    with suppress(IndexError):
        while True:
            copier = _idle.pop()
            if copier.process.poll() is None:
                return copier
            copier.close()
    return Copier()


def give_back(copier: Copier) -> None:
    """It has finished: it may serve the next snapshot, which then need not wait for one to start."""
    if _idle:
        copier.close()
    else:
        _idle.append(copier)


def _forget() -> None:
    """In the child of a fork: the copiers are the parent's."""
    _handing_over.release()
    for copier in _living:
        copier.channel.close()
        copier.process.returncode = 0  # not a child of this process
    _living.clear()
    _idle.clear()


@atexit.register
def _end() -> None:
    """Nothing is left running when the interpreter ends."""
    for copier in list(_living):
        copier.close()


os.register_at_fork(before=_handing_over.acquire, after_in_parent=_handing_over.release, after_in_child=_forget)
