"""What a program calls, one thread, so that each image is known exactly."""

import mmap
import os
import random
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import breakcow
from breakcow.agent import abi
from breakcow.snapshots import features, merging
from breakcow.snapshots.errors import BadFileError, SnapshotError

from .writers import Cells, private

MAP_FIXED = 0x10


@pytest.fixture
def cells() -> Iterator[Cells]:
    found = private(1 << 20)
    found[:] = np.arange(len(found))
    yield found


def test_several_buffers_are_one_image(cells: Cells, copied_in: str, tmp_path: Path) -> None:
    mapping = mmap.mmap(-1, 10_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping[:5] = b"hello"
    table = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    view = memoryview(bytearray(b"abc" * 5000))[:9000]
    before = cells.copy()
    with breakcow.snapshot(cells, mapping, table, view, to=tmp_path / "x") as snapshot:
        cells += 1
        mapping[:5] = b"later"
        table[:] = 0
        view[:3] = b"xyz"
    image = breakcow.load(tmp_path / "x")
    assert np.array_equal(image[0], before) and image[0].dtype == before.dtype
    assert bytes(image[1][:7]) == b"hello\0\0" and len(image[1]) == 10_000
    assert image[2].flags.f_contiguous and image[2].tolist() == np.arange(12).reshape(3, 4).tolist()
    assert bytes(image[3]) == b"abc" * 3000
    assert snapshot.stats.pages >= 256 and snapshot.stats.bytes > 0
    assert snapshot.stats.compiled == (copied_in == "compiled")
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_neighbours_on_the_heap_are_not_in_the_file(tmp_path: Path) -> None:
    secret = b"between two pages" * 600
    room = bytearray(secret + bytes(5000) + secret)
    inside = memoryview(room)[len(secret) : len(secret) + 5000]
    with breakcow.snapshot(inside, to=tmp_path / "x"):
        pass
    assert b"between two pages" not in (tmp_path / "x").read_bytes()


@pytest.mark.parametrize("compress", [None, "zstd"])
def test_holes_stay_holes(compress: str | None, tmp_path: Path) -> None:
    cells = private(64 << 20)
    cells[5] = cells[-1] = 7
    with breakcow.snapshot(cells, to=tmp_path / "x", compress=compress) as snapshot:
        cells[4_000_000] = 8
    assert os.stat(tmp_path / "x").st_blocks * 512 < 1 << 20
    image = breakcow.load(tmp_path / "x")[0]
    assert (image.nonzero()[0].tolist(), snapshot.stats.holes) == ([5, len(cells) - 1], len(cells) // 512 - 2)


def test_what_is_packed_is_smaller_and_the_same(cells: Cells, tmp_path: Path) -> None:
    before = cells.copy()
    with breakcow.snapshot(cells, to=tmp_path / "x", compress="zstd"):
        cells[:] = 0
    assert (tmp_path / "x").stat().st_size < cells.nbytes / 2
    assert np.array_equal(breakcow.load(tmp_path / "x")[0], before)


def test_the_pieces_of_an_iterator_are_the_image(cells: Cells, copied_in: str) -> None:
    other = np.arange(3000, dtype=np.int16)
    before = cells.tobytes() + other.tobytes()
    found = bytearray(len(before))
    order = random.Random(1)
    ends = []
    pieces = breakcow.snapshot(cells, other)
    for offset, view in pieces:
        found[offset : offset + len(view)] = view
        ends.append((offset, offset + len(view)))
        for _ in range(20):
            cells[order.randrange(len(cells))] = -1
        other[:] = 0
    assert bytes(found) == before
    assert sum(end - start for start, end in ends) == len(before)
    assert pieces.stats.early_pages > 0


def test_a_slow_sink_takes_no_memory_and_holds_nobody_up(copied_in: str) -> None:
    """The program writes all of 64 MiB while a sink that sleeps has had a few pieces: what it has not had lies in a file."""
    cells = private(64 << 20)
    cells[:] = 1
    pieces = breakcow.snapshot(cells)
    copier = pieces._frozen.copier
    assert copier
    before = rss(copier.process.pid)
    seen = 0
    for offset, view in pieces:
        if offset == 0:
            cells[:] = 2
        seen += int(np.frombuffer(view, np.int64).sum())
        if offset % (8 << 20) == 0:
            time.sleep(0.05)
            assert rss(copier.process.pid) - before < 6 << 20
    assert seen == len(cells) and cells.min() == 2
    assert pieces.stats.early_pages > len(cells) // 512 // 2


def rss(pid: int) -> int:
    """Bytes of memory of its own that a process has."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) << 10 for line in file if line.startswith("Private_"))


def test_an_iterator_may_be_left(cells: Cells) -> None:
    for _ in breakcow.snapshot(cells):
        break
    cells[:] = 0
    with breakcow.track(cells) as tracker:
        assert tracker.dirty() == []


@pytest.mark.parametrize("compress", [None, "zstd"])
def test_a_series_copies_what_changed_and_restores_any_take(cells: Cells, compress: str | None, copied_in: str, tmp_path: Path) -> None:
    order = random.Random(2)
    wanted, pages = [], []
    with breakcow.series(cells, tmp_path / "run", compress=compress) as series:
        for number in range(6):
            wanted.append(cells.copy())
            assert series.take() == number
            for _ in range(order.randrange(4)):
                at = order.randrange(len(cells) - 1000)
                cells[at : at + order.randrange(1000)] = -number
            before = series.stats.pages
            pages.append(series.wait().pages - before)
        for number in (2, 5, 0, 3):
            series.restore(number)
            assert np.array_equal(cells, wanted[number])
    for number, state in enumerate(wanted):
        assert np.array_equal(breakcow.load(tmp_path / "run", take=number)[0], state)
    assert np.array_equal(breakcow.load(tmp_path / "run")[0], wanted[-1])


def test_huge_pages_stay_huge(copied_in: str, tmp_path: Path) -> None:
    cells = private(8 << 20, huge=True)
    cells[:] = 1
    before = huge_pages(cells)
    if not before:
        pytest.skip("this kernel gives no huge page: /sys/kernel/mm/transparent_hugepage/enabled")
    with breakcow.snapshot(cells, to=tmp_path / "x") as snapshot:
        cells[:: 1 << 15] = 2
    assert snapshot.stats.huge == before == huge_pages(cells)
    with breakcow.series(cells, tmp_path / "run") as series:
        for number in range(3):
            series.take()
            cells[number << 10] = 3
    assert before == huge_pages(cells)


def huge_pages(cells: Cells) -> int:
    """How many map the cells and what is around them."""
    found, here = 0, False
    with open("/proc/self/smaps") as file:
        for line in file:
            word, *rest = line.split()
            if not word.endswith(":"):
                start, end = (int(each, 16) for each in word.split("-"))
                here = start < cells.ctypes.data + cells.nbytes and cells.ctypes.data < end
            elif here and word == "AnonHugePages:":
                found += int(rest[0]) // 2048
    return found


def test_a_take_without_stores_copies_nothing(cells: Cells, tmp_path: Path) -> None:
    with breakcow.series(cells, tmp_path / "run") as series:
        series.take()
        full = series.wait().pages
        series.take()
        assert series.wait().pages == full == cells.nbytes // 4096
        cells[1000] = 0
        series.take()
        assert series.wait().pages == full + 1


def test_a_series_notices_what_is_discarded(tmp_path: Path) -> None:
    cells = private(8 << 20)
    cells[:] = 1
    with breakcow.series(cells, tmp_path / "run") as series:
        series.take()
        series.wait()
        merging.madvise(cells.ctypes.data // 4096 * 4096, 4 << 20, mmap.MADV_DONTNEED)
        wanted = cells.copy()
        series.take()
    assert np.array_equal(breakcow.load(tmp_path / "run")[0], wanted)


def test_a_tracker_tells_what_was_written(cells: Cells) -> None:
    with breakcow.track(cells) as tracker:
        assert tracker.dirty() == []
        cells[0] = cells[600] = cells[5 * 512] = 1
        assert tracker.dirty() == [(0, 8192), (5 * 4096, 6 * 4096)]
        assert tracker.dirty(reset=True) == [(0, 8192), (5 * 4096, 6 * 4096)]
        assert tracker.dirty() == []
        cells[-1] = 1
        assert tracker.dirty(reset=True) == [(cells.nbytes - 4096, cells.nbytes)]


@pytest.mark.parametrize("holes", [False, True])
def test_a_tracker_notices_what_is_discarded(holes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = features.measured()
    if holes and not measured.holes:
        pytest.skip("PAGEMAP_SCAN of this kernel passes over an empty page table")
    monkeypatch.setattr(features, "measured", lambda: replace(measured, holes=holes))
    cells = private(8 << 20)
    cells[:] = 1
    with breakcow.track(cells) as tracker:
        merging.madvise(cells.ctypes.data, 6 << 20, mmap.MADV_DONTNEED)
        assert tracker.dirty(reset=True) == [(0, 6 << 20)]
        assert tracker.dirty() == []
        cells[5] = 1
        assert tracker.dirty(reset=True) == [(0, 4096)]
        assert tracker.dirty() == []


def test_a_tracker_notices_what_is_mapped_anew() -> None:
    cells = private(8 << 20)
    cells[:] = 1
    with breakcow.track(cells) as tracker:
        flags = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS | MAP_FIXED
        abi.syscall(abi.MMAP, cells.ctypes.data + (4 << 20), 4 << 20, abi.PROT_RW, flags, -1, 0)
        assert tracker.dirty(reset=True) == [(4 << 20, 8 << 20)]
        assert tracker.dirty() == []
        cells[-1] = 1
        assert tracker.dirty() == [((8 << 20) - 4096, 8 << 20)]


def test_a_tracker_of_untouched_memory(tmp_path: Path) -> None:
    cells = private(16 << 20)
    with breakcow.track(cells) as tracker:
        assert int(cells[1000]) == 0
        assert tracker.dirty(reset=True) == []
        cells[512 * 700] = 1
        assert tracker.dirty(reset=True) == [(700 * 4096, 701 * 4096)]
        assert tracker.dirty() == []


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        (np.array([[1, 2], [3, 4]])[:, :1], "in one piece"),
        (np.array([object()]), "pointers"),
        (3, "no memory"),
        (np.zeros(0), "empty"),
        (mmap.mmap(-1, 4096), "shared"),
    ],
)
def test_what_cannot_be_saved_is_refused_with_a_sentence(thing: object, why: str, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=why):
        breakcow.snapshot(thing, to=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_pinned_memory_is_refused(cells: Cells, tmp_path: Path) -> None:
    params = bytearray(120)
    ring = abi.syscall(abi.IO_URING_SETUP, 1, abi.address_of(params))
    try:
        buffers = bytearray(struct.pack("<QQ", cells.ctypes.data, 4096))
        abi.syscall(abi.IO_URING_REGISTER, ring, 0, abi.address_of(buffers), 1)
        with pytest.raises(SnapshotError, match="4 kB of this process are pinned"):
            breakcow.snapshot(cells, to=tmp_path / "x")
    finally:
        abi.syscall(abi.IO_URING_REGISTER, ring, 1, 0, 0)
        os.close(ring)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_refused(cells: Cells, tmp_path: Path) -> None:
    with breakcow.snapshot(cells, to=tmp_path / "x"):
        pass
    data = (tmp_path / "x").read_bytes()
    for broken, why in (
        (b"", "empty"),
        (b"nonsense" * 100, "not a snapshot"),
        (data[:-1], "end is missing"),
        (data[:20], "middle"),
        (data[:70] + b"!" + data[71:], "damaged"),
    ):
        (tmp_path / "y").write_bytes(broken)
        with pytest.raises(BadFileError, match=why):
            breakcow.load(tmp_path / "y")
