"""The initramfs: made once, of the Python that is running, whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from breakcow.backend.vm import elf, initramfs
from breakcow.backend.vm.cache import UnavailableError
from breakcow.backend.vm.cpio import Entry, archive

FULL = """
import resource, signal
from breakcow.backend.vm import initramfs
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
try:
    initramfs.image()
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "breakcow" / "initramfs"


def names(data: bytes) -> list[str]:
    """The members of a newc archive."""
    found: list[str] = []
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * number : at + 14 + 8 * number], 16) for number in range(13)]
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        if name == "TRAILER!!!":
            return found
        found.append(name)
        at += (110 + fields[11] + 3) // 4 * 4
        at += (fields[6] + 3) // 4 * 4


def test_the_archive_holds_python_its_loader_and_the_agent(cache: Path) -> None:
    members = names(initramfs.image().read_bytes())
    stdlib = f"usr/lib/python3.{sys.version_info.minor}"
    for name in ("init", "dev/console", "usr/bin/python", f"{stdlib}/guest.pyc", f"{stdlib}/breakcow/agent/controller.pyc"):
        assert name in members
    assert elf.interpreter(Path(sys.executable).read_bytes()).lstrip("/") in members
    assert len(members) == len(set(members))
    assert not any("msgspec" in name or "backend" in name for name in members)


def test_folders_come_before_what_is_in_them() -> None:
    assert names(archive([Entry("a/b/c", 0o100644, b"x"), Entry("a/d", 0o100644)])) == ["a", "a/b", "a/b/c", "a/d"]


def test_it_is_made_once(cache: Path) -> None:
    first = initramfs.image()
    time = first.stat().st_mtime_ns
    assert initramfs.image() == first
    assert first.stat().st_mtime_ns == time


def test_a_full_disk_is_said_so_and_leaves_nothing_half_done(cache: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"UnavailableError Cannot write {cache}/")
    assert done.stdout.endswith(": File too large.\n")
    assert [path.name for path in cache.iterdir() if not path.name.endswith(".lock")] == []


def test_an_agent_that_is_not_there_is_said_so(cache: Path) -> None:
    with pytest.raises(UnavailableError, match=r"^There is no module nonexistent_agent to run in a VM\.$"):
        initramfs.image("nonexistent_agent")


def test_of_a_program_all_that_is_loaded_is_kept() -> None:
    data = Path(sys.executable).read_bytes()
    kept = elf.loaded_part(data)
    assert len(kept) <= len(data)
    assert list(elf.segments(kept)) == list(elf.segments(data))
    assert all(kept[one.offset + 64 : one.offset + one.size] == data[one.offset + 64 : one.offset + one.size] for one in elf.segments(data))
