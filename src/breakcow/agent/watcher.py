"""A process that waits for this one to end, however that comes about, and then undoes what must not be left behind."""

import os
import signal
from collections.abc import Callable


class Watcher:
    """Runs `undo` in a process of its own once `close` is called or this process is dead. keep: descriptors that it holds until then."""

    def __init__(self, undo: Callable[[], None], keep: tuple[int, ...]) -> None:
        reader, self.alive = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            _watch(reader, keep, undo)
        os.close(reader)

    def close(self) -> None:
        """All is undone when this returns."""
        os.close(self.alive)
        os.waitpid(self.pid, 0)


def _watch(reader: int, keep: tuple[int, ...], undo: Callable[[], None]) -> None:
    """Wait until nobody holds the other end of `reader`, undo, and end. Never returns."""
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        low = 3
        for kept in sorted((reader, *keep)):
            os.closerange(low, kept)
            low = kept + 1
        os.closerange(low, 1024)
        os.close(0)
        os.close(1)
        os.read(reader, 1)
        undo()
    finally:
        os._exit(0)
