"""get_user_pages, mm/gup.c, and those who call it: /proc/PID/mem, process_vm_readv(2), io_uring fixed buffers, vmsplice(2)."""

from breakcow.mm.flags import (
    BLOCKED,
    BUSY,
    EFAULT,
    EIO,
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_KILLABLE,
    FAULT_FLAG_REMOTE,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    FOLL_COW,
    FOLL_FORCE,
    FOLL_GET,
    FOLL_LONGTERM,
    FOLL_PIN,
    FOLL_REMOTE,
    FOLL_UNLOCKABLE,
    FOLL_WRITE,
    OK,
    PROT_READ,
    PROT_WRITE,
    REUSE_EXCLUSIVE,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
    VM_FAULT_WRITE,
)
from breakcow.mm.memory import handle_mm_fault
from breakcow.mm.page_alloc import put_page
from breakcow.mm.pgtable import is_anon_page, is_zero_pfn
from breakcow.mm.schema import State

FOLLOWED = 0  # what follow_page_pte() says: here it is, fault it in, or unshare it (-EMLINK)
FAULT_IN = 1
UNSHARE = 2


def gup(s: State, p: int, v: int, foll: int) -> int:
    """__get_user_pages() for one page: OK once it can be followed, -EFAULT, or BLOCKED."""
    if check_vma_flags(s, p, v, foll):
        return -EFAULT
    while 1:
        follow = follow_page_pte(s, p, v, foll)
        if follow == FOLLOWED:
            follow_page_touch(s, p, v, foll)
            return OK
        fault = faultin_page(s, p, v, foll, follow)
        if fault & VM_FAULT_RETRY:
            return BLOCKED
        if fault & VM_FAULT_SIGBUS:
            return -EFAULT
        foll = foll_after_fault(s, p, v, foll, fault)


def check_vma_flags(s: State, p: int, v: int, foll: int) -> int:
    """check_vma_flags(): 1 if the vma does not permit the access. FOLL_FORCE permits it for a private mapping."""
    vma = s.vma[p, v]
    if not vma.mapped:
        return 1
    if foll & FOLL_FORCE:
        return 0
    wanted = PROT_WRITE if foll & FOLL_WRITE else PROT_READ
    return 0 if vma.prot & wanted else 1


def follow_page_pte(s: State, p: int, v: int, foll: int) -> int:
    """follow_page_pte(): whether GUP can take the page that is mapped."""
    pte = s.pte[p, v]
    if not pte.present:
        return FAULT_IN
    if foll & FOLL_WRITE and not can_follow_write_pte(s, p, v, foll):
        return FAULT_IN
    if not pte.write and gup_must_unshare(s, p, v, foll):
        return UNSHARE
    return FOLLOWED


def follow_page_touch(s: State, p: int, v: int, foll: int) -> None:
    """The end of follow_page_pte(): what is taken to be stored to is PageDirty, but not by a longterm pin, which leaves FOLL_TOUCH out."""
    if foll & FOLL_WRITE and not foll & FOLL_LONGTERM:
        s.page[s.pte[p, v].frame].saved = 0


def can_follow_write_pte(s: State, p: int, v: int, foll: int) -> int:
    """can_follow_write_pte(): a writable entry, or a FOLL_FORCE store to a page that is this process's own."""
    pte = s.pte[p, v]
    if pte.write:
        return 1
    if not foll & FOLL_FORCE:
        return 0
    if s.kernel.wp_reuse != REUSE_EXCLUSIVE:
        return 1 if foll & FOLL_COW and pte.dirty else 0
    vma = s.vma[p, v]
    if vma.prot & PROT_WRITE or not is_anon_page(pte) or not s.page[pte.frame].exclusive:
        return 0
    if s.kernel.mem_soft_dirty and not vma.soft_dirty and not pte.soft_dirty:
        return 0
    return 0 if vma.registered and pte.uffd_wp else 1


def gup_must_unshare(s: State, p: int, v: int, foll: int) -> int:
    """gup_must_unshare(): a read-only pin of a page that others may share (mm/internal.h; since 5.19)."""
    pte = s.pte[p, v]
    if not s.kernel.gup_unshare or foll & FOLL_WRITE or not foll & FOLL_PIN:
        return 0
    if is_zero_pfn(pte):
        return 1 if s.kernel.unshare_zero_page and foll & FOLL_LONGTERM else 0
    return 0 if s.page[pte.frame].exclusive else 1


def faultin_page(s: State, p: int, v: int, foll: int, follow: int) -> int:
    """faultin_page(): the fault that makes the page followable. Without FOLL_UNLOCKABLE it may not wait."""
    flags = 0
    if foll & FOLL_WRITE:
        flags |= FAULT_FLAG_WRITE
    if foll & FOLL_REMOTE:
        flags |= FAULT_FLAG_REMOTE
    if foll & FOLL_UNLOCKABLE:
        flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE
    if follow == UNSHARE:
        flags |= FAULT_FLAG_UNSHARE
    return handle_mm_fault(s, p, v, flags)


def foll_after_fault(s: State, p: int, v: int, foll: int, fault: int) -> int:
    """FOLL_* for the next round, the end of faultin_page() until 6.1: once a write fault has completed in a read-only vma, FOLL_COW lets
    its dirty page be followed. Before 4.9 the rest of the call went on as a load once the copy was broken: Dirty COW."""
    if not foll & FOLL_WRITE or s.vma[p, v].prot & PROT_WRITE:
        return foll
    if s.kernel.gup_cow_drops_write and fault & VM_FAULT_WRITE:
        return foll & ~FOLL_WRITE
    return foll | FOLL_COW


def mem_write(s: State, p: int, v: int, n: int, c: int) -> int:
    """pwrite(2) to /proc/self/mem, mem_rw() and __access_remote_vm(): FOLL_FORCE, and never ALLOW_RETRY. -EIO if no byte was written."""
    foll = FOLL_GET | FOLL_REMOTE | FOLL_WRITE
    if s.kernel.proc_mem_force:
        foll |= FOLL_FORCE
    if gup(s, p, v, foll) != OK:
        return -EIO
    s.page[s.pte[p, v].frame].content = c
    return OK


def gup_begin(s: State, p: int, v: int, n: int, c: int) -> int:
    """pwrite(2) to /proc/self/mem by another thread of the process, mem_write() in pieces: from one drop of the page table lock to the
    next. BUSY if one is under way. It has not ended where it gives OK: s.step.value is 1 when it stored."""
    proc = s.proc[p]
    if proc.gup:
        return BUSY
    proc.gup = v + 1
    proc.gup_foll = FOLL_GET | FOLL_REMOTE | FOLL_WRITE | (FOLL_FORCE if s.kernel.proc_mem_force else 0)
    proc.gup_content = c
    if check_vma_flags(s, p, v, proc.gup_foll):
        proc.gup = 0
        return -EIO
    return gup_retry(s, p, 0, 0, 0)


def gup_retry(s: State, p: int, v: int, n: int, c: int) -> int:
    """One round of __get_user_pages(): the page is followed and the store is made, or one fault. Nothing if no call is under way."""
    proc = s.proc[p]
    v = proc.gup - 1
    if v < 0:
        return OK
    follow = follow_page_pte(s, p, v, proc.gup_foll)
    if follow == FOLLOWED:
        follow_page_touch(s, p, v, proc.gup_foll)
        s.page[s.pte[p, v].frame].content = proc.gup_content
        s.step.value = 1
        proc.gup = 0
        return OK
    fault = faultin_page(s, p, v, proc.gup_foll, follow)
    if fault & VM_FAULT_SIGBUS:
        proc.gup = 0
        return -EIO
    proc.gup_foll = foll_after_fault(s, p, v, proc.gup_foll, fault)
    return OK


def process_vm_readv(s: State, p: int, v: int, n: int, c: int) -> int:
    """process_vm_readv(2), process_vm_rw_single_vec(): a read pin, taken and dropped."""
    result = gup(s, p, v, FOLL_PIN | FOLL_REMOTE | FOLL_UNLOCKABLE)
    if result == OK:
        s.step.value = s.page[s.pte[p, v].frame].content
    return result


def process_vm_writev(s: State, p: int, v: int, n: int, c: int) -> int:
    """process_vm_writev(2): a write pin, taken and dropped."""
    result = gup(s, p, v, FOLL_PIN | FOLL_REMOTE | FOLL_UNLOCKABLE | FOLL_WRITE)
    if result == OK:
        s.page[s.pte[p, v].frame].content = c
    return result


def pin(s: State, p: int, v: int, n: int, c: int) -> int:
    """io_uring_register(2) of a fixed buffer, io_sqe_buffer_register(): a longterm write pin that lasts. BUSY if it has one."""
    if s.ref[p, v].pinned:
        return BUSY
    foll = FOLL_PIN | FOLL_WRITE | FOLL_LONGTERM
    if s.kernel.io_uring_unlockable:
        foll |= FOLL_UNLOCKABLE
    result = gup(s, p, v, foll)
    if result == OK:
        f = s.pte[p, v].frame
        s.page[f].pincount += 1
        s.ref[p, v].pinned = f + 1
    return result


def unpin(s: State, p: int, v: int, n: int, c: int) -> int:
    """unpin_user_page(): the buffer is unregistered. BUSY if there is none."""
    f = s.ref[p, v].pinned - 1
    if f < 0:
        return BUSY
    s.ref[p, v].pinned = 0
    s.page[f].pincount -= 1
    put_page(s, f)
    return OK


def dma(s: State, p: int, v: int, n: int, c: int) -> int:
    """The device stores into the fixed buffer: into the frame that was pinned, wherever it is mapped now. BUSY if there is none."""
    f = s.ref[p, v].pinned - 1
    if f < 0:
        return BUSY
    s.page[f].content = c
    return OK


def vmsplice(s: State, p: int, v: int, n: int, c: int) -> int:
    """vmsplice(2) into a pipe, iov_iter_get_pages(): FOLL_GET, so nothing is unshared. BUSY if the pipe is full."""
    if s.ref[p, v].spliced:
        return BUSY
    result = gup(s, p, v, FOLL_GET | FOLL_UNLOCKABLE)
    if result == OK:
        f = s.pte[p, v].frame
        s.page[f].refs += 1
        s.ref[p, v].spliced = f + 1
    return result


def drain(s: State, p: int, v: int, n: int, c: int) -> int:
    """The pipe is read: its reference is gone. BUSY if it is empty."""
    f = s.ref[p, v].spliced - 1
    if f < 0:
        return BUSY
    s.ref[p, v].spliced = 0
    s.step.value = s.page[f].content
    s.page[f].refs -= 1
    put_page(s, f)
    return OK
