"""Measuring the specification as if it were a kernel finds the profile it was given."""

from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from breakcow.backend.abilities import Abilities
from breakcow.backend.measure import PROGRAMS, Measured, litmus_text, measure
from breakcow.backend.model import ModelBackend
from breakcow.backend.observation import Observation
from breakcow.kernel import BEHAVIOURS, PROFILES, Profile
from breakcow.kernel.behaviours import NAMES
from breakcow.litmus import parse, program
from breakcow.litmus.program import Program

HIDDEN = {"writable": None, "dirty": None, "exclusive": None}


class ModelKernel:
    """A kernel that behaves as `profile` and shows no more than kernels do. release: what it calls itself; lacks: words -> why."""

    def __init__(self, profile: Profile, release: str = "", lacks: dict[str, str] | None = None) -> None:
        self.model = ModelBackend(profile)
        self.release = release or profile.release
        self.lacks = lacks or {}

    def probe(self) -> Abilities:
        return Abilities(self.release, self.model.probe().abilities | self.lacks, ())

    def run(self, program: Program) -> tuple[Observation, ...]:
        return tuple(self._shown(seen) for seen in self.model.run(program))

    def ask(self, program: Program) -> Callable[[], tuple[Observation, ...]]:
        return partial(self.run, program)

    def _shown(self, seen: Observation) -> Observation:
        processes = {
            name: msgspec.structs.replace(one, pages={page: msgspec.structs.replace(p, **HIDDEN) for page, p in one.pages.items()})
            for name, one in seen.processes.items()
        }
        return msgspec.structs.replace(seen, processes=processes, console="")


def differing(found: Measured, profile: Profile) -> set[str]:
    return {name for name in NAMES if getattr(found.profile, name) != getattr(profile, name)}


@pytest.mark.parametrize("name", PROFILES)
def test_a_shipped_profile_is_found_again(name: str) -> None:
    found = measure(ModelKernel(PROFILES[name]))
    assert found.profile == PROFILES[name]
    assert tuple(finding.behaviour for finding in found.findings) == NAMES
    assert not [finding for finding in found.findings if finding.how == "no value fits"]


@pytest.mark.parametrize(("name", "release"), [("6.1", "6.12.107"), ("6.12", "6.1.170"), ("5.10", "6.1.170"), ("7.2", "5.10.223")])
def test_what_a_kernel_calls_itself_decides_only_what_no_program_shows(name: str, release: str) -> None:
    found = measure(ModelKernel(PROFILES[name], release))
    unmeasured = {finding.behaviour for finding in found.findings if finding.how.startswith("as ")}
    assert differing(found, PROFILES[name]) <= unmeasured
    assert not unmeasured & {"break_ksm", "gup_unshare", "ksm_checksum_first", "uffd_close_resets", "proc_mem_force", "wp_reuse"}


# which exclusive pages mprotect() makes writable shows only while they are pinned, and then they are dirty
UNOBSERVABLE = {("mprotect_writable", 1, 2), ("mprotect_writable", 2, 1)}
# a kernel with the first and without the second never was: measuring takes both
TOGETHER = {"ksm_zero_pages_unmerge": "unshare_zero_page"}


BACKPORTED = [("6.1", name) for name in ("break_ksm", "wp_reuse", "uffd_close_resets", "ksm_zero_pages_unmerge", "cow_frees_swap_cache")]
# where the checksum comes first, ksmd takes the page off its stable node, the last thing that kept it, before it searches for its like
ONLY_BEFORE = {"cow_frees_swap_cache"}


@pytest.mark.parametrize(("name", "behaviour"), [*(("6.12", name) for name in PROGRAMS if name not in ONLY_BEFORE), *BACKPORTED])
def test_one_flipped_behaviour_is_found(name: str, behaviour: str) -> None:
    own = getattr(PROFILES[name], behaviour)
    for value in range(len(next(b.values for b in BEHAVIOURS if b.name == behaviour))):
        if value == own or (behaviour, own, value) in UNOBSERVABLE:
            continue
        flipped = PROFILES[name].but(**{behaviour: value})
        found = measure(ModelKernel(flipped))
        assert getattr(found.profile, behaviour) == value, found.findings
        assert differing(found, flipped) <= {TOGETHER.get(behaviour)}, found.findings


def test_findings_name_the_program_that_showed_them() -> None:
    for finding in measure(ModelKernel(PROFILES["6.12"])).findings:
        assert finding.text == PROGRAMS.get(finding.behaviour, "")
        assert finding.how in {"measured", "as 6.12"}


def test_what_cannot_be_run_is_taken_from_the_nearest_profile() -> None:
    found = measure(ModelKernel(PROFILES["6.12"].but(break_ksm=0), lacks={"ksm": "no KSM here", "root": "not root"}))
    assert found.profile.break_ksm == 1
    assert {finding.how for finding in found.findings if finding.behaviour != "mem_soft_dirty"} == {"as 6.12"}


def test_soft_dirty_is_taken_from_the_probe() -> None:
    assert measure(ModelKernel(PROFILES["6.12"].but(mem_soft_dirty=0))).profile.mem_soft_dirty == 0
    assert measure(ModelKernel(PROFILES["6.18"].but(mem_soft_dirty=1))).profile.mem_soft_dirty == 1


def test_a_kernel_that_no_value_explains_is_a_find() -> None:
    class Odd(ModelKernel):
        def run(self, program: Program) -> tuple[Observation, ...]:
            seen = super().run(program)
            return tuple(msgspec.structs.replace(one, counters={"pages_shared": 99}) for one in seen)

    found = measure(Odd(PROFILES["6.12"]))
    assert {finding.how for finding in found.findings if finding.behaviour in PROGRAMS} == {"no value fits"}
    assert all(finding.value == "" for finding in found.findings if finding.how == "no value fits")
    assert found.profile == PROFILES["6.12"]


def test_an_unknown_mix_gets_the_name_of_its_release() -> None:
    found = measure(ModelKernel(PROFILES["6.12"].but(proc_mem_force=0, uffd_close_resets=0), "6.99.1"))
    assert (found.profile.name, found.profile.release) == ("6.99.1", "6.99.1")


def test_every_program_is_a_litmus_program() -> None:
    assert set(PROGRAMS) <= set(NAMES)
    for name, text in PROGRAMS.items():
        (test,) = parse(litmus_text(name, text))
        assert program(test).actions
