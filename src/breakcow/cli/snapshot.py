"""`breakcow snapshot`."""

import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from breakcow.cli.say import BROKEN, OK, RUN_FAILED, WrongUseError, complain, epilogue
from breakcow.snapshots import files, image, jobs
from breakcow.snapshots.errors import BadFileError, SnapshotError
from breakcow.snapshots.pagemap import Range
from breakcow.snapshots.process import Process

EXAMPLES = (
    "breakcow snapshot 4711 -o server.bcs",
    "breakcow snapshot 4711 --series --every 10s -o server.bcs",
    "breakcow snapshot info server.bcs",
    "breakcow snapshot verify server.bcs",
    "breakcow snapshot restore server.bcs --to server/",
)
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}

snapshot = App(
    name="snapshot", help="Save the memory of a process as it is at one instant, while it runs on.", help_epilogue=epilogue(EXAMPLES)
)


@snapshot.default
def take(
    pid: int,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    range_: Annotated[tuple[str, ...], Parameter(name="--range")] = (),
    series: bool = False,
    every: str = "10s",
    takes: int = 0,
    compress: str = "",
) -> int:
    """Save the private memory of a process to a file. It stands still for some milliseconds, which are printed, and is copied while it
    runs.

    Parameters
    ----------
    pid
        The process.
    out
        The file.
    range_
        Addresses START-END in hexadecimal, as in /proc/PID/maps. May be repeated; without it, everything.
    series
        Go on, and save what changed every so often, until interrupted or the process ends.
    every
        How often: 500ms, 10s, 2m.
    takes
        End a series after so many; 0 for no limit.
    compress
        zstd, or nothing.
    """
    ranges = [_range(text) for text in range_]
    seconds = _seconds(every)
    if compress not in {"", "zstd"}:
        raise WrongUseError(f"--compress {compress}: zstd is what there is")
    try:
        with closing(Process(pid, ranges)) as process, _file(out) as (file, publish):
            _take(process, file, compress)
            publish()
            for _ in range(1, takes or sys.maxsize) if series else ():
                process.attend(seconds)
                _take(process, file, compress)
    except SnapshotError as error:
        complain(error)
        return RUN_FAILED
    return OK


@snapshot.command
def info(file: Path, /) -> int:
    """Say what a file has: its takes, and the buffers or addresses in them."""

    def tell() -> int:
        for line in files.info(file):
            print(line)
        return OK

    return _guarded(tell)


@snapshot.command
def verify(file: Path, /) -> int:
    """Hold every block of a file against its checksum. Exit status 1 if one differs."""

    def check() -> int:
        bad = 0
        for line in files.damaged(file):
            bad += 1
            print(line)
        print(f"{file}: {'damaged' if bad else 'whole'}")
        return BROKEN if bad else OK

    return _guarded(check)


@snapshot.command
def restore(file: Path, /, *, to: Path, take: int = -1) -> int:
    """Write what is in a file to a folder: a file for each buffer (.npy for a NumPy array), or for each range of addresses.

    Parameters
    ----------
    to
        The folder, which is made.
    take
        Of a series: which take; the last, if it is not said.
    """

    def write() -> int:
        for path in files.restore(image.load(file, take), to):
            print(path)
        return OK

    return _guarded(write)


def _take(process: Process, file: int, compress: str) -> None:
    """One image, and a line about it."""
    begin = time.perf_counter()
    before = vars(process.tally).copy()
    said = {"pid": process.pid, "command": process.command(), "time": time.time()}
    process.take(file, said, jobs.packer(compress or None))
    done = {name: value - before.get(name, 0) for name, value in vars(process.tally).items()}
    if process.tries > 1:
        complain(f"the process discarded memory that was frozen: taken {process.tries} times, and the last is the image")
    print(
        f"{_size(done['pages'] * 4096)} in {time.perf_counter() - begin:.3f} s, paused for {process.pause * 1000:.1f} ms, "
        f"{done['stalls']} stores waited, {_size(process.sink.stored)} written, {_size(process.extent.shared)} of shared memory left out",
        flush=True,
    )


@contextmanager
def _file(out: Path) -> Iterator[tuple[int, Callable[[], None]]]:
    """A file that has its name only once `publish` is called."""
    final = os.path.abspath(out)
    temporary = os.path.join(os.path.dirname(final), f".{out.name}.{secrets.token_hex(4)}.part")
    file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield file, lambda: jobs.publish(temporary, final)
    finally:
        os.close(file)
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _guarded(work: Callable[[], int]) -> int:
    """Its exit code; a file that is none is a sentence."""
    try:
        return work()
    except (BadFileError, IndexError) as error:
        complain(error)
        return RUN_FAILED


def _range(text: str) -> Range:
    match = re.fullmatch(r"(?:0x)?([0-9a-f]+)-(?:0x)?([0-9a-f]+)", text)
    if not match or int(match[1], 16) >= int(match[2], 16) or int(match[1], 16) % 4096 or int(match[2], 16) % 4096:
        raise WrongUseError(f"--range {text}: write START-END in hexadecimal, both multiples of 1000, as in /proc/PID/maps")
    return int(match[1], 16), int(match[2], 16)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    if not match:
        raise WrongUseError(f"--every {text}: write a time as 500ms, 10s, 2m")
    return float(match[1]) * UNITS[match[2]]


def _size(number: float) -> str:
    """Bytes, for people."""
    return f"{number / (1 << 20):.1f} MiB"
