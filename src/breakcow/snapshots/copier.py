"""The process that copies: the only holder of the userfaultfd while a snapshot runs.

A thread of the program could not do this: a store such as a[i] = x sleeps in the kernel with the interpreter's lock. And if this process
dies, the kernel closes the userfaultfd, drops the protection and wakes every writer.
"""

import os
import select
import signal
import socket
from contextlib import suppress

from . import wire
from .jobs import JOBS


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
