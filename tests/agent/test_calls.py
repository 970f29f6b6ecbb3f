"""Traces as kernels write them, turned into calls."""

from breakcow.agent.calls import Calls

HEAD = "# tracer: nop\n#\n# entries-in-buffer/entries-written: 9/9   #P:1\n#\n"
BELOW_THE_TRACER = ["kprobe_trace_func", "kprobe_dispatcher", "aggr_pre_handler", "kprobe_ftrace_handler", "0xffffffffc052c0c8"]


def place(address: int) -> str | None:
    return {0x1000000000: "x", 0x1000001000: "y"}.get(address)


def event(pid: int, said: str) -> str:
    return f"   breakcow-te-st-{pid}      [000] .....     4.828000: {said}\n"


def called(pid: int, said: str, *path: str) -> str:
    """An event and the path that led to it, innermost first."""
    return event(pid, said) + event(pid, "<stack trace>") + "".join(f" => {frame}\n" for frame in (*BELOW_THE_TRACER, *path))


def outline(text: str, pid: int = 7) -> list[tuple[int, str, dict[str, int | str], int | None]]:
    seen = Calls(HEAD + text, place).seen()
    return [(call.depth, call.function, call.arguments, call.result) for who, call in seen if who == pid]


FAULT = "handle_mm_fault: (handle_mm_fault+0x0/0x2d0) address=0x1000000000 flags=0x81"
BREAK = ("break_ksm", "unmerge_ksm_pages", "do_madvise", "__x64_sys_madvise", "do_syscall_64", "entry_SYSCALL_64_after_hwframe")


def test_a_call_is_below_what_called_it_and_what_brings_system_calls_in_is_left_out() -> None:
    text = called(7, FAULT, "handle_mm_fault", *BREAK)
    assert outline(text) == [
        (0, "__x64_sys_madvise", {}, None),
        (1, "do_madvise", {}, None),
        (2, "unmerge_ksm_pages", {}, None),
        (3, "break_ksm", {}, None),
        (4, "handle_mm_fault", {"page": "x", "flags": 0x81}, None),
    ]


def test_a_return_gives_the_result_to_the_innermost_open_call() -> None:
    text = called(7, "break_ksm: (break_ksm+0x0/0xd0) address=0x1000000000", *BREAK)
    text += called(7, FAULT, "handle_mm_fault", *BREAK)
    text += event(7, "r_handle_mm_fault: (break_ksm+0x6f/0xd0 <- handle_mm_fault) result=0x2")
    text += event(7, "r_break_ksm: (unmerge_ksm_pages+0x6f/0xd0 <- break_ksm) result=0")
    text += called(7, "break_ksm: (break_ksm+0x0/0xd0) address=0x1000001000", *BREAK)
    assert outline(text)[3:] == [
        (3, "break_ksm", {"page": "x"}, 0),
        (4, "handle_mm_fault", {"page": "x", "flags": 0x81}, 2),
        (3, "break_ksm", {"page": "y"}, None),
    ]


def test_a_path_that_a_kretprobe_or_a_tail_call_cut_is_below_what_is_open() -> None:
    text = called(7, FAULT, "handle_mm_fault", *BREAK)
    text += called(7, "do_wp_page: (do_wp_page+0x0/0x470)", "do_wp_page", "handle_mm_fault", "[unknown/kretprobe'd]")
    text += called(7, "wp_page_copy: (wp_page_copy+0x0/0x7e0)", "wp_page_copy", "[unknown/kretprobe'd]")
    assert [call[:2] for call in outline(text)[4:]] == [(4, "handle_mm_fault"), (5, "do_wp_page"), (6, "wp_page_copy")]


def test_faults_in_other_memory_are_hidden_with_all_that_they_call_and_all_that_led_there() -> None:
    text = called(7, FAULT.replace("0x1000000000", "0x7fe130e54000"), "handle_mm_fault", "do_user_addr_fault", "asm_exc_page_fault")
    text += called(7, "do_wp_page: (do_wp_page+0x0/0x380)", "do_wp_page", "handle_mm_fault", "do_user_addr_fault", "asm_exc_page_fault")
    assert outline(text) == []


def test_a_call_that_began_before_is_told_by_its_end() -> None:
    assert outline(event(7, "r_handle_userfault: (do_wp_page+0x6f/0xd0 <- handle_userfault) result=0x400")) == [
        (0, "handle_userfault", {"since": "an earlier step"}, 0x400)
    ]


def test_the_flags_of_a_userfault_are_where_this_kernel_has_them() -> None:
    old = called(7, "handle_userfault: (handle_userfault+0x0/0x9) early=0x81 late=0x1d2a8000", "handle_userfault")
    new = called(7, "handle_userfault: (handle_userfault+0x0/0x9) early=0x100cca late=0x881", "handle_userfault")
    assert [outline(text)[0][2] for text in (old, new)] == [{"flags": 0x81}, {"flags": 0x881}]


def test_a_tracepoint_is_below_the_function_it_is_in_and_shows_no_address() -> None:
    said = "ksm_merge_with_ksm_page: ksm_page 00000000d1f1c8a5 pfn 4711 rmap_item 00000000aa mm 00000000bb error -14"
    path = ("trace_event_raw_event_ksm_merge_with_ksm_page", "try_to_merge_with_ksm_page", "ksm_scan_thread", "kthread")
    text = event(9, said) + event(9, "<stack trace>") + "".join(f" => {frame}\n" for frame in path)
    assert outline(text, 9) == [
        (0, "ksm_scan_thread", {}, None),
        (1, "try_to_merge_with_ksm_page", {}, None),
        (2, "ksm:ksm_merge_with_ksm_page", {"error": -14}, None),
    ]


def test_a_fault_of_the_processor_is_told_by_page_and_kind() -> None:
    text = event(7, "page_fault_user: address=0x1000001000 ip=0x400123 error_code=0x6") + event(7, "<stack trace>")
    text += " => trace_event_raw_event_exceptions\n => exc_page_fault\n => asm_exc_page_fault\n"
    assert outline(text) == [(0, "exc_page_fault", {}, None), (1, "exceptions:page_fault_user", {"page": "y", "error_code": 6}, None)]


def test_a_fault_in_a_system_call_is_below_it() -> None:
    path = ("do_user_addr_fault", "exc_page_fault", "asm_exc_page_fault", "_copy_to_iter", "ksys_pread64", "do_syscall_64")
    text = called(7, FAULT, "handle_mm_fault", *path)
    assert [call[1] for call in outline(text)] == [
        "ksys_pread64",
        "_copy_to_iter",
        "exc_page_fault",
        "do_user_addr_fault",
        "handle_mm_fault",
    ]


def test_tasks_do_not_mix() -> None:
    text = called(7, FAULT, "handle_mm_fault", *BREAK)
    text += called(8, FAULT, "handle_mm_fault", "faultin_page")
    text += event(7, "r_handle_mm_fault: (break_ksm+0x6f/0xd0 <- handle_mm_fault) result=0x2")
    assert [call[3] for call in outline(text, 7) if call[1] == "handle_mm_fault"] == [2]
    assert [call[3] for call in outline(text, 8) if call[1] == "handle_mm_fault"] == [None]


def test_what_the_buffer_lost_is_counted() -> None:
    assert Calls("# entries-in-buffer/entries-written: 372/400   #P:1\n", place).lost == 28
