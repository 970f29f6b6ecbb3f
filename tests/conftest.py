"""What every test leaves as it found it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")  # of the session: "/autogroup-25 nice 0"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as nohup and a script's background jobs have it: what tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def priority() -> str:
    """The nice value of the session among sessions; "" where those do not share the processors first, or the process is of none (the file
    is empty then)."""
    return AUTOGROUP.read_text().rpartition(" ")[2].strip() if AUTOGROUP.exists() else ""


@pytest.fixture(autouse=True)
def processors() -> Iterator[None]:
    """The processors and the priority of this process: an agent that runs in it takes one processor and comes first, and all tests after it
    would, against the copiers and guests that they start."""
    cpus, nice, session = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0), priority()
    yield
    os.sched_setaffinity(0, cpus)
    if os.getpriority(os.PRIO_PROCESS, 0) != nice:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    if priority() != session:
        AUTOGROUP.write_text(session)
