"""From a state of the specification to the canonical observation."""

import errno

import msgspec

from breakcow.backend.observation import Event, Observation, Outcome, PageSeen, ProcessSeen
from breakcow.litmus.program import Program
from breakcow.mm.flags import (
    BLOCKED,
    BUSY,
    EVENT_FORK,
    EVENT_PAGEFAULT_WP,
    EVENT_REMAP,
    OK,
    PROCESS_NONE,
    PROCESS_RUNNING,
    SIGBUS,
    SIGSEGV,
    ZERO_PAGE,
)
from breakcow.mm.promises import soft_dirty
from breakcow.mm.schema import State

RESULTS = {OK: "ok", BLOCKED: "blocked", SIGBUS: "SIGBUS", SIGSEGV: "SIGSEGV", BUSY: "busy"}
EVENTS = {EVENT_PAGEFAULT_WP: "wp", EVENT_FORK: "fork", EVENT_REMAP: "remap"}
LOADS = {
    "read",
    "process_vm_readv",
    "begin",
    "retry",
}  # operations whose value is seen: what was loaded, or 1 if a store in pieces was made
Frames = dict[tuple[int, int], int]


def result(number: int) -> str:
    """The word for how an operation ended."""
    return RESULTS[number] if number >= 0 else errno.errorcode[-number]


def frames(s: State) -> Frames:
    """(process, page) -> frame, wherever a page is mapped."""
    processes, pages = s.pte.shape
    return {
        (p, v): s.pte[p, v].frame for p in range(processes) for v in range(pages) if s.pte[p, v].present and s.pte[p, v].frame != ZERO_PAGE
    }


def observe(s: State, program: Program, verb: str, before: Frames) -> Observation:
    """What a perfect observer sees of `s` after a step with `verb`; `before` are the frames before it."""
    labels: dict[int, int] = {}
    for _, frame in sorted(frames(s).items()):
        labels.setdefault(frame, len(labels))
    seen = {name: _process(s, p, program, labels, before) for p, name in enumerate(program.processes) if s.proc[p].state != PROCESS_NONE}
    return Observation(
        outcome=_scanned(s, program) if verb == "pagemap_scan" else _outcome(s.step.result, s.step.value, verb, s.step.faults),
        processes=seen,
        resumed={
            name: _outcome(s.resumed[p].result, s.resumed[p].value, "") for p, name in enumerate(program.processes) if s.resumed[p].ended
        },
        events=tuple(_event(s, k, program) for k in range(s.step.events)),
        counters={
            "pages_shared": s.ksm.pages_shared,
            "pages_sharing": s.ksm.pages_sharing,
            "ksm_zero_pages": s.ksm.zero_pages,
            "cow_ksm": s.step.cow_ksm,
        },
        console=f"FAULT_FLAG_ALLOW_RETRY missing {s.step.warned:x}" if s.step.warned else "",
    )


def _outcome(number: int, value: int, verb: str, faults: int = 0) -> Outcome:
    return Outcome(
        result(number), value if number == OK and verb in LOADS else None, faults=faults if number == OK and verb == "write" else None
    )


def _scanned(s: State, program: Program) -> Outcome:
    """What a PAGEMAP_SCAN reported: bit v of the step's value is page v."""
    pages = tuple(name for v, name in enumerate(program.pages) if s.step.value >> v & 1)
    return Outcome(result(s.step.result), pages=pages if s.step.result == OK else None)


def _event(s: State, k: int, program: Program) -> Event:
    event = s.event[k]
    page = "" if event.kind == EVENT_FORK else program.pages[event.page]
    return Event(EVENTS[event.kind], program.processes[event.process], page)


def _process(s: State, p: int, program: Program, labels: dict[int, int], before: Frames) -> ProcessSeen:
    proc = s.proc[p]
    pinned = {name: _content(s, s.ref[p, v].pinned) for v, name in enumerate(program.pages) if s.ref[p, v].pinned}
    spliced = {name: _content(s, s.ref[p, v].spliced) for v, name in enumerate(program.pages) if s.ref[p, v].spliced}
    if proc.state != PROCESS_RUNNING:
        return ProcessSeen("exited")
    return ProcessSeen(
        state="blocked" if proc.waiting else "running",
        pages={name: _page(s, p, v, labels, before) for v, name in enumerate(program.pages)},
        pinned=pinned,
        spliced=spliced,
        merging=proc.merging,
    )


def _content(s: State, held: int) -> int:
    content: int = s.page[held - 1].content
    return content


def _soft_dirty(s: State, p: int, v: int) -> bool | None:
    return bool(soft_dirty(s, p, v)) if s.seen.soft_dirty else None


def _page(s: State, p: int, v: int, labels: dict[int, int], before: Frames) -> PageSeen:
    pte = s.pte[p, v]
    if not s.vma[p, v].mapped:
        return PageSeen("unmapped")
    huge = bool(pte.huge) if s.vma[p, v].huge else None
    if not pte.present:
        state = "marker" if pte.marker else "swap" if pte.swap else "none"
        return PageSeen(state, uffd_wp=bool(pte.uffd_wp), soft_dirty=_soft_dirty(s, p, v), huge=huge)
    anon = pte.frame != ZERO_PAGE
    seen = PageSeen(
        "page" if anon else "zero",
        ksm=False,
        uffd_wp=bool(pte.uffd_wp),
        soft_dirty=_soft_dirty(s, p, v),
        huge=huge,
        writable=bool(pte.write),
        dirty=bool(pte.dirty),
    )
    if not anon:
        return seen
    page = s.page[pte.frame]
    return msgspec.structs.replace(
        seen,
        frame=labels[pte.frame],
        moved=(p, v) in before and before[p, v] != pte.frame,
        content=None if page.rest else page.content,
        mapcount=page.mapcount,
        ksm=bool(page.ksm),
        exclusive=bool(page.exclusive),
    )
