"""What a kernel itself did in one action, as its agent tells it."""

import msgspec


class KernelCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of a kernel function, or one tracepoint passed in it.

    task: whose work it was: a process of the test, "ksmd", or "agent" (who writes to userfaultfds and to the files of KSM). depth: 0 for
    what begins a path. arguments: "flags" is FAULT_FLAG_* as a number, "page" the name of a page; "since" marks the mere end of a call
    that began in an earlier step. result: as the kernel returned it; None if it returns nothing, had not returned, or is only known
    from the path of another.
    """

    task: str
    depth: int
    function: str
    arguments: dict[str, int | str] = {}
    result: int | None = None


class Traced(msgspec.Struct, frozen=True, omit_defaults=True):
    """calls: in order of beginning. lost: how many events are not told. how: what this kernel cannot show, as a sentence; "" if nothing."""

    calls: tuple[KernelCall, ...] = ()
    lost: int = 0
    how: str = ""
