"""The action table: every operation a litmus test can make, named once for everybody.

The litmus parser reads the patterns, the agents execute the verbs by name, the explorer and the conformance generator loop over the
parameters, and `step` looks up the rule of `mm/` that stands for the kernel. Pure data: importing it imports no rule.
"""

from dataclasses import dataclass

FEATURES = {
    "user-mode-only": 1,  # UFFD_USER_MODE_ONLY, a flag of userfaultfd(2)
    "sigbus": 2,  # UFFD_FEATURE_SIGBUS
    "event-fork": 4,  # UFFD_FEATURE_EVENT_FORK
    "event-remap": 8,  # UFFD_FEATURE_EVENT_REMAP
    "wp-unpopulated": 16,  # UFFD_FEATURE_WP_UNPOPULATED
    "wp-async": 32,  # UFFD_FEATURE_WP_ASYNC
}
PROTECTIONS = {"none": 0, "r": 1, "rw": 3}  # PROT_NONE, PROT_READ, PROT_READ|PROT_WRITE as in mman.h
SCANS = {  # what PAGEMAP_SCAN is asked for, in category_mask and return_mask unless said otherwise
    "written": 0,  # PAGE_IS_WRITTEN
    "written-protect": 1,  # and PM_SCAN_WP_MATCHING
    "written-protect-async": 2,  # and PM_SCAN_CHECK_WPASYNC
    "protect": 3,  # PM_SCAN_WP_MATCHING and PM_SCAN_CHECK_WPASYNC, nothing to be reported
    "any-written": 4,  # PAGE_IS_WRITTEN in category_anyof_mask
    "not-written": 5,  # PAGE_IS_WRITTEN in category_inverted
    "present": 6,  # PAGE_IS_PRESENT
    "swapped": 7,  # PAGE_IS_SWAPPED
    "zero": 8,  # PAGE_IS_PFNZERO
    "soft-dirty": 9,  # PAGE_IS_SOFT_DIRTY
}
KNOBS = {"use_zero_pages": 1, "max_page_sharing": 2, "smart_scan": 3}  # files of /sys/kernel/mm/ksm
LIMITS = {"processes": 6, "pages": 12, "steps": 200, "scans": 20}  # of one litmus test


@dataclass(frozen=True, slots=True)
class Verb:
    """One operation.

    name: the word of the wire protocol and of the agent, unique.
    pattern: how it is written after the process in a litmus test. `{each}`: pages, one action for each; `{range}`: pages, one system
        call for each contiguous run; `{value}`: a page content 0..255; `{process}`, `{prot}`, `{features}` (a possibly empty list),
        `{scan}`, `{knob}`, `{number}`: what FEATURES, PROTECTIONS, SCANS and KNOBS name.
    rule: `file.function` in `mm/` that executes it, called with (s, p, v, n, c): state, process, first page, pages, argument.
    meaning: one line for the documentation.
    kernel: True if the actor is `-` (ksmd, an administrator) and not a process.
    """

    name: str
    pattern: str
    rule: str
    meaning: str
    kernel: bool = False


VERBS = (
    Verb("write", "write {each} {value}", "fault.store", "store to every byte of the page from user mode"),
    Verb("read", "read {each}", "fault.load", "load the page from user mode"),
    Verb("copy_to_user", "copy_to_user {each} {value}", "uaccess.copy_to_user", "read(2) of a file into the page"),
    Verb("mem_write", "mem_write {each} {value}", "gup.mem_write", "pwrite(2) to /proc/self/mem (FOLL_FORCE)"),
    Verb("process_vm_readv", "process_vm_readv {each}", "gup.process_vm_readv", "a transient read pin (FOLL_PIN)"),
    Verb("process_vm_writev", "process_vm_writev {each} {value}", "gup.process_vm_writev", "a transient write pin"),
    Verb("mergeable", "madvise {range} mergeable", "madvise.mergeable", "MADV_MERGEABLE"),
    Verb("unmergeable", "madvise {range} unmergeable", "madvise.unmergeable", "MADV_UNMERGEABLE"),
    Verb("dontneed", "madvise {range} dontneed", "madvise.dontneed", "MADV_DONTNEED"),
    Verb("dontfork", "madvise {range} dontfork", "madvise.dontfork", "MADV_DONTFORK"),
    Verb("dofork", "madvise {range} dofork", "madvise.dofork", "MADV_DOFORK"),
    Verb("pageout", "madvise {range} pageout", "madvise.pageout", "MADV_PAGEOUT"),
    Verb("populate_read", "madvise {range} populate_read", "madvise.populate_read", "MADV_POPULATE_READ"),
    Verb("populate_write", "madvise {range} populate_write", "madvise.populate_write", "MADV_POPULATE_WRITE"),
    Verb("merge_any", "prctl memory_merge {number}", "ksm.set_memory_merge", "prctl(PR_SET_MEMORY_MERGE), 1 or 0"),
    Verb("mprotect", "mprotect {range} {prot}", "mprotect.mprotect", "mprotect(2)"),
    Verb("mremap", "mremap {each}", "mremap.mremap", "mremap(2) to a fresh address; the page keeps its name"),
    Verb("munmap", "munmap {range}", "vma.munmap", "munmap(2)"),
    Verb("fork", "fork {process}", "fork.fork", "fork(2); the child gets the name"),
    Verb("spawn", "spawn {process}", "fork.spawn", "fork(2), and execve(2) in the child: as much memory, but its own, and untouched"),
    Verb("exit", "exit", "fork.do_exit", "exit(2)"),
    Verb("clear_refs", "clear_refs", "task_mmu.clear_refs", "write 4 to /proc/self/clear_refs"),
    Verb("pagemap_scan", "pagemap_scan {range} {scan}", "task_mmu.pagemap_scan", "PAGEMAP_SCAN of /proc/PID/pagemap"),
    Verb("uffd_open", "uffd open {features}", "userfaultfd.new_userfaultfd", "userfaultfd(2) and UFFDIO_API"),
    Verb("uffd_register", "uffd register {range} wp", "userfaultfd.userfaultfd_register", "UFFDIO_REGISTER, write-protect mode"),
    Verb("uffd_protect", "uffd protect {range}", "userfaultfd.writeprotect_on", "UFFDIO_WRITEPROTECT, MODE_WP"),
    Verb("uffd_release", "uffd release {range}", "userfaultfd.writeprotect_off", "UFFDIO_WRITEPROTECT, no MODE_WP: wakes"),
    Verb("uffd_unregister", "uffd unregister {range}", "userfaultfd.userfaultfd_unregister", "UFFDIO_UNREGISTER"),
    Verb("uffd_close", "uffd close", "userfaultfd.userfaultfd_release", "close(2) of the userfaultfd"),
    Verb("pin", "pin {each}", "gup.pin", "register as io_uring fixed buffer (FOLL_WRITE|FOLL_LONGTERM)"),
    Verb("unpin", "unpin {each}", "gup.unpin", "unregister the fixed buffer"),
    Verb("dma", "dma {each} {value}", "gup.dma", "the device stores into the fixed buffer (READ_FIXED)"),
    Verb("vmsplice", "vmsplice {each}", "gup.vmsplice", "vmsplice(2) into a pipe: a reference, no pin"),
    Verb("drain", "drain {each}", "gup.drain", "read the pipe empty: the reference is gone"),
    Verb(
        "begin", "begin mem_write {each} {value}", "gup.gup_begin", "another thread's mem_write, up to where it drops the page table lock"
    ),
    Verb("retry", "retry", "gup.gup_retry", "that thread goes on: one more look at the page, and the fault or the store"),
    Verb("ksm_scan", "ksm scan {number}", "ksm_scan.ksm_do_scans", "that many full scans of ksmd", kernel=True),
    Verb("ksm_run", "ksm run {number}", "ksm.run_store", "write 0, 1 or 2 to /sys/kernel/mm/ksm/run", kernel=True),
    Verb("ksm_set", "ksm set {knob} {number}", "ksm.knob_store", "write a file of /sys/kernel/mm/ksm", kernel=True),
)
VERB = {verb.name: verb for verb in VERBS}
BIRTHS = frozenset(verb.name for verb in VERBS if "{process}" in verb.pattern)  # of these a process is born
