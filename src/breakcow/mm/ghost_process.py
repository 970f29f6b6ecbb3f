"""The ghost of whole processes: what a child gets, and what is asked for of all memory at once (ghost.py has that of single pages)."""

from breakcow.mm.actions import VERB, VERBS
from breakcow.mm.flags import (
    UFFD_FEATURE_EVENT_FORK,
    UFFD_FEATURE_EVENT_REMAP,
    UFFD_FEATURE_WP_ASYNC,
    UFFD_FEATURE_WP_UNPOPULATED,
)
from breakcow.mm.pgtable import is_zero_pfn
from breakcow.mm.schema import State

KSM_SCAN = VERBS.index(VERB["ksm_scan"])
KSM_RUN = VERBS.index(VERB["ksm_run"])


def uffd_open(s: State, p: int, c: int) -> None:
    """The features that change what is promised."""
    proc = s.proc[p]
    proc.async_wp = 1 if c & UFFD_FEATURE_WP_ASYNC else 0
    proc.all_holes = 1 if c & (UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED) else 0
    proc.event_fork = 1 if c & UFFD_FEATURE_EVENT_FORK else 0
    proc.event_remap = 1 if c & UFFD_FEATURE_EVENT_REMAP else 0


def inherit(s: State, p: int, c: int) -> None:
    """The child inherits the values and the dirt; the protection only with UFFD_FEATURE_EVENT_FORK; pins and pipes never."""
    follows = s.proc[p].event_fork
    s.proc[c].async_wp = s.proc[p].async_wp
    s.proc[c].all_holes = s.proc[p].all_holes
    s.proc[c].event_fork = follows
    s.proc[c].event_remap = s.proc[p].event_remap
    s.proc[c].all_mergeable = s.proc[p].all_mergeable
    for v in range(s.ghost.shape[1]):
        ghost = s.ghost[p, v]
        child = s.ghost[c, v]
        if ghost.dontfork:
            continue
        child.value = ghost.value
        child.mapped = ghost.mapped
        child.mergeable = ghost.mergeable
        child.written = ghost.written
        child.exempt = 1 if ghost.exempt or ghost.pinned else 0
        child.ksm_zero = ghost.ksm_zero
        child.registered = ghost.registered if follows else 0
        child.armed = ghost.armed if follows else 0


def start_afresh(s: State, p: int, c: int) -> None:
    """execve(2): the child has memory of its own, new and empty; that merging is asked for is all that it inherits."""
    s.proc[c].all_mergeable = s.proc[p].all_mergeable
    for v in range(s.ghost.shape[1]):
        s.ghost[c, v].mapped = 1
        s.ghost[c, v].exempt = 1
        s.ghost[c, v].mergeable = s.proc[c].all_mergeable


def merge_any(s: State, p: int, c: int) -> None:
    """PR_SET_MEMORY_MERGE: merging is asked for everywhere, or taken back everywhere; the same again changes nothing."""
    if s.proc[p].all_mergeable == (1 if c else 0):
        return
    s.proc[p].all_mergeable = 1 if c else 0
    for v in range(s.ghost.shape[1]):
        ghost = s.ghost[p, v]
        if c:
            ghost.mergeable = ghost.mapped
            ghost.unmerged = 0
        elif ghost.mapped:
            ghost.mergeable = 0
            ghost.unmerged = 1


def administrator(s: State, verb: int, c: int) -> None:
    """ksmd: a scan is a new licence to merge what is mergeable; writing 2 asks for every page back."""
    scans = s.ksm.asked_run == 1 if verb == KSM_SCAN else c == 1 and s.ksm.asked_run != 1
    unmerges = verb == KSM_RUN and c == 2 and s.ksm.asked_run != 2
    if verb == KSM_RUN:
        s.ksm.asked_run = c
    for p in range(s.ghost.shape[0]):
        for v in range(s.ghost.shape[1]):
            ghost = s.ghost[p, v]
            if not ghost.mergeable:
                continue
            if scans:
                ghost.unmerged = 0
                if ghost.was_page and is_zero_pfn(s.pte[p, v]):
                    ghost.ksm_zero = 1
            if unmerges:
                ghost.unmerged = 1
