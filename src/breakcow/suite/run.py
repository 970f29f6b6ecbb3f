"""Running a selection on several backends, several at once if that is wanted, with records in a fixed order."""

import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from threading import Event

from breakcow.suite.backends import is_model
from breakcow.suite.execute import on_kernel, on_model
from breakcow.suite.record import Record
from breakcow.suite.trial import Trial

Streams = dict[str, Iterator[Record]]


def run(
    trials: Sequence[Trial], names: Sequence[str], jobs: int, notice: Callable[[str], None], trace: bool = False
) -> Generator[Record, None, None]:
    """The records of every trial on every backend: backends in the order of `names`, trials in theirs, whatever runs at once.

    jobs: how many processes for the models, and how many real kernels at a time. notice: is told what people should know meanwhile.
    trace: follow what goes wrong on a real kernel into the kernel.
    On KeyboardInterrupt the kernels that run beside the one waited for stop after their test, what they did is yielded, and the interrupt
    goes on. Closing the generator ends everything it started.
    """
    stop = Event()
    with ExitStack() as stack:
        on_one = partial(on_kernel, trials=trials, stop=stop, notice=notice, trace=trace)
        streams = _of_models(trials, names, jobs, stack) | _of_kernels(on_one, names, jobs, stack)
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


def _of_models(trials: Sequence[Trial], names: Sequence[str], jobs: int, stack: ExitStack) -> Streams:
    """The streams of the models; with several jobs all of them start now."""
    models = [name for name in names if is_model(name)]
    if jobs == 1 or not models:
        return {name: map(partial(on_model, name), trials) for name in models}
    pool = ProcessPoolExecutor(jobs, initializer=_leave_interrupts_to_the_parent)
    stack.callback(pool.shutdown, cancel_futures=True)
    return {name: pool.map(partial(on_model, name), trials, chunksize=8) for name in models}


def _of_kernels(on_one: Callable[[str], Iterator[Record]], names: Sequence[str], jobs: int, stack: ExitStack) -> Streams:
    """The streams of the real kernels; with several jobs that many of them start now."""
    kernels = [name for name in names if not is_model(name)]
    if jobs == 1 or len(kernels) < 2:
        return {name: on_one(name) for name in kernels}
    threads = ThreadPoolExecutor(jobs)
    stack.callback(threads.shutdown, cancel_futures=True)
    return {name: _aside(threads, partial(on_one, name)) for name in kernels}


def _leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches the whole group of processes; the parent ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _aside(threads: ThreadPoolExecutor, records: Callable[[], Iterator[Record]]) -> Iterator[Record]:
    """The same records, made in another thread that starts now."""
    queue: SimpleQueue[Record | None] = SimpleQueue()

    def work() -> None:
        try:
            for record in records():
                queue.put(record)
        finally:
            queue.put(None)

    future = threads.submit(work)

    def arriving() -> Iterator[Record]:
        while (record := queue.get()) is not None:
            yield record
        future.result()

    return arriving()
