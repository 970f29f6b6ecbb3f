"""The machine's settings of KSM, of huge pages and of compaction while programs run: one run at a time, and everything put back in all
cases.

A watcher process waits for the controller to end, however that comes about, and puts the settings back. It inherits the lock, so the next
run begins when they are back. If the watcher is killed too, the next run puts them back before it begins (saved.py).
"""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator

from . import ksm, saved
from .watcher import Watcher

LOCK_DIRECTORY = "/run/breakcow"  # root's: nobody else can wait there
LOOK_SECONDS = 0.05
WAITING = "another run of breakcow is using this machine's KSM settings: waiting until it ends"
LEFT = "a run was killed with all its processes, and KSM's settings are still those that it worked with: the next run here puts them back"
PUT_BACK = "a run was killed with all its processes, and KSM's settings were still those that it worked with: they are put back now"


class Settings:
    """Holds the lock and the watcher from its making to `restore`.

    say: is told a sentence if another run must be waited for, or has left its settings. wanted: tells whether whoever asked for this still
    waits; BrokenPipeError if not.
    """

    def __init__(self, say: Callable[[str], None], wanted: Callable[[], bool]) -> None:
        os.makedirs(LOCK_DIRECTORY, mode=0o700, exist_ok=True)
        with _opened() as (directory, lock):
            _wait(lock, say, wanted)
            before = _put_left_back(directory, say) or saved.now()
            before.keep(directory)
            self.watcher = Watcher(lambda: before.put_back(directory), (directory, lock))
        saved.put(saved.COMPACTION, "0")
        os.sched_setaffinity(ksm.find(), os.sched_getaffinity(0))

    def restore(self) -> None:
        """Everything is as it was, and the lock is free, when this returns."""
        self.watcher.close()


def notes() -> list[str]:
    """What to tell people of a run that was killed with its watcher, while no other has come: one sentence, or none. Changes nothing."""
    with contextlib.suppress(OSError, ValueError), _opened() as (directory, lock):
        if _locked(lock) and saved.left(directory):
            return [LEFT]
    return []


@contextlib.contextmanager
def _opened() -> Iterator[tuple[int, int]]:
    """The directory and the file to lock in it. PermissionError if others can write there."""
    with contextlib.ExitStack() as stack:
        directory = os.open(LOCK_DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, directory)
        if os.fstat(directory).st_uid != os.geteuid() or os.fstat(directory).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{LOCK_DIRECTORY} belongs to another user or can be written by others: remove it")
        lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        stack.callback(os.close, lock)
        yield directory, lock


def _wait(lock: int, say: Callable[[str], None], wanted: Callable[[], bool]) -> None:
    """Until the lock is ours. BrokenPipeError if it is not wanted any more."""
    if _locked(lock):
        return
    say(WAITING)
    while not _locked(lock):
        if not wanted():
            raise BrokenPipeError("nobody waits for the lock any more")
        time.sleep(LOOK_SECONDS)


def _locked(lock: int) -> bool:
    """The lock is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _put_left_back(directory: int, say: Callable[[str], None]) -> saved.Saved | None:
    """Put back what a run that was killed with its watcher has left, if one has: what that is."""
    try:
        left = saved.left(directory)
    except ValueError as error:
        say(f"{LOCK_DIRECTORY}/{saved.FILE} is ignored: {error}")
        return None
    if left:
        left.put_back(directory)
        say(PUT_BACK)
    return left
