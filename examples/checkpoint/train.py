"""A program that trains, and checkpoints while it trains: torn with a plain copy in the background, exact with breakcow.

The model is two big tables of weights; each step moves the same amount from one to the other, row by row, so that the sum of both never
changes. A checkpoint in which the sum is another than at the start is torn: it is of no step.

    python examples/checkpoint/train.py              # prints a table, and writes step-times.svg
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from chart import chart
from numpy.typing import NDArray

import breakcow

Array = NDArray[np.int64]
Wait = Callable[[], None]  # until the checkpoint is on the disk


class Model:
    """Weights, and one step of training."""

    def __init__(self, mib: int) -> None:
        rows = mib * (1 << 20) // 2 // 8 // 1024
        self.a: Array = np.full((rows, 1024), 1000, np.int64)
        self.b: Array = np.full((rows, 1024), 1000, np.int64)
        self.random = np.random.default_rng(0)
        self.buffer: Array = np.empty((64, 1024), np.int64)

    def step(self) -> None:
        """Move something from some rows of one table to the same rows of the other."""
        first = int(self.random.integers(0, len(self.a) - 64))
        amount = self.random.integers(-100, 100, (64, 1024))
        self.a[first : first + 64] -= amount
        self.b[first : first + 64] += amount

    def total(self) -> int:
        """What never changes."""
        return int(self.a.sum() + self.b.sum())


def stop_the_world(model: Model, path: Path) -> Wait:
    """Write everything before the next step."""
    with open(path, "wb") as file:
        model.a.tofile(file)
        model.b.tofile(file)
    return lambda: None


def background(model: Model, path: Path) -> Wait:
    """Write everything in a thread, while the training goes on. Do not do this."""
    thread = threading.Thread(target=stop_the_world, args=(model, path))
    thread.start()
    return thread.join


def fork(model: Model, path: Path) -> Wait:
    """Have a child write everything, which has a copy."""
    child = os.fork()
    if child == 0:
        stop_the_world(model, path)
        os._exit(0)
    return lambda: (os.waitpid(child, 0), None)[1]


def live(model: Model, path: Path) -> Wait:
    """A live snapshot."""
    snapshot = breakcow.snapshot(model.a, model.b, to=path)
    return lambda: (snapshot.wait(), None)[1]


def saved_total(path: Path) -> int:
    """The sum of all weights in a checkpoint."""
    try:
        a, b = breakcow.load(path)
        return int(a.sum() + b.sum())
    except ValueError:
        return int(np.fromfile(path, np.int64).sum())


def run(method: Callable[[Model, Path], Wait], mib: int, steps: int, path: Path) -> tuple[list[float], int]:
    """Train, with five checkpoints: milliseconds of each step, and how many of the checkpoints were torn."""
    model = Model(mib)
    right, times, torn = model.total(), [], 0
    wait: Wait | None = None
    for number in range(steps):
        begin = time.perf_counter()
        if number % (steps // 5) == steps // 10:
            wait = method(model, path)
        model.step()
        times.append((time.perf_counter() - begin) * 1000)
        if wait and number % (steps // 5) == steps // 10 - 1 + steps // 10:
            wait()
            torn += saved_total(path) != right
            wait = None
    assert model.total() == right
    return times, torn


def main() -> None:
    """Train with each way to checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=256, help="how big the model is")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--chart", type=Path, default=Path("step-times.svg"))
    wanted = parser.parse_args()
    methods = {"stop the world": stop_the_world, "copy in the background": background, "fork": fork, "breakcow": live}
    found = {}
    print(f"{'checkpoint':24} {'torn':>6}  {'median step':>12}  {'longest step':>12}")
    with tempfile.TemporaryDirectory() as directory:
        with breakcow.snapshot(bytearray(1), to=Path(directory) / "first"):
            pass  # starts the process that copies, which takes as long as Python takes to start
        for name, method in methods.items():
            times, torn = run(method, wanted.mib, wanted.steps, Path(directory) / name.replace(" ", "-"))
            found[name] = times
            print(f"{name:24} {torn} of 5  {sorted(times)[len(times) // 2]:9.2f} ms  {max(times):9.2f} ms", flush=True)
    wanted.chart.write_text(chart(found))
    print(f"step times: {wanted.chart}")


if __name__ == "__main__":
    main()
