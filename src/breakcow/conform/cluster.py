"""Conform over the workers of a Ray cluster: each starts a kernel of its own and runs a part of the programs."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import ray

from breakcow.conform.result import Result, merge
from breakcow.conform.work import Start, Work, do


def parts(work: Work, workers: int) -> list[Work]:
    """The work in as many parts: stretches of seeds that follow each other, or shards of the tours."""
    if work.tours:
        number, shards = work.part
        return [replace(work, part=(number + shards * worker, shards * workers)) for worker in range(workers)]
    size = -(-len(work.seeds) // workers)
    return [replace(work, seeds=work.seeds[start : start + size]) for start in range(0, len(work.seeds), size)]


def spread(works: Sequence[Work], start: Start) -> Iterator[Result]:
    """The result of each, as it comes: from workers of the cluster of RAY_ADDRESS, or of one that is started on this machine, a worker
    for each. Raises what `do` raises."""
    here = None if os.environ.get("RAY_ADDRESS") else len(works)
    ray.init(num_cpus=here, include_dashboard=None if here is None else False, log_to_driver=False, configure_logging=False)
    try:
        remote: Any = ray.remote(num_cpus=1, max_retries=0)(_quietly)
        waiting = [remote.remote(work, start) for work in works]
        while waiting:
            (done,), waiting = ray.wait(waiting)
            yield _result(done)
    finally:
        ray.shutdown()


def as_one(work: Work, results: Sequence[Result]) -> Result:
    """The results of all parts of `work` as the one that a single process would have."""
    (merged,) = merge(sorted(results, key=lambda one: (one.seeds, one.shards)))
    shards = (f"{work.part[0] + 1}/{work.part[1]}",) if merged.shards else ()
    return msgspec.structs.replace(merged, shards=shards, seconds=max(one.seconds for one in results))


def _quietly(work: Work, start: Start) -> Result:
    """What a worker does: what differs is in the result."""
    return do(work, start, lambda _: None, lambda _: None)


def _result(done: Any) -> Result:
    """The result, or what the worker raised."""
    try:
        result: Result = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    return result
