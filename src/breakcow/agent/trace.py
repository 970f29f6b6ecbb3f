"""What the kernel itself does in an action: the calls that fault, share and unshare pages, with their paths, arguments and results.

Kprobes show all of that. A kernel without them has its tracepoints: the page faults of user space and, since 6.12, what KSM does.
"""

from collections.abc import Callable, Iterable

from .calls import RETURNED, Call, Calls
from .tracefs import Instance, TraceError

# function -> (arguments as a kprobe fetches them: the third is %dx, the second %si, the first %di; type of its result, "" for none)
FUNCTIONS = {
    "handle_mm_fault": ("address=%si:x64 flags=%dx:x32", "x32"),
    "__handle_mm_fault": ("", "x32"),
    "do_anonymous_page": ("", "x32"),
    "do_wp_page": ("", "x32"),
    "wp_page_reuse": ("", ""),
    "wp_page_copy": ("", "x32"),
    "handle_userfault": ("early=+8(%di):x32 late=+40(%di):x32", "x32"),
    "faultin_page": ("", "s32"),
    "follow_page_pte": ("", ""),
    "ksm_madvise": ("", "s32"),
    "unmerge_ksm_pages": ("", "s32"),
    "break_ksm": ("address=%si:x64", "s32"),
    "break_cow": ("", ""),
    "run_store": ("", ""),
    "try_to_merge_one_page": ("", "s32"),
    "try_to_merge_with_ksm_page": ("", "s32"),
    "write_protect_page": ("", "s32"),
    "replace_page": ("", "s32"),
    "stable_tree_append": ("", ""),
    "remove_rmap_item_from_tree": ("", ""),
    "mwriteprotect_range": ("", ""),
    "userfaultfd_release": ("", ""),
    "dup_userfaultfd": ("", "s32"),
    "copy_page_range": ("", "s32"),
    "mprotect_fixup": ("", "s32"),
    "move_page_tables": ("", ""),
    "unmap_page_range": ("", ""),
    "clear_refs_write": ("", ""),
}
KSM_EVENTS = (
    "ksm/ksm_merge_one_page",
    "ksm/ksm_merge_with_ksm_page",
    "ksm/ksm_remove_ksm_page",
    "ksm/ksm_remove_rmap_item",
    "ksm/ksm_enter",
    "ksm/ksm_exit",
)
FAULT_EVENTS = ("exceptions/page_fault_user", "exceptions/page_fault_kernel")
NO_KPROBES = "this kernel has no kprobes: only its tracepoints are shown, without the flags and results of faults"
BUFFER_KB = 4096
MOST_CALLS = 2000  # of one action that are told

Json = dict[str, object]


class Tracer:
    """Traces the actions of one run. `actions`: their indexes, none for all. Raises TraceError if this kernel cannot be traced."""

    def __init__(self, actions: Iterable[int]) -> None:
        self.actions = frozenset(actions)
        self.instance = Instance()
        try:
            self.how = "" if self._kprobes() else NO_KPROBES
            for event in KSM_EVENTS + (FAULT_EVENTS if self.how else ()):
                if self.instance.has(f"events/{event}"):
                    self._event(event)
            self.instance.write("buffer_size_kb", str(BUFFER_KB))
        except OSError as error:
            self.close()
            raise TraceError(f"this kernel cannot be traced: {error.filename}: {error.strerror}") from None

    def close(self) -> None:
        """No probe and no buffer is left when this returns."""
        self.instance.close()

    def wants(self, action: int) -> bool:
        """Is this action to be traced?"""
        return not self.actions or action in self.actions

    def begin(self, pids: Iterable[int]) -> None:
        """Trace these processes from now on."""
        self.instance.write("set_event_pid", " ".join(map(str, pids)))
        self.instance.write("trace", "")
        self.instance.write("tracing_on", "1")

    def end(self, names: dict[int, str], place: Callable[[int], str | None]) -> Json:
        """Stop, and tell what was seen, as JSON of backend.trace.Traced. names: of the processes. place: names the page at an address."""
        self.instance.write("tracing_on", "0")
        calls = Calls(self.instance.read("trace"), place)
        seen = [(pid, call) for pid, call in calls.seen() if pid in names]
        told = [_told(names[pid], call) for pid, call in seen[:MOST_CALLS]]
        return {"calls": told, "lost": calls.lost + max(0, len(seen) - MOST_CALLS), "how": self.how}

    def _kprobes(self) -> bool:
        """Set a probe on the call and the return of each function that this kernel lets us; False if it has no kprobes."""
        if not self.instance.kprobes():
            return False
        group = self.instance.name
        for function, (arguments, result) in FUNCTIONS.items():
            fetched = f" result=$retval:{result}" if result else ""
            # the probe that is defined last comes first: it shall see the return address that the other one takes
            if self.instance.probe(f"r:{group}/{RETURNED}{function} {function}{fetched}"):
                self.instance.probe(f"p:{group}/{function} {function} {arguments}")
        found = [function for function in FUNCTIONS if self.instance.has(f"events/{group}/{function}")]
        for function in found:
            self.instance.write(f"events/{group}/{RETURNED}{function}/enable", "1")
            self._event(f"{group}/{function}")
        return "handle_mm_fault" in found

    def _event(self, name: str) -> None:
        """Have an event recorded with the path that led to it."""
        self.instance.write(f"events/{name}/trigger", "stacktrace")
        self.instance.write(f"events/{name}/enable", "1")


def _told(task: str, call: Call) -> Json:
    """A call as JSON of backend.trace.KernelCall."""
    return {"task": task, "depth": call.depth, "function": call.function, "arguments": call.arguments, "result": call.result}
