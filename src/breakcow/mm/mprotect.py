"""mprotect(2), mm/mprotect.c."""

from breakcow.mm.flags import ENOMEM, OK, PROT_WRITE
from breakcow.mm.pgtable import is_anon_page
from breakcow.mm.schema import State
from breakcow.mm.vma import anon_vma, vma_merge

UPGRADE_NEVER = 0  # values of the behaviour mprotect_writable
UPGRADE_DIRTY = 1
UPGRADE_EXCLUSIVE = 2


def can_change_pte_writable(s: State, p: int, v: int) -> int:
    """can_change_pte_writable(): whether the write fault of this entry would only set the write bit, so that it can be set at once."""
    pte = s.pte[p, v]
    vma = s.vma[p, v]
    if not vma.prot & PROT_WRITE or not is_anon_page(pte):
        return 0
    if s.kernel.mprotect_writable == UPGRADE_DIRTY and not pte.dirty:
        return 0
    if s.kernel.mem_soft_dirty and not vma.soft_dirty and not pte.soft_dirty:
        return 0
    if vma.registered and pte.uffd_wp:
        return 0
    return s.page[pte.frame].exclusive


def mprotect(s: State, p: int, v: int, n: int, c: int) -> int:
    """do_mprotect_pkey(): page by page up to the first hole, where it ends with -ENOMEM."""
    for w in range(v, v + n):
        if not s.vma[p, w].mapped:
            return -ENOMEM
        if s.vma[p, w].prot != c:
            mprotect_fixup(s, p, w, c)
    return OK


def mprotect_fixup(s: State, p: int, v: int, prot: int) -> None:
    """mprotect_fixup() and change_pte_range(): the entry loses its write bit; it gets it back only where no fault is needed."""
    pte = s.pte[p, v]
    vma = s.vma[p, v]
    if prot & PROT_WRITE:
        vma.account = 1
    elif s.kernel.mprotect_drops_account and not anon_vma(s, p, v):
        vma.account = 0
    vma.prot = prot
    vma_merge(s, p)
    if not pte.present:
        return
    pte.write = 0
    if s.kernel.mprotect_writable != UPGRADE_NEVER and can_change_pte_writable(s, p, v):
        pte.write = 1
