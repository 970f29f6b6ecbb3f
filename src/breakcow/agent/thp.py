"""The machine's settings of transparent huge pages, while a program has memory for them.

khugepaged, which makes huge pages of base pages whenever it comes by, sleeps: what is split stays split.
"""

import mmap
import os
import time

from . import abi, ksm
from .abi import PAGE

DIRECTORY = "/sys/kernel/mm/transparent_hugepage"
HUGE = 0x200000  # bytes of a huge page
START = {  # setting -> what it must be
    "enabled": "madvise",
    "hugepages-2048kB/enabled": "inherit",
    "defrag": "madvise",
    "use_zero_page": "1",
    "khugepaged/pages_to_scan": "1",
    "khugepaged/scan_sleep_millisecs": "4294967295",
}


def path(name: str) -> str:
    """Where a setting is."""
    return f"{DIRECTORY}/{name}"


def begin() -> None:
    """The state that every program with huge memory starts in."""
    for name, value in START.items():
        if os.path.exists(path(name)) and setting(path(name)) != value:
            with open(path(name), "w") as file:
                file.write(value)


def register() -> mmap.mmap:
    """Memory for huge pages that nobody touches, to be kept. The first such memory of all wakes a khugepaged that has no work, and it would
    look at the program that it is of. It sleeps when this returns, for as long as START says, whoever comes."""
    memory = mmap.mmap(-1, 2 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(abi.MADV_HUGEPAGE)
    with open(f"/proc/{ksm.find('khugepaged')}/stat", "rb", buffering=0) as stat:
        while os.pread(stat.fileno(), 64, 0).split(b" ", 3)[2] != b"S":
            time.sleep(0.001)
    return memory


def setting(file: str) -> str | None:
    """The text that writing puts a file of settings back to what it is; None if this kernel has no such setting."""
    try:
        with open(file) as opened:
            text = opened.read().strip()
    except FileNotFoundError:
        return None
    return text.partition("[")[2].partition("]")[0] if "[" in text else text  # enabled: always [madvise] never


def sizes(mappings: tuple[int, ...], huge: tuple[int, ...]) -> list[int]:
    """How many bytes each page stands for: in a huge region the last has all that the others leave."""
    return [
        HUGE - (mappings.count(mapping) - 1) * PAGE if mapping in huge and mapping not in mappings[page + 1 :] else PAGE
        for page, mapping in enumerate(mappings)
    ]
