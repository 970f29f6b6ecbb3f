"""KSM as user space drives it, mm/ksm.c: madvise, the files of /sys/kernel/mm/ksm, fork and exit."""

from breakcow.mm.flags import (
    EBUSY,
    EINVAL,
    ENOENT,
    KSM_RUN_MERGE,
    KSM_RUN_UNMERGE,
    OK,
    PROCESS_RUNNING,
)
from breakcow.mm.ksm_break import break_ksm
from breakcow.mm.ksm_scan import first_mm, ksm_do_scan, next_mm
from breakcow.mm.ksm_tree import free_rmap_item, remove_all_stable_nodes
from breakcow.mm.schema import State
from breakcow.mm.vma import same_vma

MADV_MERGEABLE = 12
MADV_UNMERGEABLE = 13

KNOB_USE_ZERO_PAGES = 1
KNOB_MAX_PAGE_SHARING = 2
KNOB_SMART_SCAN = 3


def ksm_madvise(s: State, p: int, start: int, end: int, advice: int) -> int:
    """ksm_madvise() on the pages from `start` up to `end` of one vma. Advice that changes nothing is ignored."""
    flag = s.vma[p, start].mergeable
    if advice == MADV_MERGEABLE:
        if flag:
            return OK
        ksm_enter(s, p)
    else:
        if not flag:
            return OK
        if s.vma[p, start].anon_vma:
            err = unmerge_ksm_pages(s, p, start, end)
            if err:
                return err
    for v in range(start, end):
        s.vma[p, v].mergeable = 1 if advice == MADV_MERGEABLE else 0
    return OK


def unmerge_ksm_pages(s: State, p: int, start: int, end: int) -> int:
    """unmerge_ksm_pages(): a range that is unmergeable from now on; BLOCKED if breaking fell asleep."""
    for v in range(start, end):
        result = break_ksm(s, p, v)
        if result:
            return result
    return OK


def ksm_enter(s: State, p: int) -> None:
    """__ksm_enter(): the mm goes to the end of ksmd's list, once."""
    if not s.proc[p].entered:
        s.ksm.last_entered += 1
        s.proc[p].entered = s.ksm.last_entered


def ksm_fork(s: State, p: int, c: int) -> None:
    """ksm_fork(): a child of a listed mm is listed too. MMF_VM_MERGE_ANY is among the flags that dup_mm() keeps."""
    s.proc[c].merge_any = s.proc[p].merge_any
    if s.kernel.ksm_fork_copies_merging:
        s.proc[c].merging = s.proc[p].merging  # dup_mm()
    s.proc[c].zero_pages = s.proc[p].zero_pages  # dup_mm(), also of what dup_mmap() does not copy
    if s.proc[p].entered:
        if not s.kernel.ksm_fork_copies_merging:
            s.ksm.zero_pages += s.proc[c].zero_pages
        ksm_enter(s, c)


def set_memory_merge(s: State, p: int, v: int, n: int, c: int) -> int:
    """prctl(PR_SET_MEMORY_MERGE), kernel/sys.c: on or off for every vma there is, and those to come. -EINVAL before 6.4."""
    if not s.kernel.ksm_merge_any:
        return -EINVAL
    return ksm_enable_merge_any(s, p) if c else ksm_disable_merge_any(s, p)


def ksm_enable_merge_any(s: State, p: int) -> int:
    """ksm_enable_merge_any(): the mm is listed, and ksm_add_vmas() makes every vma mergeable."""
    if s.proc[p].merge_any:
        return OK
    ksm_enter(s, p)
    s.proc[p].merge_any = 1
    for v in range(s.vma.shape[1]):
        if s.vma[p, v].mapped:
            vm_flags_set_mergeable(s, p, v, 1)
    return OK


def ksm_disable_merge_any(s: State, p: int) -> int:
    """ksm_disable_merge_any(): ksm_del_vmas() breaks what is merged, vma by vma. The mm stays listed until ksmd finds nothing there."""
    if not s.proc[p].merge_any:
        return OK
    for v in range(s.vma.shape[1]):
        if s.vma[p, v].mergeable and s.vma[p, v].anon_vma:
            err = break_ksm(s, p, v)
            if err:
                return err
        vm_flags_set_mergeable(s, p, v, 0)
    s.proc[p].merge_any = 0
    return OK


def vm_flags_set_mergeable(s: State, p: int, v: int, mergeable: int) -> None:
    """vm_flags_set() or vm_flags_clear() of VM_MERGEABLE: vmas whose flags become equal by it stay two."""
    if v + 1 < s.vma.shape[1] and not same_vma(s, p, v, v + 1):
        s.vma[p, v].seam = 1
    s.vma[p, v].mergeable = mergeable


def ksm_exit(s: State, p: int) -> None:
    """__ksm_exit(): an mm that ksmd has visited stays on its list, in front, for ksmd to free at its next scan."""
    if not s.proc[p].entered:
        return
    visited = 0
    for v in range(s.rmap.shape[1]):
        visited |= s.rmap[p, v].exists
    s.proc[p].entered = -1 if visited else 0


def run_store(s: State, p: int, v: int, n: int, c: int) -> int:
    """run_store(): 2 unmerges everything, once; 1 wakes ksmd, which scans at once if it was not running."""
    if c < 0 or c > KSM_RUN_UNMERGE:
        return -EINVAL
    before = s.ksm.run
    if before == c and not s.step.ksm_woken:
        return OK
    s.ksm.run = c
    if c == KSM_RUN_UNMERGE:
        return unmerge_and_remove_all_rmap_items(s)
    if c == KSM_RUN_MERGE:
        ksm_do_scan(s)
    return OK


def unmerge_and_remove_all_rmap_items(s: State) -> int:
    """unmerge_and_remove_all_rmap_items(): break every KSM page of every listed mm, then forget all of it."""
    p = first_mm(s)
    while p >= 0:
        result = unmerge_mm(s, p)
        if result:
            return result
        p = next_mm(s, p)
    for q in range(s.proc.shape[0]):
        for v in range(s.rmap.shape[1]):
            free_rmap_item(s, q, v)
        if s.proc[q].state != PROCESS_RUNNING:
            s.proc[q].entered = 0
    remove_all_stable_nodes(s)
    return OK


def unmerge_mm(s: State, p: int) -> int:
    """The pages of one mm that are in mergeable vmas. Under the third option the writer of 2 may fall asleep in another's fault."""
    if s.proc[p].state != PROCESS_RUNNING:
        return OK
    for v in range(s.vma.shape[1]):
        if s.vma[p, v].mergeable and s.vma[p, v].anon_vma:
            result = break_ksm(s, p, v)
            if result:
                s.ksm.waiting = p + 1
                return result
    return OK


def knob_store(s: State, p: int, v: int, n: int, c: int) -> int:
    """The files use_zero_pages, max_page_sharing and smart_scan; `c` is knob * 1000 + number."""
    knob = c // 1000
    number = c % 1000
    if knob == KNOB_MAX_PAGE_SHARING:
        return max_page_sharing_store(s, number)
    if knob == KNOB_SMART_SCAN and not s.kernel.ksm_smart_scan:
        return -ENOENT
    if number > 1:
        return -EINVAL
    if knob == KNOB_USE_ZERO_PAGES:
        s.ksm.use_zero_pages = number
    else:
        s.ksm.smart_scan = number
    return OK


def max_page_sharing_store(s: State, number: int) -> int:
    """max_page_sharing_store(): at least 2, and only while nothing is shared."""
    if number < 2:
        return -EINVAL
    if number == s.ksm.max_page_sharing:
        return OK
    if s.ksm.pages_shared or remove_all_stable_nodes(s):
        return -EBUSY
    s.ksm.max_page_sharing = number
    return OK
