"""break_ksm(), mm/ksm.c, in its three forms: the fake write fault, FAULT_FLAG_UNSHARE, and what the review weighed between them."""

from breakcow.mm.flags import (
    BLOCKED,
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_KILLABLE,
    FAULT_FLAG_REMOTE,
    FAULT_FLAG_UNSHARE,
    FAULT_FLAG_WRITE,
    OK,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
    VM_FAULT_WRITE,
)
from breakcow.mm.memory import handle_mm_fault
from breakcow.mm.pgtable import is_anon_page, is_ksm_zero_pte
from breakcow.mm.schema import State

BREAK_FAKE_WRITE = 0  # values of the behaviour break_ksm
BREAK_UNSHARE = 1
BREAK_WRITE_RETRY = 2  # the third option of the review: the old write fault, with ALLOW_RETRY


def break_ksm(s: State, p: int, v: int) -> int:
    """break_ksm(): fault until no KSM page is mapped here. A SIGBUS ends the loop and counts as success: the bug of 5.10, 6.1."""
    while ksm_page_mapped(s, p, v):
        fault = handle_mm_fault(s, p, v, break_ksm_flags(s))
        if fault & VM_FAULT_RETRY:
            return BLOCKED
        if fault & (VM_FAULT_WRITE | VM_FAULT_SIGBUS):
            break
    return OK


def break_ksm_flags(s: State) -> int:
    """How break_ksm() faults on this kernel."""
    if s.kernel.break_ksm == BREAK_UNSHARE:
        return FAULT_FLAG_UNSHARE | FAULT_FLAG_REMOTE
    if s.kernel.break_ksm == BREAK_FAKE_WRITE:
        return FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE
    return FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE


def ksm_page_mapped(s: State, p: int, v: int) -> int:
    """What break_ksm() looks for: a KSM page, and since 6.6 a zero page that KSM placed. In 6.1 to 6.4 PROT_NONE hides it."""
    pte = s.pte[p, v]
    if is_ksm_zero_pte(s, pte):
        return 1
    if not is_anon_page(pte):
        return 0
    if s.kernel.break_ksm_misses_protnone and s.vma[p, v].prot == 0:
        return 0
    return s.page[pte.frame].ksm
