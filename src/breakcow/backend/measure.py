"""A kernel's profile, measured: small litmus programs tell the values of a behaviour apart, whatever the kernel's version says.

Each program is run on the kernel and on the specification with every value of its behaviour; the value whose specification shows what the
kernel showed is the kernel's. A behaviour that no program can show, or that two values would show alike, keeps the value of the nearest
shipped profile; where no value fits, that is a find.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from breakcow.backend.abilities import Abilities
from breakcow.backend.model import ModelBackend
from breakcow.backend.observation import Observation
from breakcow.kernel import PROFILES, Profile, profile_for
from breakcow.kernel.behaviours import BEHAVIOURS
from breakcow.litmus import parse, program, requirements
from breakcow.litmus.program import Program

_MERGED = "A write x y 7; A madvise x y mergeable; - ksm scan 2; "
_PROTECTED = "A write x 7; A uffd open; A uffd register x wp; A uffd protect x; "
# behaviour -> the program that shows it
PROGRAMS = {
    "break_ksm": _MERGED + "A uffd open; A uffd register x y wp; A uffd protect x y; A madvise x y unmergeable",
    "break_ksm_misses_protnone": _MERGED + "A mprotect x y none; A madvise x y unmergeable",
    "wp_reuse": "A write x y z 1; A pin x; A mprotect x r; A mprotect x rw; A write x 2; A vmsplice y; A fork B; "
    "A process_vm_readv z; A vmsplice z; A write z 2; B exit; A write y 2",
    "gup_unshare": "A write x 1; A fork B; A process_vm_readv x",
    "ksm_zero_pages_unmerge": "- ksm set use_zero_pages 1; A write x y 0; A madvise x y mergeable; - ksm scan 2; A madvise x y unmergeable",
    "ksm_checksum_first": _MERGED + "A madvise z mergeable; A write z 7; - ksm scan 1",
    "ksm_stable_forgets": _MERGED + "A write x 7; - ksm scan 1",
    "ksm_smart_scan": "- ksm set smart_scan 0",
    "ksm_fork_copies_merging": _MERGED + "A fork B",
    "uffd_wp_resolve_writable": "A write x 1; A uffd open; A uffd register x wp; A pin x; A uffd protect x; A uffd release x; A clear_refs",
    "mprotect_writable": "A write x 1; A pin x; A mprotect x r; A mprotect x rw; A clear_refs",
    "vma_merge_either_way": "A read y; A madvise x mergeable; A write x 1; A madvise x unmergeable; A fork B",
    "mprotect_drops_account": "A read y; A madvise y mergeable; A write x 1; A mprotect x y none; A madvise y unmergeable; A fork B",
    "uffd_wp_many_vmas": "A write x y 7; A uffd open; A uffd register x y wp; A madvise x mergeable; A uffd protect x y",
    "uffd_close_resets": _PROTECTED + "A uffd close; A uffd open; A uffd register x wp; A write x 8",
    "uffd_unregister_resets": _PROTECTED + "A uffd unregister x; A uffd register x wp; A write x 8",
    "mremap_clears_uffd_wp": _PROTECTED + "A mremap x; A uffd register x wp; A write x 8",
    "fork_copies_uffd_wp": "A uffd open event-fork; A read x; A uffd register x wp; A uffd protect x; A fork B",
    "uffd_user_mode_only": "A uffd open user-mode-only",
    "uffd_wp_unpopulated": "A uffd open wp-unpopulated",
    "uffd_wp_async": "A uffd open wp-async",
    "swapin": "A write x y 1; A vmsplice x; A madvise x pageout; A read x; A write x 2; A clear_refs; A uffd open; A uffd register y wp; "
    "A uffd protect y; A madvise y pageout; A write y 3",
    "ksm_merge_any": "A prctl memory_merge 1",
    "pagemap_scan": "A pagemap_scan x written",
    "pagemap_scan_hole_written": "A write x 1; A pagemap_scan x y any-written",
    "pagemap_scan_written_if_registered": "A write x 1; A pagemap_scan x written",
    "madv_populate": "A madvise x populate_read",
    "madv_populate_skips_holes": "A munmap x; A madvise x y populate_read",
    "cow_frees_swap_cache": "A write x y 7; A madvise x y mergeable; - ksm scan 2; A madvise x unmergeable; A madvise y pageout; "
    "A write y 7; - ksm scan 1",
    "swap_zeromap": "A write x y 0; A madvise x y mergeable; - ksm scan 2; A write y 8; A madvise x pageout; A read x",
    "io_uring_unlockable": _PROTECTED + "A pin x",
    "proc_mem_force": "A write x 1; A mprotect x none; A mem_write x 2",
}
_MEMORY = "memory x y\nmemory z\n"
HUGE = {  # likewise, where it takes a huge page
    "wp_reuse_large": "A write x 1; A mprotect x r; A mprotect x rw; A fork B; B exit; A write x 2; A madvise z rest dontneed; A write y 3",
    "split_pmd_dirty": "A write x 1; A clear_refs; A mprotect x r",
    "split_folio": "A write x u 7; A write y 8; A madvise x y z rest mergeable; A madvise u mergeable; - ksm scan 1; A clear_refs; "
    "- ksm scan 1",
    "huge_zero_wp": "A read x; A write x 1",
    "mremap_many_vmas": "A madvise x mergeable; A mremap x y z rest",
    "pt_reclaim": "A write x 1; A madvise y dontneed; A madvise x y z rest dontneed; A write x 1",
    "mprotect_batch_dirty": "A write x 1; A mprotect y r; A mprotect y rw; A clear_refs; A mprotect rest r",
    "pageout_large": "A write x 1; A mprotect x r; A mprotect x rw; A fork B; B munmap x y; B munmap rest; A madvise x y z rest pageout",
    "swapin_large": "A write x 1; A madvise x y z rest pageout; A fork B; B exit; A write x 2; A vmsplice y; A write y 2",
}
PROGRAMS |= HUGE
_HUGE_MEMORY = "memory huge x y z rest\nmemory u\n"
# a value that cannot be without another
TOGETHER = {("ksm_zero_pages_unmerge", 1): {"unshare_zero_page": 1}}


@dataclass(frozen=True, slots=True)
class Finding:
    """behaviour: its name. value: its words, "" where nothing fits. how: "measured", "as NAME" (taken from a profile), or "no value fits".

    text: the program that showed it, empty if none can.
    """

    behaviour: str
    value: str
    how: str
    text: str


@dataclass(frozen=True, slots=True)
class Measured:
    """profile: the kernel's values, named as a shipped profile if it equals one. findings: one for each behaviour, in their order."""

    profile: Profile
    findings: tuple[Finding, ...]


class Kernel(Protocol):
    """A backend that runs programs on a real kernel."""

    def probe(self) -> Abilities:
        """What it can do."""

    def run(self, program: Program) -> tuple[Observation, ...]:
        """One observation for each action."""

    def ask(self, program: Program) -> Callable[[], tuple[Observation, ...]]:
        """What is to be called for them: it may run meanwhile, after those that were asked for before."""


def measure(kernel: Kernel) -> Measured:
    """Run the programs of all behaviours that `kernel` is able to run, and put its profile together. Raises LostBackend."""
    abilities = kernel.probe()
    near = profile_for(abilities.release)
    profile = near.but(mem_soft_dirty=int(not abilities.abilities.get("soft-dirty")))
    seen: dict[str, tuple[Program, tuple[Observation, ...]]] = {}
    for name, text in PROGRAMS.items():
        (test,) = parse(litmus_text(name, text))
        if not any(abilities.abilities.get(word) for word in ("root", *_needs(requirements(test), name))):
            seen[name] = (program(test), kernel.run(program(test)))
    fitting: dict[str, list[int]] = {}
    for _ in range(3):  # a value may only fit once another is right
        for name, (flat, observations) in seen.items():
            fitting[name] = _fitting(profile, name, flat, observations)
            if fitting[name] and getattr(profile, name) not in fitting[name]:
                profile = _with(profile, name, fitting[name][0])
    findings = tuple(_finding(b.name, b.values, profile, near, fitting.get(b.name)) for b in BEHAVIOURS)
    return Measured(_named(profile, abilities.release), findings)


def _needs(words: tuple[str, ...], name: str) -> list[str]:
    """What a program cannot do without: not the ability whose lack is the very thing it shows."""
    shown = {"uffd_wp_unpopulated": "uffd-wp-unpopulated", "uffd_wp_async": "uffd-wp-async", "madv_populate": "populate"}
    shown |= {"pagemap_scan": "pagemap-scan", "ksm_merge_any": "merge-any"}
    shown |= {"uffd_user_mode_only": "uffd-user-mode-only", "ksm_smart_scan": "smart-scan", "ksm_zero_pages_unmerge": "ksm-zero-pages"}
    return [word for word in words if word != shown.get(name)]


def litmus_text(name: str, text: str) -> str:
    """The program of behaviour `name` as a litmus test."""
    memory = _HUGE_MEMORY if name in HUGE else _MEMORY
    steps = "\n".join(step.strip() for step in text.split(";"))
    return f"litmus probe/{name.replace('_', '-')}\n    Tells the values of {name} apart.\n\n{memory}\n{steps}\n"


def _with(profile: Profile, name: str, value: int) -> Profile:
    return profile.but(**{name: value, **TOGETHER.get((name, value), {})})


def _fitting(profile: Profile, name: str, flat: Program, observations: tuple[Observation, ...]) -> list[int]:
    """The values of behaviour `name` whose specification allows what was observed; [] where the observation tells nothing apart."""
    values = range(next(len(b.values) for b in BEHAVIOURS if b.name == name))
    return [value for value in values if ModelBackend(_with(profile, name, value)).check(flat, observations) is None]


def _finding(name: str, words: tuple[str, ...], profile: Profile, near: Profile, fitting: list[int] | None) -> Finding:
    if name == "mem_soft_dirty":
        return Finding(name, words[getattr(profile, name)], "measured", "")
    text = PROGRAMS.get(name, "")
    if fitting == []:
        return Finding(name, "", "no value fits", text)
    how = "measured" if fitting is not None and len(fitting) == 1 else f"as {near.name}"
    return Finding(name, words[getattr(profile, name)], how, text)


def _named(profile: Profile, release: str) -> Profile:
    """The shipped profile with the same values, else one with the kernel's own name."""
    for shipped in PROFILES.values():
        if shipped.values == profile.values:
            return shipped
    return Profile(release, release, profile.values)
