"""What is told of a test that did not go well."""

from breakcow.backend.model import Call
from breakcow.report.failure import innermost, lines
from breakcow.suite.record import Reason
from report.samples import EACH, sample

CALLS = (
    Call(0, "ksm_madvise", "mm/ksm.c", "UNMERGEABLE", "0"),
    Call(1, "unmerge_ksm_pages", "mm/ksm.c", "x..y", "0"),
    Call(2, "break_ksm", "mm/ksm.c", "x", "0"),
    Call(3, "handle_mm_fault", "mm/memory.c", "WRITE|REMOTE", "VM_FAULT_SIGBUS"),
    Call(2, "break_ksm", "mm/ksm.c", "y", "0"),
    Call(3, "handle_mm_fault", "mm/memory.c", "WRITE|REMOTE", "VM_FAULT_SIGBUS"),
)
BROKEN = EACH[3]


def told(*calls: Call) -> list[str]:
    return [line.text for line in lines(BROKEN, calls)]


def test_the_failing_line_is_marked_and_only_it() -> None:
    assert [text for text in told() if text.startswith(">")] == [">   7  A  expect not ksm x y"]


def test_expected_stands_beside_observed_for_each_page() -> None:
    shown = told()
    assert "line 7, A x: expected  not ksm" in shown
    assert "             observed  frame 0, = 7, ksm" in shown
    assert "  A x: frame 0, = 7, ksm, protected, mapped 2 times   expected not ksm" in shown
    assert "  A y: frame 0, = 7, ksm, protected, mapped 2 times   expected not ksm" in shown


def test_events_and_console_of_the_step_are_shown() -> None:
    assert "seen after the step: ok, event wp A x" in told()
    assert "  console: a WARNING" in told()


def test_the_path_into_the_model_reads_from_the_inside() -> None:
    assert [call.function for call in innermost(CALLS)] == ["handle_mm_fault", "break_ksm", "unmerge_ksm_pages", "ksm_madvise"]
    shown = told(*CALLS)
    assert "the model, in this step: handle_mm_fault <- break_ksm <- unmerge_ksm_pages <- ksm_madvise" in shown
    assert "        handle_mm_fault(WRITE|REMOTE) = VM_FAULT_SIGBUS  [mm/memory.c]" in shown


def test_the_last_line_repeats_the_test() -> None:
    assert told()[-1] == "repeat: breakcow run ksm/unmerge --on host"
    odd = sample("broken", source="my tests/a[b=1].litmus")
    assert [line.text for line in lines(odd)][-1] == "repeat: breakcow run 'my tests/a[b=1].litmus' --on model:6.1"


def test_nothing_of_a_test_reaches_the_terminal_raw() -> None:
    evil = sample(
        "broken", "\x1b[2J", "ho\x1bst", reasons=(Reason("model", 0, 2, "\x1b", "\x1b", "\x1b", "\x1b", "\n"),), unobserved=("\x07",)
    )
    assert not [line for line in lines(evil) if set(line.text) & set("\x1b\x07\n")]


def test_a_promise_is_told_by_name() -> None:
    reason = Reason("promise", 0, 6, "unmerge-leaves-no-ksm", "kept", "A x is a KSM page after MADV_UNMERGEABLE", "A", "x")
    shown = [line.text for line in lines(sample("broken", reasons=(reason,)))]
    assert "line 6, A x: promise unmerge-leaves-no-ksm is broken: A x is a KSM page after MADV_UNMERGEABLE" in shown


def test_calls_that_only_read_fields_are_left_out() -> None:
    shown = told(*CALLS, Call(4, "is_anon_page", "pgtable.py", "", "1"), Call(0, "vm_end", "vma.py", "", "2"))
    assert shown == told(*CALLS)


def test_the_console_of_a_lost_kernel_is_shown() -> None:
    shown = [line.text for line in lines(sample("broken", reasons=(), observations=(), console="Kernel panic\n\x1bend\n"))]
    assert shown[1:3] == ["console: Kernel panic", "console: \\x1bend"]
