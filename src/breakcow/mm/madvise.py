"""madvise(2), mm/madvise.c."""

from breakcow.mm.flags import (
    BLOCKED,
    EFAULT,
    EINVAL,
    ENOMEM,
    FOLL_GET,
    FOLL_UNLOCKABLE,
    FOLL_WRITE,
    OK,
)
from breakcow.mm.gup import check_vma_flags, gup
from breakcow.mm.huge_fault import thp_vma_allowable_order
from breakcow.mm.huge_memory import haddr, hend, vma_adjust_trans_huge
from breakcow.mm.huge_swap import pageout_huge
from breakcow.mm.ksm import MADV_MERGEABLE, MADV_UNMERGEABLE, ksm_madvise
from breakcow.mm.pgtable import zap_pte
from breakcow.mm.schema import State
from breakcow.mm.swap import reclaim_page
from breakcow.mm.vma import vm_end, vma_merge, whole_range_mapped

MADV_DONTFORK = 10
MADV_DOFORK = 11


def do_madvise(s: State, p: int, v: int, n: int, advice: int) -> int:
    """do_madvise() for advice that changes a vma's flags: vma by vma; a hole is skipped and gives -ENOMEM in the end."""
    w = v
    while w < v + n:
        if not s.vma[p, w].mapped:
            w += 1
            continue
        end = min(vm_end(s, p, w), v + n)
        result = madvise_vma_behavior(s, p, w, end, advice)
        if result:
            return result
        w = end
    return whole_range_mapped(s, p, v, n)


def madvise_vma_behavior(s: State, p: int, start: int, end: int, advice: int) -> int:
    """madvise_vma_behavior(): what the advice does to the pages from `start` up to `end`, which lie in one vma."""
    before = 2 * s.vma[p, start].mergeable + s.vma[p, start].dontcopy
    if advice == MADV_DONTFORK or advice == MADV_DOFORK:
        for v in range(start, end):
            s.vma[p, v].dontcopy = 1 if advice == MADV_DONTFORK else 0
        err = OK
    else:
        err = ksm_madvise(s, p, start, end, advice)
    if not err and 2 * s.vma[p, start].mergeable + s.vma[p, start].dontcopy != before:
        if s.vma[p, start].huge:  # madvise_update_vma(): equal flags are no reason to split or merge
            vma_adjust_trans_huge(s, p, start, end)
        vma_merge(s, p, start, end)
    return err


def mergeable(s: State, p: int, v: int, n: int, c: int) -> int:
    """MADV_MERGEABLE."""
    return do_madvise(s, p, v, n, MADV_MERGEABLE)


def unmergeable(s: State, p: int, v: int, n: int, c: int) -> int:
    """MADV_UNMERGEABLE."""
    return do_madvise(s, p, v, n, MADV_UNMERGEABLE)


def dontfork(s: State, p: int, v: int, n: int, c: int) -> int:
    """MADV_DONTFORK: no child gets the memory."""
    return do_madvise(s, p, v, n, MADV_DONTFORK)


def dofork(s: State, p: int, v: int, n: int, c: int) -> int:
    """MADV_DOFORK."""
    return do_madvise(s, p, v, n, MADV_DOFORK)


def dontneed(s: State, p: int, v: int, n: int, c: int) -> int:
    """MADV_DONTNEED, madvise_dontneed_single_vma(): the entries go, with their uffd-wp bits (zap_install_uffd_wp_if_needed() skips
    anonymous memory)."""
    vma_adjust_trans_huge(s, p, v, v + n)  # zap_pmd_range()
    for w in range(v, v + n):
        if s.vma[p, w].mapped:
            zap_pte(s, p, w)
            try_get_and_clear_pmd(s, p, w, v, v + n)
    return whole_range_mapped(s, p, v, n)


def try_get_and_clear_pmd(s: State, p: int, v: int, start: int, end: int) -> None:
    """try_get_and_clear_pmd(), mm/pt_reclaim.c: after the last page of a huge region that the range covers, within one vma, the page table
    is freed."""
    if s.kernel.pt_reclaim and s.vma[p, v].huge and v + 1 == hend(s, p, v):
        first = haddr(s, p, v)
        if start <= first and hend(s, p, v) <= end and thp_vma_allowable_order(s, p, v):
            for w in range(first, v + 1):
                s.vma[p, w].table = 0


def pageout(s: State, p: int, v: int, n: int, c: int) -> int:
    """MADV_PAGEOUT, madvise_pageout(): what can be swapped out is."""
    w = v
    while w < v + n:
        end = w + 1
        if s.vma[p, w].mapped and s.vma[p, w].huge:
            end = min(hend(s, p, w), vm_end(s, p, w), v + n)
            pageout_huge(s, p, w, end)
        elif s.vma[p, w].mapped:
            reclaim_page(s, p, w)
        w = end
    return whole_range_mapped(s, p, v, n)


def populate_read(s: State, p: int, v: int, n: int, c: int) -> int:
    """MADV_POPULATE_READ (since 5.14)."""
    return madvise_populate(s, p, v, n, FOLL_GET | FOLL_UNLOCKABLE, c)


def populate_write(s: State, p: int, v: int, n: int, c: int) -> int:
    """MADV_POPULATE_WRITE (since 5.14)."""
    return madvise_populate(s, p, v, n, FOLL_GET | FOLL_UNLOCKABLE | FOLL_WRITE, c)


def madvise_populate(s: State, p: int, v: int, n: int, foll: int, unmapped: int) -> int:
    """madvise_populate(): GUP over the range. No permission is -EINVAL, a SIGBUS of the fault -EFAULT, a hole -ENOMEM, where it ends
    or, on older kernels, which it skips. unmapped: it has skipped one before it slept."""
    if not s.kernel.madv_populate:
        return -EINVAL
    for w in range(v, v + n):
        if not s.vma[p, w].mapped:
            if s.kernel.madv_populate_skips_holes:
                continue
            return -ENOMEM
        if check_vma_flags(s, p, w, foll):
            return -EINVAL
        result = gup(s, p, w, foll)
        if result == BLOCKED:
            return BLOCKED
        if result != OK:
            return -EFAULT
    return -ENOMEM if unmapped else whole_range_mapped(s, p, v, n)
