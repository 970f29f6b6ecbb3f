"""What a step of a test is in C: the call that makes it, and how it must end."""

from dataclasses import dataclass

from breakcow.litmus.program import Action, Program
from breakcow.litmus.syntax import Step
from breakcow.mm.actions import BIRTHS, FEATURES, KNOBS, SCANS


@dataclass(frozen=True, slots=True)
class Call:
    """A verb in C. needs: the fragment that has the function. text: the call, with holes {process} {page} {count} {argument} {child}."""

    needs: str
    text: str


def _pages(function: str, *more: str) -> Call:
    """A call on a run of pages."""
    return Call(function, f"{function}({', '.join(['{process}', '{page}', '{count}', *more])})")


def _page(needs: str, function: str, *more: str) -> Call:
    """A call on one page."""
    return Call(needs, f"{function}({', '.join(['{process}', '{page}', *more])})")


CALLS = {  # verb of the action table -> how it is made
    "write": _page("write_page", "write_page", "{argument}"),
    "read": _page("read_page", "read_page"),
    "copy_to_user": _page("copy_to_user", "copy_to_user", "{argument}"),
    "mem_write": _page("mem_write", "mem_write", "{argument}"),
    "process_vm_readv": _page("process_vm_readv_page", "process_vm_readv_page"),
    "process_vm_writev": _page("process_vm_writev_page", "process_vm_writev_page", "{argument}"),
    "mergeable": _pages("madvise_pages", "MADV_MERGEABLE"),
    "unmergeable": _pages("madvise_pages", "MADV_UNMERGEABLE"),
    "dontneed": _pages("madvise_pages", "MADV_DONTNEED"),
    "populate_read": _pages("madvise_pages", "MADV_POPULATE_READ"),
    "populate_write": _pages("madvise_pages", "MADV_POPULATE_WRITE"),
    "dontfork": _pages("madvise_pages", "MADV_DONTFORK"),
    "dofork": _pages("madvise_pages", "MADV_DOFORK"),
    "pageout": _pages("pageout_pages"),
    "mprotect": _pages("mprotect_pages", "{argument}"),
    "mremap": _pages("mremap_pages"),
    "munmap": _pages("munmap_pages"),
    "merge_any": Call("merge_any", "merge_any({process}, {argument})"),
    "fork": Call("fork", "fork_process({process}, {argument})"),
    "spawn": Call("spawn", "spawn_process({process}, {argument})"),
    "exit": Call("exit", "exit_process({process})"),
    "pagemap_scan": _pages("pagemap_scan", "{argument}"),
    "clear_refs": Call("clear_refs", "clear_refs({process})"),
    "uffd_open": Call("uffd", "uffd_open({process}, {argument})"),
    "uffd_register": _pages("uffd_register"),
    "uffd_protect": _pages("uffd_writeprotect", "UFFDIO_WRITEPROTECT_MODE_WP"),
    "uffd_release": _pages("uffd_writeprotect", "0"),
    "uffd_unregister": _pages("uffd_unregister"),
    "uffd_close": Call("uffd_close", "uffd_close({process})"),
    "pin": _page("ring", "pin_page"),
    "unpin": _page("unpin", "unpin_page"),
    "dma": _page("dma", "dma", "{argument}"),
    "vmsplice": _page("splice", "vmsplice_page"),
    "drain": _page("drain", "drain_pipe"),
    "ksm_scan": Call("ksm_scan", "ksm_scan()"),
    "ksm_run": Call("ksm_run", 'ksm_run("{argument}")'),
    "ksm_set": Call("ksm", "ksm_write({argument})"),
}
PROTECTIONS = {0: "PROT_NONE", 1: "PROT_READ", 3: "PROT_READ | PROT_WRITE"}
WRITTEN, PROTECT, CHECKED = "PAGE_IS_WRITTEN", "PM_SCAN_WP_MATCHING", "PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC"
SCANNED = {  # scan of the action table -> flags, category_inverted, category_mask, category_anyof_mask, return_mask
    "written": f"0, 0, {WRITTEN}, 0, {WRITTEN}",
    "written-protect": f"{PROTECT}, 0, {WRITTEN}, 0, {WRITTEN}",
    "written-protect-async": f"{CHECKED}, 0, {WRITTEN}, 0, {WRITTEN}",
    "protect": f"{CHECKED}, 0, {WRITTEN}, 0, 0",
    "any-written": f"0, 0, 0, {WRITTEN}, {WRITTEN}",
    "not-written": f"0, {WRITTEN}, {WRITTEN}, 0, {WRITTEN}",
    "present": "0, 0, PAGE_IS_PRESENT, 0, PAGE_IS_PRESENT",
    "swapped": "0, 0, PAGE_IS_SWAPPED, 0, PAGE_IS_SWAPPED",
    "zero": "0, 0, PAGE_IS_PFNZERO, 0, PAGE_IS_PFNZERO",
    "soft-dirty": "0, 0, PAGE_IS_SOFT_DIRTY, 0, PAGE_IS_SOFT_DIRTY",
}
SCAN = {number: SCANNED[name] for name, number in SCANS.items()}
KNOB = {number: name for name, number in KNOBS.items()}
MORE = {"populate_read": ["populate"], "populate_write": ["populate"], "pagemap_scan": ["keep_page_table"]}  # further fragments
DEFINED = ("user-mode-only", "wp-unpopulated", "wp-async")  # features that some headers lack: a fragment defines them


def call(action: Action, program: Program) -> str:
    """The C expression that makes an action."""
    return CALLS[action.verb].text.format(
        process=action.process,
        page=program.pages[action.page],
        count=action.count,
        argument=_argument(action),
    )


def needs(step: Step) -> list[str]:
    """The fragments that a step needs."""
    features = [name for name in DEFINED if step.verb == "uffd_open" and step.argument & FEATURES[name]]
    more = ["expect"] if any_value(step) else []
    return [CALLS[step.verb].needs, *more, *MORE.get(step.verb, ()), *(name.replace("-", "_") for name in features)]


def any_value(step: Step) -> bool:
    """Is it a read that must succeed, whatever it gives?"""
    return step.verb == "read" and step.outcome == "ok" and step.value is None


def outcome(step: Step) -> str:
    """The C expression for how a step must end."""
    if step.value is not None:
        return str(step.value)
    if step.outcome == "ok":
        return "0"
    if step.outcome == "blocked":
        return "BLOCKS"
    return f"GETS({step.outcome})" if step.outcome.startswith("SIG") else f"-{step.outcome}"


def uffd_arguments(features: int) -> str:
    """The flags of userfaultfd(2) and the features of UFFDIO_API that feature bits of the action table ask for."""
    named = [f"UFFD_FEATURE_{name.replace('-', '_').upper()}" for name, bit in FEATURES.items() if features & bit & ~1]
    return f"{'UFFD_USER_MODE_ONLY' if features & 1 else '0'}, {' | '.join(named) or '0'}"


def _argument(action: Action) -> str:
    """The argument of an action, as its call takes it."""
    if action.verb == "mprotect":
        return PROTECTIONS[action.argument]
    if action.verb == "pagemap_scan":
        return SCAN[action.argument]
    if action.verb in BIRTHS:
        return chr(ord("A") + action.argument)
    if action.verb == "uffd_open":
        return uffd_arguments(action.argument)
    if action.verb == "ksm_set":
        return f'"{KNOB[action.argument // 1000]}", "{action.argument % 1000}"'
    return str(action.argument)
