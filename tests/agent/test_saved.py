"""The file of settings to put back: what is not what a run wrote is refused, whatever it is."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakcow.agent import saved
from breakcow.agent.saved import Saved

HERE = Path(saved.BOOT).read_text().strip() if Path(saved.BOOT).exists() else ""
GOOD = {"boot": HERE, "settings": {saved.COMPACTION: "20"}, "cpus": [0], "nice": 5}

pytestmark = pytest.mark.skipif(not Path("/sys/kernel/mm/ksm/run").exists(), reason="this kernel has no ksmd")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield opened
    os.close(opened)


def test_what_is_kept_is_what_is_left(directory: int, tmp_path: Path) -> None:
    assert saved.left(directory) is None
    kept = saved.now()
    kept.keep(directory)
    assert saved.left(directory) == kept
    Saved(kept.settings, [0], -3).keep(directory)
    assert saved.left(directory) == Saved(kept.settings, [0], -3)
    assert [path.name for path in tmp_path.iterdir()] == [saved.FILE]
    assert (tmp_path / saved.FILE).stat().st_mode & 0o777 == 0o600


def test_a_setting_that_the_file_lacks_is_what_it_is_now(directory: int, tmp_path: Path) -> None:
    (tmp_path / saved.FILE).write_text(json.dumps(GOOD))
    assert saved.left(directory) == Saved(saved.now().settings | {saved.COMPACTION: "20"}, [0], 5)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[" * saved.MAX_FILE, json.dumps(GOOD).encode()[:-1]])
def test_what_is_no_whole_file_is_cut_short(directory: int, tmp_path: Path, text: bytes) -> None:
    (tmp_path / saved.FILE).write_bytes(text)
    with pytest.raises(ValueError, match="it is cut short"):
        saved.left(directory)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"boot": None}, "it is not what a run writes"),
        ({"boot": "another"}, "it is of another boot"),
        ({"settings": ["run"]}, "it is not what a run writes"),
        ({"settings": {"/etc/passwd": "x"}}, "it names files that no run changes"),
        ({"settings": {saved.COMPACTION: 20}}, "it has a setting that is no text"),
        ({"settings": {saved.COMPACTION: "\ud800"}}, "it has a setting that is no text"),
        ({"cpus": []}, "it is not what a run writes"),
        ({"cpus": ["0"]}, "it has CPUs or a priority"),
        ({"cpus": [-1]}, "it has CPUs or a priority"),
        ({"cpus": [1 << 70]}, "it has CPUs or a priority"),
        ({"nice": "5"}, "it is not what a run writes"),
        ({"nice": 1 << 70}, "it has CPUs or a priority"),
    ],
)
def test_what_a_run_would_not_write_is_refused(directory: int, tmp_path: Path, wrong: dict[str, object], why: str) -> None:
    (tmp_path / saved.FILE).write_text(json.dumps(GOOD | wrong))
    with pytest.raises(ValueError, match=why):
        saved.left(directory)


def test_a_link_is_not_followed(directory: int, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(json.dumps(GOOD))
    (tmp_path / saved.FILE).symlink_to("elsewhere")
    (tmp_path / saved.UNFINISHED).symlink_to("elsewhere")
    with pytest.raises(ValueError, match="it cannot be read"):
        saved.left(directory)
    with pytest.raises(OSError, match="symbolic links"):
        saved.now().keep(directory)
    assert json.loads((tmp_path / "elsewhere").read_text()) == GOOD
