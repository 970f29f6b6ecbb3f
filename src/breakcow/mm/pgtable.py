"""Page table entries: include/linux/pgtable.h, mm/pgtable-generic.c, arch/x86/include/asm/pgtable.h."""

from breakcow.mm.flags import ZERO_PAGE
from breakcow.mm.page_alloc import put_page
from breakcow.mm.schema import Pte, State


def pte_none(pte: Pte) -> int:
    """pte_none(): nothing there, neither a marker nor a swap entry."""
    return 1 if not pte.present and not pte.marker and not pte.swap else 0


def is_zero_pfn(pte: Pte) -> int:
    """A present entry that maps the shared zero page."""
    return 1 if pte.present and pte.frame == ZERO_PAGE else 0


def is_anon_page(pte: Pte) -> int:
    """A present entry that maps an anonymous page, a KSM page included (PageAnon)."""
    return 1 if pte.present and pte.frame != ZERO_PAGE else 0


def is_ksm_zero_pte(s: State, pte: Pte) -> int:
    """is_ksm_zero_pte(), include/linux/ksm.h: a dirty entry of the zero page. Kernels before it cannot tell the two apart."""
    return 1 if s.kernel.ksm_zero_pages_unmerge and is_zero_pfn(pte) and pte.dirty else 0


def pte_mkdirty(s: State, pte: Pte) -> None:
    """pte_mkdirty(): on x86 it sets the soft-dirty bit too."""
    pte.dirty = 1
    if s.kernel.mem_soft_dirty:
        pte.soft_dirty = 1


def pte_clear(pte: Pte) -> None:
    """pte_clear(): back to none."""
    pte.present = 0
    pte.frame = 0
    pte.write = 0
    pte.dirty = 0
    pte.soft_dirty = 0
    pte.uffd_wp = 0
    pte.marker = 0
    pte.swap = 0
    pte.swp_exclusive = 0
    pte.huge = 0


def set_pte(pte: Pte, f: int) -> None:
    """mk_pte() and set_pte_at(): a clean, read-only entry of frame `f`, every software bit clear."""
    pte_clear(pte)
    pte.present = 1
    pte.frame = f


def copy_pte(pte: Pte, source: Pte) -> None:
    """Copy every bit of `source`."""
    pte.present = source.present
    pte.frame = source.frame
    pte.write = source.write
    pte.dirty = source.dirty
    pte.soft_dirty = source.soft_dirty
    pte.uffd_wp = source.uffd_wp
    pte.marker = source.marker
    pte.swap = source.swap
    pte.swp_exclusive = source.swp_exclusive
    pte.huge = source.huge


def ksm_might_unmap_zero_page(s: State, p: int, pte: Pte) -> None:
    """ksm_might_unmap_zero_page(), include/linux/ksm.h: one zero page less that KSM placed, of all and of this mm."""
    if is_ksm_zero_pte(s, pte):
        s.ksm.zero_pages -= 1
        s.proc[p].zero_pages -= 1


def zap_pte(s: State, p: int, v: int) -> None:
    """zap_pte_range() for one entry (mm/memory.c): the mapping goes, and the frame with it if it was the last reference."""
    pte = s.pte[p, v]
    ksm_might_unmap_zero_page(s, p, pte)
    f = pte.frame
    anon = is_anon_page(pte)
    swap = pte.swap
    pte_clear(pte)
    if anon:
        s.page[f].mapcount -= 1
        put_page(s, f)
    elif swap:
        s.page[f].swapped -= 1  # free_swap_and_cache()
        put_page(s, f)
