"""What is said of a measured profile. The kernels here are models: they are measured as a real one is."""

import re
from dataclasses import replace

import pytest

from breakcow import litmus
from breakcow.backend.measure import Finding, Measured, measure
from breakcow.backend.model import ModelBackend
from breakcow.kernel import PROFILES
from breakcow.kernel.behaviours import BEHAVIOURS
from breakcow.litmus.syntax import Step
from breakcow.report.profile import as_json, differences, finds, lines


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure(ModelBackend(PROFILES["6.12"]))


def text(measured: Measured) -> list[str]:
    return [line.text for line in lines(measured, "vm:6.12", "6.12.117")]


def unexplained(measured: Measured, behaviour: str) -> Measured:
    """The same kernel, as if no value of a behaviour had fitted."""
    findings = (replace(one, value="", how="no value fits") if one.behaviour == behaviour else one for one in measured.findings)
    return Measured(measured.profile, tuple(findings))


def test_every_behaviour_is_shown_with_its_value_how_it_was_found_and_the_program(measured: Measured) -> None:
    shown = text(measured)
    for behaviour in BEHAVIOURS:
        at = next(number for number, line in enumerate(shown) if line.startswith(f"{behaviour.name} "))
        assert behaviour.values[measured.profile.values[behaviour.name]] in shown[at]
        assert shown[at].endswith(("measured", "as 6.12"))
        assert shown[at + 1].strip() == behaviour.meaning
    assert "      A write x 1; A fork B; A process_vm_readv x" in shown
    assert shown[-1] == "profile: 6.12, as shipped"


def test_a_program_is_broken_only_between_steps(measured: Measured) -> None:
    programs = [line for line in text(measured) if re.match(r" {6}(A|-) ", line)]
    assert len(programs) > len(BEHAVIOURS) / 2
    assert all(step.split()[0] in {"A", "B", "-"} for line in programs for step in line.strip().rstrip(";").split("; "))


def test_a_profile_that_is_not_shipped_is_told_by_what_it_differs_in() -> None:
    patched = measure(ModelBackend(PROFILES["6.1"].but(break_ksm=1)))
    assert differences(patched) == {"break_ksm": ("unshare", "fake-write")}
    shown = text(patched)
    assert shown[-2:] == ["profile: none that is shipped; the nearest is 6.1, but", "    break_ksm: unshare here, fake-write there"]
    found = as_json(patched, "vm:patched", "6.1.170")
    assert (found["profile"], found["nearest"]) == (None, "6.1")
    assert found["differs"] == {"break_ksm": {"kernel": "unshare", "nearest": "fake-write"}}


def test_what_fits_no_value_is_shown_as_a_find_with_a_test_to_run(measured: Measured) -> None:
    odd = unexplained(measured, "gup_unshare")
    assert [one.behaviour for one in finds(odd)] == ["gup_unshare"]
    shown = text(odd)
    at = shown.index("a find: no value of gup_unshare (no, yes) gives what this kernel does in")
    end = next(number for number, line in enumerate(shown) if line.startswith("profile:"))
    (test,) = litmus.parse("\n".join(line.removeprefix("    ") for line in shown[at + 1 : end]) + "\n")
    assert [item.verb for item in test.body if isinstance(item, Step)] == ["write", "fork", "process_vm_readv"]


def test_a_kernel_without_a_find_has_none(measured: Measured) -> None:
    assert finds(measured) == []
    assert not any(line.startswith("a find") for line in text(measured))


def test_json_has_what_the_lines_have(measured: Measured) -> None:
    found = as_json(unexplained(measured, "gup_unshare"), "vm:6.12", "6.12.117")
    assert (found["backend"], found["kernel"], found["profile"]) == ("vm:6.12", "6.12.117", "6.12")
    behaviours = found["behaviours"]
    assert isinstance(behaviours, list)
    assert [one["behaviour"] for one in behaviours] == [behaviour.name for behaviour in BEHAVIOURS]
    (unknown,) = [one for one in behaviours if one["value"] is None]
    assert unknown["how"] == "no value fits"
    assert unknown["program"] == "A write x 1; A fork B; A process_vm_readv x"


def test_a_behaviour_that_no_program_shows_says_whose_value_it_has(measured: Measured) -> None:
    (one,) = [finding for finding in measured.findings if finding.behaviour == "fault_orig_pte_valid"]
    assert one == Finding("fault_orig_pte_valid", "yes", "as 6.12", "")
