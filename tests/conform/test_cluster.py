"""Two workers of a Ray cluster on this machine come to the result that one process comes to."""

import sys
from subprocess import run

import pytest

pytest.importorskip("ray", reason="needs Ray: pip install 'breakcow[ray]'")

from breakcow.conform.cluster import as_one, parts
from breakcow.conform.result import Result
from breakcow.conform.work import Work

PROGRAM = """
from contextlib import nullcontext
from functools import partial

import msgspec

from breakcow.backend.model import ModelBackend
from breakcow.conform import work
from breakcow.conform.cluster import as_one, parts, spread
from breakcow.conform.work import Work, do
from breakcow.kernel import PROFILES

def start():  # a kernel that is not as the model of what is measured on it
    kernel = ModelBackend(PROFILES["6.12"])
    kernel.run = partial(changed, kernel.run)
    return nullcontext(kernel)

def changed(true, program):
    seen = true(program)
    pins = [number for number, action in enumerate(program.actions) if action.verb == "dma" and seen[number].outcome.result == "ok"]
    for number in pins:
        failed = msgspec.structs.replace(seen[number], outcome=msgspec.structs.replace(seen[number].outcome, result="EIO"))
        seen = (*seen[:number], failed, *seen[number + 1 :])
    return seen

everything = Work("model", range(100, 141))
alone = do(everything, start, lambda _: None, lambda _: None)
together = as_one(everything, list(spread(parts(everything, 2), start)))
assert alone.differences
print(*(msgspec.json.encode(msgspec.structs.replace(one, seconds=0)).decode() for one in (alone, together)), sep="\\n")
"""


@pytest.mark.timeout(300)
def test_two_workers_come_to_what_one_process_comes_to() -> None:
    done = run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    alone, together = done.stdout.splitlines()
    assert alone == together


def test_parts_are_the_whole() -> None:
    work = Work("host", range(100, 131))
    assert [seed for part in parts(work, 4) for seed in part.seeds] == list(work.seeds)
    assert len(parts(Work("host", range(2)), 4)) == 2
    tours = Work("host", range(1), (2, 1), (1, 3))
    numbers = sorted(number for part in parts(tours, 2) for number in range(part.part[0], 60, part.part[1]))
    assert numbers == list(range(1, 60, 3))


def test_shards_of_a_shard_are_one() -> None:
    work = Work("host", range(1), (2, 1), (1, 3))
    results = [Result("tours", "host", "6.18", "6.18", "2 pages", (name,), 100, 100, seconds=2.0) for name in ("5/6", "2/6")]
    merged = as_one(work, results)
    assert (merged.shards, merged.transitions, merged.seconds) == (("2/3",), 200, 2.0)


def test_without_ray_there_is_a_sentence() -> None:
    program = (
        "import sys; sys.modules['ray'] = None; sys.argv[1:] = ['conform', '--engine', 'ray']; from breakcow.cli.main import main; main()"
    )
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "breakcow: --engine ray needs Ray, which is not installed: pip install 'breakcow[ray]'\n")
