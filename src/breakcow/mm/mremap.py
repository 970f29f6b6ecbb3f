"""mremap(2) of one page, or of what is together of a huge region, to a new address, mm/mremap.c."""

from breakcow.mm.flags import EFAULT, EVENT_REMAP, OK, UFFD_FEATURE_EVENT_REMAP
from breakcow.mm.huge_memory import vma_adjust_trans_huge
from breakcow.mm.ksm import MADV_UNMERGEABLE, ksm_madvise
from breakcow.mm.schema import State
from breakcow.mm.userfaultfd import queue_event
from breakcow.mm.vma import vm_end, vma_merge

FIRST_FRESH_AREA = 32  # mappings count their areas from 0


def mremap(s: State, p: int, v: int, n: int, c: int) -> int:
    """mremap(2) with MREMAP_MAYMOVE | MREMAP_FIXED of `n` pages to an address range of its own, aligned as a huge page. -EFAULT for a hole
    where it begins, and before 6.17 for pages of several vmas."""
    if not s.vma[p, v].mapped or (not s.kernel.mremap_many_vmas and vm_end(s, p, v) < v + n):
        return -EFAULT
    return remap_move(s, p, v, n)


def remap_move(s: State, p: int, v: int, n: int) -> int:
    """remap_move(): vma by vma, holes between them stay. One with a userfaultfd is only moved alone: it ends the call with -EFAULT, and
    what was moved before it stays moved."""
    area = fresh_area(s)
    w = v
    while w < v + n:
        end = w + 1
        if s.vma[p, w].mapped:
            end = min(vm_end(s, p, w), v + n)
            if s.vma[p, w].registered and (w > v or end < v + n):
                return -EFAULT
            err = move_vma(s, p, w, end - w, area)
            if err:
                return err
        w = end
    return OK


def move_vma(s: State, p: int, v: int, n: int, area: int) -> int:
    """move_vma(): break KSM pages first, then move the entries. The vma's flags stay, its userfaultfd only with EVENT_REMAP."""
    mergeable = s.vma[p, v].mergeable
    vma_adjust_trans_huge(s, p, v, v + n)
    err = ksm_madvise(s, p, v, v + n, MADV_UNMERGEABLE)
    if err:
        return err
    if s.vma[p, v].registered and s.proc[p].features & UFFD_FEATURE_EVENT_REMAP:
        queue_event(s, EVENT_REMAP, p, v)  # mremap_userfaultfd_complete()
    for w in range(v, v + n):
        s.vma[p, w].mergeable = mergeable  # the advice is not kept: ksm_madvise() was given a copy of the flags
        leave_rmap_item(s, p, w)
        s.vma[p, w].area = area
        move_pte(s, p, w)
    vma_merge(s, p, v, v + n)  # copy_vma()
    return OK


def leave_rmap_item(s: State, p: int, v: int) -> None:
    """The rmap_item stays at the address where ksmd visited the page, until the scan passes that."""
    item = s.rmap[p, v]
    if item.exists and not item.moved:
        item.moved = s.vma[p, v].area + 1


def move_pte(s: State, p: int, v: int) -> None:
    """move_ptes() for one entry, or as part of what a PMD maps (move_huge_pmd())."""
    pte = s.pte[p, v]
    if s.vma[p, v].registered and not s.proc[p].features & UFFD_FEATURE_EVENT_REMAP:
        s.vma[p, v].registered = 0  # mremap_userfaultfd_prep()
        if s.kernel.mremap_clears_uffd_wp:
            pte.uffd_wp = 0
            pte.marker = 0
    if (pte.present or pte.swap) and s.kernel.mem_soft_dirty:
        pte.soft_dirty = 1  # move_soft_dirty_pte()


def fresh_area(s: State) -> int:
    """An address range that nothing else of any process touches."""
    area = FIRST_FRESH_AREA
    for p in range(s.vma.shape[0]):
        for v in range(s.vma.shape[1]):
            if s.vma[p, v].area >= area:
                area = s.vma[p, v].area + 1
    return area
