"""What runs in the guest of tools/snapshots.py: live snapshots under a writer, held page for page against its log. Standard library only.

The n-th store writes n to the cell n * STRIDE, so that the greatest number of an image tells which stores it must have.
"""

import ctypes
import json
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from breakcow.snapshots import api, compiled, copier, image, link
from breakcow.snapshots.errors import SnapshotError, UntrustedKernelError

STRIDE = 40503  # prime to the number of cells
PATH = "/tmp/image"
UNTRUSTED = "this kernel is refused"
assert copier  # the modules of the process that copies have to be in the guest, too


class Memory:
    """So many bytes of private memory, and a thread that writes them. touched: all of it is there before the first store, else its
    second half never is."""

    def __init__(self, size: int, touched: bool, huge: bool) -> None:
        pages = mmap.mmap(-1, size + (4 << 20), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        pages.madvise(mmap.MADV_HUGEPAGE if huge else mmap.MADV_NOHUGEPAGE)
        skip = -ctypes.addressof(ctypes.c_char.from_buffer(pages)) % (2 << 20)
        self.bytes = memoryview(pages)[skip : skip + size]
        self.cells = self.bytes[: size if touched else size // 2].cast("q")
        self.number = 0
        self.ended = False
        if touched:
            self.bytes[:] = bytes(size)
        self.thread = threading.Thread(target=self._write, daemon=True)

    def _write(self) -> None:
        while not self.ended:
            self.cells[(self.number + 1) * STRIDE % len(self.cells)] = self.number + 1
            self.number += 1

    def wrong(self, data: memoryview, first: int, last: int) -> str:
        """What is wrong with an image that was taken between these two stores; empty if nothing is."""
        cells = data.cast("B").cast("q")
        number = max(cells)
        expected = [0] * len(cells)
        for store in range(max(1, number - len(self.cells)), number + 1):
            expected[store * STRIDE % len(self.cells)] = store
        differ = sum(cell != right for cell, right in zip(cells, expected, strict=True))
        if differ or not first - 1 <= number <= last + 1:
            return f"{differ} cells differ from those of store {number}, and it was taken between {first} and {last}"
        return ""


def to_file(memory: Memory) -> Iterator[str]:
    """One image into a file."""
    before = memory.number
    with api.snapshot(memory.bytes, to=PATH):
        after = memory.number
    yield memory.wrong(image.load(PATH)[0], before, after)


def pieces(memory: Memory) -> Iterator[str]:
    """One image piece by piece."""
    whole = bytearray(len(memory.bytes))
    before = memory.number
    parts = api.snapshot(memory.bytes)
    after = memory.number
    for offset, view in parts:
        whole[offset : offset + len(view)] = view
    yield memory.wrong(memoryview(whole), before, after)


def series(memory: Memory) -> Iterator[str]:
    """Three images one after the other."""
    bounds = []
    with api.series(memory.bytes, PATH) as taking:
        for _ in range(3):
            before = memory.number
            taking.take()
            bounds.append((before, memory.number))
            time.sleep(0.05)
    for take, (before, after) in enumerate(bounds):
        yield memory.wrong(image.load(PATH, take)[0], before, after)


MIB = 1 << 20
KINDS: dict[str, tuple[Callable[[Memory], Iterator[str]], int, bool, bool]] = {
    "a file": (to_file, MIB, True, False),
    "a file, holes": (to_file, 4 * MIB, False, False),
    "a file, huge pages": (to_file, 4 * MIB, True, True),
    "pieces": (pieces, MIB, True, False),
    "a series": (series, MIB, True, False),
    "a series, holes": (series, 4 * MIB, False, False),
}


def take(kind: str) -> tuple[int, str]:
    """How many images were exact, and what was wrong, or why there was none."""
    way, size, touched, huge = KINDS[kind]
    memory = Memory(size, touched, huge)
    memory.thread.start()
    time.sleep(0.02)
    try:
        found = list(way(memory))
        return found.count(""), next(filter(None, found), "")
    except UntrustedKernelError as error:
        return 0, f"{UNTRUSTED}: {error}"
    except SnapshotError as error:
        return 0, f"refused: {error}"
    finally:
        memory.ended = True
        memory.thread.join()
        with suppress(FileNotFoundError):
            os.unlink(PATH)


def _in_c() -> bool:
    """Copying is done in C now."""
    try:
        return api.snapshot(bytearray(1), to=PATH).wait().compiled
    except SnapshotError:
        return False


def main() -> None:
    """Say for each kind, copied in C and in Python: how many were exact, and what else there was."""
    rounds = int(Path("/rounds").read_text())
    os.environ["XDG_CACHE_HOME"] = "/cache"
    sys.setswitchinterval(0.0005)
    for switch in "10":
        os.environ[compiled.SWITCH] = switch
        compiled.path.cache_clear()
        while link._idle:
            link._idle.pop().close()
        in_c = _in_c()
        for kind in KINDS:
            exact, others = 0, []
            for _ in range(rounds):
                number, other = take(kind)
                exact += number
                others += [other] if other else []
            print(json.dumps([kind, in_c, exact, others]), flush=True)
