"""The controller's side of a userfaultfd: it holds the only descriptor, makes the ioctls and reads the messages."""

import functools
import struct

from . import abi
from .gather import NEXT, Gather

FEATURES = {2: 1 << 7, 4: 1 << 1, 8: 1 << 2, 16: 1 << 13, 32: 1 << 15}  # of the action table -> UFFD_FEATURE_*
USER_MODE_ONLY = 1  # of the action table, and UFFD_USER_MODE_ONLY
PAGEFAULT_FLAG_WP = 1 << 0
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_UNREGISTER, UFFDIO_WRITEPROTECT = 0xC018AA3F, 0xC020AA00, 0x8010AA01, 0xC018AA06
REGISTER_MODE_WP = 2
WRITEPROTECT_MODE_WP = 1
MESSAGE = 32  # bytes of struct uffd_msg
KINDS = {0x12: "wp", 0x13: "fork", 0x14: "remap", 0x15: "remove", 0x16: "unmap"}


def flags(argument: int) -> int:
    """The flags of userfaultfd(2) for the feature bits of the action table."""
    return abi.O_CLOEXEC | abi.O_NONBLOCK | (USER_MODE_ONLY if argument & USER_MODE_ONLY else 0)


def features(argument: int) -> int:
    """The features of UFFDIO_API for the feature bits of the action table."""
    return PAGEFAULT_FLAG_WP | sum(feature for bit, feature in FEATURES.items() if argument & bit)


def api(fd: int, argument: int) -> str:
    """UFFDIO_API: "ok" or the errno's name."""
    return abi.ioctl(fd, UFFDIO_API, bytearray(struct.pack("<QQQ", 0xAA, features(argument), 0)))


def register(fd: int, start: int, length: int) -> str:
    """UFFDIO_REGISTER for write-protection: "ok" or the errno's name."""
    return abi.ioctl(fd, UFFDIO_REGISTER, bytearray(struct.pack("<QQQQ", start, length, REGISTER_MODE_WP, 0)))


def protect(fd: int, start: int, length: int) -> str:
    """UFFDIO_WRITEPROTECT, protecting: "ok" or the errno's name."""
    return abi.ioctl(fd, UFFDIO_WRITEPROTECT, bytearray(struct.pack("<QQQ", start, length, WRITEPROTECT_MODE_WP)))


def release(fd: int, start: int, length: int) -> str:
    """UFFDIO_WRITEPROTECT, releasing and waking: "ok" or the errno's name."""
    return abi.ioctl(fd, UFFDIO_WRITEPROTECT, bytearray(struct.pack("<QQQ", start, length, 0)))


def unregister(fd: int, start: int, length: int) -> str:
    """UFFDIO_UNREGISTER: "ok" or the errno's name."""
    return abi.ioctl(fd, UFFDIO_UNREGISTER, bytearray(struct.pack("<QQ", start, length)))


def read_messages(fd: int) -> list[tuple[str, int]]:
    """The messages that wait in `fd`: (kind, address), where for "fork" the address is the new file descriptor."""
    messages: list[tuple[str, int]] = []
    while (data := _next(fd).one()) is not None:
        kind = KINDS.get(data[0], "unknown")
        if kind == "wp":
            messages.append((kind, struct.unpack_from("<Q", data, 16)[0]))
        elif kind == "fork":
            messages.append((kind, struct.unpack_from("<I", data, 8)[0]))
        else:
            messages.append((kind, struct.unpack_from("<Q", data, 8)[0]))
    return messages


@functools.cache
def _next(fd: int) -> Gather:
    """What reads the next message of whatever userfaultfd has this number. Mostly there is none, of which os.read() makes an exception."""
    return Gather([(fd, MESSAGE, NEXT)])
