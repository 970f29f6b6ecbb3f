"""Virtual memory areas, mm/vma.c and mm/mmap.c: a vma is a run of contiguous pages with equal flags."""

from breakcow.mm.flags import ENOMEM, OK
from breakcow.mm.pgtable import zap_pte
from breakcow.mm.schema import State


def same_vma(s: State, p: int, v: int, w: int) -> int:
    """True if the neighbouring pages `v` and `w` lie in one vma: contiguous, and no flag keeps them apart (VM_SOFTDIRTY does not)."""
    a = s.vma[p, v]
    b = s.vma[p, w]
    if not a.mapped or not b.mapped or a.area != b.area or s.vma[p, min(v, w)].seam:
        return 0
    return 1 if a.prot == b.prot and a.account == b.account and a.mergeable == b.mergeable and a.registered == b.registered else 0


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


def anon_vma(s: State, p: int, v: int) -> int:
    """vma->anon_vma != NULL."""
    for w in range(vm_start(s, p, v), vm_end(s, p, v)):
        if s.vma[p, w].anon_vma:
            return 1
    return 0


def anon_vma_prepare(s: State, p: int, v: int) -> None:
    """anon_vma_prepare(), mm/rmap.c: the vma has anonymous pages from now on, for as long as it lives."""
    for w in range(vm_start(s, p, v), vm_end(s, p, v)):
        s.vma[p, w].anon_vma = 1


def vma_merge(s: State, p: int) -> None:
    """vma_merge(): neighbours whose flags have become equal are one vma now, with one anon_vma, and stay alike if they part again."""
    pages = s.vma.shape[1]
    for v in range(pages):
        if s.vma[p, v].anon_vma:
            anon_vma_prepare(s, p, v)


def whole_range_mapped(s: State, p: int, v: int, n: int) -> int:
    """OK if a vma covers each of the `n` pages from `v`, else -ENOMEM."""
    for w in range(v, v + n):
        if not s.vma[p, w].mapped:
            return -ENOMEM
    return OK


def munmap(s: State, p: int, v: int, n: int, c: int) -> int:
    """munmap(2), do_vmi_align_munmap(): unmap what there is; a hole is no error."""
    for w in range(v, v + n):
        zap_pte(s, p, w)
        vma = s.vma[p, w]
        vma.mapped = 0
        vma.prot = 0
        vma.mergeable = 0
        vma.registered = 0
        vma.soft_dirty = 0
        vma.anon_vma = 0
    return OK
