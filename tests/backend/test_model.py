"""The specification as a backend."""

import itertools

import msgspec
import pytest

from backend.programs import MERGED, REUSE, UNMERGE, flat
from breakcow.backend.model import MOST_PATHS, Call, ModelBackend, ModelError, flag_names, lacking
from breakcow.backend.observation import Observation, Outcome
from breakcow.kernel import PROFILES
from breakcow.litmus import parse, program
from breakcow.litmus.program import Program
from breakcow.litmus.requirements import REQUIREMENTS
from breakcow.mm.schema import State

THIRD = ModelBackend(PROFILES["6.1"].but(break_ksm=2))


def last(backend: ModelBackend, text: str) -> Observation:
    return backend.run(flat(text))[-1]


def model(name: str) -> ModelBackend:
    return ModelBackend(PROFILES[name])


@pytest.mark.parametrize("name", PROFILES)
def test_what_a_kernel_lacks_is_said_in_a_sentence(name: str) -> None:
    abilities = model(name).probe()
    assert abilities.release == PROFILES[name].release
    assert set(abilities.abilities) == set(REQUIREMENTS)
    assert not abilities.abilities["thp"]
    assert not abilities.abilities["root"] and not abilities.abilities["ksm"]
    assert bool(abilities.abilities["soft-dirty"]) is (not PROFILES[name].mem_soft_dirty)
    assert bool(abilities.abilities["smart-scan"]) is (not PROFILES[name].ksm_smart_scan)


def test_every_lack_is_of_one_behaviour() -> None:
    everything = {word for word, why in lacking(PROFILES["6.12"]).items() if why}
    for name, word in (
        ("mem_soft_dirty", "soft-dirty"),
        ("ksm_zero_pages_unmerge", "ksm-zero-pages"),
        ("uffd_user_mode_only", "uffd-user-mode-only"),
        ("uffd_wp_unpopulated", "uffd-wp-unpopulated"),
        ("uffd_wp_async", "uffd-wp-async"),
        ("madv_populate", "populate"),
        ("ksm_smart_scan", "smart-scan"),
    ):
        assert {word for word, why in lacking(PROFILES["6.12"].but(**{name: 0})).items() if why} == everything | {word}


def test_one_observation_for_each_action() -> None:
    program = flat(UNMERGE)
    seen = model("6.12").run(program)
    assert len(seen) == len(program.actions)
    assert {(one.outcome.result, one.outcome.value, one.outcome.pages) for one in seen} == {("ok", None, None)}
    assert [one.outcome.faults for one in seen if one.outcome.faults is not None] == [1] * sum(
        action.verb == "write" for action in program.actions
    )


def test_the_bug_and_its_fix() -> None:
    for name, same in (("5.10", True), ("6.1", True), ("6.12", False), ("7.2", False)):
        seen = last(model(name), UNMERGE)
        pages = seen.processes["A"].pages
        assert (pages["x"].frame == pages["y"].frame) is same
        assert seen.outcome == Outcome("ok")
        assert pages["x"].uffd_wp and not seen.events


@pytest.mark.parametrize(("name", "words"), [("5.10", "81"), ("6.1", "881")])
def test_what_a_kernel_with_debug_vm_would_print(name: str, words: str) -> None:
    assert last(model(name), UNMERGE).console == f"FAULT_FLAG_ALLOW_RETRY missing {words}"
    assert last(model("6.12"), UNMERGE).console == ""


def test_mappings_are_areas() -> None:
    (first, second) = (model("6.1").run(flat(text, memory))[-1] for text, memory in (("A read x", "x y"), ("A read x", "x y\nmemory z")))
    assert set(first.processes["A"].pages) == {"x", "y"}
    assert set(second.processes["A"].pages) == {"x", "y", "z"}
    text = MERGED + "A uffd open; A uffd register x y wp; A uffd protect x y"
    assert model("6.1").run(flat(text, "x y"))[-1].outcome == Outcome("ok")
    assert len(flat(text, "x\nmemory y").actions) == len(flat(text, "x y").actions) + 3, "one call for each mapping"


def test_5_10_may_reuse_or_copy() -> None:
    program = flat(REUSE)
    moved = [path[-1].processes["A"].pages["x"].moved for path in model("5.10").paths(program)]
    assert sorted(moved) == [False, True]
    assert model("5.10").run(program) == next(path for path in model("5.10").paths(program) if not path[-1].processes["A"].pages["x"].moved)
    (only,) = model("6.12").paths(program)
    assert only == model("6.12").run(program)


def test_a_search_of_ksmd_past_a_page_without_access_has_two_ends() -> None:
    program = flat("A write x 1; A write y 2; A write z 1; A madvise x y z mergeable; A mprotect y none; - ksm scan 1; - ksm scan 1")
    ends = {kernel: [path[-1].processes["A"].pages["x"].moved for path in model(kernel).paths(program)] for kernel in ("6.1", "6.12")}
    assert (sorted(ends["6.1"]), ends["6.12"]) == ([False, True], [True])


def test_a_search_of_ksmd_past_a_page_that_was_split_away_has_two_ends() -> None:
    steps = "A write v x y z 0\nA madvise v w x y z mergeable\n-  ksm scan 2\n"
    (test,) = parse("litmus a/b\n    T.\n\nmemory huge v w\nmemory x y\nmemory z\n\n" + steps)
    ends = {kernel: {path[-1].processes["A"].pages["y"].moved for path in model(kernel).paths(program(test))} for kernel in ("6.18", "7.2")}
    assert ends == {"6.18": {False, True}, "7.2": {False, True}}


def test_choices_of_one_step_multiply() -> None:
    program = flat("A write x y z 7; A clear_refs; A madvise x y z populate_write")
    backend = ModelBackend(PROFILES["5.10"].but(madv_populate=1))
    moved = {tuple(page.moved for page in path[-1].processes["A"].pages.values()) for path in backend.paths(program)}
    assert len(moved) == 8


def test_paths_end_somewhere() -> None:
    program = flat(REUSE + "; A clear_refs; A write x 9" * 8)
    paths = model("5.10").paths(program)
    assert len(paths) == MOST_PATHS
    assert len({msgspec.json.encode(path) for path in paths}) == MOST_PATHS


@pytest.mark.parametrize("name", PROFILES)
def test_a_kernel_is_allowed_what_its_model_does(name: str) -> None:
    for text in (UNMERGE, REUSE):
        program = flat(text)
        for path in model(name).paths(program):
            assert model(name).check(program, path) is None


def test_a_path_that_is_none_of_the_kernels_is_told_by_its_first_difference() -> None:
    program = flat(UNMERGE + "; A write x 9")
    seen = model("6.1").run(program)
    found = model("6.12").check(program, seen)
    assert found is not None
    assert found.step == len(program.actions) - 2
    assert (found.process, found.page) == ("A", "x")


def test_the_nearest_of_all_allowed_is_what_is_told() -> None:
    program = flat(REUSE)
    (copied,) = (path for path in model("5.10").paths(program) if path[-1].processes["A"].pages["x"].moved)
    process = copied[-1].processes["A"]
    page = msgspec.structs.replace(process.pages["x"], content=5)
    bent = (
        *copied[:-1],
        msgspec.structs.replace(copied[-1], processes={"A": msgspec.structs.replace(process, pages=process.pages | {"x": page})}),
    )
    found = model("5.10").check(program, bent)
    assert found is not None
    assert (found.step, found.field, found.expected, found.observed) == (2, "content", "8", "5"), "not: moved"


def test_an_observation_that_ends_early_is_checked_as_far_as_it_goes() -> None:
    program = flat(UNMERGE)
    assert model("6.12").check(program, model("6.12").run(program)[:3]) is None


def chain(calls: tuple[Call, ...], name: str) -> list[str]:
    """The callers of the first call of `name`, outermost first, itself last."""
    index = next(i for i, call in enumerate(calls) if call.function == name)
    names = [calls[index].function]
    depth = calls[index].depth
    for call in reversed(calls[:index]):
        if call.depth == depth - 1:
            names.insert(0, call.function)
            depth -= 1
    return names


@pytest.mark.parametrize("name", ["5.10", "6.1"])
def test_the_call_path_of_the_review(name: str) -> None:
    program = flat(UNMERGE)
    calls = model(name).trace(program, len(program.actions) - 1)
    path = chain(calls, "handle_userfault")
    middle = [
        "unmerge_ksm_pages",
        "break_ksm",
        "handle_mm_fault",
        "__handle_mm_fault",
        "handle_pte_fault",
        "do_wp_page",
        "handle_userfault",
    ]
    assert path == ["unmergeable", "do_madvise", "madvise_vma_behavior", "ksm_madvise", *middle]
    trap = next(call for call in calls if call.function == "handle_userfault")
    assert trap.result == "SIGBUS"
    assert trap.file == "userfaultfd.py"
    assert set(trap.arguments.split(", ")[-1].split("|")) == {"WRITE", "REMOTE"} | ({"ORIG_PTE_VALID"} if name == "6.1" else set())
    assert next(call for call in calls if call.function == "break_ksm").result == "0", "and nobody hears of it"


def test_the_fixed_kernel_takes_another_path() -> None:
    program = flat(UNMERGE)
    calls = model("6.12").trace(program, len(program.actions) - 1)
    names = [call.function for call in calls]
    assert "handle_userfault" not in names
    fault = next(call for call in calls if call.function == "handle_mm_fault")
    assert "UNSHARE" in fault.arguments and fault.result == "0"


def test_a_trace_shows_rules_only_and_each_call_ends() -> None:
    program = flat(MERGED)
    for number in range(len(program.actions)):
        calls = model("6.12").trace(program, number)
        assert calls[0].depth == 0
        assert all(after.depth <= before.depth + 1 for before, after in itertools.pairwise(calls))
        assert not {call.file for call in calls} & {"step.py", "ghost.py", "promises.py", "schema.py", "dispatch.py"}


def test_the_names_of_flags() -> None:
    assert flag_names(0x881, "FAULT_FLAG_") == "WRITE|REMOTE|ORIG_PTE_VALID"
    assert flag_names(0x402, "VM_FAULT_") == "SIGBUS|RETRY"
    assert flag_names(0, "VM_FAULT_") == ""


def test_the_third_option_sends_an_event_for_a_write_that_never_happened() -> None:
    seen = last(THIRD, UNMERGE)
    assert seen.outcome == Outcome("blocked")
    assert [(event.kind, event.process, event.page) for event in seen.events] == [("wp", "A", "x")]
    assert seen.processes["A"].state == "blocked"


def test_the_third_option_blocks_the_administrator_and_ksmd() -> None:
    text = UNMERGE.replace("A madvise x y unmergeable", "- ksm run 2")
    assert last(THIRD, text).outcome == Outcome("blocked")
    assert last(THIRD, text).processes["A"].state == "running"
    assert last(THIRD, text + "; - ksm scan 1").outcome == last(THIRD, text + "; - ksm set use_zero_pages 1").outcome == Outcome("busy")
    released = last(THIRD, text + "; A uffd release x y")
    pages = released.processes["A"].pages
    assert pages["x"].frame != pages["y"].frame
    assert released.counters["pages_shared"] == 0


def test_the_third_option_deadlocks_if_the_handler_unmerges() -> None:
    """The process that asked sleeps until its page is released; a second request of it, by the handler, never starts."""
    asked = UNMERGE.replace("A madvise x y unmergeable", "A madvise x unmergeable; A madvise y unmergeable")
    *_, first, second = THIRD.run(flat(asked))
    assert first.outcome == Outcome("blocked")
    assert second.outcome == Outcome("busy")
    assert second.processes["A"].state == "blocked"


def test_a_child_of_an_old_kernel_reads_what_its_parent_stored_later() -> None:
    """CVE-2020-29374."""
    program = flat("A write x 1; A fork B; B vmsplice x; B munmap x; A write x 2")
    for profile, held in ((PROFILES["5.10"].but(wp_reuse=0), 2), (PROFILES["5.10"], 1), (PROFILES["6.1"], 1)):
        assert ModelBackend(profile).run(program)[-1].processes["B"].spliced == {"x": held}


@pytest.mark.parametrize(("field", "sentence"), [("write", "the entry of process 0, page 0"), ("pages_shared", "the counters contradict")])
def test_a_specification_that_contradicts_itself_says_so(field: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = model("6.12")
    program = flat("A read x")

    def start(program: Program) -> State:
        state = ModelBackend._start(backend, program)
        if field == "write":
            state.pte[0, 0].present = state.pte[0, 0].write = 1
        else:
            state.ksm.pages_shared = 1
        return state

    monkeypatch.setattr(backend, "_start", start)
    with pytest.raises(ModelError, match=sentence):
        backend.run(program)
