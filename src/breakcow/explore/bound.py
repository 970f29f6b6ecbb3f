"""How far a search goes: which programs it explores."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from breakcow.kernel import Profile
from breakcow.mm.actions import FEATURES, KNOBS, PROTECTIONS, SCANS, VERB, VERBS, Verb
from breakcow.mm.schema import Bounds

ALWAYS = ("write", "read")
KINDS = {  # operations that belong together; what is not named is a kind of its own
    "ksm": ("mergeable", "unmergeable", "ksm_scan", "ksm_run", "ksm_set"),
    "userfaultfd": ("uffd_open", "uffd_register", "uffd_protect", "uffd_release", "uffd_unregister", "uffd_close"),
    "mappings": ("mprotect", "mremap", "munmap", "dontneed"),
    "fork": ("fork", "spawn", "exit"),
    "pins": ("pin", "unpin", "dma"),
    "pipes": ("vmsplice", "drain"),
    "threads": ("begin", "retry"),
    "kernel access": ("copy_to_user", "mem_write", "process_vm_readv", "process_vm_writev"),
    "prefaulting": ("populate_read", "populate_write"),
    "soft-dirty": ("clear_refs",),
}
SETTINGS = (("use_zero_pages", 0), ("use_zero_pages", 1), ("max_page_sharing", 2), ("smart_scan", 1))
SUPPORTED = {"user-mode-only": "uffd_user_mode_only", "wp-unpopulated": "uffd_wp_unpopulated", "wp-async": "uffd_wp_async"}
NUMBER = {verb.name: number for number, verb in enumerate(VERBS)}
MOST_PROCESSES, MOST_PAGES, MOST_CONTENTS = 3, 4, 6


@dataclass(frozen=True, slots=True)
class Operation:
    """One action of the action table: what step() takes. content: the argument if it is a content, else 0."""

    verb: int
    process: int
    page: int
    pages: int
    argument: int
    content: int


@dataclass(frozen=True, slots=True)
class Bound:
    """Programs of up to `depth` steps of these `operations` (verbs of the action table), with at most this many processes, pages in as
    many mappings, and contents besides zeros. scans: the most passes of ksmd that are one step."""

    processes: int = 2
    pages: int = 2
    mappings: int = 1
    contents: int = 2
    depth: int = 8
    operations: tuple[str, ...] = tuple(VERB)
    scans: int = 2

    @property
    def state(self) -> Bounds:
        """The size of a state."""
        return Bounds(self.processes, self.pages)

    @property
    def areas(self) -> tuple[int, ...]:
        """The mapping of each page: the first ones have one more where they cannot be equal."""
        return tuple(sorted(v % self.mappings for v in range(self.pages)))


def kinds() -> dict[str, tuple[str, ...]]:
    """Every kind of operation, and its verbs."""
    named = {verb for verbs in KINDS.values() for verb in (*verbs, *ALWAYS)}
    return KINDS | {verb: (verb,) for verb in VERB if verb not in named}


def mixtures(number: int) -> Iterator[tuple[str, ...]]:
    """The operations of every mixture of `number` kinds, stores and loads always among them."""
    for chosen in combinations(kinds().values(), number):
        yield (*ALWAYS, *(verb for verbs in chosen for verb in verbs))


def operations(bound: Bound, profile: Profile) -> list[Operation]:
    """Every action of the bound that the kernel of `profile` knows, in the order of the action table."""
    return [
        Operation(NUMBER[verb.name], p, v, n, c, c if "{value}" in verb.pattern else 0)
        for verb in VERBS
        if verb.name in bound.operations
        for p in (range(1) if verb.kernel else range(bound.processes))
        for v, n in _ranges(verb, bound)
        for c in _arguments(verb, bound, profile)
    ]


def _ranges(verb: Verb, bound: Bound) -> list[tuple[int, int]]:
    """First page and number of pages: each page, or each run of pages in one mapping."""
    areas = bound.areas
    if "{each}" in verb.pattern:
        return [(v, 1) for v in range(bound.pages)]
    if "{range}" in verb.pattern:
        return [(v, w - v) for v in range(bound.pages) for w in range(v + 1, bound.pages + 1) if areas[v] == areas[w - 1]]
    return [(0, 0)]


def _arguments(verb: Verb, bound: Bound, profile: Profile) -> list[int]:
    """What the operation can be given."""
    if "{value}" in verb.pattern:
        return list(range(bound.contents + 1))
    if "{prot}" in verb.pattern:
        return list(PROTECTIONS.values())
    if "{features}" in verb.pattern:
        return [0, *(bit for word, bit in FEATURES.items() if word not in SUPPORTED or getattr(profile, SUPPORTED[word]))]
    if "{scan}" in verb.pattern:
        return list(SCANS.values()) if profile.pagemap_scan else []
    if "{knob}" in verb.pattern:
        return [KNOBS[knob] * 1000 + number for knob, number in SETTINGS]
    if "{process}" in verb.pattern:
        return list(range(1, bound.processes))
    return {"ksm_run": [0, 1, 2], "ksm_scan": list(range(1, bound.scans + 1))}.get(verb.name, [0])
