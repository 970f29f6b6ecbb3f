"""Copies between kernel and user, arch/x86/include/asm/uaccess.h: a fault in kernel mode ends in -EFAULT instead of a signal."""

from breakcow.mm.fault import do_user_addr_fault
from breakcow.mm.flags import BLOCKED, EFAULT, OK
from breakcow.mm.schema import State


def copy_to_user(s: State, p: int, v: int, n: int, c: int) -> int:
    """read(2) of a file that holds `c` into the page."""
    result = do_user_addr_fault(s, p, v, 1, 0)
    if result == BLOCKED:
        return BLOCKED
    if result != OK:
        return -EFAULT
    s.page[s.pte[p, v].frame].content = c
    return OK
