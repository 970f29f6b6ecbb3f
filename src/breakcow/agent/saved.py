"""The machine's settings of KSM, of huge pages and of compaction as they were before a run changed the first.

They are in a file while they are changed. Where a run is killed with all its processes at once, its watcher too (a CI job that is torn
down, a group that is out of memory), the file stays, and the next run puts back what it says.
"""

import contextlib
import json
import os
from typing import NamedTuple

from . import ksm, thp

FILE = "settings"  # beside the lock
UNFINISHED = "settings.new"
MAX_FILE = 1 << 16  # bytes
BOOT = "/proc/sys/kernel/random/boot_id"
COMPACTION = "/proc/sys/vm/compaction_proactiveness"  # how eagerly kcompactd moves pages that nobody asked it to: a program's too
MAX_CPUS = 8192  # NR_CPUS of x86-64 (arch/x86/Kconfig)


class Saved(NamedTuple):
    """settings: file -> the text that puts it back. cpus, nice: of ksmd."""

    settings: dict[str, str]
    cpus: list[int]
    nice: int

    def keep(self, directory: int) -> None:
        """Write the file, whole before it has its name. Raises OSError."""
        how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(UNFINISHED, how, 0o600, dir_fd=directory), "w") as file:
            json.dump({"boot": _boot(), **self._asdict()}, file)
        os.rename(UNFINISHED, FILE, src_dir_fd=directory, dst_dir_fd=directory)

    def put_back(self, directory: int) -> None:
        """Unmerge what is merged, put the settings back, and ksmd to its CPUs and its priority; then there is no file any more."""
        run = f"{ksm.DIRECTORY}/run"
        for name, text in ((run, "2"), *((name, text) for name, text in self.settings.items() if name != run), (run, self.settings[run])):
            put(name, text)
        with contextlib.suppress(OSError):  # as in put()
            ksmd = ksm.find()
            os.setpriority(os.PRIO_PROCESS, ksmd, self.nice)
            os.sched_setaffinity(ksmd, self.cpus)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(FILE, dir_fd=directory)


def now() -> Saved:
    """The settings as they are. OSError if there is no ksmd."""
    files = [COMPACTION, *(f"{ksm.DIRECTORY}/{name}" for name in ksm.TOUCHED), *(thp.path(name) for name in thp.START)]
    ksmd = ksm.find()
    return Saved(
        {file: text for file in files if (text := thp.setting(file)) is not None},
        sorted(os.sched_getaffinity(ksmd)),
        os.getpriority(os.PRIO_PROCESS, ksmd),
    )


def put(path: str, text: str) -> None:
    """Write a setting; what the kernel refuses, or does not have, cannot be helped here."""
    with contextlib.suppress(OSError), open(path, "w") as file:
        file.write(text)


def left(directory: int) -> Saved | None:
    """What the file says, None if there is none. ValueError if it is not to be trusted; the message goes on after "it is ignored: "."""
    try:
        with open(os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory), "rb") as file:
            return _trusted(file.read(MAX_FILE))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from None


def _trusted(text: bytes) -> Saved:
    """What `keep` wrote on this kernel since it was booted; a setting that it lacks was not changed. Raises ValueError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is cut short") from None
    match found:
        case {"boot": str(boot), "settings": dict(settings), "cpus": [_, *_] as cpus, "nice": int(nice)}:
            here = now()
        case _:
            raise ValueError("it is not what a run writes")
    if boot != _boot():
        raise ValueError("it is of another boot")
    if not settings.keys() <= here.settings.keys():
        raise ValueError("it names files that no run changes")
    if not all(isinstance(text, str) and text.isascii() for text in settings.values()):
        raise ValueError("it has a setting that is no text")
    if not all(type(cpu) is int and 0 <= cpu < MAX_CPUS for cpu in cpus) or not -20 <= nice < 20:
        raise ValueError("it has CPUs or a priority that there are not")
    return Saved(here.settings | settings, cpus, nice)


def _boot() -> str:
    """What the kernel calls itself since it was booted."""
    with open(BOOT) as file:
        return file.read().strip()
