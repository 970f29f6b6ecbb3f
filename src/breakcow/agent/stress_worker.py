"""A process of a stress run: it does what a random number says to its own memory, and knows at every moment what that memory must hold.

It lives for some hundred operations. A child that it forks goes on with what it knows, under a seed of its own.
"""

import gc
import json
import os
import random
import signal
import traceback
from dataclasses import dataclass

from . import abi
from .abi import PAGE
from .observe import Bits
from .stress_area import Area, Looker, Page, frame
from .stress_operations import OPERATIONS, WEIGHTS, audit, merge
from .stress_slots import DOING, PID, STOP, UNMERGED, Slots

SPAN = 12  # pages that one call is made on, at most
FIRST_AREA = 0x1000000000
STRIDE = 0x100000  # between areas: no two vmas can merge
AREAS = 3
SIZES = (8, 16, 48)  # pages of an area
LIFE = (80, 600)  # operations
NAME_LENGTH = 20


@dataclass(frozen=True)
class Common:
    """What all processes of a run have. tell: the pipe to the supervisor. source: a file with a page for each slot, to read(2) from."""

    seed: str
    slots: Slots
    tell: int
    source: int
    supervisor: int
    bits: Bits
    frames: tuple[int, int]
    fork_events: bool


class Worker:
    """The process that this is run in. name: its lineage, as 7.1.2 for the second child of the first child of the seventh."""

    def __init__(self, common: Common, slot: int, name: str, areas: list[Area], fresh: int) -> None:
        self.common = common
        self.slots = common.slots
        self.slot = slot
        self.name = name
        self.random = random.Random(f"{common.seed}:{name}")
        self.areas = areas
        self.fresh = fresh
        self.children = 0
        self.operation = ""
        self.uffd = -1
        self.events = self.random.choice(("plain", "fork")) if common.fork_events else "plain"
        self.swept = self.slots.view[UNMERGED]
        abi.syscall(abi.PRCTL, abi.PR_SET_PDEATHSIG, signal.SIGKILL)
        self.slots.set(slot, PID, os.getpid())
        self.looker = Looker(common.bits, common.frames)

    def live(self) -> "Worker | None":
        """Operate until the life or the run is over: None, or the child if this process has become one."""
        for _ in range(self.random.randint(*LIFE)):
            if self.slots.view[STOP] or os.getppid() != self.common.supervisor:
                break
            operation = self.random.choices(OPERATIONS, WEIGHTS)[0]
            self.operation = operation.__name__
            self.slots.set(self.slot, DOING, OPERATIONS.index(operation))
            child = operation(self, self.random.choice(self.areas))
            self.slots.count(self.slot, "operations")
            if child:
                return child
        for area in self.areas:
            audit(self, area)
        return None

    def span(self, area: Area) -> tuple[int, int]:
        """Some pages in a row: first, count."""
        first = self.random.randrange(len(area.pages))
        return first, self.random.randint(1, min(SPAN, len(area.pages) - first))

    def look(self, area: Area, first: int, count: int) -> list[int]:
        """The page table entries, and note which frames are others than before."""
        if self.swept != self.slots.view[UNMERGED]:
            self.swept = self.slots.view[UNMERGED]
            for page in (page for each in self.areas for page in each.pages if page.mergeable):
                page.replaced()
        entries = self.looker.entries(area, first, count)
        for page, entry in zip(area.pages[first : first + count], entries, strict=True):
            if frame(entry) != page.frame and page.mergeable:
                page.replaced()
                if self.looker.shared(entry, page.own) or (page.stored and self.looker.zero(entry)):
                    self.slots.count(self.slot, "merges_seen")
            page.frame = frame(entry)
        return entries

    def relook(self, area: Area, first: int, count: int) -> list[int]:
        """The entries after an operation of our own that may have changed frames: what is mergeable may have been merged and parted."""
        entries = self.looker.entries(area, first, count)
        for page, entry in zip(area.pages[first : first + count], entries, strict=True):
            if page.mergeable:
                page.replaced()
            page.frame = frame(entry)
        return entries

    def born(self, slot: int) -> "Worker":
        """The child that this process now is. What a userfaultfd that tells of forks protects stays protected."""
        if self.uffd >= 0:
            os.close(self.uffd)
        self.looker.close()
        for area in self.areas:
            area.ours = False
            if area.armed != "fork":
                area.armed = ""
                for page in area.pages:
                    page.protected = page.stale = False
            for page in area.pages:
                page.read_at_fork = not page.stored
        child = Worker(self.common, slot, _named(self.name, self.children), self.areas, self.fresh)
        child.swept = self.swept  # of pages that were unmerged since the parent's last look the child knows nothing
        return child

    def place(self) -> int:
        """An address where no area has been."""
        self.fresh += 1
        return FIRST_AREA + self.fresh * STRIDE

    def find(self, area: Area, page: int, promise: str, cause: str, expected: str, found: str) -> None:
        """A promise is broken. cause: of CAUSES where it is established, else ""."""
        if cause:
            self.slots.count(self.slot, cause)
            if self.slots.total(cause) > 3:
                return
        told = {"process": self.name, "pid": os.getpid(), "operation": self.operation, "page": page, "address": area.address(page)}
        told |= {"promise": promise, "cause": cause, "expected": expected, "found": found, "known": _words(area, area.pages[page])}
        self.tell({"finding": told})

    def tell(self, message: dict[str, object]) -> None:
        """Send the supervisor a message, which a pipe takes as a whole."""
        os.write(self.common.tell, json.dumps(message).encode()[: PAGE - 1] + b"\n")


def _words(area: Area, page: Page) -> str:
    """What the process knows of a page."""
    flags = ("present", "stored", "own", "mergeable", "protected", "stale", "dirty", "replaced_protected", "replaced_dirty")
    return " ".join([*(name for name in flags if getattr(page, name)), f"armed-{area.armed}" if area.armed else "unarmed"])


def _named(parent: str, number: int) -> str:
    """The name of a child: the parent's and a number, and where that gets long the first process and a number for all the rest."""
    name = f"{parent}.{number}"
    return name if len(name) <= NAME_LENGTH else f"{name.partition('.')[0]}.{random.Random(name).getrandbits(32):x}"


def work(common: Common, slot: int, name: str) -> None:
    """Be a process of the run, with memory of its own, until it ends. Never returns."""
    gc.disable()
    code = 1
    worker: Worker | None = None
    try:
        areas = [Area(FIRST_AREA + number * STRIDE, pages) for number, pages in enumerate(SIZES)]
        worker = Worker(common, slot, name, areas, AREAS)
        for area in areas[:2]:
            merge(worker, area)
        following: Worker | None = worker
        while following:
            worker = following
            following = worker.live()
        code = 0
    except BaseException:
        words = " ".join(traceback.format_exc(limit=-4).split())
        os.write(common.tell, json.dumps({"error": f"process {worker.name if worker else name}: {words[-1500:]}"}).encode() + b"\n")
    finally:
        os._exit(code)
