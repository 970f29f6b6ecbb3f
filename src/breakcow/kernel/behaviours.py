"""Every difference between kernels that the specification asks about: its meaning, its values, and the commit that changed it.

Citations are in the form `Linux kernel commit <12 hex> ("<subject>") (in vX.Y)`; where the commit could not be checked, the entry names the
releases between which the sources differ.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """name: attribute of `s.kernel`. meaning: one line. values: value -> words. source: who changed it, and when."""

    name: str
    meaning: str
    values: tuple[str, ...]
    source: str


BEHAVIOURS = (
    Behaviour(
        "break_ksm",
        "how break_ksm() unshares a KSM page",
        ("fake-write", "unshare", "write-retry"),
        'Linux kernel commit 6cce3314b928 ("mm/ksm: fix KSM COW breaking with userfaultfd-wp via FAULT_FLAG_UNSHARE") (in v6.2); '
        "write-retry is the third option of its review, in no kernel",
    ),
    Behaviour(
        "break_ksm_misses_protnone",
        "follow_page() refuses the entries of a PROT_NONE mapping, so that break_ksm() finds no page there",
        ("no", "yes"),
        'Linux kernel commit d74943a2f3cd ("mm/gup: reintroduce FOLL_NUMA as FOLL_HONOR_NUMA_FAULT") (in v6.5); broken since v6.1',
    ),
    Behaviour(
        "wp_reuse",
        "when a write fault takes over an anonymous page instead of copying it",
        ("mapcount is 1", "page_count is 1", "exclusive"),
        'Linux kernel commit 09854ba94c6a ("mm: do_wp_page() simplification") (in v5.9); '
        'Linux kernel commit 6c287605fd56 ("mm: remember exclusively mapped anonymous pages with PG_anon_exclusive") (in v5.19)',
    ),
    Behaviour(
        "gup_cow_drops_write",
        "GUP goes on as for a load once a forced store has broken COW, and looks at the page anew",
        ("no", "yes"),
        'Linux kernel commit 19be0eaffa3a ("mm: remove gup_flags FOLL_WRITE games from __get_user_pages()") (in v4.9), CVE-2016-5195',
    ),
    Behaviour(
        "gup_unshare",
        "a read-only pin unshares a page that is not exclusive (FAULT_FLAG_UNSHARE)",
        ("no", "yes"),
        "the FAULT_FLAG_UNSHARE series (in v5.19); absent in the source of 5.10, present in 6.1",
    ),
    Behaviour(
        "unshare_zero_page",
        "FAULT_FLAG_UNSHARE replaces the zero page by a private page",
        ("no", "yes"),
        'Linux kernel commit 8d6a0ac09a16 ("mm: extend FAULT_FLAG_UNSHARE support to anything in a COW mapping") (in v6.2)',
    ),
    Behaviour(
        "ksm_zero_pages_unmerge",
        "a zero page that KSM placed is marked dirty, counted, and broken by unmerging",
        ("no", "yes"),
        'Linux kernel commit 79271476b336 ("ksm: support unsharing KSM-placed zero pages") (in v6.6)',
    ),
    Behaviour(
        "ksm_checksum_first",
        "a page passes the checksum gate before it is looked up in the stable tree",
        ("no", "yes"),
        "between v6.1 and v6.12: cmp_and_merge_page() in mm/ksm.c",
    ),
    Behaviour(
        "ksm_smart_scan",
        "ksmd has smart_scan",
        ("no", "yes"),
        "between v6.1 and v6.12: should_skip_rmap_item() in mm/ksm.c",
    ),
    Behaviour(
        "ksm_stable_forgets",
        "a page that left a stable node, or was broken because its equal could not be merged, is as one that ksmd never saw",
        ("no", "yes"),
        "between v7.2 and v7.3: linear_page_index lies over oldchecksum and age in struct ksm_rmap_item, mm/ksm.c",
    ),
    Behaviour(
        "ksm_merge_any",
        "prctl has PR_SET_MEMORY_MERGE, kept by fork and exec",
        ("no", "yes"),
        'Linux kernel commit d7597f59d1d3 ("mm: add new api to enable ksm per process") (in v6.4)',
    ),
    Behaviour(
        "ksm_fork_copies_merging",
        "a child starts with its parent's ksm_merging_pages, and its zero pages that KSM placed are not counted",
        ("no", "yes"),
        'Linux kernel commit 4d6fc29f3634 ("mm/ksm: fix incorrect KSM counter handling in mm_struct during fork") (in v6.18), backported; '
        "absent before 5.19, which has no such counters",
    ),
    Behaviour(
        "fault_orig_pte_valid",
        "faults carry FAULT_FLAG_ORIG_PTE_VALID (0x800), so the warning prints 881 and not 81",
        ("no", "yes"),
        "between v5.10 and v6.1: handle_pte_fault() in mm/memory.c",
    ),
    Behaviour(
        "cow_frees_swap_cache",
        "a page that was copied by all who mapped it leaves the swap cache; before, a KSM page stays there, for ksmd to merge with",
        ("no", "yes"),
        "between v5.10 and v6.1: wp_page_copy() in mm/memory.c",
    ),
    Behaviour(
        "fault_write_result",
        "a completed copy-on-write returns VM_FAULT_WRITE",
        ("no", "yes"),
        "between v6.1 and v6.12: do_wp_page() in mm/memory.c",
    ),
    Behaviour(
        "mprotect_writable",
        "which read-only entries mprotect() to read-write makes writable at once",
        ("none", "exclusive and dirty", "exclusive"),
        "between v5.10, v6.1 and v6.12: can_change_pte_writable() in mm/mprotect.c",
    ),
    Behaviour(
        "vma_merge_either_way",
        "a vma with anonymous pages merges into a neighbour that has none; before, only the neighbour's anon_vma was taken over",
        ("no", "yes"),
        "between v6.12 and v6.16: is_mergeable_anon_vma() in mm/vma.c",
    ),
    Behaviour(
        "mremap_many_vmas",
        "mremap() moves what lies in several vmas, one by one; before, it fails",
        ("no", "yes"),
        'Linux kernel commit d23cb648e365 ("mm/mremap: permit mremap() move of multiple VMAs") (in v6.17)',
    ),
    Behaviour(
        "pt_reclaim",
        "MADV_DONTNEED frees the page table of a whole huge region, so that the next fault may bring a huge page",
        ("no", "yes"),
        "between v6.12 and v6.16: zap_pte_range() in mm/memory.c",
    ),
    Behaviour(
        "mprotect_drops_account",
        "a vma without an anonymous page that becomes read-only loses VM_ACCOUNT, so that it merges with fewer neighbours",
        ("no", "yes"),
        "between v6.1 and v6.12: mprotect_fixup() in mm/mprotect.c",
    ),
    Behaviour(
        "uffd_wp_resolve_writable",
        "releasing a protection makes the entry of an exclusive page writable at once",
        ("no", "yes"),
        "between v6.1 and v6.12: uffd_wp_range() in mm/userfaultfd.c",
    ),
    Behaviour(
        "uffd_wp_many_vmas",
        "one UFFDIO_WRITEPROTECT may span several vmas",
        ("no", "yes"),
        "between v6.1 and v6.12: mwriteprotect_range() in mm/userfaultfd.c",
    ),
    Behaviour(
        "uffd_close_resets",
        "close() of the userfaultfd clears the uffd-wp bits",
        ("no", "yes"),
        'Linux kernel commit c88033efe9a3 ("mm/userfaultfd: reset ptes when close() for wr-protected ones") (in v6.9), backported',
    ),
    Behaviour(
        "uffd_unregister_resets",
        "UFFDIO_UNREGISTER clears the uffd-wp bits",
        ("no", "yes"),
        'Linux kernel commit f369b07c8614 ("mm/uffd: reset write protection when unregister with wp-mode") (in v6.0)',
    ),
    Behaviour(
        "mremap_clears_uffd_wp",
        "mremap() clears the uffd-wp bits of a mapping that loses its userfaultfd",
        ("no", "yes"),
        'Linux kernel commit 0cef0bb836e3 ("mm: clear uffd-wp PTE/PMD state on mremap()") (in v6.13), backported',
    ),
    Behaviour(
        "fork_copies_uffd_wp",
        "fork copies the entries of a registered vma that never had an anonymous page",
        ("no", "yes"),
        "between v5.10 and v6.1: vma_needs_copy() in mm/memory.c",
    ),
    Behaviour(
        "swapin",
        "when a page that is swapped in is its process's own, and whether it is writable at once",
        ("no other entry stands for it", "its entry is exclusive", "its entry is exclusive, writable also for a load"),
        'Linux kernel commit 1493a1913e34 ("mm/swap: remember PG_anon_exclusive via a swp pte bit") (in v5.19); '
        "between v6.1 and v6.12: do_swap_page() in mm/memory.c",
    ),
    Behaviour(
        "uffd_user_mode_only", "userfaultfd(2) has UFFD_USER_MODE_ONLY", ("no", "yes"), "after v5.10: include/uapi/linux/userfaultfd.h"
    ),
    Behaviour(
        "uffd_wp_unpopulated",
        "userfaultfd has UFFD_FEATURE_WP_UNPOPULATED",
        ("no", "yes"),
        "between v6.1 and v6.12: include/uapi/linux/userfaultfd.h",
    ),
    Behaviour(
        "uffd_wp_async",
        "userfaultfd has UFFD_FEATURE_WP_ASYNC",
        ("no", "yes"),
        "between v6.1 and v6.12: include/uapi/linux/userfaultfd.h",
    ),
    Behaviour(
        "pagemap_scan",
        "/proc/PID/pagemap has PAGEMAP_SCAN",
        ("no", "yes"),
        'Linux kernel commit 52526ca7fdb9 ("fs/proc/task_mmu: implement IOCTL to get and optionally clear info about PTEs") (in v6.7)',
    ),
    Behaviour(
        "pagemap_scan_hole_written",
        "PAGEMAP_SCAN reports an address where nothing is mapped as written, whichever way it is asked",
        ("no", "yes"),
        'Linux kernel commit 07b4377bdbe7 ("fs/proc/task_mmu: fix PAGEMAP_SCAN written state for unpopulated ptes") (in v7.2), backported',
    ),
    Behaviour(
        "pagemap_scan_written_if_registered",
        "PAGEMAP_SCAN reports a page as written only where a userfaultfd is registered for write-protection",
        ("no", "yes"),
        "between v7.2 and v7.3: PAGE_IS_WRITTEN in fs/proc/task_mmu.c",
    ),
    Behaviour(
        "madv_populate",
        "madvise has MADV_POPULATE_READ and MADV_POPULATE_WRITE",
        ("no", "yes"),
        "after v5.10: mm/madvise.c",
    ),
    Behaviour(
        "madv_populate_skips_holes",
        "prefaulting goes on behind a hole and gives ENOMEM at the end, instead of ending there",
        ("no", "yes"),
        "between v6.1 and v6.12: madvise_populate() in mm/madvise.c was called for each vma",
    ),
    Behaviour(
        "io_uring_unlockable",
        "registering a fixed buffer may wait in handle_userfault() instead of failing with EFAULT",
        ("no", "yes"),
        "between v6.1 and v6.12: io_pin_pages() uses pin_user_pages_fast()",
    ),
    Behaviour(
        "proc_mem_force",
        "a write to /proc/PID/mem overrides page protections (FOLL_FORCE)",
        ("no", "yes"),
        "a build option since v6.12 (PROC_MEM_ALWAYS_FORCE); Debian sets it to ptrace-only since 7.1",
    ),
    Behaviour(
        "mem_soft_dirty",
        "the kernel tracks soft-dirty (CONFIG_MEM_SOFT_DIRTY)",
        ("no", "yes"),
        "a build option",
    ),
    Behaviour(
        "wp_reuse_large",
        "when a write fault takes over a page of a huge page that base-page entries map, and that is not known to be exclusive",
        ("as a small page", "never", "all references are mappings of its process"),
        "between v6.1 and v6.12, and between v6.12 and v6.16: wp_can_reuse_anon_folio() in mm/memory.c",
    ),
    Behaviour(
        "split_pmd_dirty",
        "splitting a PMD keeps its dirty bit in the entries, which makes all of them soft-dirty",
        ("no", "yes"),
        "between v6.1 and v6.12: __split_huge_pmd_locked() in mm/huge_memory.c",
    ),
    Behaviour(
        "split_folio",
        "what splitting a huge page into base pages keeps of an entry that maps one",
        ("not its dirty bit", "its dirty bit, and makes it soft-dirty", "its bits, but zeros become the zero page"),
        "between v5.10, v6.1 and v6.12: remove_migration_pte() in mm/migrate.c",
    ),
    Behaviour(
        "mprotect_batch_dirty",
        "changing the protection of several base pages of a huge page at once makes all of them dirty, and soft-dirty, if one is dirty",
        ("no", "yes"),
        "between v6.16 and v6.18: modify_prot_start_ptes() in include/linux/pgtable.h",
    ),
    Behaviour(
        "pageout_large",
        "what MADV_PAGEOUT does to a huge page that base-page entries map, all of which it is asked for",
        ("splits it first", "swaps it out whole"),
        "between v6.1 and v6.12: madvise_cold_or_pageout_pte_range() in mm/madvise.c",
    ),
    Behaviour(
        "swapin_large",
        "what of a huge page that was swapped out whole one fault maps again, and when a store takes all of it over",
        ("one base page", "all of it; where nothing else refers to it", "all of it; never, but the one page that is stored to"),
        "between v6.1 and v6.12, and between v6.18 and v7.0: do_swap_page() in mm/memory.c",
    ),
    Behaviour(
        "swap_zeromap",
        "a page of zeros that is swapped out is not written: it leaves memory at once",
        ("no", "yes"),
        'Linux kernel commit 0ca0c24e3211 ("mm: store zero pages to be swapped out in a bitmap") (in v6.12)',
    ),
    Behaviour(
        "huge_zero_wp",
        "a store to the huge zero page gives the process a huge page, not one base page",
        ("no", "yes"),
        "between v6.12 and v6.16: do_huge_zero_wp_pmd() in mm/huge_memory.c",
    ),
)
NAMES = tuple(behaviour.name for behaviour in BEHAVIOURS)
