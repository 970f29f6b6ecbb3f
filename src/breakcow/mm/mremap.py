"""mremap(2) of one page to a new address, mm/mremap.c."""

from breakcow.mm.flags import EFAULT, EVENT_REMAP, OK, UFFD_FEATURE_EVENT_REMAP
from breakcow.mm.huge_memory import vma_adjust_trans_huge
from breakcow.mm.ksm import MADV_UNMERGEABLE, ksm_madvise
from breakcow.mm.schema import State
from breakcow.mm.userfaultfd import queue_event

FIRST_FRESH_AREA = 32  # mappings count their areas from 0


def mremap(s: State, p: int, v: int, n: int, c: int) -> int:
    """mremap(2) with MREMAP_MAYMOVE | MREMAP_FIXED of page `v` to an address range of its own. -EFAULT for a hole."""
    return move_vma(s, p, v) if s.vma[p, v].mapped else -EFAULT


def move_vma(s: State, p: int, v: int) -> int:
    """move_vma(): break a KSM page first, then move the entry. The vma's flags stay, its userfaultfd only with EVENT_REMAP."""
    vma = s.vma[p, v]
    mergeable = vma.mergeable
    vma_adjust_trans_huge(s, p, v, v + 1)
    err = ksm_madvise(s, p, v, v + 1, MADV_UNMERGEABLE)
    if err:
        return err
    vma.mergeable = mergeable  # the advice is not kept: ksm_madvise() was given a copy of the flags
    vma.area = fresh_area(s)
    vma.table = 1  # where a single page is, there is a page table
    s.rmap[p, v].moved = 1  # ksmd knows the old address
    pte = s.pte[p, v]
    if vma.registered and s.proc[p].features & UFFD_FEATURE_EVENT_REMAP:
        queue_event(s, EVENT_REMAP, p, v)  # mremap_userfaultfd_complete()
    elif vma.registered:
        vma.registered = 0  # mremap_userfaultfd_prep()
        if s.kernel.mremap_clears_uffd_wp:
            pte.uffd_wp = 0
            pte.marker = 0
    if (pte.present or pte.swap) and s.kernel.mem_soft_dirty:
        pte.soft_dirty = 1  # move_soft_dirty_pte()
    return OK


def fresh_area(s: State) -> int:
    """An address range that nothing else of any process touches."""
    area = FIRST_FRESH_AREA
    for p in range(s.vma.shape[0]):
        for v in range(s.vma.shape[1]):
            if s.vma[p, v].area >= area:
                area = s.vma[p, v].area + 1
    return area
