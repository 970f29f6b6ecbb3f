"""copying.c: the copying of a cut in two threads, neither of which waits for the other's interpreter.

One thread answers faults and never runs a line of Python; the other saves what was copied, and copies what nobody waits for.
BREAKCOW_COMPILED=0 in the environment has it done in Python. It is compiled at
its first use, and guard.c with it.
"""

import bisect
import ctypes
import functools
import hashlib
import logging
import mmap
import os
import platform
import subprocess
import threading
import time
import zlib
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from .copying import HUGE, PENDING, Copying, Memory, Plan, Save, Tally, unprotected, unreadable
from .errors import LostError
from .layout import BLOCK
from .pagemap import Pagemap, Range

SOURCES = tuple(Path(__file__).with_name(name) for name in ("copying.c", "guard.c"))
COMPILE = ("cc", "-O3", "-std=gnu11", "-shared", "-fPIC", "-pthread", "-x", "c", "-o")
SWITCH = "BREAKCOW_COMPILED"
ROOM = 16 * BLOCK  # bytes that are copied and not saved yet, at most: whoever waits is served first
UNPROTECTED = -1
log = logging.getLogger("breakcow")


class Taken(ctypes.Structure):
    """struct taken."""

    _fields_ = (*((name, ctypes.c_uint64) for name in ("start", "end", "at")), ("ready", ctypes.c_int32), ("error", ctypes.c_int32))


class State(ctypes.Structure):
    """struct copying, as far as Python knows it."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("uffd", "mem", "pagemap", "stop", "filled", "keep")),
        *((name, ctypes.c_uint64) for name in ("pieces", "ranges")),
        *((name, ctypes.c_void_p) for name in ("starts", "ends", "first", "last", "state", "room")),
        *((name, ctypes.c_uint64) for name in ("size", "stalls", "early_pages", "done")),
        ("lost", Taken),
    )


class Compiled:
    """As `Copying`."""

    def __init__(self, library: ctypes.CDLL, memory: Memory, plan: Plan, save: Save, tally: Tally) -> None:
        self.plan, self.save, self.tally = plan, save, tally
        self.scan = Pagemap(memory.pagemap)
        self.next = 0
        self._library = library
        self._before = tally.stalls, tally.early_pages, tally.pages
        size = max([ROOM, *(2 * HUGE for start, end in zip(plan.starts, plan.ends, strict=True) if end - start == HUGE)])
        self._room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._bytes = memoryview(self._room)
        self.state = bytearray(len(plan.starts) or 1)
        self._arrays = [array("Q", each) for each in (plan.starts, plan.ends, *zip(*plan.ranges, strict=True))]
        self._at = library.make()
        self._shared = State.from_address(self._at)
        self._stop, self._filled = (os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(2))
        self._share(memory)
        self._found = Taken()
        self._thread = threading.Thread(target=library.serve, args=(self._at,), daemon=True)
        self._thread.start()

    def _share(self, memory: Memory) -> None:
        """Tell the C what it works on."""
        shared, plan = self._shared, self.plan
        shared.uffd, shared.mem, shared.pagemap = memory
        shared.stop, shared.filled, shared.keep = self._stop, self._filled, plan.keep
        shared.pieces, shared.ranges = len(plan.starts), len(plan.ranges)
        shared.starts, shared.ends, shared.first, shared.last = (each.buffer_info()[0] for each in self._arrays)
        shared.state, shared.room = (ctypes.addressof(ctypes.c_char.from_buffer(each)) for each in (self.state, self._room))
        shared.size = len(self._room)

    def fileno(self) -> int:
        """Readable when `attend` has something to do."""
        return self._filled

    def attend(self) -> None:
        """Save everything that was copied for somebody who waited."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._filled)
        while self._save_one(len(self.plan.starts) + 1):
            pass

    def step(self) -> bool:
        """Save one more piece; False when everything is copied and saved."""
        self.next = self.state.find(PENDING, self.next, len(self.plan.starts))
        if self.next < 0:
            self.next = len(self.plan.starts)
        return self._save_one(self.next)

    def copy(self, address: int) -> None:
        """Copy the piece that begins at this address now, if it has not been, and save it."""
        piece = bisect.bisect_left(self.plan.starts, address)
        while self._save_one(piece) and self._found.start != address:
            pass

    def stop(self) -> None:
        """Nothing is answered any more when this returns."""
        if not self._at:
            return
        self._library.stop(self._at)
        self._thread.join()
        self._count()
        self._library.drop(self._at)
        self._at = 0
        os.close(self._stop)
        os.close(self._filled)

    def _save_one(self, piece: int) -> bool:
        """Save what was copied first, else `piece` or the next that is pending; False if there is none."""
        found = self._found
        outcome = self._library.next(self._at, piece, ctypes.byref(found))
        self._count()
        if outcome < 0:
            raise self._lost()
        if outcome:
            at = found.at % len(self._room)
            self.save(found.start, self._bytes[at : at + found.end - found.start])
            self._library.saved(self._at)
        return bool(outcome)

    def _count(self) -> None:
        tally, shared = self.tally, self._shared
        counted = shared.stalls, shared.early_pages, shared.done
        tally.stalls, tally.early_pages, tally.pages = map(sum, zip(self._before, counted, strict=True))

    def _lost(self) -> LostError:
        lost = self._shared.lost
        if lost.error == UNPROTECTED:
            return unprotected(self.scan, lost.start, lost.end)
        return unreadable(lost.start, os.strerror(lost.error))


def copying(memory: Memory, plan: Plan, save: Save, tally: Tally) -> Copying | Compiled:
    """Whoever copies best here: answers faults from the making of this, if it is in C, to its `stop`."""
    library = found()
    tally.compiled = library is not None
    return Copying(memory, plan, save, tally) if library is None else Compiled(library, memory, plan, save, tally)


def protect(fd: int, ranges: Sequence[Range]) -> int:
    """Write-protect ranges in order, one UFFDIO_WRITEPROTECT each: how many, until one could not be. None, where it is to be done in
    Python.
    """
    library = found() if len(ranges) > 1 else None
    if library is None:
        return 0
    starts, ends = (array("Q", each) for each in zip(*ranges, strict=True))
    return int(library.protect(fd, starts.buffer_info()[0], ends.buffer_info()[0], len(ranges)))


def crc32(view: memoryview) -> int:
    """CRC-32 of pages that can be written: by PCLMULQDQ in a quarter of zlib's time, where there are both."""
    library = _multiplying()
    if library is None:
        return zlib.crc32(view)
    return int(library.checksum(ctypes.addressof(ctypes.c_char.from_buffer(view)), len(view)))


@functools.cache
def _multiplying() -> ctypes.CDLL | None:
    library = found()
    return library if library and library.multiplies() else None


@functools.cache
def path() -> Path | None:
    """The compiled library, made if it is not there yet; None, and a line of log that says why, where there is none."""
    if os.environ.get(SWITCH) == "0":
        return None
    try:
        said = b"".join(source.read_bytes() for source in SOURCES)
        made = _folder() / f"copying-{hashlib.sha256(said).hexdigest()[:16]}-{platform.machine()}.so"
        if not made.exists():
            _compile(made)
        if made.stat().st_uid != os.geteuid():
            raise OSError(f"{made} is another user's")
    except (OSError, subprocess.CalledProcessError) as error:
        log.info("snapshots are copied in Python, which takes longer: copying.c cannot be compiled (%s)", error)
        return None
    return made


@functools.cache
def found() -> ctypes.CDLL | None:
    """The library, loaded; None where there is none."""
    made = path()
    if made is None:
        return None
    library = ctypes.CDLL(str(made))
    library.make.restype = ctypes.c_void_p
    library.make.argtypes = ()
    for name in ("serve", "stop", "saved", "drop", "guard_drop"):
        getattr(library, name).argtypes, getattr(library, name).restype = (ctypes.c_void_p,), None
    library.checksum.argtypes, library.checksum.restype = (ctypes.c_void_p, ctypes.c_uint64), ctypes.c_uint32
    library.guard_make.restype, library.guard_make.argtypes = ctypes.c_void_p, ()
    library.guard_start.argtypes = (ctypes.c_void_p,)
    library.protect.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)
    library.protect.restype = ctypes.c_uint64
    library.next.argtypes = (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p)
    return library


def _compile(target: Path) -> None:
    """Make the library; another process may make the same meanwhile. Raises OSError, CalledProcessError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with TemporaryDirectory(dir=target.parent) as folder:
        part = Path(folder) / target.name
        subprocess.run([*COMPILE, part, *SOURCES], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        part.rename(target)
    log.info(
        "compiled %s with %s in %.1f s, once: %s",
        " and ".join(source.name for source in SOURCES),
        COMPILE[0],
        time.monotonic() - begin,
        target,
    )


def _folder() -> Path:
    """Below the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if base.startswith("/") else os.path.expanduser("~/.cache")) / "breakcow" / "snapshots"
