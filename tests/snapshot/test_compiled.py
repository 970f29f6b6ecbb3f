"""What is done in C is what is done in Python."""

import logging
import random
import shutil
import zlib
from pathlib import Path

import pytest

from breakcow.snapshots import compiled


def test_the_checksum_is_that_of_zlib(copied_in: str) -> None:
    order = random.Random(1)
    for pages in (1, 2, 15, 16):
        for data in (bytes(4096 * pages), order.randbytes(4096 * pages), b"\xff" * 4096 * pages):
            assert compiled.crc32(memoryview(bytearray(data))) == zlib.crc32(data)


def test_without_a_compiler_it_is_done_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    with caplog.at_level(logging.INFO, "breakcow"):
        assert compiled.path.__wrapped__() is None
    assert "copied in Python" in caplog.text
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def test_it_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    if not shutil.which("cc"):
        pytest.skip("copying.c cannot be compiled here: apt install gcc libc6-dev")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with caplog.at_level(logging.INFO, "breakcow"):
        made = compiled.path.__wrapped__()
        assert made and made == compiled.path.__wrapped__() and made.is_relative_to(tmp_path)
    assert caplog.text.count("compiled copying.c and guard.c with cc") == 1
