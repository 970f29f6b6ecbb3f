"""Seeds of shards and of runs that follow each other are joined."""

from random import Random

import pytest

from breakcow.conform.stretches import Stretch, joined, overlap, said, stretch


def shards(seeds: range, number: int) -> list[Stretch]:
    """What `--shard 1/number` and so on take of `seeds`."""
    return [one for k in range(number) for one in stretch(seeds[k::number])]


@pytest.mark.parametrize("number", (1, 2, 3, 20))
@pytest.mark.parametrize("size", (1, 2, 3, 19, 20, 21, 41, 2600))
def test_all_shards_of_a_run_are_the_run(number: int, size: int) -> None:
    seeds = range(200_000, 200_000 + size)
    each = shards(seeds, number)
    Random(number * size).shuffle(each)
    assert joined(each) == ((seeds[0], seeds[-1], 1),)


def test_shards_that_come_one_by_one_are_the_run() -> None:
    so_far: tuple[Stretch, ...] = ()
    for one in shards(range(500), 7):
        so_far = joined((*so_far, one))
    assert so_far == ((0, 499, 1),)


def test_a_shard_that_is_missing_is_not_made_up() -> None:
    each = shards(range(300_000, 300_100), 4)
    assert joined(each[:3]) == ((300_000, 300_096, 4), (300_001, 300_097, 4), (300_002, 300_098, 4))
    assert said(joined(each[:2])) == "300000 to 300097 (2 of every 4)"


def test_two_runs_of_as_many_shards_stay_two() -> None:
    assert joined((*shards(range(100), 5), *shards(range(1000, 1100), 5))) == ((0, 99, 1), (1000, 1099, 1))


def test_runs_that_follow_each_other_are_one() -> None:
    assert joined(((100, 199, 1), (0, 99, 1), (201, 210, 1))) == ((0, 199, 1), (201, 210, 1))
    assert joined(((0, 8, 4), (12, 20, 4))) == ((0, 20, 4),)
    assert said(((0, 199, 1), (201, 201, 1))) == "0 to 199, 201 to 201"
    assert said(((0, 96, 4), (2, 98, 4), (3, 99, 4))) == "0 to 96 (1 of every 4), 2 to 99 (2 of every 4)"


def test_seeds_that_are_there_twice() -> None:
    assert overlap(((0, 99, 1),), ((95, 200, 5),)) == [95]
    assert overlap(((0, 98, 2),), ((1, 99, 2),)) == []
