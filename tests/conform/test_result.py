"""Results of conform: written, read, merged, shown."""

from pathlib import Path

import msgspec
import pytest

from breakcow.conform.result import BadResultError, Result, merge, read, write
from breakcow.report.conformance import page, words

DOCS = Path(__file__).parents[2] / "docs"
HALF = Result("tours", "vm:6.1", "6.1.192", "6.1.192", "2 pages", ("1/2",), 100, 100, programs=10, steps=50, seconds=2.0, states=9, told=8)
OTHER = Result("tours", "vm:6.1", "6.1.192", "6.1.192", "2 pages", ("2/2",), 300, 200, programs=10, steps=50, differences=("a test",))
RANDOM = Result("random", "host", "6.18", "6.18", "random", seeds=((0, 9, 1),), programs=10, steps=300, promises={"isolation": 2})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.json", [HALF, RANDOM])
    assert read(tmp_path / "a.json") == (HALF, RANDOM)


def test_shards_add_up() -> None:
    (one, two) = merge([HALF, RANDOM, OTHER])
    assert one == RANDOM
    assert (two.shards, two.transitions, two.confirmed, two.programs) == (("1/2", "2/2"), 400, 300, 20)
    assert (two.states, two.told) == (9, 8)
    assert two.share == 75.0
    assert two.differences == ("a test",)


def test_a_shard_counts_once() -> None:
    with pytest.raises(BadResultError, match="1/2 is there twice"):
        merge([HALF, HALF])
    with pytest.raises(BadResultError, match="5 seeds from 5 on are there twice"):
        merge([RANDOM, msgspec.structs.replace(RANDOM, seeds=((5, 14, 1),))])


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(BadResultError, match="not a result of breakcow conform"):
        read(tmp_path / "a.json")
    with pytest.raises(BadResultError, match="No such file"):
        read(tmp_path / "b.json")


def test_what_is_said() -> None:
    assert "200 of 300 transitions confirmed, 66.67 %" in words(OTHER)
    assert "8 of 9 states told" in words(HALF)
    assert "2 programs broke the promise isolation" in words(RANDOM)
    shown = page([HALF, OTHER, RANDOM])
    assert "| vm:6.1 | 6.1.192 | 2 pages, only shards 1/2 | 100 | 100.00 % | 8 of 9 | 0 | 0 | 10 | 50 | 0 |" in shown
    assert "| vm:6.1 | 6.1.192 | 2 pages | 400 | 75.00 % | 8 of 9 | 0 | 0 | 20 | 100 | 1 |" in page(merge([HALF, OTHER]))
    assert "| host | 6.18 | random | 0 to 9 | 10 | 300 | 0 |" in shown
    assert "a test" in shown


def test_shards_of_random_programs_are_one_range_on_the_page() -> None:
    shards = [msgspec.structs.replace(RANDOM, seeds=((k, 20 + k, 4),), programs=6) for k in (2, 0, 3, 1)]
    (merged,) = merge(shards)
    assert merged.seeds == ((0, 23, 1),)
    assert "| host | 6.18 | random | 0 to 23 | 24 | 1,200 | 0 |" in page([merged])


def test_the_page_in_the_docs_is_what_the_results_beside_it_say() -> None:
    assert (DOCS / "conformance.md").read_text() == page(merge(read(DOCS / "conformance.json")))
