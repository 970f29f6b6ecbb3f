"""Soft-dirty, fs/proc/task_mmu.c."""

from breakcow.mm.flags import OK
from breakcow.mm.page_alloc import page_maybe_dma_pinned
from breakcow.mm.schema import Pte, State


def clear_refs(s: State, p: int, v: int, n: int, c: int) -> int:
    """clear_refs_write() of 4 (CLEAR_REFS_SOFT_DIRTY): no vma and no entry is soft-dirty any more, except what may be pinned."""
    for w in range(s.vma.shape[1]):
        s.vma[p, w].soft_dirty = 0
    for w in range(s.vma.shape[1]):
        clear_soft_dirty(s, p, w)
    return OK


def clear_soft_dirty(s: State, p: int, v: int) -> None:
    """clear_soft_dirty(): write-protect the entry, so that the next store faults and is seen. Empty without CONFIG_MEM_SOFT_DIRTY."""
    pte = s.pte[p, v]
    if not s.kernel.mem_soft_dirty or not pte.present or pte_is_pinned(s, pte):
        return
    pte.write = 0
    pte.soft_dirty = 0


def pte_is_pinned(s: State, pte: Pte) -> int:
    """pte_is_pinned(): write-protecting a pinned page would hide nothing and may copy it later."""
    return 1 if pte.write and page_maybe_dma_pinned(s, pte.frame) else 0
