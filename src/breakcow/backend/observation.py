"""What a backend reports: the canonical observation, the same for the specification and for every kernel.

Never a raw pfn, address or time. None means *unobservable on this kernel*, and None is never compared.
"""

import msgspec


class PageSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of one process after a step.

    state: "unmapped" (no vma), "none", "page", "zero" (the shared zero page), "marker" (a pte marker), "swap".
    frame: canonical name of the frame: frames are numbered from 0 in the order (process, page) of their first appearance in this
        observation; None unless state is "page".
    moved: True if the page was a page before this step too and has another frame now.
    content: the value of every byte pattern written by the test (0 = zero-filled), -1 if it is none of the test's; None unless page.
    mapcount: how many page table entries map the frame (/proc/kpagecount); None unless page.
    ksm, uffd_wp, soft_dirty: KPF_KSM, pagemap bit 57, pagemap bit 55.
    huge: a PMD maps the page, with the rest of its huge page; None where the memory is none that huge pages are for.
    writable, dirty, exclusive: only the specification shows these; of a kernel, the faults of the next store tell the first.
    """

    state: str
    frame: int | None = None
    moved: bool = False
    content: int | None = None
    mapcount: int | None = None
    ksm: bool | None = None
    uffd_wp: bool | None = None
    soft_dirty: bool | None = None
    huge: bool | None = None
    writable: bool | None = None
    dirty: bool | None = None
    exclusive: bool | None = None


class ProcessSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """One process after a step.

    state: "running", "blocked" (its operation waits in handle_userfault), "exited", "killed".
    pages: page name -> what is seen. Empty once the process is gone.
    pinned, spliced: page name -> content seen through the fixed buffer, or in the pipe.
    merging: ksm_merging_pages of /proc/PID; None if this kernel has none.
    """

    state: str
    pages: dict[str, PageSeen] = {}
    pinned: dict[str, int] = {}
    spliced: dict[str, int] = {}
    merging: int | None = None


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an operation ended.

    result: "ok", an errno name ("EIO"), "SIGBUS", "SIGSEGV", "blocked", "busy" (its process is still blocked in an earlier
        operation, or gone), "hang" (no answer within the time limit).
    value: what a read gave; None for all else.
    pages: what a PAGEMAP_SCAN reported, by name in order; None for all else.
    faults: how many page faults of a store (`write`) were resolved before it was done: 0 if the page table entry was writable, which shows
        in no other way. None for all else, and for what the specification resumes.
    """

    result: str
    value: int | None = None
    pages: tuple[str, ...] | None = None
    faults: int | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message read from a userfaultfd: kind "wp", "fork", "remap", "remove", "unmap"; page is "" where the message names none."""

    kind: str
    process: str
    page: str = ""


class Observation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was seen after one action.

    outcome: of the action. resumed: process -> how its blocked operation ended during this action.
    counters: pages_shared, pages_sharing, ksm_zero_pages of /sys/kernel/mm/ksm after the action, cow_ksm of /proc/vmstat as the
        difference over it. A counter this kernel lacks is absent.
    console: what the kernel printed meanwhile (only where a console is kept).
    """

    outcome: Outcome
    processes: dict[str, ProcessSeen]
    resumed: dict[str, Outcome] = {}
    events: tuple[Event, ...] = ()
    counters: dict[str, int] = {}
    console: str = ""
