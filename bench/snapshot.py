"""Live snapshots against a stop-the-world copy and a fork: one writer, the three methods in interleaved rounds, medians.

Every method saves the same memory to a file on the same file system while the writer writes on. A stall is a store that took longer than
1.5 microseconds, or the call that takes the snapshot. Extra memory is what the method holds of its own: the pages that a fork leaves with
its child, or all that the copier has for itself.

    python bench/snapshot.py --mib 512 --rounds 5
"""

import argparse
import mmap
import os
import random
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

import breakcow

STALL = 1500  # nanoseconds
MIB = 1 << 20


def memory(mib: int, huge: bool) -> np.ndarray:
    """Private memory, written once."""
    size = mib * MIB
    mapping = mmap.mmap(-1, size + 2 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping.madvise(mmap.MADV_HUGEPAGE if huge else mmap.MADV_NOHUGEPAGE)
    cells = np.frombuffer(mapping, np.int64)
    skip = -cells.ctypes.data % (2 * MIB) // 8
    cells = cells[skip : skip + size // 8]
    cells[:] = np.arange(len(cells))
    return cells


class StopTheWorld:
    """Write it all, then go on."""

    name = "stop-the-world copy"

    def __init__(self, cells: np.ndarray, path: Path) -> None:
        with open(path, "wb", buffering=0) as file:
            data, done = cells.data.cast("B"), 0
            while done < len(data):
                done += file.write(data[done:])
        self.extra = 0.0

    def ended(self) -> bool:
        """It has ended when it returns."""
        return True


class Fork:
    """A child writes it all."""

    name = "fork"

    def __init__(self, cells: np.ndarray, path: Path) -> None:
        self.reader, writer = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            StopTheWorld(cells, path)
            os.write(writer, str(private(os.getpid(), cells.ctypes.data)).encode())
            os._exit(0)
        os.close(writer)
        self.extra = 0.0

    def ended(self) -> bool:
        """The child is gone."""
        if os.waitpid(self.child, os.WNOHANG)[0] == 0:
            return False
        self.extra = float(os.read(self.reader, 100) or b"0")
        os.close(self.reader)
        return True


class Breakcow:
    """A live snapshot."""

    name = "breakcow"

    def __init__(self, cells: np.ndarray, path: Path) -> None:
        self.snapshot = breakcow.snapshot(cells, to=path)
        self.copier = self.snapshot._frozen.copier
        self.extra = 0.0
        self.snapshot._frozen.send({"do": "publish"})
        self.poll = select.poll()
        self.poll.register(self.copier.channel, select.POLLIN)

    def ended(self) -> bool:
        """The file has its name."""
        if not self.poll.poll(0):
            return False
        self.extra = private(self.copier.process.pid)
        self.snapshot._frozen.note(self.snapshot._frozen.receive()["done"])
        self.snapshot._done = True
        self.snapshot._frozen.end(reuse=True)
        return True


Method = Callable[[np.ndarray, Path], StopTheWorld | Fork | Breakcow]
METHODS: tuple[Method, ...] = (StopTheWorld, Fork, Breakcow)


def private(pid: int, address: int = 0) -> float:
    """MiB of memory that nobody else has: of the whole process, or of the mapping at an address."""
    total, here = 0, not address
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            word, *rest = line.split()
            if not word.endswith(":"):
                start, end = (int(each, 16) for each in word.split("-"))
                here = not address or start <= address < end
            elif here and word == "Private_Dirty:":
                total += int(rest[0])
    return total / 1024


def huge_pages(address: int) -> int:
    """How many huge pages map the memory at an address and behind it, in its mapping."""
    here = False
    with open("/proc/self/smaps") as file:
        for line in file:
            word, *rest = line.split()
            if not word.endswith(":"):
                start, end = (int(each, 16) for each in word.split("-"))
                here = start <= address < end
            elif here and word == "AnonHugePages:":
                return int(rest[0]) // 2048
    return 0


def one(method: Method, cells: np.ndarray, path: Path, think: int, hot: float, seed: int) -> dict[str, float]:
    """One snapshot under one writer: what it cost."""
    order = random.Random(seed)
    where = [order.randrange(int(len(cells) * hot)) for _ in range(1 << 16)]
    clock = time.perf_counter_ns
    stalls: list[int] = []
    before = huge_pages(cells.ctypes.data)
    begin = clock()
    running = method(cells, path)
    call = clock() - begin
    number = 0
    while True:
        number += 1
        if number % 64 == 0 and running.ended():
            break
        cell = (where[number & 0xFFFF] + number * 5) % int(len(cells) * hot)
        start = clock()
        cells[cell] = number
        took = clock() - start
        if took > STALL:
            stalls.append(took)
        if think:
            until = clock() + think
            while clock() < until:
                pass
    total = clock() - begin
    path.unlink()
    stalls.sort()
    return {
        "total ms": total / 1e6,
        "longest pause ms": max([call, *stalls[-1:]]) / 1e6,
        "call ms": call / 1e6,
        "stalls": len(stalls),
        "p50 us": stalls[len(stalls) // 2] / 1e3 if stalls else 0,
        "p99 us": stalls[len(stalls) * 99 // 100] / 1e3 if stalls else 0,
        "max us": stalls[-1] / 1e3 if stalls else 0,
        "all stalls ms": (sum(stalls) + call) / 1e6,
        "extra MiB": running.extra,
        "huge kept": huge_pages(cells.ctypes.data) / before if before else 0,
    }


def table(rows: dict[str, list[dict[str, float]]]) -> None:
    """Medians, as a table in Markdown."""
    columns = list(next(iter(rows.values()))[0])
    print("| method | " + " | ".join(columns) + " |\n" + "| --- " * (len(columns) + 1) + "|")
    for name, results in rows.items():
        medians = [statistics.median(result[column] for result in results) for column in columns]
        print(f"| {name} | " + " | ".join(f"{value:.2f}" if value < 100 else f"{value:.0f}" for value in medians) + " |")


def writers(mib: int, rounds: int, directory: Path) -> None:
    """The three methods under a storm of stores and under a moderate writer, on small and on huge pages."""
    cases = [
        ("a storm of stores, 4 KiB pages", False, 0, 1.0),
        ("a storm of stores, huge pages", True, 0, 1.0),
        ("10 us between two stores, all in 20 % of the memory, 4 KiB pages", False, 10_000, 0.2),
    ]
    for title, huge, think, hot in cases:
        rows: dict[str, list[dict[str, float]]] = {method.name: [] for method in METHODS}  # type: ignore[attr-defined]
        for number in range(rounds):
            for method in METHODS:
                cells = memory(mib, huge)
                rows[method.name].append(one(method, cells, directory / "image", think, hot, number))  # type: ignore[attr-defined]
                del cells
        print(f"\n{title}, {mib} MiB, medians of {rounds} rounds\n")
        table(rows)


def increments(mib: int, rounds: int, directory: Path) -> None:
    """A series with 1 % of the memory written in between, in pieces of 64 KiB and in single pages; and finding out what was written."""
    print(f"\nA series of {mib} MiB, medians of {rounds} rounds\n")
    print("| take | freeze ms | take() ms | copy ms | pages |\n| --- | --- | --- | --- | --- |")
    found: dict[str, list[tuple[float, ...]]] = {"full": [], "1 % in pieces of 64 KiB": [], "1 % in single pages": []}
    order = random.Random(1)
    for _ in range(rounds):
        cells = memory(mib, False)
        pages = cells.nbytes // 4096
        with breakcow.series(cells, directory / "series") as series:
            for name, results in found.items():
                if name != "full":
                    run = 16 if "64" in name else 1
                    for _ in range(pages // 100 // run):
                        at = order.randrange(pages // run) * run * 512
                        cells[at : at + run * 512] = -1
                before = series.stats.pages
                begin = time.perf_counter()
                series.take()
                taken = time.perf_counter()
                series.wait()
                times = (series.stats.freeze, taken - begin, time.perf_counter() - taken)
                results.append((*(each * 1e3 for each in times), series.stats.pages - before))
        (directory / "series").unlink()
        del cells
    for name, results in found.items():
        print(f"| {name} | " + " | ".join(f"{statistics.median(column):.2f}" for column in zip(*results, strict=True)) + " |")
    _scan(mib, rounds)


def _scan(mib: int, rounds: int) -> None:
    """PAGEMAP_SCAN against comparing with a copy."""
    scans, compares = [], []
    cells = memory(mib, False)
    copy = cells.copy()
    with breakcow.track(cells) as tracker:
        for number in range(rounds):
            cells[:: len(cells) // 1000] = -number - 1
            begin = time.perf_counter()
            tracker.dirty(reset=True)
            scans.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            assert not np.array_equal(cells, copy)
            compares.append(time.perf_counter() - begin)
    scan, compare = statistics.median(scans) * 1e3, statistics.median(compares) * 1e3
    print(f"\nFinding 1000 written pages of {mib} MiB: {scan:.2f} ms by tracker.dirty(), {compare:.1f} ms by comparing")
    print(f"{compare / scan:.0f} times faster")


KILLER = """
import os, signal, sys, time
for line in sys.stdin:
    pid, seconds = line.split()
    time.sleep(float(seconds))
    print(time.monotonic_ns(), flush=True)
    os.kill(int(pid), signal.SIGKILL)
"""


def frozen(mib: int, rounds: int, directory: Path) -> Iterator[tuple[np.ndarray, int]]:
    """Fresh memory of which a snapshot has just begun, and the process that copies it; as often as asked."""
    for _ in range(rounds):
        cells = memory(mib, False)
        snapshot = breakcow.snapshot(cells, to=directory / "image")
        copier = snapshot._frozen.copier
        assert copier
        yield cells, copier.process.pid
        snapshot.cancel()


def killed(mib: int, rounds: int, directory: Path) -> None:
    """From SIGKILL to the process that copies, which is stopped right after the freeze, to the end of a store that waits for it."""
    times = []
    with subprocess.Popen([sys.executable, "-S", "-c", KILLER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killer:
        assert killer.stdin and killer.stdout
        for cells, copier in frozen(mib, rounds, directory):
            os.kill(copier, signal.SIGSTOP)
            killer.stdin.write(f"{copier} 0.02\n")  # the writer sleeps in its fault by then
            killer.stdin.flush()
            cells[-1] = 1
            end = time.monotonic_ns()
            times.append((end - int(killer.stdout.readline())) / 1e6)
    print(f"\nThe process that copies killed, {mib} MiB still protected, {rounds} times: the next store landed after {spread(times)}")


def killed_anywhere(mib: int, rounds: int, directory: Path) -> None:
    """The longest wait of a storm of stores after SIGKILL to the process that copies, at random moments of the copying."""
    times = []
    order = random.Random(1)
    with subprocess.Popen([sys.executable, "-S", "-c", KILLER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killer:
        assert killer.stdin and killer.stdout
        for cells, copier in frozen(mib, rounds, directory):
            killer.stdin.write(f"{copier} {order.random() * 0.2}\n")
            killer.stdin.flush()
            waits = waits_until(killer.stdout, cells, order)
            kill = int(killer.stdout.readline())
            times.append(max((end - max(start, kill) for start, end in waits if end > kill), default=0) / 1e6)
    print(f"\nKilled at random moments of copying {mib} MiB, {rounds} times: the longest wait of a store after that took {spread(times)}")


def waits_until(news: IO[str], cells: np.ndarray, order: random.Random) -> list[tuple[int, int]]:
    """Store without a pause until 50 ms after there are news: from when to when each store took longer than a stall."""
    clock = time.monotonic_ns
    poll = select.poll()
    poll.register(news, select.POLLIN)
    where = [order.randrange(len(cells)) for _ in range(1 << 16)]
    waits, number, last = [], 0, 0
    while not last or clock() < last:
        number += 1
        if number % 64 == 0 and not last and poll.poll(0):
            last = clock() + 50_000_000
        cell = (where[number & 0xFFFF] + number * 5) % len(cells)
        start = clock()
        cells[cell] = number
        end = clock()
        if end - start > STALL:
            waits.append((start, end))
    return waits


def spread(times: list[float]) -> str:
    """Median, 99th percentile and longest, of milliseconds."""
    ordered = sorted(times)
    return f"{statistics.median(ordered):.1f} ms (median), {ordered[len(ordered) * 99 // 100]:.1f} (p99), {ordered[-1]:.1f} (longest)"


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=100, help="how often the process that copies is killed, for each of two sizes")
    parser.add_argument("--on", default="/dev/shm", help="the folder that the images go to")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=wanted.on) as directory:
        with breakcow.snapshot(bytearray(1), to=Path(directory) / "first"):
            pass  # starts the process that copies
        writers(wanted.mib, wanted.rounds, Path(directory))
        increments(wanted.mib, wanted.rounds, Path(directory))
        for mib in (32, wanted.mib):
            killed(mib, wanted.kills, Path(directory))
        killed_anywhere(wanted.mib, wanted.kills, Path(directory))


if __name__ == "__main__":
    main()
