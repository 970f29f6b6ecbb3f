"""ksmd, one full scan at a time (mm/ksm.c: ksm_scan_thread).

A write to `sleep_millisecs` that changes the value wakes a sleeping ksmd for exactly one batch of `pages_to_scan` pages; a batch ends
with the last page, so one larger than the machine is one full scan. ksmd is seen to sleep before each write, for else it could read the
new value first and miss the wake-up.
"""

import functools
import os
import time
from collections.abc import Callable, Sequence

from .abi import errno_name
from .gather import Gather

DIRECTORY = "/sys/kernel/mm/ksm"
KNOBS = {1: "use_zero_pages", 2: "max_page_sharing", 3: "smart_scan"}  # as in the action table
START = {"use_zero_pages": 0, "max_page_sharing": 256, "merge_across_nodes": 1, "smart_scan": 0, "pages_to_scan": 1 << 30}
TOUCHED = ("run", "sleep_millisecs", "advisor_mode", *START)
SCANNED = ("pages_shared", "pages_sharing", "pages_unshared", "pages_volatile")
COUNTERS = ("pages_shared", "pages_sharing", "ksm_zero_pages")
NUMBER = 32  # bytes, at most, of a file with one number


class KsmdError(Exception):
    """ksmd did not do what it does within the time limit. The message is a sentence."""


class Ksmd:
    """The kernel's ksmd and its settings.

    limit: seconds to wait for it. alone: nobody but us has mergeable memory, so the counters are ours.
    """

    def __init__(self, limit: float = 5) -> None:
        self.limit = limit
        self.pid = find()
        self.stat = os.open(f"/proc/{self.pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        self.sleep = 100000
        self.alone = True
        self.settings = Numbers([file for file in START if has(file)])
        self.scanned = Numbers(SCANNED)

    def close(self) -> None:
        """Release the file."""
        os.close(self.stat)

    def begin(self) -> None:
        """The state that every program starts in: nothing merged, settings of START, run = 1 and one scan done."""
        write("run", 2)
        write("run", 0)
        if has("advisor_mode"):
            write("advisor_mode", "none")  # the advisor would set pages_to_scan
        for file, value in self.settings.read().items():
            if value != START[file]:
                write(file, START[file])
        self.sleep += 1
        write("sleep_millisecs", self.sleep)
        self._one_scan("run", 1)
        self.alone = not any(self.scanned.read().values())

    def scan(self, number: int) -> None:
        """`number` full scans, if run = 1; else nothing, as ksmd sleeps. Raises KsmdError."""
        if read("run") != 1:
            return
        for _ in range(number):
            self.sleep = 100000 + (self.sleep + 1) % 100000
            self._one_scan("sleep_millisecs", self.sleep)

    def set_run(self, value: int) -> str:
        """Write `run`, and wait for the scan that a change to 1 starts: "ok" or the errno's name."""
        if value == 1 and read("run") != 1:
            self._one_scan("run", 1)
            return "ok"
        outcome = self.set_knob("run", value)
        if read("run") != 1:
            self._park()
        return outcome

    def _park(self) -> None:
        """Let a ksmd that still sleeps between two scans see that it was stopped: only from there does run = 1 wake it."""
        self.sleep = 100000 + (self.sleep + 1) % 100000
        write("sleep_millisecs", self.sleep)
        _until(self._asleep, time.monotonic() + self.limit)

    def set_knob(self, file: str, value: int) -> str:
        """Write a setting: "ok" or the errno's name."""
        try:
            write(file, value)
        except OSError as error:
            return errno_name(error.errno)
        return "ok"

    def _asleep(self) -> bool:
        """ksmd waits for a wake-up (TASK_INTERRUPTIBLE)."""
        return os.pread(self.stat, 32, 0).split(b" ", 3)[2] == b"S"

    def _one_scan(self, file: str, value: int) -> None:
        """Wake ksmd by writing `value` to `file`, and return when it has made one full scan and sleeps again."""
        end = time.monotonic() + self.limit
        _until(self._asleep, end)
        before = read("full_scans")
        write(file, value)
        _until(lambda: read("full_scans") != before, end)
        _until(self._asleep, end)
        after = read("full_scans")
        if after != before + 1:
            raise KsmdError(f"ksmd made {after - before} scans where one was asked for: does something else write to {DIRECTORY}?")


def _until(condition: Callable[[], bool], end: float) -> None:
    """Wait until `condition()` holds, without keeping ksmd from this CPU: where clocks are coarse, any sleep would last a tick."""
    while not condition():
        if time.monotonic() > end:
            raise KsmdError("ksmd does not finish its scan: is it stopped, or does it scan much memory of others?")
        os.sched_yield()


def find(name: str = "ksmd") -> int:
    """The process id of a kernel thread; OSError if there is none."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    if file.read(64).split(b" ", 2)[1] == f"({name})".encode():
                        return int(entry)
            except OSError:
                continue
    raise FileNotFoundError(f"no {name}")


class Numbers:
    """Some of the settings and counters, read in one go."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self.gather = Gather([(_opened(file, os.O_RDONLY), NUMBER, 0) for file in files])

    def read(self) -> dict[str, int]:
        """File -> its number."""
        lengths, data = self.gather.read(), self.gather.data
        return {file: int(data[NUMBER * at : NUMBER * at + lengths[at]]) for at, file in enumerate(self.files)}


@functools.cache
def has(file: str) -> bool:
    """This kernel has that setting."""
    return os.path.exists(f"{DIRECTORY}/{file}")


def read(file: str) -> int:
    """A setting or counter."""
    return int(os.pread(_opened(file, os.O_RDONLY), NUMBER, 0))


def write(file: str, value: object) -> None:
    """Write a setting. OSError with what the kernel says."""
    os.pwrite(_opened(file, os.O_WRONLY), str(value).encode(), 0)


@functools.cache
def _opened(file: str, how: int) -> int:
    """A setting or counter, opened once and for all: opening takes longer than reading."""
    return os.open(f"{DIRECTORY}/{file}", how | os.O_CLOEXEC)
