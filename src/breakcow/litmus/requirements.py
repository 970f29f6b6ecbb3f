"""What a test needs of the machine or of the model that runs it: stated by its author, or implied by what it does."""

from __future__ import annotations

from breakcow.litmus.syntax import Expect, Step, Test
from breakcow.mm.actions import FEATURES, KNOBS

REQUIREMENTS = {
    "ksm": "kernel samepage merging (CONFIG_KSM), and the right to step ksmd",
    "ksm-zero-pages": "KSM counts and unmerges the zero pages that it placed (6.6)",
    "uffd": "userfaultfd(2)",
    "uffd-wp": "write-protection by userfaultfd of anonymous memory (5.7)",
    "uffd-event-fork": "UFFD_FEATURE_EVENT_FORK, which needs CAP_SYS_PTRACE",
    "uffd-user-mode-only": "UFFD_USER_MODE_ONLY (5.11)",
    "uffd-wp-unpopulated": "UFFD_FEATURE_WP_UNPOPULATED (6.4)",
    "uffd-wp-async": "UFFD_FEATURE_WP_ASYNC (6.7)",
    "soft-dirty": "soft-dirty tracking (CONFIG_MEM_SOFT_DIRTY)",
    "io-uring": "io_uring with fixed buffers, for pins that last",
    "populate": "MADV_POPULATE_READ and MADV_POPULATE_WRITE (5.14)",
    "proc-mem-force": "writes to /proc/PID/mem that override page protections (FOLL_FORCE)",
    "root": "the superuser",
    "ksm-bit": "a KPF_KSM bit that is right for every page",
    "uffd-wp-bit": "bit 57 of /proc/PID/pagemap",
    "merge-any": "prctl(PR_SET_MEMORY_MERGE) (6.4)",
    "smart-scan": "the smart_scan knob of KSM (6.7)",
    "model-only": "a rule that only the specification can show: skipped on every real kernel",
    "pagemap-scan": "PAGEMAP_SCAN (6.7)",
    "thp": "transparent huge pages",
    "swap": "a swap area",
}
BY_VERB = {
    "mergeable": "ksm",
    "unmergeable": "ksm",
    "ksm_scan": "ksm",
    "ksm_run": "ksm",
    "ksm_set": "ksm",
    "merge_any": "merge-any",
    "pageout": "swap",
    "populate_read": "populate",
    "populate_write": "populate",
    "clear_refs": "soft-dirty",
    "pagemap_scan": "pagemap-scan",
    "begin": "model-only",
    "retry": "model-only",
    "uffd_open": "uffd",
    "uffd_register": "uffd-wp",
    "uffd_protect": "uffd-wp",
    "uffd_release": "uffd-wp",
    "uffd_unregister": "uffd-wp",
    "pin": "io-uring",
    "unpin": "io-uring",
    "dma": "io-uring",
}
BY_FEATURE = {
    "user-mode-only": "uffd-user-mode-only",
    "event-fork": "uffd-event-fork",
    "wp-unpopulated": "uffd-wp-unpopulated",
    "wp-async": "uffd-wp-async",
}


def requirements(test: Test) -> tuple[str, ...]:
    """All that `test` needs, stated or implied, in the order of `REQUIREMENTS`."""
    needed = set(test.require) | ({"thp"} if test.huge else set())
    for item in test.body:
        if isinstance(item, Step):
            needed |= _implied(item)
        elif isinstance(item, Expect) and any(atom.name == "ksm_zero_pages" for atom in item.atoms):
            needed.add("ksm-zero-pages")
    return tuple(word for word in REQUIREMENTS if word in needed)


def _implied(step: Step) -> set[str]:
    """What one step needs."""
    needed = {BY_VERB[step.verb]} if step.verb in BY_VERB else set()
    if step.verb == "uffd_open":
        needed |= {word for name, word in BY_FEATURE.items() if step.argument & FEATURES[name]}
    if step.verb == "ksm_set" and step.argument // 1000 == KNOBS["smart_scan"]:
        needed.add("smart-scan")
    return needed
