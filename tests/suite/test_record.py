"""Records survive the way through a file, and a file that is none gets a sentence."""

import json
from pathlib import Path

import pytest

from breakcow.suite.record import BadRecordsError, line, read
from report.samples import EACH


def test_records_come_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("".join(f"{line(record)}\n" for record in EACH))
    assert read(path) == EACH


def test_one_line_each_with_the_time_last() -> None:
    for record in EACH:
        assert "\n" not in line(record)
        assert list(json.loads(line(record)))[-1] == "seconds"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "run.jsonl:1: not a record of breakcow"),
        (b"{}", "run.jsonl:1: not a record of breakcow: Object missing required field `test`"),
        (b"\xff\n", "run.jsonl:1: not a record"),
        (line(EACH[0]).encode() + b"\n" + line(EACH[1]).replace('"known"', '"fine"').encode(), "run.jsonl:2: unknown verdict 'fine'"),
    ],
)
def test_what_is_no_record(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadRecordsError) as caught:
        read(path)
    assert sentence in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadRecordsError, match="No such file"):
        read(tmp_path / "none")
