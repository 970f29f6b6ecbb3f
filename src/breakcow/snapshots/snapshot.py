"""`breakcow.snapshot(..., to=FILE)`."""

import os
import secrets
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from . import features, link, maps
from .buffers import Export, page_ranges, strangers
from .errors import PrivilegeWarning, SnapshotError, UntrustedKernelError
from .merging import Apart


@dataclass
class Stats:
    """What a snapshot did.

    freeze: seconds until everything was protected. stalls: stores that waited for a copy. early_pages: copied because somebody was about
    to write them. pages: of the image. holes: of them, pages that hold only zeros. huge: huge pages copied whole. bytes: written to the
    file. compiled: the copying was done in C. mode: "full", or "user-mode-only" where system calls that store into the memory fail
    meanwhile.
    """

    freeze: float = 0
    stalls: int = 0
    early_pages: int = 0
    pages: int = 0
    holes: int = 0
    huge: int = 0
    bytes: int = 0
    compiled: bool = False
    mode: str = features.FULL


class Frozen:
    """Buffers that a copier has frozen, and the copier. The image is the state of all of them when this was made."""

    def __init__(self, things: tuple[object, ...], job: dict[str, Any], files: tuple[int, ...] = (), wanted: int = features.NEEDED) -> None:
        lacking = features.lacking(features.measured())
        if lacking:
            raise UntrustedKernelError(lacking)
        self.stats = Stats(mode=features.measured().mode)
        if self.stats.mode == features.USER_MODE_ONLY:
            warnings.warn(features.LIMITED, PrivilegeWarning, stacklevel=4)
        self.exports: list[Export] = []
        self.copier: link.Copier | None = None
        self.apart: Apart | None = None
        self.pid = os.getpid()
        try:
            self._freeze(things, job, files, wanted)
        except BaseException:
            self.end(reuse=False)
            raise

    def _freeze(self, things: tuple[object, ...], job: dict[str, Any], files: tuple[int, ...], wanted: int) -> None:
        self.exports = [Export(thing) for thing in things]
        shapes = [export.shape for export in self.exports]
        self.ranges = page_ranges(shapes)
        if not self.ranges:
            raise SnapshotError("there is nothing to take a snapshot of: the buffers are empty")
        if why := maps.pinned():
            raise SnapshotError(why)
        self.copier = link.take()
        self.apart = Apart(self.ranges)
        mem, pagemap = (os.open(f"/proc/self/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("mem", "pagemap"))
        try:
            said = {"buffers": [shape.wire() for shape in shapes]}
            request = {"ranges": self.ranges, "strangers": strangers(shapes, self.ranges), "said": said}
            self.copier.ask(request | job, wanted, [mem, pagemap, *files])
        finally:
            os.close(mem)
            os.close(pagemap)
        if why := maps.strange(self.ranges):  # while the copier freezes, which takes as long: nothing of it stays if this raises
            raise SnapshotError(why)
        self.note(self.copier.receive()["frozen"])

    def note(self, said: dict[str, Any]) -> None:
        """What the copier says that it did."""
        for name, value in said.items():
            setattr(self.stats, name, value)

    @property
    def foreign(self) -> bool:
        """This process is a child of the one that it belongs to."""
        return os.getpid() != self.pid

    def send(self, message: dict[str, Any]) -> None:
        """Tell the copier something."""
        if self.copier and not self.foreign:
            self.copier.send(message)

    def receive(self) -> dict[str, Any]:
        """What the copier says next. SnapshotError if the image is lost, after which nothing is protected any more."""
        if self.foreign:
            raise SnapshotError("this snapshot belongs to the process that this one was forked from")
        if self.copier is None:
            raise SnapshotError("this snapshot has ended")
        return self.copier.receive()

    def end(self, reuse: bool) -> None:
        """Nothing is protected or held any more. reuse: the copier has finished its work and may do more."""
        copier, self.copier = self.copier, None
        if copier and not self.foreign:
            if reuse:
                link.give_back(copier)
            else:
                copier.close()
            if self.apart:
                self.apart.restore()
        for export in self.exports:
            export.release()


def into_file(do: str, things: tuple[object, ...], final: str, compress: str | None) -> tuple[Frozen, str]:
    """Freeze buffers for a job of the copier that ends in the file `final`: what is frozen, and the name of the file until then.

    OSError if there can be no file beside it.
    """
    directory, name = os.path.split(final)
    temporary = os.path.join(directory, f".{name}.{secrets.token_hex(4)}.part")
    file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        return Frozen(things, {"do": do, "temporary": temporary, "final": final, "pack": compress}, (file,)), temporary
    except BaseException:
        remove(temporary)
        raise
    finally:
        os.close(file)


def remove(path: str) -> None:
    """There is no such file."""
    with suppress(FileNotFoundError):
        os.unlink(path)


class Snapshot:
    """An image of the buffers on its way into a file. It is the state when this was made; the program may write on.

    Leave its `with` block, or call `wait`, to know that the image is safe. An exception in the block gives the image up: no file appears.
    """

    def __init__(self, things: tuple[object, ...], to: str | os.PathLike[str], compress: str | None) -> None:
        self.path = os.path.abspath(os.fspath(to))
        self._done = False
        self._frozen, self._temporary = into_file("to_file", things, self.path, compress)

    @property
    def stats(self) -> Stats:
        """What it did so far; all of it after `wait`."""
        return self._frozen.stats

    def wait(self) -> Stats:
        """Returns when the image is on the disk under its name. SnapshotError if there is none."""
        if self._done:
            return self.stats
        try:
            self._frozen.send({"do": "publish"})
            done = self._frozen.receive()["done"]
        except BaseException:
            self.cancel()
            raise
        self._frozen.note(done)
        self._done = True
        self._frozen.end(reuse=True)
        return self.stats

    def cancel(self) -> None:
        """Give the image up: no file appears. Does nothing after `wait`."""
        if not self._done and not self._frozen.foreign:
            self._frozen.end(reuse=False)
            remove(self._temporary)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.wait()
        else:
            self.cancel()
