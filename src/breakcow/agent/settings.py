"""The machine's settings of KSM, of huge pages and of compaction while programs run: one run at a time, and everything put back in all
cases.

A watcher process waits for the controller to end, however that comes about, and puts the settings back. It inherits the lock, so the next
run begins when they are back.
"""

import fcntl
import os
import stat
import time
from collections.abc import Callable

from . import ksm, thp
from .watcher import Watcher

LOCK_DIRECTORY = "/run/breakcow"  # root's: nobody else can wait there
LOOK_SECONDS = 0.05
COMPACTION = "/proc/sys/vm/compaction_proactiveness"  # how eagerly kcompactd moves pages that nobody asked it to: a program's too
WAITING = "another run of breakcow is using this machine's KSM settings: waiting until it ends"


class Settings:
    """Holds the lock and the watcher from its making to `restore`.

    say: is told a sentence if another run must be waited for. wanted: tells whether whoever asked for this still waits.
    """

    def __init__(self, say: Callable[[str], None], wanted: Callable[[], bool]) -> None:
        lock = _lock(say, wanted)
        files = [COMPACTION, *(f"{ksm.DIRECTORY}/{name}" for name in ksm.TOUCHED), *(thp.path(name) for name in thp.START)]
        saved = {file: text for file in files if (text := thp.setting(file)) is not None}
        ksmd = ksm.find()
        cpus, nice = os.sched_getaffinity(ksmd), os.getpriority(os.PRIO_PROCESS, ksmd)
        self.watcher = Watcher(lambda: _put_all_back(saved, ksmd, cpus, nice), (lock,))
        os.close(lock)
        _set(COMPACTION, "0")
        os.sched_setaffinity(ksmd, os.sched_getaffinity(0))

    def restore(self) -> None:
        """Everything is as it was, and the lock is free, when this returns."""
        self.watcher.close()


def _lock(say: Callable[[str], None], wanted: Callable[[], bool]) -> int:
    """The open and locked file. BrokenPipeError if it is not wanted any more."""
    os.makedirs(LOCK_DIRECTORY, mode=0o700, exist_ok=True)
    directory = os.open(LOCK_DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(directory).st_uid != os.geteuid() or os.fstat(directory).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{LOCK_DIRECTORY} belongs to another user or can be written by others: remove it")
        lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    finally:
        os.close(directory)
    if not _locked(lock):
        say(WAITING)
        while not _locked(lock):
            if not wanted():
                raise BrokenPipeError("nobody waits for the lock any more")
            time.sleep(LOOK_SECONDS)
    return lock


def _locked(lock: int) -> bool:
    """The lock is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _put_all_back(saved: dict[str, str], ksmd: int, cpus: set[int], nice: int) -> None:
    """Unmerge what is merged, and put the settings back, and ksmd to its CPUs and its priority."""
    run = f"{ksm.DIRECTORY}/run"
    for name, text in ((run, "2"), *((name, text) for name, text in saved.items() if name != run), (run, saved[run])):
        _set(name, text)
    os.sched_setaffinity(ksmd, cpus)
    os.setpriority(os.PRIO_PROCESS, ksmd, nice)


def _set(path: str, text: str) -> None:
    """Write a setting; what the kernel refuses, or does not have, cannot be helped here."""
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError:
        pass
