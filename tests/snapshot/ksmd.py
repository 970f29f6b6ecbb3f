"""ksmd at full speed, under the lock that breakcow's runs on this kernel take; the settings are put back in all cases."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from breakcow.agent import ksm
from breakcow.agent.settings import Settings

WHY_NOT = "" if os.geteuid() == 0 and os.access(f"{ksm.DIRECTORY}/run", os.W_OK) else "ksmd can be set by root alone, where KSM is built in"


@contextmanager
def at_full_speed(zero_pages: bool) -> Iterator[None]:
    """ksmd scans without a pause while the block runs."""
    settings = Settings(print, lambda: True)
    try:
        for name, value in {
            "use_zero_pages": int(zero_pages),
            "smart_scan": 0,
            "sleep_millisecs": 0,
            "pages_to_scan": 100_000,
            "run": 1,
        }.items():
            if ksm.has(name):
                with open(f"{ksm.DIRECTORY}/{name}", "w") as file:
                    file.write(str(value))
        os.sched_setaffinity(ksm.find(), range(os.cpu_count() or 1))
        yield
    finally:
        settings.restore()
