"""Random litmus tests: a seed names a program, the same on every machine that can do the same operations.

A program is made of phrases: operations that follow each other on the same pages of one process, as what merges pages or has a store wait
for a userfaultfd. Drawn one by one, they hardly ever meet.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from breakcow.conform.able import EVERY
from breakcow.litmus.checks import ONE_PAGE
from breakcow.litmus.syntax import Step, Test
from breakcow.mm.actions import BIRTHS, FEATURES, KNOBS, PROTECTIONS, SCANS, VERB

LENGTH = 30  # steps, at least
PAGES = ("v", "w", "x", "y", "z")
PROCESSES = ("A", "B", "C")
CONTENTS = (0, 7, 7, 8)  # few, so that pages are often equal
FEATURE_WORDS = (*("",) * 6, "event-fork", "event-fork", *FEATURES)
RUN = (0, 1, 1, 2)
SETTINGS = tuple(
    KNOBS[knob] * 1000 + number
    for knob, number in (("use_zero_pages", 0), ("use_zero_pages", 1), ("max_page_sharing", 2), ("max_page_sharing", 3), ("smart_scan", 1))
)
INTERRUPTED = 0.15  # how often something else comes between two operations of a phrase
SINGLE = 0.6  # how often a phrase is one operation
PHRASES = (
    ("write", "mergeable", "ksm_scan", "ksm_scan"),
    ("write", "mergeable", "ksm_scan", "ksm_scan", "unmergeable"),
    ("write", "mergeable", "ksm_scan", "ksm_scan", "uffd_open", "uffd_register", "uffd_protect"),
    ("write", "mergeable", "ksm_scan", "ksm_scan", "fork"),
    ("ksm_set", "write", "mergeable", "ksm_scan", "ksm_scan"),
    ("write", "uffd_open", "uffd_register", "uffd_protect"),
    ("uffd_open", "uffd_register", "uffd_protect", "write", "uffd_release"),
    ("uffd_protect", "write", "uffd_release"),
    ("uffd_register", "uffd_protect", "copy_to_user", "uffd_release"),
    ("write", "fork"),
    ("write", "pin", "fork"),
    ("write", "vmsplice", "fork"),
    ("write", "pageout", "read"),
    ("write", "clear_refs", "read"),
    ("pin", "mprotect", "mprotect", "dma"),
    ("write", "process_vm_readv", "write"),
)
NOT_HUGE = ("spawn",)  # the language does not know it with huge pages
NOT_REST = (*ONE_PAGE, "populate_write")  # a fault that fails would leave a part of its base pages mapped, which no observation can say
# how often an operation is drawn, against the others; 3 if it is not named
WEIGHTS = {
    "write": 14,
    "read": 4,
    "process_vm_readv": 5,
    "mergeable": 7,
    "unmergeable": 5,
    "mprotect": 5,
    "pageout": 5,
    "munmap": 1,
    "fork": 4,
    "spawn": 1,
    "exit": 1,
    "clear_refs": 2,
    "uffd_register": 6,
    "uffd_protect": 8,
    "uffd_release": 6,
    "uffd_close": 1,
    "unpin": 2,
    "drain": 1,
    "ksm_scan": 20,
    "ksm_run": 2,
    "ksm_set": 2,
}


@dataclass
class _Program:
    """What has been drawn so far, and what the next step may do: operations that could only be refused by the language are not drawn.

    rest: the page that is all that is left of a huge one, "" if there is none. armed: a userfaultfd may be registered somewhere.
    """

    draw: random.Random
    pages: tuple[str, ...]
    rest: str
    steps: list[Step] = field(default_factory=list)
    alive: list[str] = field(default_factory=lambda: ["A"])
    born: list[str] = field(default_factory=lambda: ["A"])
    open: set[str] = field(default_factory=set)
    pinned: set[tuple[str, str]] = field(default_factory=set)
    spliced: set[tuple[str, str]] = field(default_factory=set)
    armed: bool = False

    def phrase(self, verbs: tuple[str, ...], others: Callable[[], str]) -> None:
        """Add a step for each of `verbs`, of one process on one run of pages; now and then one of the `others` between two."""
        process, run, value = self.draw.choice(self.alive), self._run(), self.draw.choice(CONTENTS)
        for number, verb in enumerate(verbs):
            if number and self.draw.random() < INTERRUPTED:
                self.add(others(), self.draw.choice(self.alive), self._run(), self.draw.choice(CONTENTS))
            if process in self.alive:
                self.add(verb, process, run, value)

    def add(self, verb: str, process: str, run: tuple[str, ...], value: int) -> None:
        """Draw the rest of a step with `verb`; nothing happens if it makes no sense now."""
        pattern = VERB[verb].pattern
        process = "-" if VERB[verb].kernel else process
        each, ranged = "{each}" in pattern, "{range}" in pattern
        if self.rest and verb in NOT_REST:
            run = tuple(page for page in run if page != self.rest)
        elif self.rest and verb == "mremap" and self.armed:
            run = run[:1]  # of several vmas, the first may be moved before another ends it: then nobody could tell what lies where
        names = tuple(page for page in (run if each else run[:1]) if self._possible(verb, process, page))
        if names:
            for page in names:
                self._note(verb, process, page)
            shown = run if ranged else names if each else ()
            self.steps.append(Step(process, verb, shown, self._argument(verb, pattern, value)))

    def _run(self) -> tuple[str, ...]:
        """A page, and some of those after it."""
        first = self.draw.randrange(len(self.pages))
        last = first + 1
        while last < len(self.pages) and self.draw.random() < 0.5:
            last += 1
        return self.pages[first:last]

    def _argument(self, verb: str, pattern: str, value: int) -> int:
        drawn: dict[str, Callable[[], int]] = {
            "{value}": lambda: value,
            "{prot}": lambda: self.draw.choice((*PROTECTIONS.values(), PROTECTIONS["rw"])),
            "{features}": lambda: FEATURES.get(self.draw.choice(FEATURE_WORDS), 0),
            "{scan}": lambda: self.draw.choice(tuple(SCANS.values())),
            "{knob}": lambda: self.draw.choice(SETTINGS),
            "{process}": lambda: len(self.born) - 1,
            "{number}": lambda: {"ksm_run": self.draw.choice(RUN), "merge_any": self.draw.choice((0, 1, 1))}.get(verb, 1),
        }
        return next((draw() for word, draw in drawn.items() if word in pattern), 0)

    def _possible(self, verb: str, process: str, page: str) -> bool:
        if verb in BIRTHS:
            return len(self.born) < len(PROCESSES)
        if verb == "exit":
            return len(self.alive) > 1
        if verb == "uffd_open":
            return process not in self.open
        if verb in ("pin", "unpin", "dma"):
            return ((process, page) in self.pinned) == (verb != "pin")
        if verb in ("vmsplice", "drain"):
            return ((process, page) in self.spliced) == (verb == "drain")
        return True

    def _note(self, verb: str, process: str, page: str) -> None:
        if verb in BIRTHS:
            child = PROCESSES[len(self.born)]
            self.born.append(child)
            self.alive.append(child)
        elif verb == "exit":
            self.alive.remove(process)
        elif verb == "uffd_open":
            self.open.add(process)
        elif verb == "uffd_close":
            self.open.discard(process)
        elif verb == "uffd_register":
            self.armed = True
        for held, takes, gives in ((self.pinned, "pin", "unpin"), (self.spliced, "vmsplice", "drain")):
            if verb == takes:
                held.add((process, page))
            elif verb == gives:
                held.discard((process, page))


def generate(seed: int, verbs: tuple[str, ...] = EVERY, huge: bool = False) -> Test:
    """The random test of `seed` with these operations: up to three processes, three to five pages in two or three mappings, 30 steps and
    the rest of the last phrase. huge: the first mapping is a huge page, of which a page or two and all that is left have names."""
    draw = random.Random(seed)
    pages = PAGES[: draw.randint(3, len(PAGES))]
    first = draw.randint(2, 3) if huge else 2
    verbs = tuple(verb for verb in verbs if not huge or verb not in NOT_HUGE)
    program = _Program(draw, pages, pages[first - 1] if huge else "")
    phrases = [phrase for phrase in PHRASES if set(phrase) <= set(verbs)]
    weights = [WEIGHTS.get(verb, 3) for verb in verbs]

    def single() -> str:
        return draw.choices(verbs, weights)[0]

    while len(program.steps) < LENGTH:
        program.phrase((single(),) if draw.random() < SINGLE else draw.choice(phrases), single)
    memory = (pages[:first], *(pages[start : start + 2] for start in range(first, len(pages), 2)))
    name = f"random/huge-{seed}" if huge else f"random/seed-{seed}"
    return Test(name, f"A random program, of seed {seed}.", (), memory, tuple(program.steps), huge=(0,) if huge else ())
