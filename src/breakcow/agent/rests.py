"""What is left of a huge page holds no zeros, and nothing that KSM finds equal: the specification takes it for a page unlike all others."""

import os
import struct
from collections.abc import Iterable

from .abi import PAGE
from .observe import KPF_ZERO_PAGE, Counters
from .process import Process
from .reading import PFN, PRESENT

NUMBER = struct.Struct("<Q")


class Rests:
    """The base pages of one run that no test can name, each with a number of its own as its first bytes.

    A number is stored where pages were just made or copied to be written, so that no entry that maps them changes. Where a userfaultfd
    protects them, or their vma does and this kernel asks it, that has to wait until it does so no more.
    """

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.given = 0
        self.owed: set[tuple[str, int]] = set()

    def fill(self, processes: Iterable[Process]) -> None:
        """Number what was mapped since the last time, and holds zeros, and what had to wait."""
        for process in processes:
            for page in process.rests() if process.alive else ():
                if self._zeros(process, page) or (process.name, page) in self.owed:
                    self.number(process, page)

    def born(self, parent: Process, child: Process) -> None:
        """Number what a fork has copied, as it was pinned."""
        for page in child.rests():
            if (frame := self._frame(child, page)) and frame != self._frame(parent, page):
                self.number(child, page)

    def number(self, process: Process, page: int) -> None:
        """Give each base page of what is left a new number."""
        self.owed.discard((process.name, page))
        if not self._frame(process, page):
            return
        pages = process.sizes[page] // PAGE
        data = b"".join(NUMBER.pack(self.given + number).ljust(PAGE, b"\0") for number in range(1, pages + 1))
        self.given += pages
        try:
            os.pwrite(process.files[1], data, process.addresses[page])
        except OSError:
            self.owed.add((process.name, page))

    def _zeros(self, process: Process, page: int) -> bool:
        """It is present, and has no number yet, as far as can be seen."""
        try:
            return bool(self._frame(process, page)) and not any(os.pread(process.files[1], NUMBER.size, process.addresses[page]))
        except OSError:  # without access: what was mapped there had access, and was numbered
            return False

    def _frame(self, process: Process, page: int) -> int:
        """The first frame of what is left, 0 if not all of it is present, or it is the zero page."""
        entries = process.entries(page)
        if not all(entry & PRESENT for entry in entries) or self.counters.frame(entries[0] & PFN)[0] & KPF_ZERO_PAGE:
            return 0
        return entries[0] & PFN
