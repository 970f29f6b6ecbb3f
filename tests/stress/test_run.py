"""From what the agent says to a verdict, and from that to words: recorded answers, said again."""

from collections.abc import Iterator

import pytest

from breakcow.backend.abilities import Abilities
from breakcow.backend.errors import LostBackend
from breakcow.stress import Options, Run, Stressed
from breakcow.stress.words import lines

FINDING = {
    "process": "3.1",
    "pid": 77,
    "operation": "unmerge",
    "page": 4,
    "address": 0x1000004000,
    "promise": "unmerge-leaves-no-ksm",
    "cause": "unmerge-uffd-wp",
    "expected": "no KSM page after MADV_UNMERGEABLE returned 0",
    "found": "a KSM page",
    "known": "present protected",
}
SUMMARY = {"seconds": 2.0, "operations": 500, "stores": 300, "known": {"unmerge-uffd-wp": 5}}
DONE = {"done": True, "summary": SUMMARY}


class Recorded:
    """Says what a kernel's agent once said; an exception ends it."""

    name = "vm:6.1"

    def __init__(self, release: str, answers: list[dict[str, object] | LostBackend], lacking: str = "") -> None:
        self.release, self.answers, self.lacking = release, answers, lacking

    def probe(self) -> Abilities:
        return Abilities(self.release, {"root": "", "ksm": self.lacking, "uffd-wp": ""})

    def converse(self, request: dict[str, object], seconds: float) -> Iterator[dict[str, object]]:
        assert request == {"stress": {"seconds": 2, "operations": 0, "seed": 9, "processes": 3}}
        for answer in self.answers:
            if isinstance(answer, LostBackend):
                raise answer
            yield answer


def judged(release: str, *answers: dict[str, object] | LostBackend, lacking: str = "") -> Stressed:
    run = Run(Recorded(release, list(answers), lacking), Options(2, 0, 9, 3))
    run.go(lambda _: None)
    return run.result()


def said(run: Stressed) -> str:
    return "\n".join(line.text for line in lines(run))


def test_a_bug_that_a_later_release_mends_is_known() -> None:
    run = judged("6.1.0", {"finding": FINDING}, DONE)
    assert (run.verdict, run.why) == ("known", "fixed in 6.2 (6cce3314b928)")
    assert "  5 times: MADV_UNMERGEABLE left a KSM page that userfaultfd write-protects" in said(run)
    assert "process 3.1 (pid 77), unmerge, page 4 at 0x1000004000" in said(run)
    assert "500 (250 a second) operations in 2.0 s" in said(run)


def test_the_same_on_a_kernel_that_has_the_fix_is_broken() -> None:
    run = judged("6.12.0", {"finding": FINDING}, DONE)
    assert run.verdict == "broken"
    assert "this kernel should have the fix" in said(run)


def test_a_finding_without_a_cause_is_broken_and_told_at_length() -> None:
    run = judged("6.1.0", {"finding": FINDING | {"cause": ""}}, {"finding": FINDING}, DONE)
    assert run.verdict == "broken"
    text = said(run)
    assert "unmerge-leaves-no-ksm is broken: process 3.1" in text
    assert "    expected  no KSM page after MADV_UNMERGEABLE returned 0\n    found     a KSM page\n" in text
    assert "the process knew of the page: present protected" in text
    assert text.endswith("repeat: breakcow stress --on vm:6.1 --seconds 2 --seed 9 --processes 3")


def test_a_warning_of_the_kernel_is_broken_and_other_words_are_not() -> None:
    assert judged("6.1.0", {"console": "something slow\n"}, DONE).verdict == "ok"
    run = judged("6.1.0", {"console": "WARNING: CPU: 0 PID: 1 at mm/ksm.c:1\n"}, DONE)
    assert (run.verdict, run.why) == ("broken", "the kernel printed: WARNING: CPU: 0 PID: 1 at mm/ksm.c:1")


def test_a_kernel_that_panics_is_broken_and_a_machine_that_is_lost_an_error() -> None:
    panic = LostBackend("the agent ended")
    panic.console = "Kernel panic - not syncing: oops\n"
    assert judged("6.1.0", {"progress": SUMMARY}, panic).verdict == "broken"
    lost = judged("6.1.0", {"progress": SUMMARY}, LostBackend("QEMU was killed"))
    assert (lost.verdict, lost.why, lost.summary.operations) == ("error", "QEMU was killed", 500)


def test_what_a_kernel_lacks_is_a_skip() -> None:
    run = judged("6.1.0", lacking="there is no KSM")
    assert (run.verdict, run.why) == ("skip", "there is no KSM")


@pytest.mark.parametrize("interrupted", [True, False])
def test_an_interrupted_run_says_so(interrupted: bool) -> None:
    run = Run(Recorded("6.1.0", [DONE]), Options(2, 0, 9, 3))
    run.go(lambda _: None)
    assert run.result(interrupted).why.startswith("interrupted; until then all as promised") == interrupted
