"""Reads made in one go are the reads that pread(2) makes one by one."""

import errno
import os
import tempfile

from breakcow.agent.gather import Again, Gather

NO_FILE = -1


def test_each_read_has_its_place_and_its_result() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(range(100)))
        file.flush()
        fd = file.fileno()
        made = Gather([(fd, 4, 10), (NO_FILE, 3, 0), (fd, 8, 96), (fd, 2, 0)])
        assert made.read() == (4, -errno.EBADF, 4, 2)
        assert bytes(made.data) == bytes((10, 11, 12, 13, 0, 0, 0, 96, 97, 98, 99, 0, 0, 0, 0, 0, 1))
        os.pwrite(fd, b"\xff", 1)
        made.read()
        assert made.data[-2:] == b"\0\xff"


def test_what_has_changed_is_not_the_same_again() -> None:
    with tempfile.TemporaryFile() as file:
        fd = file.fileno()
        os.pwrite(fd, b"abcd", 0)
        reads, again = ((fd, 2, 0), (fd, 4, 2)), Again()
        assert not again.read(reads)
        assert again.read(reads)
        os.pwrite(fd, b"x", 1)
        assert not again.read(reads)
        assert again.data == b"axcd\0\0"
        os.truncate(fd, 3)  # one byte less is read, and the bytes that were read before stay in their place
        assert not again.read(reads)
        assert again.results == (2, 1)
        assert not again.read(reads[:1])
        assert not again.read(())
        assert again.read(())
