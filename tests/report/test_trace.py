"""A kernel's calls beside the model's."""

from breakcow.backend.model import Call
from breakcow.backend.observation import Event, Observation, Outcome
from breakcow.backend.trace import KernelCall, Traced
from breakcow.report.trace import FAULT_FLAGS, VM_FAULTS, as_json, kernel_words, lines, names, pairs
from breakcow.suite.trace import Step

KERNEL = (
    KernelCall("A", 0, "do_madvise"),
    KernelCall("A", 1, "break_ksm", {"page": "x"}, 0),
    KernelCall("A", 2, "follow_page"),
    KernelCall("A", 2, "handle_mm_fault", {"page": "x", "flags": 0x81}, 2),
    KernelCall("A", 3, "handle_userfault", {"flags": 0x881}, 2),
)
MODEL = (
    Call(0, "unmergeable", "madvise.py", "A, x", "0"),
    Call(1, "do_madvise", "madvise.py", "A, x, advice=13", "0"),
    Call(2, "break_ksm", "ksm_break.py", "A, x", "0"),
    Call(3, "ksm_page_mapped", "ksm_break.py", "A, x", "1"),
    Call(3, "page_count", "page_alloc.py", "f=2", "1"),
    Call(3, "handle_mm_fault", "memory.py", "A, x, WRITE|REMOTE", "SIGBUS"),
    Call(4, "handle_userfault", "userfaultfd.py", "A, x, WRITE|REMOTE|ORIG_PTE_VALID", "SIGBUS"),
)
SEEN = Observation(Outcome("ok"), {}, events=(Event("wp", "A", "x"),))


def step(kernel: tuple[KernelCall, ...] = KERNEL, model: tuple[Call, ...] = MODEL, **traced: object) -> Step:
    return Step(15, "A  madvise x unmergeable", 8, SEEN, Traced(kernel, **traced), model)  # type: ignore[arg-type]


def text(*steps: Step) -> list[str]:
    return [line.text for line in lines(steps, "vm:6.1", "6.1")]


def marks(*functions: str, kernel: tuple[KernelCall, ...] = KERNEL, model: tuple[Call, ...] = MODEL) -> list[str]:
    return [pair.mark for pair in pairs(kernel, model) if (pair.kernel or pair.model) and (pair.kernel or pair.model).function in functions]  # type: ignore[union-attr]


def test_flags_and_results_have_the_kernels_names() -> None:
    assert names(0x81, FAULT_FLAGS) == "WRITE|REMOTE"
    assert names(0x480, FAULT_FLAGS) == "REMOTE|UNSHARE"
    assert names(0x881, FAULT_FLAGS) == "WRITE|REMOTE|ORIG_PTE_VALID"
    assert names(0x402, VM_FAULTS) == "SIGBUS|RETRY"
    assert (names(0, FAULT_FLAGS), names(0x10001, FAULT_FLAGS), names(0x80, VM_FAULTS)) == ("0", "WRITE|0x10000", "0x80")


def test_a_call_in_words() -> None:
    assert kernel_words(KERNEL[3]) == "handle_mm_fault(x, WRITE|REMOTE) = SIGBUS"
    assert kernel_words(KernelCall("A", 0, "write_protect_page", {}, -14)) == "write_protect_page() = -EFAULT"
    assert kernel_words(KernelCall("A", 0, "exceptions:page_fault_user", {"page": "x", "error_code": 6})).endswith("(x, WRITE|USER)")
    later = KernelCall("A", 0, "handle_userfault", {"since": "an earlier step"}, 0x400)
    assert kernel_words(later) == "handle_userfault() = RETRY  (called in an earlier step)"


def test_functions_of_both_share_a_row_and_those_of_one_have_their_own() -> None:
    rows = [(pair.kernel and pair.kernel.function, pair.model and pair.model.function) for pair in pairs(KERNEL, MODEL)]
    assert rows == [
        (None, "unmergeable"),
        ("do_madvise", "do_madvise"),
        ("break_ksm", "break_ksm"),
        ("follow_page", None),
        (None, "ksm_page_mapped"),
        ("handle_mm_fault", "handle_mm_fault"),
        ("handle_userfault", "handle_userfault"),
    ]


def test_as_many_functions_as_possible_are_matched() -> None:
    kernel = tuple(KernelCall("ksmd", 0, name) for name in ("remove", "remove", "merge", "protect", "append"))
    model = tuple(Call(0, name, "ksm_scan.py", "", "") for name in ("merge", "protect", "remove", "remove", "append"))
    assert sum(pair.mark == "=" for pair in pairs(kernel, model)) == 3


def test_other_flags_and_another_result_are_marked() -> None:
    assert marks("handle_mm_fault", "handle_userfault") == ["=", "="]
    unshare = (*KERNEL[:3], KernelCall("A", 2, "handle_mm_fault", {"page": "x", "flags": 0x480}, 2), KERNEL[4])
    assert marks("handle_mm_fault", kernel=unshare) == ["!"]
    fine = (*KERNEL[:3], KernelCall("A", 2, "handle_mm_fault", {"page": "x", "flags": 0x81}, 0), KERNEL[4])
    assert marks("handle_mm_fault", kernel=fine) == ["!"]


def test_the_vma_lock_which_the_model_does_not_know_is_no_difference() -> None:
    locked = (*KERNEL[:3], KernelCall("A", 2, "handle_mm_fault", {"page": "x", "flags": 0x1081}, 2), KERNEL[4])
    assert marks("handle_mm_fault", kernel=locked) == ["="]


def test_a_step_shows_its_line_how_it_ended_and_both_columns() -> None:
    shown = text(step())
    assert shown[:2] == [" 15  A  madvise x unmergeable", "     ok, event wp A x"]
    (row,) = [line for line in shown if "handle_userfault" in line]
    left, _, right = row.partition("|  ")
    assert row.startswith("   = ")
    assert "handle_userfault(WRITE|REMOTE|ORIG_PTE_VALID) = SIGBUS" in left
    assert right.strip() == "handle_userfault(A, x, WRITE|REMOTE|ORIG_PTE_VALID) = SIGBUS"


def test_what_only_the_model_is_made_of_is_not_shown() -> None:
    shown = "\n".join(text(step()))
    assert "ksm_page_mapped" not in shown, "no kernel function"
    assert "page_count" not in shown, "reads a field"
    assert "unmergeable(A, x)" in shown, "begins the step"


def test_what_the_kernel_could_not_show_is_said_once_and_what_was_lost_in_its_step() -> None:
    shown = text(step(how="no kprobes here"), step(how="no kprobes here", lost=28))
    assert shown.count("vm:6.1: no kprobes here") == 1
    assert "     28 events of the kernel were lost: the buffer was full" in shown


def test_json_has_every_row() -> None:
    (found,) = as_json([step()])
    assert (found["line"], found["seen"]) == (15, ["ok", "event wp A x"])
    calls = found["calls"]
    assert isinstance(calls, list)
    assert calls[-1]["mark"] == "="
    assert calls[-1]["kernel"] == {"task": "A", "depth": 3, "function": "handle_userfault", "words": kernel_words(KERNEL[4])}
    assert [row["model"] and row["model"]["function"] for row in calls].count("ksm_page_mapped") == 1


def test_nothing_of_a_step_can_steer_a_terminal() -> None:
    odd = Step(1, "A  write x 1 # \x1b[31m", 0, None, Traced((KernelCall("A", 0, "\x1b[2J"),)), ())
    assert not any("\x1b" in line for line in text(odd))
