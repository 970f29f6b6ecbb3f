"""The one description of the state: every record, field and width. All forms of the state are made from it.

`State` (slotted objects, for running, debugging and showing) is made here; `dtype()` gives the same layout as a NumPy record for the
compiled form. A field is a small signed integer, a record, or a grid of records over processes, pages, frames, nodes or events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from breakcow.mm.flags import EVENTS

# field -> (bits, meaning)
PTE = {
    "present": (8, "maps a frame"),
    "frame": (8, "which: 0 is the shared zero page"),
    "write": (8, "_PAGE_RW"),
    "dirty": (8, "_PAGE_DIRTY; since 6.6 a dirty zero page is one that KSM placed"),
    "soft_dirty": (8, "_PAGE_SOFT_DIRTY"),
    "uffd_wp": (8, "_PAGE_UFFD_WP"),
    "marker": (8, "not present, a PTE_MARKER_UFFD_WP"),
    "swap": (8, "not present, a swap entry; `frame` is the page that was swapped out"),
    "swp_exclusive": (8, "_PAGE_SWP_EXCLUSIVE of a swap entry"),
    "huge": (8, "a PMD maps the page, with all of its huge region: the bits are the PMD's"),
}
VMA = {
    "mapped": (8, "there is a vma"),
    "area": (8, "which stretch of addresses: neighbours in one area are contiguous"),
    "prot": (8, "PROT_READ | PROT_WRITE"),
    "mergeable": (8, "VM_MERGEABLE"),
    "registered": (8, "VM_UFFD_WP"),
    "soft_dirty": (8, "VM_SOFTDIRTY"),
    "anon_vma": (8, "which anon_vma, 0 until an anonymous page is faulted in"),
    "chained": (8, "anon_vma_fork() made it: it merges with no other"),
    "account": (8, "VM_ACCOUNT"),
    "seam": (8, "the vma ends after this page though the flags of the next are equal"),
    "huge": (8, "the first page, + 1, of the huge region that the page began in (2 MiB aligned, VM_HUGEPAGE), 0 if in none"),
    "table": (8, "the huge region has a page table"),
    "dontcopy": (8, "VM_DONTCOPY"),
}
RMAP_ITEM = {
    "exists": (8, "ksmd has visited the address"),
    "checksum": (16, "oldchecksum: content + 1, 0 if never taken"),
    "node": (8, "stable node + 1, 0 if none"),
    "unstable": (8, "in the unstable tree of the scan that is running"),
    "age": (16, "visits, for smart scan"),
    "skips": (8, "remaining_skips, for smart scan"),
    "moved": (8, "the area, + 1, where ksmd visited the page before mremap took it away, 0 if none did"),
}
REFERENCE = {
    "pinned": (8, "frame + 1 held by an io_uring fixed buffer"),
    "spliced": (8, "frame + 1 held by a pipe"),
}
GHOST = {
    "value": (16, "what the program last stored or inherited"),
    "mapped": (8, "not unmapped since"),
    "mergeable": (8, "the user asked for merging"),
    "unmerged": (8, "the user asked for no KSM page here, was told yes, and ksmd has had no new licence since"),
    "ksm_zero": (8, "ksmd replaced a page by the zero page here"),
    "was_page": (8, "an anonymous page was mapped here after the last step"),
    "registered": (8, "a userfaultfd is registered here"),
    "armed": (8, "write-protected by the user and not released"),
    "written": (8, "stored to since clear_refs"),
    "exempt": (8, "soft-dirty is documented to read 1: never cleared, moved, prefaulted for writing, or a store is under way"),
    "pinned": (8, "a fixed buffer covers the page, and the page was not given up since"),
    "spliced": (8, "a pipe holds the page"),
    "splice_value": (16, "what it held when it was spliced"),
    "stored": (8, "the program itself stored since the splice, while the pipe holds the page"),
    "dontfork": (8, "no child gets it, the user said"),
    "breach": (8, "promises that this step itself broke, a bit each"),
}
SEEN = {
    "soft_dirty": (8, "soft-dirty bits can be seen"),
    "uffd_wp": (8, "uffd-wp bits can be seen"),
    "internal": (8, "write, exclusive, counts: the specification itself is looked at"),
}
PROCESS = {
    "state": (8, "PROCESS_*"),
    "waiting": (8, "page + 1 in whose fault the process sleeps, 0 if it does not"),
    "verb": (8, "the operation that waits"),
    "first": (8, "its first page"),
    "count": (8, "its pages"),
    "argument": (16, "its argument"),
    "entered": (16, "rank on ksmd's list of mms, 0 if not on it (MMF_VM_MERGEABLE)"),
    "merging": (8, "ksm_merging_pages"),
    "zero_pages": (8, "mm->ksm_zero_pages"),
    "merge_any": (8, "MMF_VM_MERGE_ANY"),
    "anon_vmas": (8, "how many anon_vmas it has made"),
    "uffd": (8, "a userfaultfd is open"),
    "features": (8, "its features and flags"),
    "gup": (8, "page + 1 that another thread is inside get_user_pages() for"),
    "gup_foll": (16, "FOLL_* of that call"),
    "gup_content": (16, "what it will store"),
    "all_mergeable": (8, "ghost: it asked for merging of all its memory"),
    "async_wp": (8, "ghost: its userfaultfd was opened with WP_ASYNC"),
    "all_holes": (8, "ghost: its userfaultfd protects holes too"),
    "event_fork": (8, "ghost: its userfaultfd follows forks"),
    "event_remap": (8, "ghost: its userfaultfd follows mremap"),
    "begun_first": (8, "ghost: page + 1 of another thread's store in pieces"),
    "begun_argument": (16, "ghost: its content"),
    "pending_verb": (8, "ghost: the operation that waits, + 1"),
    "pending_first": (8, "ghost: its first page"),
    "pending_count": (8, "ghost: its pages"),
    "pending_argument": (16, "ghost: its argument"),
}
PAGE = {
    "content": (16, "0 is zero-filled"),
    "mapcount": (8, "ptes that map it"),
    "pincount": (8, "longterm pins"),
    "refs": (8, "other references"),
    "exclusive": (8, "PageAnonExclusive"),
    "ksm": (8, "PageKsm"),
    "node": (8, "stable node + 1, 0 if none"),
    "swapped": (8, "swap entries that stand for it"),
    "swap_cache": (8, "PageSwapCache: it is in the swap cache, which holds a reference"),
    "saved": (16, "content + 1 that the swap area holds, 0 if the page is not there, or PageDirty: changed since"),
    "folio": (8, "which large folio it is a page of, 0 if it is a small one"),
    "rest": (8, "it stands for all further base pages of its folio"),
}
STABLE_NODE = {
    "used": (8, "allocated"),
    "frame": (8, "its KSM page + 1, 0 if the page was freed"),
    "content": (16, "what the page holds"),
    "sharers": (8, "rmap_hlist_len"),
    "born": (16, "order of creation, youngest is tried first"),
}
KSM = {
    "run": (8, "/sys/kernel/mm/ksm/run"),
    "use_zero_pages": (8, "knob"),
    "max_page_sharing": (16, "knob"),
    "smart_scan": (8, "knob"),
    "pages_shared": (8, "counter"),
    "pages_sharing": (8, "counter"),
    "zero_pages": (8, "ksm_zero_pages"),
    "last_entered": (16, "the highest rank given out"),
    "last_born": (16, "the highest birth given out"),
    "waiting": (8, "writing 2 to run sleeps in a fault of this process + 1"),
    "asked_run": (8, "ghost: what the administrator last wrote to run"),
}
OUTCOME = {
    "woken": (8, "the fault that a process sleeps in was woken in this step"),
    "ended": (8, "a waiting operation ended in this step"),
    "result": (16, "OK, a negative errno, BLOCKED, SIGBUS, SIGSEGV, BUSY"),
    "value": (16, "what a load gave"),
}
EVENT = {
    "kind": (8, "EVENT_*"),
    "process": (8, "whose userfaultfd"),
    "page": (8, "which page"),
}
STEP = {
    "result": (16, "of the operation"),
    "value": (16, "what a load gave"),
    "events": (8, "how many messages were queued"),
    "cow_ksm": (8, "vmstat cow_ksm, counted from the start of the step"),
    "warned": (16, "flags of `FAULT_FLAG_ALLOW_RETRY missing`, 0 if not printed"),
    "sleeps": (8, "page + 1 in whose fault the operation fell asleep"),
    "ksm_woken": (8, "so was the one that the writer of 2 to ksm/run sleeps in"),
    "choices": (16, "which way each of the kernel's free choices goes, one bit each"),
    "drawn": (8, "how many were drawn"),
    "faults": (8, "page faults that the program's loads and stores took and that were resolved"),
}


RECORDS = {
    "Pte": PTE,
    "Vma": VMA,
    "RmapItem": RMAP_ITEM,
    "Reference": REFERENCE,
    "Ghost": GHOST,
    "Seen": SEEN,
    "Process": PROCESS,
    "Page": PAGE,
    "StableNode": STABLE_NODE,
    "Ksm": KSM,
    "Outcome": OUTCOME,
    "Event": EVENT,
    "Step": STEP,
}
# attribute of the state -> (record, axes)
LAYOUT = {
    "pte": ("Pte", "pv"),
    "vma": ("Vma", "pv"),
    "rmap": ("RmapItem", "pv"),
    "ref": ("Reference", "pv"),
    "ghost": ("Ghost", "pv"),
    "proc": ("Process", "p"),
    "page": ("Page", "f"),
    "node": ("StableNode", "n"),
    "ksm": ("Ksm", ""),
    "seen": ("Seen", ""),
    "resumed": ("Outcome", "p"),
    "event": ("Event", "e"),
    "step": ("Step", ""),
}
TRANSIENT = ("resumed", "event", "step")  # the outcome of one step: cleared when the next begins
VECTOR = 32  # bytes that a processor copies and compares at once


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a state is: number of processes and of pages. Frames and nodes follow: no program can need more. held: frames that can be
    held for a page besides the one that is mapped, by a buffer and by a pipe."""

    processes: int
    pages: int
    held: int = 2

    def extent(self, axis: str) -> int:
        """The length of one axis: p, v, f (frames, the zero page included), n (stable nodes) or e (events of a step)."""
        mapped = self.processes * self.pages
        return {"p": self.processes, "v": self.pages, "f": (1 + self.held) * mapped + 2, "n": mapped + 1, "e": EVENTS}[axis]

    def shape(self, axes: str) -> tuple[int, ...]:
        """The shape of a grid over `axes`."""
        return tuple(self.extent(axis) for axis in axes)


def _record(name: str, fields: tuple[str, ...]) -> type:
    """A slotted class with all fields zero."""

    def clear(self: Any) -> None:
        for field in fields:
            setattr(self, field, 0)

    return type(name, (), {"__slots__": fields, "__init__": clear, "__doc__": f"One {name} of the state."})


# how rules name the records that they take: an object here, a part of the NumPy record when compiled
Pte: TypeAlias = Any
Vma: TypeAlias = Any
Ghost: TypeAlias = Any

CLASSES = {name: _record(name, tuple(fields)) for name, fields in RECORDS.items()}


class Grid:
    """Records over one or two axes, indexed as a NumPy array is: `grid[p, v]` or `grid[f]`."""

    __slots__ = ("cells", "shape", "width")

    def __init__(self, record: str, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.width = shape[-1]
        cells = shape[0] if len(shape) == 1 else shape[0] * shape[1]
        self.cells = [CLASSES[record]() for _ in range(cells)]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, tuple):
            return self.cells[index[0] * self.width + index[1]]
        return self.cells[index]


class State:
    """The state of the kernel, of the program's ghost, and of the step that is being taken.

    kernel: the behaviours of the kernel that is modelled (`breakcow.kernel.Profile`), read by the rules as `s.kernel.NAME`.
    The other attributes are those of LAYOUT.
    """

    __slots__ = ("bounds", "kernel", *LAYOUT)
    pte: Any
    vma: Any
    rmap: Any
    ref: Any
    ghost: Any
    proc: Any
    page: Any
    node: Any
    resumed: Any
    event: Any
    ksm: Any
    seen: Any
    step: Any

    def __init__(self, bounds: Bounds, kernel: Any) -> None:
        self.bounds = bounds
        self.kernel = kernel
        for name, (record, axes) in LAYOUT.items():
            setattr(self, name, Grid(record, bounds.shape(axes)) if axes else CLASSES[record]())

    def pack(self) -> tuple[int, ...]:
        """Every field in the order of LAYOUT: equal tuples mean equal states."""
        return tuple(
            getattr(cell, field)
            for name, (record, axes) in LAYOUT.items()
            for cell in (getattr(self, name).cells if axes else (getattr(self, name),))
            for field in RECORDS[record]
        )

    def copy(self) -> "State":
        """An independent state with the same fields."""
        twin = State(self.bounds, self.kernel)
        for name, (record, axes) in LAYOUT.items():
            mine, other = getattr(self, name), getattr(twin, name)
            pairs = zip(mine.cells, other.cells, strict=True) if axes else ((mine, other),)
            for source, target in pairs:
                for field in RECORDS[record]:
                    setattr(target, field, getattr(source, field))
        return twin


def dtype(bounds: Bounds, bits: Mapping[tuple[str, str], int] | None = None) -> Any:
    """The NumPy record type of the same state (NumPy is imported here), a multiple of VECTOR long, as is what of it outlasts a step; the
    behaviours of the kernel are constants of the code.

    bits: other widths than those above of some (record, field); 0 leaves one out.
    Raises ValueError for bounds whose frames, counted from 1, do not fit in their fields.
    """
    import numpy as np

    if bounds.extent("f") >= 1 << PTE["frame"][0] - 1:
        raise ValueError(f"{bounds.processes} processes of {bounds.pages} pages are too many for the compiled form")
    parts: list[tuple[str, Any, int]] = []
    at = 0
    for name, (record, axes) in LAYOUT.items():
        wide = {field: (bits or {}).get((record, field), most) for field, (most, _) in RECORDS[record].items()}
        cells = np.dtype([(field, f"i{number // 8}") for field, number in wide.items() if number])
        if name in TRANSIENT:
            at += -at % VECTOR
        if cells.names:
            whole = np.dtype((cells, bounds.shape(axes))) if axes else cells
            parts.append((name, whole, at))
            at += whole.itemsize
    names, formats, offsets = zip(*parts, strict=True)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": at + -at % VECTOR})
