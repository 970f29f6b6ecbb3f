"""Virtual memory areas, mm/vma.c and mm/mmap.c: a vma is a run of contiguous pages with equal flags that nothing kept from merging."""

from breakcow.mm.flags import ENOMEM, OK
from breakcow.mm.huge_memory import vma_adjust_trans_huge
from breakcow.mm.pgtable import zap_pte
from breakcow.mm.schema import State, Vma


def same_vma(s: State, p: int, v: int, w: int) -> int:
    """True if the neighbouring pages `v` and `w` lie in one vma."""
    return 1 if is_mergeable_vma(s, p, v, w) and not s.vma[p, min(v, w)].seam else 0


def is_mergeable_vma(s: State, p: int, v: int, w: int) -> int:
    """is_mergeable_vma(): contiguous, and no flag keeps the two apart (VM_SOFTDIRTY does not)."""
    a = s.vma[p, v]
    b = s.vma[p, w]
    if not a.mapped or not b.mapped or a.area != b.area:
        return 0
    return 1 if a.prot == b.prot and anon_vma_compatible(a, b) else 0


def anon_vma_compatible(a: Vma, b: Vma) -> int:
    """anon_vma_compatible(): the flags are equal but for the access that they permit."""
    if a.account != b.account or a.dontcopy != b.dontcopy:
        return 0
    return 1 if a.mergeable == b.mergeable and a.registered == b.registered else 0


def vm_start(s: State, p: int, v: int) -> int:
    """The first page of the vma that `v` lies in."""
    while v > 0 and same_vma(s, p, v - 1, v):
        v -= 1
    return v


def vm_end(s: State, p: int, v: int) -> int:
    """One past the last page of the vma that `v` lies in."""
    while v + 1 < s.vma.shape[1] and same_vma(s, p, v, v + 1):
        v += 1
    return v + 1


def anon_vma_prepare(s: State, p: int, v: int) -> None:
    """anon_vma_prepare(), mm/rmap.c: the vma has anonymous pages from now on; it takes a neighbour's anon_vma if that may merge one day."""
    if s.vma[p, v].anon_vma:
        return
    start = vm_start(s, p, v)
    end = vm_end(s, p, v)
    found = 0
    if end < s.vma.shape[1]:
        found = reusable_anon_vma(s, p, start, end)
    if not found and start > 0:
        found = reusable_anon_vma(s, p, start, start - 1)
    if not found:
        s.proc[p].anon_vmas += 1
        found = s.proc[p].anon_vmas
    for w in range(start, end):
        s.vma[p, w].anon_vma = found


def reusable_anon_vma(s: State, p: int, v: int, w: int) -> int:
    """reusable_anon_vma(): the anon_vma of the adjacent page `w`; 0 if it has none, is chained, or differs in more than access."""
    a = s.vma[p, v]
    b = s.vma[p, w]
    if not b.mapped or a.area != b.area or b.chained or not anon_vma_compatible(a, b):
        return 0
    return b.anon_vma


def vma_merge(s: State, p: int, start: int, end: int) -> None:
    """vma_merge() after the flags of the pages from `start` up to `end` have changed: one with either neighbour if their flags are equal
    and their anon_vmas permit it; if these do not, they stay apart for now."""
    if start > 0 and is_mergeable_vma(s, p, start, start - 1):
        s.vma[p, start - 1].seam = 0 if is_mergeable_anon_vma(s, p, start, start - 1) else 1
    if end < s.vma.shape[1] and is_mergeable_vma(s, p, end - 1, end):
        s.vma[p, end - 1].seam = 0 if is_mergeable_anon_vma(s, p, end - 1, end) else 1
    share_anon_vma(s, p, vm_start(s, p, start), vm_end(s, p, start))


def is_mergeable_anon_vma(s: State, p: int, v: int, w: int) -> int:
    """is_mergeable_anon_vma(): whether the vma of page `v`, which changed, may merge into that of its neighbour `w`.

    A vma that a fork gave its anon_vma merges with no other; before 6.16 nor does one that has an anon_vma into one that has none.
    """
    source = s.vma[p, v]
    target = s.vma[p, w]
    if source.anon_vma and not target.anon_vma:
        return 1 if s.kernel.vma_merge_either_way and not source.chained else 0
    if target.anon_vma and not source.anon_vma:
        return 1 if not target.chained else 0
    return 1 if source.anon_vma == target.anon_vma else 0


def share_anon_vma(s: State, p: int, start: int, end: int) -> None:
    """dup_anon_vma(): all of a merged vma has the one anon_vma that a part of it had."""
    found = 0
    chained = 0
    for v in range(start, end):
        if s.vma[p, v].anon_vma:
            found = s.vma[p, v].anon_vma
            chained = s.vma[p, v].chained
    for v in range(start, end):
        s.vma[p, v].anon_vma = found
        s.vma[p, v].chained = chained


def whole_range_mapped(s: State, p: int, v: int, n: int) -> int:
    """OK if a vma covers each of the `n` pages from `v`, else -ENOMEM."""
    for w in range(v, v + n):
        if not s.vma[p, w].mapped:
            return -ENOMEM
    return OK


def munmap(s: State, p: int, v: int, n: int, c: int) -> int:
    """munmap(2), do_vmi_align_munmap(): unmap what there is; a hole is no error."""
    vma_adjust_trans_huge(s, p, v, v + n)
    for w in range(v, v + n):
        zap_pte(s, p, w)
        remove_vma(s, p, w)
    return OK


def remove_vma(s: State, p: int, v: int) -> None:
    """remove_vma(): there is no vma any more."""
    vma = s.vma[p, v]
    vma.mapped = 0
    vma.prot = 0
    vma.account = 0
    vma.mergeable = 0
    vma.registered = 0
    vma.soft_dirty = 0
    vma.anon_vma = 0
    vma.chained = 0
    vma.seam = 0
    vma.dontcopy = 0
