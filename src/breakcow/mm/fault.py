"""The processor's page faults, arch/x86/mm/fault.c: what a load or a store of the program itself does."""

from breakcow.mm.flags import (
    BLOCKED,
    FAULT_FLAG_DEFAULT,
    FAULT_FLAG_USER,
    FAULT_FLAG_WRITE,
    OK,
    PROT_READ,
    PROT_WRITE,
    SIGBUS,
    SIGSEGV,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
)
from breakcow.mm.huge_memory import pmd_mkdirty
from breakcow.mm.memory import handle_mm_fault
from breakcow.mm.schema import State


def access_error(s: State, p: int, v: int, write: int) -> int:
    """access_error(): no vma, or one that does not permit the access."""
    vma = s.vma[p, v]
    if not vma.mapped:
        return 1
    if write:
        return 0 if vma.prot & PROT_WRITE else 1
    return 0 if vma.prot & PROT_READ else 1


def load(s: State, p: int, v: int, n: int, c: int) -> int:
    """A load of the whole page in user mode."""
    result = do_user_addr_fault(s, p, v, 0, FAULT_FLAG_USER)
    if result == OK:
        s.step.value = s.page[s.pte[p, v].frame].content
    return result


def store(s: State, p: int, v: int, n: int, c: int) -> int:
    """A store of content `c` to the whole page in user mode."""
    result = do_user_addr_fault(s, p, v, 1, FAULT_FLAG_USER)
    if result == OK:
        s.page[s.pte[p, v].frame].content = c
    return result


def do_user_addr_fault(s: State, p: int, v: int, write: int, mode: int) -> int:
    """do_user_addr_fault(): fault until the entry permits the access. `mode` is FAULT_FLAG_USER, or 0 for a copy in the kernel."""
    if access_error(s, p, v, write):
        return SIGSEGV
    flags = FAULT_FLAG_DEFAULT | mode
    if write:
        flags |= FAULT_FLAG_WRITE
    pte = s.pte[p, v]
    while not pte.present or (write and not pte.write):
        fault = handle_mm_fault(s, p, v, flags)
        if fault & VM_FAULT_RETRY:
            return BLOCKED
        if fault & VM_FAULT_SIGBUS:
            return SIGBUS
        s.step.faults += 1  # mm_account_fault()
    if write:
        pte.dirty = 1  # by the processor; soft-dirty is software's and was set when the entry became writable
        if pte.huge:
            pmd_mkdirty(s, p, v)
    return OK
