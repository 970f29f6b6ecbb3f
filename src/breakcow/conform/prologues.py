"""Where tours begin: programs that bring memory into the states that matter, so that few steps from there reach what matters."""

from breakcow.explore.bound import NUMBER, Bound, Operation
from breakcow.mm.actions import VERB

PROLOGUES: dict[str, tuple[tuple[str, str, int], ...]] = {  # name -> (process, operation on all pages, argument)
    "untouched": (),
    "written": (("A", "write", 1),),
    "merged": (("A", "write", 1), ("A", "mergeable", 0), ("-", "ksm_scan", 1), ("-", "ksm_scan", 1)),
    "protected": (("A", "write", 1), ("A", "uffd_open", 0), ("A", "uffd_register", 0), ("A", "uffd_protect", 0)),
    "merged and protected": (
        *(("A", "write", 1), ("A", "mergeable", 0), ("-", "ksm_scan", 1), ("-", "ksm_scan", 1)),
        *(("A", "uffd_open", 0), ("A", "uffd_register", 0), ("A", "uffd_protect", 0)),
    ),
    "forked": (("A", "write", 1), ("A", "fork", 1)),
    "merged and forked": (*(("A", "write", 1), ("A", "mergeable", 0), ("-", "ksm_scan", 1), ("-", "ksm_scan", 1), ("A", "fork", 1)),),
    "protected and forked with event": (
        *(("A", "write", 1), ("A", "uffd_open", 4), ("A", "uffd_register", 0), ("A", "uffd_protect", 0), ("A", "fork", 1)),
    ),
    "pinned": (("A", "write", 1), ("A", "pin", 0)),
    "zeros merged": (*(("-", "ksm_set", 1001), ("A", "write", 0), ("A", "mergeable", 0), ("-", "ksm_scan", 1), ("-", "ksm_scan", 1)),),
    "soft-dirty cleared": (("A", "write", 1), ("A", "clear_refs", 0)),
}


def prologue(name: str, bound: Bound) -> tuple[Operation, ...]:
    """The operations of a prologue on all pages of `bound`."""
    found = []
    for process, verb, argument in PROLOGUES[name]:
        p = 0 if process == "-" else ord(process) - ord("A")
        pattern = VERB[verb].pattern
        ranges = [(v, 1) for v in range(bound.pages)] if "{each}" in pattern else [(0, bound.pages if "{range}" in pattern else 0)]
        found += [Operation(NUMBER[verb], p, v, n, argument, 0) for v, n in ranges]
    return tuple(found)
