"""fork(2) and exit(2): kernel/fork.c, kernel/exit.c, and the copying of entries in mm/memory.c."""

from breakcow.mm.flags import (
    EVENT_FORK,
    OK,
    PROCESS_EXITED,
    PROCESS_RUNNING,
    PROT_READ,
    PROT_WRITE,
    REUSE_EXCLUSIVE,
    UFFD_FEATURE_EVENT_FORK,
)
from breakcow.mm.huge_fault import maybe_mkwrite
from breakcow.mm.huge_memory import pmd_populate, split_huge_pmd
from breakcow.mm.ksm import ksm_enter, ksm_exit, ksm_fork
from breakcow.mm.memory import map_new_page
from breakcow.mm.page_alloc import page_maybe_dma_pinned, put_page
from breakcow.mm.pgtable import copy_pte, is_anon_page, pte_mkdirty, zap_pte
from breakcow.mm.schema import State
from breakcow.mm.userfaultfd import queue_event
from breakcow.mm.vma import is_mergeable_vma, remove_vma, same_vma, vm_start


def fork(s: State, p: int, v: int, n: int, c: int) -> int:
    """fork(2), dup_mmap(): `c` is the index of the child. With UFFD_FEATURE_EVENT_FORK the reader gets a userfaultfd of the child."""
    parent = s.proc[p]
    child = s.proc[c]
    child.state = PROCESS_RUNNING
    if parent.uffd and parent.features & UFFD_FEATURE_EVENT_FORK:
        dup_userfaultfd(s, p, c)
    for w in range(s.vma.shape[1]):
        s.vma[c, w].huge = s.vma[p, w].huge
        s.vma[c, w].area = s.vma[p, w].area
        if not s.vma[p, w].dontcopy:
            copy_vma_flags(s, p, c, w)
    for w in range(s.vma.shape[1]):
        if s.vma[c, w].mapped and vma_needs_copy(s, p, c, w):
            if s.pte[p, w].huge:
                copy_huge_pmd(s, p, w)
            if s.vma[p, w].table:
                pmd_populate(s, c, w)
            copy_present_pte(s, p, c, w)
    ksm_fork(s, p, c)
    return OK


def spawn(s: State, p: int, v: int, n: int, c: int) -> int:
    """fork(2), and execve(2) in the child: exec_mmap() gives it a new mm, in which the same areas are mapped afresh.

    What the fork did to the parent's entries stays done. ksmd has not visited the child's first mm, so that __ksm_exit() forgets it.
    """
    fork(s, p, v, n, c)
    child = s.proc[c]
    for w in range(s.vma.shape[1]):
        zap_pte(s, c, w)
        remove_vma(s, c, w)
    child.uffd = 0
    child.features = 0
    child.anon_vmas = 0
    child.entered = 0
    child.merging = 0
    child.zero_pages = 0
    if child.merge_any:
        ksm_enter(s, c)  # ksm_execve()
    for w in range(s.vma.shape[1]):
        new_vma(s, c, w)
    return OK


def new_vma(s: State, p: int, v: int) -> None:
    """mmap(2) of a page, read-write, private and anonymous; ksm_vma_flags() makes it mergeable as the mm wants."""
    vma = s.vma[p, v]
    vma.mapped = 1
    vma.prot = PROT_READ | PROT_WRITE
    vma.account = 1
    vma.soft_dirty = s.kernel.mem_soft_dirty
    vma.mergeable = s.proc[p].merge_any


def dup_userfaultfd(s: State, p: int, c: int) -> None:
    """dup_userfaultfd(), fs/userfaultfd.c: the child's registered vmas get a context of their own."""
    registered = 0
    for w in range(s.vma.shape[1]):
        if not s.vma[p, w].dontcopy:
            registered |= s.vma[p, w].registered
    if not registered:
        return
    s.proc[c].uffd = 1
    s.proc[c].features = s.proc[p].features
    queue_event(s, EVENT_FORK, p, 0)


def copy_vma_flags(s: State, p: int, c: int, v: int) -> None:
    """vm_area_dup(): every flag, but VM_UFFD_WP only with a context of the child's own. What that makes equal is merged by nobody."""
    vma = s.vma[p, v]
    twin = s.vma[c, v]
    twin.mapped = vma.mapped
    twin.prot = vma.prot
    twin.mergeable = vma.mergeable
    twin.soft_dirty = vma.soft_dirty
    twin.account = vma.account
    twin.seam = vma.seam
    if vma.anon_vma:
        anon_vma_fork(s, p, c, v)
    twin.registered = vma.registered if s.proc[c].uffd else 0
    if v > 0 and is_mergeable_vma(s, c, v - 1, v) and not same_vma(s, p, v - 1, v):
        s.vma[c, v - 1].seam = 1


def anon_vma_fork(s: State, p: int, c: int, v: int) -> None:
    """anon_vma_fork(), mm/rmap.c: the child's vma gets an anon_vma of its own, chained to its parent's."""
    if vm_start(s, p, v) == v:
        s.proc[c].anon_vmas += 1
    s.vma[c, v].anon_vma = s.proc[c].anon_vmas
    s.vma[c, v].chained = 1


def vma_needs_copy(s: State, p: int, c: int, v: int) -> int:
    """vma_needs_copy(): a vma that never had an anonymous page is left to be faulted in again, unless its protection must be copied."""
    if s.vma[p, v].anon_vma:
        return 1
    return 1 if s.kernel.fork_copies_uffd_wp and s.vma[c, v].registered else 0


def copy_huge_pmd(s: State, p: int, v: int) -> None:
    """copy_huge_pmd(): the PMD is copied, write-protected in both, unless the page may be pinned: then it is split, and copied entry by
    entry."""
    if is_anon_page(s.pte[p, v]) and must_copy_for_dma(s, s.pte[p, v].frame):
        split_huge_pmd(s, p, v)


def copy_present_pte(s: State, p: int, c: int, v: int) -> None:
    """copy_present_pte(): share the page, write-protected in both; a page that may be pinned is copied at once for the child."""
    pte = s.pte[p, v]
    twin = s.pte[c, v]
    if pte.marker:
        copy_marker(s, c, v)
        return
    if pte.swap:
        copy_swap_entry(s, p, c, v)
        return
    if not pte.present:
        return
    if is_anon_page(pte) and must_copy_for_dma(s, pte.frame):
        copy_present_page(s, p, c, v)
        return
    if is_anon_page(pte):
        s.page[pte.frame].mapcount += 1
        s.page[pte.frame].exclusive = 0
    pte.write = 0
    copy_pte(twin, pte)
    if not s.vma[c, v].registered:
        twin.uffd_wp = 0


def copy_marker(s: State, c: int, v: int) -> None:
    """copy_nonpresent_pte() for a uffd-wp marker: it goes along only where the child is registered."""
    if s.vma[c, v].registered:
        s.pte[c, v].marker = 1
        s.pte[c, v].uffd_wp = 1


def copy_swap_entry(s: State, p: int, c: int, v: int) -> None:
    """copy_nonpresent_pte() for a swap entry, swap_duplicate(): it stands for the page twice, and neither entry is exclusive."""
    pte = s.pte[p, v]
    pte.swp_exclusive = 0
    s.page[pte.frame].swapped += 1
    copy_pte(s.pte[c, v], pte)
    if not s.vma[c, v].registered:
        s.pte[c, v].uffd_wp = 0


def must_copy_for_dma(s: State, f: int) -> int:
    """page_try_dup_anon_rmap(): a page that may be pinned is never shared; since 5.19 only an exclusive one can be pinned for writing."""
    if not page_maybe_dma_pinned(s, f):
        return 0
    return 1 if s.page[f].exclusive or s.kernel.wp_reuse != REUSE_EXCLUSIVE else 0


def copy_present_page(s: State, p: int, c: int, v: int) -> None:
    """copy_present_page(): the child's own copy, dirty and writable as its vma permits, protected if the parent's was and it is armed."""
    protected = s.pte[p, v].uffd_wp and s.vma[c, v].registered
    map_new_page(s, c, v, s.page[s.pte[p, v].frame].content)
    twin = s.pte[c, v]
    pte_mkdirty(s, twin)
    maybe_mkwrite(s, c, v)
    if protected:
        twin.uffd_wp = 1
        twin.write = 0


def do_exit(s: State, p: int, v: int, n: int, c: int) -> int:
    """exit(2), exit_mmap(): every mapping goes, the descriptors close, and with them pins and pipes."""
    ksm_exit(s, p)
    for w in range(s.vma.shape[1]):
        zap_pte(s, p, w)
        close_references(s, p, w)
        remove_vma(s, p, w)
    s.proc[p].state = PROCESS_EXITED
    return OK


def close_references(s: State, p: int, v: int) -> None:
    """exit_files(): the io_uring and the pipe that hold the page are closed."""
    ref = s.ref[p, v]
    if ref.pinned:
        s.page[ref.pinned - 1].pincount -= 1
        put_page(s, ref.pinned - 1)
    if ref.spliced:
        s.page[ref.spliced - 1].refs -= 1
        put_page(s, ref.spliced - 1)
    ref.pinned = 0
    ref.spliced = 0
