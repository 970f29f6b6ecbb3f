"""The process that copies: the only holder of the userfaultfd while a snapshot runs.

A thread of the program could not do this: a store such as a[i] = x sleeps in the kernel with the interpreter's lock. And if this process
dies, the kernel closes the userfaultfd, drops the protection and wakes every writer.
"""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import wire
from .cut import Cut, Memory
from .errors import SnapshotError
from .layout import Draft
from .sink import Sink

LOOK = 64  # pieces between two looks whether the program still wants the image


def main(channel: int) -> None:
    """Serve the program at the other end of `channel` until it is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=channel) as program, suppress(EOFError, BrokenPipeError):
        wire.send(program, {"ready": os.getpid()})
        while _still_there(program):
            request, fds = wire.receive(program)
            try:
                wire.receive(program)  # it has closed its copy of the userfaultfd
                JOBS[request["do"]](program, request, fds)
            finally:
                for fd in fds:
                    os.close(fd)


def _still_there(program: socket.socket) -> bool:
    """Wait for the next request; False if the program has died, which a child of it that holds the other end would hide."""
    try:
        pidfd = os.pidfd_open(os.getppid())
    except ProcessLookupError:
        return False
    try:
        poll = select.poll()
        poll.register(program, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        return any(fd == program.fileno() for fd, _ in poll.poll())
    finally:
        os.close(pidfd)


def to_file(program: socket.socket, request: dict[str, Any], fds: list[int]) -> None:
    """Freeze, say so, copy everything into the file, and give it its name."""
    uffd, mem, pagemap, file = fds
    temporary, final = request["temporary"], request["final"]
    try:
        ranges = [(start, end) for start, end in request["ranges"]]
        draft = Draft(0, ranges, request["said"], request["pack"] is not None)
        sink = Sink(file, draft, request["strangers"], packer(request["pack"]))
        cut = Cut(Memory(uffd, mem, pagemap), ranges, sink.save)
        cut.freeze()
        wire.send(program, {"frozen": cut.tally.freeze, "huge": cut.tally.huge})
        _copy(program, cut)
        _let_go(fds)
        sink.close()
        publish(temporary, final)
    except (SnapshotError, OSError) as error:
        _let_go(fds)
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        wire.send(program, {"failed": sentence(error)})
        return
    except EOFError:
        os.unlink(temporary)
        raise
    wire.send(program, {"done": vars(cut.tally) | {"holes": sink.holes, "bytes": sink.stored}})


def _copy(program: socket.socket, cut: Cut) -> None:
    """All pieces; EOFError if the program gives up or is gone."""
    poll = select.poll()
    poll.register(program, select.POLLIN)
    rest = LOOK
    while cut.step():
        rest -= 1
        if not rest:
            rest = LOOK
            if poll.poll(0):
                raise EOFError


def _let_go(fds: list[int]) -> None:
    """Close the userfaultfd, the first of the descriptors: whoever still waits goes on, and nothing is protected any more."""
    os.close(fds.pop(0))


def publish(temporary: str, final: str) -> None:
    """Give a file that is whole and durable its name, and make that durable."""
    os.replace(temporary, final)
    directory = os.open(os.path.dirname(final), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def packer(name: str | None) -> Callable[[bytes], bytes] | None:
    """The function that packs a block."""
    if name is None:
        return None
    import zstandard

    compress: Callable[[bytes], bytes] = zstandard.ZstdCompressor(level=1).compress
    return compress


def sentence(error: Exception) -> str:
    """An error as a sentence."""
    if isinstance(error, OSError):
        return f"{error.filename or 'writing the image'}: {error.strerror}"
    return str(error)


JOBS = {"to_file": to_file}

if __name__ == "__main__":
    main(int(sys.argv[1]))
