"""Whatever ends in the middle of a snapshot: the program goes on, no file has the final name, nothing hangs, nothing is left behind."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

import breakcow
from breakcow.snapshots import link
from breakcow.snapshots.errors import SnapshotError

from .writers import Writer, private


def helper(snapshot: object) -> int:
    """The process that copies for a snapshot."""
    copier = snapshot._frozen.copier  # type: ignore[attr-defined]
    assert copier
    return int(copier.process.pid)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3, 4))])
def test_the_copier_killed_at_any_moment(seed: int, copied_in: str, tmp_path: Path) -> None:
    cells = private(8 << 20)
    cells[:] = 0
    writer = Writer(cells, seed)
    writer.start()
    try:
        order = random.Random(seed)
        gone = 0
        for number in range(20):
            to = tmp_path / f"{number}"
            snapshot = breakcow.snapshot(cells, to=to)
            time.sleep(order.random() * 0.02)
            os.kill(helper(snapshot), signal.SIGKILL)
            try:
                snapshot.wait()
            except SnapshotError as error:
                assert str(error) == link.GONE
                gone += 1
                assert not to.exists()
            else:
                breakcow.load(to)
            before = writer.number
            deadline = time.monotonic() + 30
            while writer.number == before:
                assert time.monotonic() < deadline, "the writer hangs"
                time.sleep(0.001)
    finally:
        writer.stop()
    assert gone, "every copy was finished before it was killed"
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("whom", ["copier", "guard", "both"])
def test_whoever_is_killed_while_a_store_waits(whom: str, copied_in: str, tmp_path: Path) -> None:
    """The copier stands still after the freeze. The guard alone is not missed; whoever else dies, the memory is free, and not watched."""
    cells = private(64 << 20)
    cells[:] = 1
    snapshot = breakcow.snapshot(cells, to=tmp_path / "x")
    copier = helper(snapshot)
    os.kill(copier, signal.SIGSTOP)
    guards = [int(pid) for pid in Path(f"/proc/{copier}/task/{copier}/children").read_text().split()]
    assert len(guards) == (1 if copied_in == "compiled" else 0)
    victims = {"copier": [copier], "guard": guards, "both": [copier, *guards]}[whom]
    kills = "".join(f"os.kill({victim}, signal.SIGKILL);" for victim in victims)
    code = f"import os, signal, time; time.sleep(0.3); {kills} os.kill({copier}, signal.SIGCONT)"
    with subprocess.Popen([sys.executable, "-S", "-c", code], stderr=subprocess.DEVNULL):
        cells[-1] = 2
    if whom == "guard":
        snapshot.wait()
        assert breakcow.load(tmp_path / "x")[0].sum() == len(cells)
    else:
        with pytest.raises(SnapshotError, match=link.GONE):
            snapshot.wait()
        assert list(tmp_path.iterdir()) == []
    with breakcow.track(cells) as tracker:
        assert tracker.dirty() == []


def test_the_copier_killed_before_it_froze_anything(tmp_path: Path) -> None:
    cells = private(1 << 20)
    with breakcow.snapshot(cells, to=tmp_path / "a"):
        pass
    (idle,) = link._idle
    idle.process.kill()
    idle.process.wait()
    with breakcow.snapshot(cells, to=tmp_path / "b"):
        pass
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


def on_a_disk_of(size: str, code: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a program whose argument is a file system of this size, mounted at `folder` for it alone."""
    script = 'mount -t tmpfs -o "size=$4" none "$3" && exec "$1" -c "$2" "$3"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, textwrap.dedent(code), str(folder), size]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


FULL_DISK = """
    import sys, breakcow
    import numpy as np
    cells = np.ones(4 << 20)
    try:
        with breakcow.snapshot(cells, to=sys.argv[1] + "/x"):
            cells[:] = 2
    except breakcow.snapshots.errors.SnapshotError as error:
        print(error)
    assert cells.min() == 2
    with breakcow.snapshot(cells[:1000], to=sys.argv[1] + "/y"):
        pass
    import os
    print(os.listdir(sys.argv[1]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system is mounted by root alone")
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    done = on_a_disk_of("4m", FULL_DISK, tmp_path)
    assert done.stdout.splitlines() == ["the image cannot be written: No space left on device", "['y']"], done.stderr


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes the file fail before anything is frozen."""
    code = """
        import resource, signal, sys, breakcow
        import numpy as np
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5 << 20, 5 << 20))
        cells = np.ones(4 << 20)
        try:
            with breakcow.snapshot(cells, to=sys.argv[1]):
                cells[:] = 2
        except breakcow.snapshots.errors.SnapshotError as error:
            print(error)
        cells[:] = 3
        with breakcow.snapshot(cells[:1000], to=sys.argv[1] + "2"):
            pass
    """
    done = python(code, str(tmp_path / "x"))
    assert done.stdout.strip() == "the image cannot be written: File too large"
    assert [file.name for file in tmp_path.iterdir()] == ["x2"]


FULL_SERIES = """
    import os, sys, breakcow
    import numpy as np
    cells = np.arange(1 << 19)
    path = sys.argv[1] + "/x"
    try:
        with breakcow.series(cells, path) as series:
            for number in range(9):
                series.take()
                cells += 1
    except breakcow.snapshots.errors.SnapshotError as error:
        print(error)
    image = breakcow.load(path)
    print(image.takes, (image[0] == np.arange(1 << 19) + image.takes - 1).all(), os.listdir(sys.argv[1]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system is mounted by root alone")
def test_a_disk_that_is_full_in_the_middle_of_a_series(tmp_path: Path) -> None:
    done = on_a_disk_of("15m", FULL_SERIES, tmp_path)
    assert done.stdout.splitlines() == ["the image cannot be written: No space left on device", "3 True ['x']"], done.stderr


def test_the_copier_of_a_series_killed_at_any_moment(copied_in: str, tmp_path: Path) -> None:
    cells = private(8 << 20)
    order = random.Random(1)
    for number in range(10):
        cells[:] = 0
        wanted = []
        with pytest.raises(SnapshotError, match=link.GONE), breakcow.series(cells, tmp_path / f"{number}") as series:
            while True:
                wanted.append(cells.copy())
                if series.take() == 2:
                    victim = helper(series)
                    timer = threading.Timer(order.random() * 0.02, os.kill, (victim, signal.SIGKILL))
                    timer.start()
                cells[order.randrange(len(cells)) :] = len(wanted)
        timer.join()
        kept = breakcow.load(tmp_path / f"{number}").takes
        assert kept >= 2
        for take in range(kept):
            assert (breakcow.load(tmp_path / f"{number}", take=take)[0] == wanted[take]).all()
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("anew", ["", "abi.syscall(abi.MMAP, at + (2 << 20), 2 << 20, 3, 0x32, -1, 0)"])
def test_memory_that_is_unmapped_between_two_takes(anew: str, tmp_path: Path) -> None:
    code = f"""
        import ctypes, sys, breakcow
        from breakcow.agent import abi
        at = abi.syscall(abi.MMAP, 0, 4 << 20, 3, 0x22, -1, 0)
        ctypes.memset(at, 1, 4 << 20)
        memory = (ctypes.c_char * (4 << 20)).from_address(at)
        try:
            with breakcow.series(memory, sys.argv[1]) as series:
                series.take()
                series.wait()
                abi.syscall(abi.MUNMAP, at + (2 << 20), 2 << 20)
                {anew}
                series.take()
        except breakcow.snapshots.errors.SnapshotError as error:
            print(error)
        image = breakcow.load(sys.argv[1])
        print(image.takes, bytes(image[0]) == bytes([1]) * (4 << 20))
    """
    done = python(code, str(tmp_path / "x"))
    assert done.stdout.splitlines()[1:] == ["1 True"] and "unmapped, mapped anew" in done.stdout, done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_memory_that_is_unmapped_meanwhile(tmp_path: Path) -> None:
    code = """
        import ctypes, sys, breakcow
        from breakcow.agent import abi
        at = abi.syscall(abi.MMAP, 0, 64 << 20, 3, 0x22, -1, 0)
        ctypes.memset(at, 1, 64 << 20)
        memory = (ctypes.c_char * (64 << 20)).from_address(at)
        try:
            with breakcow.snapshot(memory, to=sys.argv[1]):
                abi.syscall(abi.MUNMAP, at + (32 << 20), 32 << 20)
        except breakcow.snapshots.errors.SnapshotError as error:
            print(error)
    """
    done = python(code, str(tmp_path / "x"))
    assert "it was unmapped" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_interpreter_ends_in_the_middle(tmp_path: Path) -> None:
    code = """
        import sys, numpy as np, breakcow
        cells = np.ones(8 << 20)
        s = breakcow.snapshot(cells, to=sys.argv[1])
        cells[:] = 2
        print(s._frozen.copier.process.pid)
    """
    done = python(code, str(tmp_path / "x"))
    assert list(tmp_path.iterdir()) == []
    ends(int(done.stdout))


def test_the_program_is_killed_in_the_middle(tmp_path: Path) -> None:
    code = """
        import os, signal, sys, numpy as np, breakcow
        cells = np.ones(8 << 20)
        s = breakcow.snapshot(cells, to=sys.argv[1])
        print(s._frozen.copier.process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = python(code, str(tmp_path / "x"), status=-signal.SIGKILL)
    ends(int(done.stdout))
    assert list(tmp_path.iterdir()) == []


def test_control_c(tmp_path: Path) -> None:
    code = """
        import os, signal, sys, numpy as np, breakcow
        cells = np.ones(8 << 20)
        try:
            with breakcow.snapshot(cells, to=sys.argv[1]):
                cells[::512] = 2
                os.killpg(0, signal.SIGINT)
                cells[::256] = 3
        except KeyboardInterrupt:
            print("interrupted")
        with breakcow.snapshot(cells, to=sys.argv[1]):
            pass
    """
    done = python(code, str(tmp_path / "x"), start_new_session=True)
    assert done.stdout.strip() == "interrupted"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_a_child_of_a_fork_takes_its_own_snapshots(tmp_path: Path) -> None:
    code = """
        import os, sys, numpy as np, breakcow
        cells = np.ones(1 << 20)
        with breakcow.snapshot(cells, to=sys.argv[1] + "a"):
            pass
        with breakcow.snapshot(cells, to=sys.argv[1] + "b") as s:
            child = os.fork()
            cells[:] = 2 if child else 3
            if not child:
                try:
                    s.wait()
                except breakcow.snapshots.errors.SnapshotError as error:
                    print(error, flush=True)
                with breakcow.snapshot(cells, to=sys.argv[1] + "c"):
                    cells[:] = 4
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        for name, value in zip("abc", (1, 1, 3)):
            assert (breakcow.load(sys.argv[1] + name)[0] == value).all(), name
    """
    done = python(code, str(tmp_path / "x"))
    assert "forked" in done.stdout


def test_an_exception_in_the_block_gives_the_image_up(tmp_path: Path) -> None:
    cells = private(1 << 20)
    with pytest.raises(ZeroDivisionError), breakcow.snapshot(cells, to=tmp_path / "x"):
        cells[0] = 1 // 0
    assert list(tmp_path.iterdir()) == []


def ends(copier: int) -> None:
    """It ends, or is a zombie: who waits for orphans, if anybody does, may have yet to."""
    deadline = time.monotonic() + 30
    with suppress(OSError):
        while Path(f"/proc/{copier}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, "the copier outlives its program"
            time.sleep(0.01)


def python(code: str, *arguments: str, status: int = 0, start_new_session: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run a program of its own."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, start_new_session=start_new_session, check=False)
    assert done.returncode == status, done.stderr
    return done
