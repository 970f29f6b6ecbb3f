"""What a program and its copier say to each other: JSON with a length in front, and file descriptors beside it."""

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

MOST_FDS = 8


def send(channel: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Send a message. OSError if nobody is there."""
    body = json.dumps(message, separators=(",", ":")).encode()
    data = struct.pack("<I", len(body)) + body
    sent = socket.send_fds(channel, [data], fds) if fds else 0
    channel.sendall(data[sent:])


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next message and its descriptors. EOFError if nobody is there any more."""
    try:
        data, fds, _, _ = socket.recv_fds(channel, 4, MOST_FDS, socket.MSG_CMSG_CLOEXEC)
        head = data + _exactly(channel, 4 - len(data)) if data else b""
        if not head:
            raise EOFError
        (size,) = struct.unpack("<I", head)
        return json.loads(_exactly(channel, size)), list(fds)
    except ConnectionError:
        raise EOFError from None


def _exactly(channel: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = channel.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
