"""userfaultfd write-protection: fs/userfaultfd.c and mm/userfaultfd.c (one file since 7.2)."""

from breakcow.mm.flags import (
    BUSY,
    EINVAL,
    ENOENT,
    ENOMEM,
    ESRCH,
    EVENT_PAGEFAULT_WP,
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_USER,
    OK,
    PROCESS_RUNNING,
    UFFD_FEATURE_SIGBUS,
    UFFD_FEATURE_WP_ASYNC,
    UFFD_FEATURE_WP_UNPOPULATED,
    UFFD_USER_MODE_ONLY,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
)
from breakcow.mm.huge_memory import pmd_populate_for_marker, vma_adjust_trans_huge
from breakcow.mm.mprotect import can_change_pte_writable, modify_prot_start_ptes
from breakcow.mm.pgtable import pte_none
from breakcow.mm.schema import State
from breakcow.mm.vma import same_vma, vm_end, vma_merge


def userfaultfd_pte_wp(s: State, p: int, v: int) -> int:
    """userfaultfd_pte_wp(): the entry is protected and the vma is registered."""
    return 1 if s.vma[p, v].registered and s.pte[p, v].uffd_wp else 0


def handle_userfault(s: State, p: int, v: int, flags: int) -> int:
    """handle_userfault(): in the kernel's order, who may not wait gets SIGBUS; who may sends a message and sleeps (VM_FAULT_RETRY)."""
    proc = s.proc[p]
    if proc.features & UFFD_FEATURE_SIGBUS:
        return VM_FAULT_SIGBUS
    if not flags & FAULT_FLAG_USER and proc.features & UFFD_USER_MODE_ONLY:
        return VM_FAULT_SIGBUS
    if not flags & FAULT_FLAG_ALLOW_RETRY:
        s.step.warned = flags  # FAULT_FLAG_ALLOW_RETRY missing, printed with CONFIG_DEBUG_VM
        return VM_FAULT_SIGBUS
    queue_event(s, EVENT_PAGEFAULT_WP, p, v)
    s.step.sleeps = v + 1
    return VM_FAULT_RETRY


def queue_event(s: State, kind: int, p: int, v: int) -> None:
    """A message for the reader of the userfaultfd of process `p`."""
    event = s.event[s.step.events]
    event.kind = kind
    event.process = p
    event.page = v
    s.step.events += 1


def new_userfaultfd(s: State, p: int, v: int, n: int, c: int) -> int:
    """userfaultfd(2) and UFFDIO_API: `c` are the flags and features. One userfaultfd a process; a second is refused by the language."""
    proc = s.proc[p]
    if proc.uffd:
        return BUSY
    if c & UFFD_USER_MODE_ONLY and not s.kernel.uffd_user_mode_only:
        return -EINVAL
    if c & UFFD_FEATURE_WP_UNPOPULATED and not s.kernel.uffd_wp_unpopulated:
        return -EINVAL
    if c & UFFD_FEATURE_WP_ASYNC and not s.kernel.uffd_wp_async:
        return -EINVAL
    proc.uffd = 1
    proc.features = c
    return OK


def context(s: State, p: int, gone: int) -> int:
    """OK if process `p` has a userfaultfd and a living mm (mmget_not_zero()); the errno `gone` where the mm is gone."""
    proc = s.proc[p]
    if not proc.uffd:
        return BUSY
    return OK if proc.state == PROCESS_RUNNING else -gone


def userfaultfd_register(s: State, p: int, v: int, n: int, c: int) -> int:
    """UFFDIO_REGISTER in write-protect mode, userfaultfd_register(): flags of the vmas; no entry changes. -EINVAL if there is no vma."""
    err = context(s, p, ENOMEM)
    if err:
        return err
    return OK if set_vm_flags(s, p, v, v + n, 1) else -EINVAL


def set_vm_flags(s: State, p: int, start: int, end: int, registered: int) -> int:
    """userfaultfd_set_vm_flags() for every vma of the range; 0 if there is none. Unregistering resets the entries first."""
    found = 0
    v = start
    while v < end:
        if not s.vma[p, v].mapped:
            v += 1
            continue
        found = 1
        stop = min(vm_end(s, p, v), end)
        if s.vma[p, v].registered != registered:
            vma_adjust_trans_huge(s, p, v, stop)
            for w in range(v, stop):
                s.vma[p, w].registered = registered
            vma_merge(s, p, v, stop)
        v = stop
    return found


def writeprotect_on(s: State, p: int, v: int, n: int, c: int) -> int:
    """UFFDIO_WRITEPROTECT with UFFDIO_WRITEPROTECT_MODE_WP."""
    return mwriteprotect_range(s, p, v, n, 1)


def writeprotect_off(s: State, p: int, v: int, n: int, c: int) -> int:
    """UFFDIO_WRITEPROTECT without MODE_WP: the protection goes and whoever waits in the range is woken."""
    err = mwriteprotect_range(s, p, v, n, 0)
    if err == OK:
        wake_userfault(s, p, v, n)
    return err


def mwriteprotect_range(s: State, p: int, v: int, n: int, enable: int) -> int:
    """mwriteprotect_range(): -ENOENT unless the range is registered. Since 6.4 vma by vma, and those before a bad one stay changed;
    before, the whole range must lie in one vma."""
    err = context(s, p, ESRCH)
    if err:
        return err
    if not s.kernel.uffd_wp_many_vmas and (not s.vma[p, v].registered or vm_end(s, p, v) < v + n):
        return -ENOENT
    found = 0
    for w in range(v, v + n):
        if not s.vma[p, w].mapped:
            continue
        if not s.vma[p, w].registered:
            return -ENOENT
        vma_adjust_trans_huge(s, p, v, v + n)  # change_pmd_range()
        if not found or not same_vma(s, p, w - 1, w):
            modify_prot_start_ptes(s, p, w, min(vm_end(s, p, w), v + n))
        found = 1
        if enable:
            uffd_wp_protect_pte(s, p, w)
        else:
            uffd_wp_resolve_pte(s, p, w)
    return OK if found else -ENOENT


def uffd_wp_protect_pte(s: State, p: int, v: int) -> None:
    """change_pte_range() with MM_CP_UFFD_WP: what is present or swapped out is protected; a hole only as WP_UNPOPULATED asks."""
    pte = s.pte[p, v]
    if pte.present:
        pte.uffd_wp = 1
        pte.write = 0
    elif pte.swap:
        pte.uffd_wp = 1
    elif pte_none(pte) and s.proc[p].features & (UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC):
        pte.marker = 1
        pte.uffd_wp = 1
        pmd_populate_for_marker(s, p, v)


def uffd_wp_resolve_pte(s: State, p: int, v: int) -> None:
    """change_pte_range() with MM_CP_UFFD_WP_RESOLVE: the bit goes; since 6.2 an exclusive page is writable again at once."""
    pte = s.pte[p, v]
    pte.uffd_wp = 0
    pte.marker = 0
    if not pte.present:
        return
    pte.write = 0  # pte_modify() with the page protection of a private vma
    if s.kernel.uffd_wp_resolve_writable and can_change_pte_writable(s, p, v):
        pte.write = 1


def wake_userfault(s: State, p: int, v: int, n: int) -> None:
    """wake_userfault(): every fault that sleeps in the range of this mm."""
    waiting = s.proc[p].waiting - 1
    if v <= waiting < v + n:
        s.resumed[p].woken = 1
    if s.ksm.waiting == p + 1:
        s.step.ksm_woken = 1


def userfaultfd_unregister(s: State, p: int, v: int, n: int, c: int) -> int:
    """UFFDIO_UNREGISTER, userfaultfd_unregister(): the vmas are free again and since 6.0 the bits are reset.

    Who sleeps in a write-protect fault of the range is not woken: the kernel wakes only for a range that was registered for missing pages.
    """
    err = context(s, p, ENOMEM)
    if err:
        return err
    if s.kernel.uffd_unregister_resets:
        uffd_wp_reset(s, p, v, v + n)
    return OK if set_vm_flags(s, p, v, v + n, 0) else -EINVAL


def uffd_wp_reset(s: State, p: int, start: int, end: int) -> None:
    """uffd_wp_range() that disables, for what is registered of the range."""
    for v in range(start, end):
        if s.vma[p, v].registered:
            if v == start or not same_vma(s, p, v - 1, v):
                stop = min(vm_end(s, p, v), end)
                vma_adjust_trans_huge(s, p, v, stop)  # change_pmd_range()
                modify_prot_start_ptes(s, p, v, stop)
            uffd_wp_resolve_pte(s, p, v)


def userfaultfd_release(s: State, p: int, v: int, n: int, c: int) -> int:
    """close(2) of the last descriptor, userfaultfd_release(): as unregister for every vma; the bits are reset since 6.9."""
    proc = s.proc[p]
    if not proc.uffd:
        return BUSY
    pages = s.vma.shape[1]
    if s.kernel.uffd_close_resets:
        uffd_wp_reset(s, p, 0, pages)
    set_vm_flags(s, p, 0, pages, 0)
    proc.uffd = 0
    proc.features = 0
    wake_userfault(s, p, 0, pages)
    return OK
