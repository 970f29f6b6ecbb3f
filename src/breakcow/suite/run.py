"""Running a selection on several backends, several at once if that is wanted, with records in a fixed order."""

import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from threading import Event

from breakcow.suite.backends import is_model
from breakcow.suite.execute import on_kernel, on_model
from breakcow.suite.record import Record
from breakcow.suite.trial import Trial


def run(trials: Sequence[Trial], names: Sequence[str], jobs: int = 1) -> Generator[Record, None, None]:
    """The records of every trial on every backend: backends in the order of `names`, trials in theirs, whatever runs at once.

    jobs: how many processes for the models, and how many real kernels at a time. On KeyboardInterrupt the kernels that run beside the one
    waited for stop after their test, what they did is yielded, and the interrupt goes on. Closing the generator ends everything it started.
    """
    stop = Event()
    with ExitStack() as stack:
        streams = _streams(trials, names, jobs, stop, stack)
        stack.callback(stop.set)
        waiting = iter(names)
        try:
            for name in waiting:
                yield from streams[name]
        except KeyboardInterrupt:
            stop.set()
            for name in waiting:
                if not is_model(name):
                    yield from streams[name]
            raise


def _streams(trials: Sequence[Trial], names: Sequence[str], jobs: int, stop: Event, stack: ExitStack) -> dict[str, Iterator[Record]]:
    """For each backend the stream of its records; with several jobs all of them start now."""
    models = [name for name in names if is_model(name)]
    kernels = [name for name in names if not is_model(name)]
    streams: dict[str, Iterator[Record]] = {}
    if jobs > 1 and models:
        pool = ProcessPoolExecutor(jobs, initializer=_leave_interrupts_to_the_parent)
        stack.callback(pool.shutdown, cancel_futures=True)
        streams |= {name: pool.map(partial(on_model, name), trials, chunksize=8) for name in models}
    else:
        streams |= {name: map(partial(on_model, name), trials) for name in models}
    if jobs > 1 and len(kernels) > 1:
        threads = ThreadPoolExecutor(jobs)
        stack.callback(threads.shutdown, cancel_futures=True)
        streams |= {name: _aside(threads, name, trials, stop) for name in kernels}
    else:
        streams |= {name: on_kernel(name, trials, stop) for name in kernels}
    return streams


def _leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches the whole group of processes; the parent ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _aside(threads: ThreadPoolExecutor, name: str, trials: Sequence[Trial], stop: Event) -> Iterator[Record]:
    """The records of one kernel, made in another thread that starts now."""
    queue: SimpleQueue[Record | None] = SimpleQueue()

    def work() -> None:
        try:
            for record in on_kernel(name, trials, stop):
                queue.put(record)
        finally:
            queue.put(None)

    future = threads.submit(work)

    def records() -> Iterator[Record]:
        while (record := queue.get()) is not None:
            yield record
        future.result()

    return records()
