"""mprotect(2), mm/mprotect.c."""

from breakcow.mm.flags import ENOMEM, OK, PROT_WRITE, UPGRADE_DIRTY, UPGRADE_NEVER
from breakcow.mm.huge_memory import can_change_pmd_writable, vma_adjust_trans_huge
from breakcow.mm.pgtable import is_anon_page, pte_mkdirty
from breakcow.mm.schema import State
from breakcow.mm.vma import vm_end, vma_merge


def can_change_pte_writable(s: State, p: int, v: int) -> int:
    """can_change_pte_writable(): whether the write fault of this entry would only set the write bit, so that it can be set at once."""
    pte = s.pte[p, v]
    vma = s.vma[p, v]
    if not vma.prot & PROT_WRITE or not is_anon_page(pte) or not can_change_pmd_writable(s, p, v):
        return 0
    if s.kernel.mprotect_writable == UPGRADE_DIRTY and not pte.dirty:
        return 0
    if s.kernel.mem_soft_dirty and not vma.soft_dirty and not pte.soft_dirty:
        return 0
    if vma.registered and pte.uffd_wp:
        return 0
    return s.page[pte.frame].exclusive


def mprotect(s: State, p: int, v: int, n: int, c: int) -> int:
    """do_mprotect_pkey(): vma by vma up to the first hole, where it ends with -ENOMEM."""
    w = v
    while w < v + n:
        if not s.vma[p, w].mapped:
            return -ENOMEM
        end = min(vm_end(s, p, w), v + n)
        if s.vma[p, w].prot != c:
            mprotect_fixup(s, p, w, end, c)
        w = end
    return OK


def mprotect_fixup(s: State, p: int, start: int, end: int, prot: int) -> None:
    """mprotect_fixup() of the pages from `start` up to `end` of one vma: its flags, then its entries."""
    if s.vma[p, start].huge:
        vma_adjust_trans_huge(s, p, start, end)
    account = s.vma[p, start].account
    if prot & PROT_WRITE:
        account = 1
    elif s.kernel.mprotect_drops_account and not s.vma[p, start].anon_vma:
        account = 0
    for v in range(start, end):
        s.vma[p, v].prot = prot
        s.vma[p, v].account = account
    vma_merge(s, p, start, end)
    modify_prot_start_ptes(s, p, start, end)
    for v in range(start, end):
        change_protection(s, p, v)


def modify_prot_start_ptes(s: State, p: int, start: int, end: int) -> None:
    """modify_prot_start_ptes(), include/linux/pgtable.h: entries of one large folio are changed together. Where one but the first is dirty,
    all are from then on: by pte_mkdirty(), which on x86 makes them soft-dirty as well."""
    if not s.kernel.mprotect_batch_dirty:
        return
    v = start
    while v < end:
        after = mprotect_folio_pte_batch(s, p, v, end)
        dirty = s.pte[p, v].dirty if after > v and s.page[s.pte[p, v].frame].rest else 0
        for w in range(v + 1, after):
            dirty |= s.pte[p, w].dirty
        for w in range(v, after):
            if dirty:
                pte_mkdirty(s, s.pte[p, w])
        v = max(after, v + 1)


def mprotect_folio_pte_batch(s: State, p: int, v: int, end: int) -> int:
    """mprotect_folio_pte_batch(): one past the last of the entries from `v` on that map pages of one large folio, alike but for the dirty
    bit; `v` itself where there is no such entry."""
    w = v
    while w < end and in_batch(s, p, v, w):
        w += 1
    return w


def in_batch(s: State, p: int, v: int, w: int) -> int:
    """Whether the entry of page `w` may be changed together with that of page `v`."""
    a = s.pte[p, v]
    b = s.pte[p, w]
    if not is_anon_page(a) or not is_anon_page(b) or a.huge or b.huge:
        return 0
    if not s.page[a.frame].folio or s.page[a.frame].folio != s.page[b.frame].folio:
        return 0
    return 1 if a.write == b.write and a.soft_dirty == b.soft_dirty and a.uffd_wp == b.uffd_wp else 0


def change_protection(s: State, p: int, v: int) -> None:
    """change_pte_range(): an entry loses its write bit; it gets it back only where no fault is needed."""
    pte = s.pte[p, v]
    if not pte.present:
        return
    pte.write = 0
    if s.kernel.mprotect_writable != UPGRADE_NEVER and can_change_pte_writable(s, p, v):
        pte.write = 1
