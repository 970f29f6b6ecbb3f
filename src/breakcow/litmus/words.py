"""The words of the language that are not operations: claims, counters, outcomes; and the words that cannot name a page."""

from dataclasses import dataclass

from breakcow.mm.actions import FEATURES, KNOBS, PROTECTIONS, SCANS, VERBS


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of claim is written: the fewest pages it takes (0: none at all), whether a value is compared; and what it means."""

    pages: int
    value: bool
    meaning: str


KINDS = {
    "content": Kind(1, True, "every byte of the page has this value: written without a word, `x = 7`"),
    "present": Kind(1, False, "a page is mapped, not the shared zero page"),
    "none": Kind(1, False, "the page table holds no page"),
    "zero": Kind(1, False, "the shared zero page is mapped"),
    "swapped": Kind(1, False, "the page is swapped out"),
    "same": Kind(2, False, "the pages share one frame"),
    "moved": Kind(1, False, "the page has another frame than before the last step"),
    "ksm": Kind(1, False, "the page is a KSM page (KPF_KSM)"),
    "protected": Kind(1, False, "the page is write-protected by userfaultfd (pagemap bit 57)"),
    "soft-dirty": Kind(1, False, "the page reads soft-dirty (pagemap bit 55)"),
    "huge": Kind(1, False, "a PMD maps the page, with all of its huge page"),
    "writable": Kind(1, False, "the page table entry is writable; only the specification shows it"),
    "dirty": Kind(1, False, "the page table entry is dirty; only the specification shows it"),
    "exclusive": Kind(1, False, "the page is exclusive to its process (PageAnonExclusive); only the specification shows it"),
    "pinned": Kind(1, True, "what the device sees through its pin of the page"),
    "spliced": Kind(1, True, "what the pipe holds of the page"),
    "event": Kind(1, False, "the last step raised a write-protect event for the page; `no event`: it raised none at all"),
    "reported": Kind(1, False, "the last step was a `pagemap_scan` and reported the page"),
    "blocked": Kind(0, False, "the process of the line waits in handle_userfault()"),
    "exited": Kind(0, False, "the process of the line has exited"),
}
CLAIMS = [kind for kind in KINDS if kind != "content"] + ["counter"]  # the words that start a claim
COUNTERS = {
    "pages_shared": "/sys/kernel/mm/ksm/pages_shared",
    "pages_sharing": "/sys/kernel/mm/ksm/pages_sharing",
    "ksm_zero_pages": "/sys/kernel/mm/ksm/ksm_zero_pages",
    "cow_ksm": "cow_ksm of /proc/vmstat: by how much the last step raised it",
    "ksm_merging_pages": "ksm_merging_pages of /proc/PID of the process of the line",
}
OF_A_PROCESS = "ksm_merging_pages"
ERRNOS = (
    *("EPERM", "ENOENT", "ESRCH", "EINTR", "EIO", "ENXIO", "E2BIG", "EBADF", "EAGAIN", "ENOMEM", "EACCES", "EFAULT", "EBUSY", "EEXIST"),
    *("ENODEV", "EINVAL", "ENFILE", "EMFILE", "ENOTTY", "ENOSPC", "EPIPE", "ERANGE", "ENOSYS", "EOPNOTSUPP"),
)
OUTCOMES = {"ok": "ok", "blocks": "blocked", "SIGBUS": "SIGBUS", "SIGSEGV": "SIGSEGV"} | {name: name for name in ERRNOS}  # text -> AST
RESERVED = {*KINDS, "not", "no", "counter", "expect", *FEATURES, *KNOBS, *PROTECTIONS, *SCANS} | {
    w for v in VERBS for w in v.pattern.split()
}
