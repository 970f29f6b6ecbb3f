"""`breakcow trace` on kernels in a virtual machine. Kernels that are not cached are skipped."""

import json
from pathlib import Path
from typing import Any

import pytest

from breakcow.backend.vm import VmBackend
from breakcow.backend.vm.kernels import cached
from breakcow.cli.main import run
from breakcow.litmus import program
from breakcow.suite.again import judge_again
from breakcow.suite.corpus import select
from breakcow.suite.record import read

STEP = "15"  # A  madvise x y unmergeable
ABOVE = ["do_madvise", "ksm_madvise", "unmerge_ksm_pages", "break_ksm", "handle_mm_fault", "__handle_mm_fault", "do_wp_page"]


def traced(series: str, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    if series not in {kernel.series for kernel in cached()}:
        pytest.skip(f"needs breakcow kernels fetch {series}")
    assert run(["trace", "ksm/unmerge-uffd-wp", "--on", f"vm:{series}", *words, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def path(step: dict[str, Any], function: str) -> list[str]:
    """The kernel's functions from the outermost to the first call of `function`, that included."""
    calls = [row["kernel"] for row in step["calls"] if row["kernel"]]
    at = next(number for number, call in enumerate(calls) if call["function"] == function)
    chain = [calls[at]]
    for call in reversed(calls[:at]):
        if call["depth"] < chain[-1]["depth"]:
            chain.append(call)
    return [call["function"] for call in reversed(chain)]


def words(step: dict[str, Any], side: str, function: str) -> list[str]:
    return [row[side]["words"] for row in step["calls"] if row[side] and row[side]["function"] == function]


@pytest.mark.vm
def test_on_6_1_break_ksm_runs_into_the_userfaultfd_and_swallows_its_sigbus(capsys: pytest.CaptureFixture[str]) -> None:
    (step,) = traced("6.1", capsys, "--step", STEP)["steps"]
    assert path(step, "handle_userfault")[-len(ABOVE) - 1 :] == [*ABOVE, "handle_userfault"]
    assert words(step, "kernel", "handle_mm_fault") == [f"handle_mm_fault({page}, WRITE|REMOTE) = SIGBUS" for page in ("x", "y")]
    assert words(step, "kernel", "handle_userfault") == ["handle_userfault(WRITE|REMOTE|ORIG_PTE_VALID) = SIGBUS"] * 2  # 881
    assert words(step, "kernel", "break_ksm") == ["break_ksm(x) = 0", "break_ksm(y) = 0"]
    assert {row["mark"] for row in step["calls"] if row["kernel"] and row["kernel"]["function"] in (*ABOVE, "handle_userfault")} == {"="}
    assert step["seen"] == ["ok"]


@pytest.mark.vm
@pytest.mark.long
def test_on_6_12_break_ksm_unshares_and_no_userfaultfd_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    found = traced("6.12", capsys)
    assert found["model"] == "6.12"
    (step,) = [step for step in found["steps"] if step["line"] == int(STEP)]
    assert words(step, "kernel", "handle_mm_fault") == [f"handle_mm_fault({page}, REMOTE|UNSHARE) = 0" for page in ("x", "y")]
    assert words(step, "kernel", "handle_userfault") == []
    assert "SIGBUS" not in json.dumps(step)
    assert not any(row["mark"] == "!" for other in found["steps"] for row in other["calls"])
    scans = [step for step in found["steps"] if step["text"].endswith("ksm scan 2")]
    assert words(scans[-1], "kernel", "ksm:ksm_merge_with_ksm_page") == ["ksm:ksm_merge_with_ksm_page(error=0)"] * 2
    assert path(scans[-1], "ksm:ksm_merge_with_ksm_page")[0] == "ksm_scan_thread"


@pytest.mark.vm
@pytest.mark.long
def test_one_guest_is_traced_twice_with_equal_results_so_no_probe_was_left() -> None:
    ((test, _),) = select(("ksm/unmerge-uffd-wp",))
    if "6.1" not in {kernel.series for kernel in cached()}:
        pytest.skip("needs breakcow kernels fetch 6.1")
    told = []
    with VmBackend("6.1", lambda _: None) as guest:
        for _ in range(2):
            guest.run(program(test), 30, (0, 8))
            told.append(guest.traced)
    assert told[0] == told[1]
    assert [call.function for call in told[0][8].calls].count("handle_userfault") == 2


@pytest.mark.vm
@pytest.mark.long
def test_a_run_puts_the_path_of_what_went_wrong_into_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "6.1" not in {kernel.series for kernel in cached()}:
        pytest.skip("needs breakcow kernels fetch 6.1")
    file = tmp_path / "run.jsonl"
    tests = ["ksm/unmerge-uffd-wp", "fork/child-outlives-parent"]
    assert run(["run", *tests, "--on", "vm:6.1", "--trace", "--jsonl", str(file)]) == 0
    assert "   =                 handle_userfault(WRITE|REMOTE|ORIG_PTE_VALID) = SIGBUS  |" in capsys.readouterr().out
    bad, fine = read(file)
    assert [call.function for call in bad.trace[8].calls].count("handle_userfault") == 2
    assert list(bad.trace) == [8]
    assert fine.verdict == "ok"
    assert fine.trace == {}
    assert judge_again(bad) == bad


def test_a_line_in_which_nothing_happens_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", "ksm/unmerge-uffd-wp", "--on", "vm:6.1", "--step", "11"]) == 2
    assert "nothing happens in that line; steps of ksm/unmerge-uffd-wp are in 8, 9, 10" in capsys.readouterr().err


def test_a_model_alone_and_many_tests_are_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", "ksm/unmerge-uffd-wp", "--on", "model:6.1"]) == 2
    assert "name a kernel, as host or vm:6.1" in capsys.readouterr().err
    assert run(["trace", "ksm", "--on", "vm:6.1"]) == 2
    assert "one is traced at a time" in capsys.readouterr().err
