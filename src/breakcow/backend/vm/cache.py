"""The user's cache folder: what is written there appears whole or not at all, and two writers never collide."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from breakcow.backend.errors import LostBackend

Progress = Callable[[str], None]
"""Called with one line of text whenever something that takes time begins or ends."""


class UnavailableError(LostBackend):
    """A kernel, a tool or a machine that cannot be had; the text is a sentence that says why and what to do."""


def silent(text: str) -> None:
    """A `Progress` that shows nothing."""
    del text


def folder(*parts: str) -> Path:
    """`$XDG_CACHE_HOME/breakcow/PARTS`, or below `~/.cache`; not created."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root.joinpath("breakcow", *parts)


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock that belongs to `target` (`.NAME.lock` beside it); waits for whoever holds it, and dies with its holder."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = (target.parent / f".{target.name}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def fresh(target: Path) -> Iterator[Path]:
    """A new empty folder that takes the place of `target` if the body succeeds, and vanishes if it does not.

    The caller holds `locked(target)`: half-done folders that a killed holder left are removed first.
    """
    with writing(target):
        for stale in target.parent.glob(f".{target.name}.*.part"):
            shutil.rmtree(stale, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        with writing(target):
            yield part
            if target.exists():
                shutil.rmtree(target)
            part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn a failed write below `target` (disk full, no permission) into `UnavailableError`."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"Cannot write {target}: {error.strerror or error}.") from error
