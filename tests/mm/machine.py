"""A small machine of the specification to run operations on, and random programs for it."""

import random
from collections.abc import Iterator
from typing import Any

from breakcow.kernel import PROFILES, Profile
from breakcow.mm.actions import FEATURES, SCANS, VERBS
from breakcow.mm.ghost import follow
from breakcow.mm.promises import PROMISES, broken
from breakcow.mm.schema import Bounds, State
from breakcow.mm.step import boot, step

NUMBER = {verb.name: number for number, verb in enumerate(VERBS)}
Operation = tuple[int, int, int, int, int]  # what step() takes: verb, process, first page, pages, argument


class Machine:
    """A booted State; its pages are one mapping unless `areas` gives a number to each; a huge region if `huge`.

    Pages are numbered, processes too.
    """

    def __init__(
        self, kernel: str | Profile = "6.12", processes: int = 2, pages: int = 3, areas: tuple[int, ...] = (), huge: bool = False
    ) -> None:
        profile = PROFILES[kernel] if isinstance(kernel, str) else kernel
        self.s = State(Bounds(processes, pages), profile)
        for v, area in enumerate(areas):
            self.s.vma[0, v].area = area
        for v in range(pages):
            self.s.vma[0, v].huge = int(huge)
        boot(self.s)

    def do(self, verb: str, v: int = 0, n: int = 1, c: int = 0, *, p: int = 0, choices: int = 0) -> int:
        """One step, followed by the ghost; gives its result."""
        self.s.step.choices = choices
        step(self.s, NUMBER[verb], p, v, n, c)
        follow(self.s, NUMBER[verb], p, v, n, c)
        result: int = self.s.step.result
        return result

    def pte(self, v: int = 0, p: int = 0) -> Any:
        return self.s.pte[p, v]

    def page(self, v: int = 0, p: int = 0) -> Any:
        """The frame that is mapped there."""
        assert self.s.pte[p, v].present
        return self.s.page[self.s.pte[p, v].frame]

    def content(self, v: int = 0, p: int = 0) -> int:
        """What a load would give, without the load."""
        value: int = self.page(v, p).content
        return value

    def same(self, v: int, w: int, p: int = 0, q: int = 0) -> bool:
        """Whether page `v` of process `p` and page `w` of process `q` are one frame."""
        return bool(self.s.pte[p, v].present and self.s.pte[q, w].present and self.s.pte[p, v].frame == self.s.pte[q, w].frame)

    def events(self) -> list[tuple[int, int, int]]:
        """The messages of the last step: kind, process, page."""
        return [(self.s.event[k].kind, self.s.event[k].process, self.s.event[k].page) for k in range(self.s.step.events)]

    def broken(self) -> set[str]:
        """The names of the promises that are broken now."""
        return {name for bit, (name, _) in enumerate(PROMISES) if broken(self.s) >> bit & 1}

    def merged(self, n: int = 2, content: int = 7) -> "Machine":
        """Make the first `n` pages one KSM page, by the scans it takes."""
        for v in range(n):
            self.do("write", v, c=content)
        self.do("mergeable", 0, n)
        self.do("ksm_scan", c=2)
        assert all(self.page(v).ksm for v in range(n))
        return self

    def protected(self, v: int = 0, n: int = 1, features: int = 0) -> "Machine":
        """Write-protect pages by a userfaultfd, opened with `features` if there is none."""
        if not self.s.proc[0].uffd:
            self.do("uffd_open", c=features)
        assert self.do("uffd_register", v, n) == 0
        assert self.do("uffd_protect", v, n) == 0
        return self


def random_program(seed: int, length: int, processes: int, pages: int) -> Iterator[tuple[Operation, int]]:
    """`length` operations of all verbs, each with the choices that the kernel is to make."""
    rng = random.Random(seed)
    for _ in range(length):
        verb = rng.choice([v for v in VERBS if v.name != "exit" or rng.random() < 0.2])
        v = rng.randrange(pages)
        n = rng.randint(1, pages - v) if "{range}" in verb.pattern else 1
        yield (NUMBER[verb.name], rng.randrange(processes), v, n, _argument(rng, verb.name, processes)), rng.randrange(4)


def _argument(rng: random.Random, verb: str, processes: int) -> int:
    choices = {
        "mprotect": [0, 1, 3],
        "fork": list(range(processes)),
        "spawn": list(range(processes)),
        "uffd_open": [0, *FEATURES.values(), 5, 20],
        "pagemap_scan": list(SCANS.values()),
        "ksm_scan": [1, 2],
        "ksm_run": [0, 1, 2],
        "ksm_set": [1000, 1001, 2002, 2003, 3000, 3001],
    }
    return rng.choice(choices.get(verb, [0, 1, 2]))
