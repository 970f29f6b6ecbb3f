"""mremap(2) to a new address, mm/mremap.c."""

from breakcow.mm.flags import EFAULT, OK, UFFD_FEATURE_EVENT_REMAP
from breakcow.mm.ksm import MADV_UNMERGEABLE, ksm_madvise
from breakcow.mm.schema import State
from breakcow.mm.vma import vm_end

FIRST_FRESH_AREA = 32  # mappings count their areas from 0


def mremap(s: State, p: int, v: int, n: int, c: int) -> int:
    """mremap(2) with MREMAP_MAYMOVE | MREMAP_FIXED of the run to addresses of its own. -EFAULT for a hole or (before 6.17) a second vma."""
    end = v + n
    w = v
    while w < end:
        if not s.vma[p, w].mapped:
            return -EFAULT
        w = vm_end(s, p, w)
    if not s.kernel.mremap_many_vmas and vm_end(s, p, v) < end:
        return -EFAULT
    return move_vma(s, p, v, end)


def move_vma(s: State, p: int, start: int, end: int) -> int:
    """move_vma(): break the KSM pages first, then move the entries. The flags stay; so does nothing of a userfaultfd that did not ask."""
    flags_before = s.vma[p, start].mergeable
    err = ksm_madvise(s, p, start, end, MADV_UNMERGEABLE)
    if err:
        return err
    area = fresh_area(s)
    for w in range(start, end):
        s.vma[p, w].mergeable = flags_before  # the advice is not kept: ksm_madvise() was given a copy of the flags
        s.vma[p, w].area = area
        s.rmap[p, w].moved = 1  # ksmd knows the old address
        if s.vma[p, w].registered and not s.proc[p].features & UFFD_FEATURE_EVENT_REMAP:
            s.vma[p, w].registered = 0  # mremap_userfaultfd_prep()
            if s.kernel.mremap_clears_uffd_wp:
                s.pte[p, w].uffd_wp = 0
                s.pte[p, w].marker = 0
        if s.pte[p, w].present and s.kernel.mem_soft_dirty:
            s.pte[p, w].soft_dirty = 1  # move_soft_dirty_pte()
    return OK


def fresh_area(s: State) -> int:
    """An address range that nothing else of any process touches."""
    area = FIRST_FRESH_AREA
    for p in range(s.vma.shape[0]):
        for v in range(s.vma.shape[1]):
            if s.vma[p, v].area >= area:
                area = s.vma[p, v].area + 1
    return area
