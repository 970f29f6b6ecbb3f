"""`breakcow snapshot PID` on a real server under load: redis-server, with a client that writes."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import breakcow

from .test_process import command

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("redis-server"),
    reason="it needs root, and redis-server: apt install redis-server --no-install-recommends",
)

MAGIC = b"breakcow's cells: " + os.urandom(14)
CELLS = 1 << 19
STRIDE = 40503


class Client(threading.Thread):
    """Writes the n-th number to its cell of one long string, and as an ordinary key, one after the other."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.socket.settimeout(60)
        self.number, self.longest = 0, 0.0
        self.ended = threading.Event()
        self.ask(b"SETRANGE", b"cells", str(len(MAGIC) + CELLS * 8 - 1).encode(), b"\0")
        self.ask(b"SETRANGE", b"cells", b"0", MAGIC)

    def ask(self, *words: bytes) -> bytes:
        """A command and its answer."""
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return self.socket.recv(1 << 16)

    def run(self) -> None:
        """Write until it is enough."""
        while not self.ended.is_set():
            number = self.number + 1
            begin = time.perf_counter()
            at = str(len(MAGIC) + number * STRIDE % CELLS * 8).encode()
            assert self.ask(b"SETRANGE", b"cells", at, number.to_bytes(8, "little"))[:1] == b":"
            assert self.ask(b"SET", b"key:%d" % (number % 5000), b"x" * (number % 700)) == b"+OK\r\n"
            self.longest = max(self.longest, time.perf_counter() - begin)
            self.number = number


def cells(last: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """What the string holds after so many writes."""
    numbers = np.arange(1, last + 1)
    found = np.zeros(CELLS, np.int64)
    np.maximum.at(found, numbers * STRIDE % CELLS, numbers)
    return found


@contextmanager
def server(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A server of our own, without a port, that saves nothing."""
    path = folder / "socket"
    words = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not path.exists():
                assert time.monotonic() < deadline, "redis-server does not start"
                time.sleep(0.05)
            yield process, path
        finally:
            process.kill()


def test_a_redis_server_that_is_being_written(tmp_path: Path) -> None:
    with server(tmp_path) as (process, path):
        client = Client(path)
        client.start()
        time.sleep(0.3)
        before = client.number
        done = command(process.pid, "-o", tmp_path / "image")
        after = client.number
        time.sleep(0.2)
        client.ended.set()
        client.join(60)
        assert client.number > after > before and "paused for" in done.stdout
        assert client.ask(b"PING") == b"+PONG\r\n"
        length = str(len(MAGIC) + CELLS * 8)
        whole = subprocess.run(["redis-cli", "-s", str(path), "GETRANGE", "cells", "0", length], capture_output=True, check=True).stdout
        assert whole[len(MAGIC) : len(MAGIC) + CELLS * 8] == cells(client.number).tobytes()
        client.socket.close()
        print(f"{done.stdout}{client.number} writes, the longest took {client.longest * 1000:.1f} ms")
    image = breakcow.load(tmp_path / "image")
    found = [np.frombuffer(data, np.int64, CELLS) for data in _copies(image) if len(data) >= CELLS * 8]
    assert found
    live = max(found, key=lambda each: int(each.max()))
    assert before <= int(live.max()) <= after
    assert np.array_equal(live, cells(int(live.max())))


def _copies(image: "breakcow.snapshots.image.Image") -> Iterator[bytes]:
    """What follows the magic words wherever they are."""
    for start, end in image.ranges:
        data = bytes(image.at(start, end))
        at = data.find(MAGIC)
        while at >= 0:
            yield data[at + len(MAGIC) : at + len(MAGIC) + CELLS * 8]
            at = data.find(MAGIC, at + 1)
