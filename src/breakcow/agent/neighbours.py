"""Other processes whose memory KSM may merge: they make every scan longer, and the counters of KSM theirs as well as ours."""

import os
from collections.abc import Collection

SHOWN = 4


def notes() -> list[str]:
    """What to tell people about them: one sentence, or none."""
    found = mergeable()
    if not found:
        return []
    names = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
    return [f"memory of other processes is mergeable ({names}): KSM's counters are not compared while it is, and tests unmerge it"]


def mergeable(ours: Collection[int] = ()) -> list[str]:
    """ "name (pid)" of each process that asks KSM to merge its memory, as far as this kernel says it (/proc/PID/ksm_stat, since 6.1).

    ours: process ids that are left out, and so are their children.
    """
    known = {os.getpid(), *ours}
    return [
        f"{_read(pid, 'comm').strip()} ({pid})"
        for pid in os.listdir("/proc")
        if pid.isdigit() and int(pid) not in known and _asks(pid) and _parent(pid) not in known
    ]


def _parent(pid: str) -> int:
    """The parent of a process, 0 if it is not there."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def _asks(pid: str) -> bool:
    """It has mergeable memory, or had it scanned."""
    words = _read(pid, "ksm_stat").split()
    stat = dict(zip(words[::2], words[1::2], strict=False))
    return stat.get("ksm_mergeable:") == "yes" or stat.get("ksm_rmap_items", "0") != "0"


def _read(pid: str, file: str) -> str:
    """A file of a process, "" if it or the process is not there."""
    try:
        with open(f"/proc/{pid}/{file}", errors="replace") as opened:
            return opened.read()
    except OSError:
        return ""
