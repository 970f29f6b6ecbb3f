"""References to pages that last: io_uring fixed buffers (a pin) and vmsplice (a reference).

The process registers its page in a ring that the controller made, or splices it into a pipe of its own, and closes its descriptors; the
controller keeps the only copies. So a child inherits nothing, and the content can be looked at, without any page table, while the process
sleeps. The kernel wakes who made a ring, some time after the last descriptor was closed (io_ring_exit_work(), TWA_SIGNAL): a process that
sleeps in a fault for a userfaultfd would raise its event once more.
"""

import mmap
import os
import struct

from . import abi

IORING_OFF_SQES = 0x10000000
IORING_OFF_CQ_RING = 0x8000000
IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED = 4, 5
IORING_ENTER_GETEVENTS = 1
IORING_REGISTER_BUFFERS, IORING_UNREGISTER_BUFFERS = 0, 1
PARAMS_BYTES = 120  # struct io_uring_params
SQE_BYTES, CQE_BYTES = 64, 16


def ring() -> tuple[int, bytes]:
    """A new ring: its descriptor, and its parameters. OSError."""
    params = bytearray(PARAMS_BYTES)
    return abi.syscall(abi.IO_URING_SETUP, 1, abi.address_of(params)), bytes(params)


class Pin:
    """The ring in which one page is registered.

    ring: its descriptor, taken over. params: what io_uring_setup(2) filled in. address: of the page, as it was registered.
    """

    def __init__(self, ring: int, params: bytes, address: int) -> None:
        self.ring = ring
        self.address = address
        entries = struct.unpack_from("<II", params)
        _, self.tail, _, _, _, _, self.array = struct.unpack_from("<7I", params, 40)
        self.cq_head, self.cq_tail, self.cq_mask, _, _, self.cqes = struct.unpack_from("<6I", params, 80)
        self.sq = mmap.mmap(ring, self.array + entries[0] * 4, offset=0)
        self.cq = mmap.mmap(ring, self.cqes + entries[1] * CQE_BYTES, offset=IORING_OFF_CQ_RING)
        self.sqes = mmap.mmap(ring, entries[0] * SQE_BYTES, offset=IORING_OFF_SQES)
        self.output, self.input = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def content(self) -> bytes:
        """What the device reads from the page (WRITE_FIXED to a pipe)."""
        self._transfer(IORING_OP_WRITE_FIXED, self.input)
        return os.read(self.output, abi.PAGE)

    def store(self, data: bytes) -> str:
        """The device writes the page (READ_FIXED from a pipe): "ok" or the errno's name."""
        os.write(self.input, data)
        try:
            self._transfer(IORING_OP_READ_FIXED, self.output)
        except OSError as error:
            return abi.errno_name(error.errno)
        return "ok"

    def _transfer(self, operation: int, fd: int) -> None:
        """One request of the whole page, waited for. OSError if it fails or is short."""
        sqe = struct.pack("<BBHiQQIIQ", operation, 0, 0, fd, 0, self.address, abi.PAGE, 0, 1)
        self.sqes[:SQE_BYTES] = sqe.ljust(SQE_BYTES, b"\0")
        tail = struct.unpack_from("<I", self.sq, self.tail)[0]
        struct.pack_into("<I", self.sq, self.array, 0)
        struct.pack_into("<I", self.sq, self.tail, (tail + 1) & 0xFFFFFFFF)
        abi.syscall(abi.IO_URING_ENTER, self.ring, 1, 1, IORING_ENTER_GETEVENTS, 0, 0)
        head, mask = (struct.unpack_from("<I", self.cq, at)[0] for at in (self.cq_head, self.cq_mask))
        result = struct.unpack_from("<i", self.cq, self.cqes + (head & mask) * CQE_BYTES + 8)[0]
        struct.pack_into("<I", self.cq, self.cq_head, (head + 1) & 0xFFFFFFFF)
        if result != abi.PAGE:
            code = -result if result < 0 else 5  # EIO
            raise OSError(code, f"io_uring moved {result} bytes of a fixed buffer")

    def close(self) -> None:
        """Unregister the buffer, so the page is unpinned when this returns, and close the ring."""
        for mapped in (self.sq, self.cq, self.sqes):
            mapped.close()
        abi.syscall(abi.IO_URING_REGISTER, self.ring, IORING_UNREGISTER_BUFFERS, 0, 0)
        for fd in (self.ring, self.output, self.input):
            os.close(fd)


class Spliced:
    """A pipe that holds a reference to one page. `pipe`: its read end, taken over."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.output, self.into = os.pipe2(os.O_CLOEXEC)

    def content(self) -> bytes:
        """What the pipe holds; it stays in the pipe (tee(2))."""
        abi.syscall(abi.TEE, self.pipe, self.into, abi.PAGE, 0)
        return os.read(self.output, abi.PAGE)

    def close(self) -> None:
        """Throw away what the pipe holds."""
        for fd in (self.pipe, self.output, self.into):
            os.close(fd)
