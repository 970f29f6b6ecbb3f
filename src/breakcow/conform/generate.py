"""Random litmus tests: a seed names a program, the same on every machine."""

import random
from dataclasses import dataclass, field

from breakcow.litmus.requirements import BY_VERB
from breakcow.litmus.syntax import Step, Test
from breakcow.mm.actions import BIRTHS, FEATURES, KNOBS, PROTECTIONS, VERB

PAGES = ("v", "w", "x", "y", "z")
PROCESSES = ("A", "B", "C")
CONTENTS = (0, 7, 7, 8)  # few, so that pages are often equal
FEATURE_WORDS = (*("",) * 6, "event-fork", "event-fork", *FEATURES)
RUN = (0, 1, 1, 2)
SETTINGS = (("use_zero_pages", 0), ("use_zero_pages", 1), ("max_page_sharing", 2), ("max_page_sharing", 3), ("smart_scan", 1))
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
    "unpin": 1,
    "drain": 1,
    "ksm_scan": 20,
    "ksm_run": 2,
    "ksm_set": 2,
}


@dataclass
class _Program:
    """What has been drawn so far, and what the next step may do: operations that could only be refused by the language are not drawn."""

    draw: random.Random
    pages: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    alive: list[str] = field(default_factory=lambda: ["A"])
    born: list[str] = field(default_factory=lambda: ["A"])
    open: set[str] = field(default_factory=set)
    pinned: set[tuple[str, str]] = field(default_factory=set)
    spliced: set[tuple[str, str]] = field(default_factory=set)

    def add(self, verb: str) -> None:
        """Draw the rest of a step with `verb`; nothing happens if it makes no sense now."""
        pattern = VERB[verb].pattern
        process = "-" if VERB[verb].kernel else self.draw.choice(self.alive)
        page = self.draw.choice(self.pages)
        names = (page,) if "{each}" in pattern else self._run(page) if "{range}" in pattern else ()
        if self._possible(verb, process, page):
            self._note(verb, process, page)
            self.steps.append(Step(process, verb, names, self._argument(verb, pattern)))

    def _run(self, page: str) -> tuple[str, ...]:
        """`page` and some of those after it."""
        first = self.pages.index(page)
        last = first + 1
        while last < len(self.pages) and self.draw.random() < 0.5:
            last += 1
        return self.pages[first:last]

    def _argument(self, verb: str, pattern: str) -> int:
        if "{value}" in pattern:
            return self.draw.choice(CONTENTS)
        if "{prot}" in pattern:
            return self.draw.choice((*PROTECTIONS.values(), PROTECTIONS["rw"]))
        if "{features}" in pattern:
            return FEATURES.get(self.draw.choice(FEATURE_WORDS), 0)
        if "{knob}" in pattern:
            knob, number = self.draw.choice(SETTINGS)
            return KNOBS[knob] * 1000 + number
        if "{process}" in pattern:
            return len(self.born) - 1
        return {"ksm_run": self.draw.choice(RUN), "ksm_scan": 1}.get(verb, 0)

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
        for held, takes, gives in ((self.pinned, "pin", "unpin"), (self.spliced, "vmsplice", "drain")):
            if verb == takes:
                held.add((process, page))
            elif verb == gives:
                held.discard((process, page))


def generate(seed: int) -> Test:
    """The random test of `seed`: up to three processes, three to five pages in two or three mappings, about 30 steps."""
    draw = random.Random(seed)
    pages = PAGES[: draw.randint(3, len(PAGES))]
    program = _Program(draw, pages)
    for verb, likely in (("uffd_open", 0.6), ("uffd_register", 0.5), ("mergeable", 0.6)):
        if draw.random() < likely:
            program.add(verb)
    verbs = [verb for verb in VERB if BY_VERB.get(verb) != "model-only"]
    weights = [WEIGHTS.get(verb, 3) for verb in verbs]
    while len(program.steps) < 30:
        program.add(draw.choices(verbs, weights)[0])
    memory = tuple(pages[start : start + 2] for start in range(0, len(pages), 2))
    return Test(f"random/seed-{seed}", f"A random program, of seed {seed}.", (), memory, tuple(program.steps))
