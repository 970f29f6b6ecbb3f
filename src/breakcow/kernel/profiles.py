"""Profiles: one value of every behaviour for each kernel, as measured on it."""

from dataclasses import dataclass, field

from breakcow.kernel.behaviours import BEHAVIOURS, NAMES


@dataclass(frozen=True)
class Profile:
    """A kernel's behaviours, read as attributes: `profile.break_ksm`. name: "6.1". release: the upstream release it was measured on."""

    name: str
    release: str
    values: dict[str, int] = field(hash=False)

    def __getattr__(self, name: str) -> int:
        values: dict[str, int] = object.__getattribute__(self, "values")
        try:
            return values[name]
        except KeyError:
            raise AttributeError(name) from None

    def but(self, **changes: int) -> "Profile":
        """The same kernel with some behaviours changed, as `PROFILES["6.1"].but(break_ksm=1)`."""
        unknown = set(changes) - set(NAMES)
        if unknown:
            raise ValueError(f"unknown behaviour {', '.join(sorted(unknown))}")
        return Profile(self.name, self.release, {**self.values, **changes})


def _words(name: str, word: str) -> int:
    """The value of behaviour `name` that is written `word`."""
    (behaviour,) = (b for b in BEHAVIOURS if b.name == name)
    return behaviour.values.index(word)


_OLDEST = dict.fromkeys(NAMES, 0) | {
    "wp_reuse": _words("wp_reuse", "page_count is 1"),
    "fault_write_result": 1,
    "proc_mem_force": 1,
    "mem_soft_dirty": 1,
}
_6_1 = _OLDEST | {
    "cow_frees_swap_cache": 1,
    "break_ksm_misses_protnone": 1,
    "ksm_fork_copies_merging": 1,
    "wp_reuse": _words("wp_reuse", "exclusive"),
    "gup_unshare": 1,
    "fault_orig_pte_valid": 1,
    "mprotect_writable": _words("mprotect_writable", "exclusive and dirty"),
    "swapin": _words("swapin", "its entry is exclusive"),
    "uffd_unregister_resets": 1,
    "fork_copies_uffd_wp": 1,
    "uffd_user_mode_only": 1,
    "madv_populate": 1,
    "madv_populate_skips_holes": 1,
    "split_folio": _words("split_folio", "its dirty bit, and makes it soft-dirty"),
}
_6_12 = _6_1 | {
    "madv_populate_skips_holes": 0,
    "break_ksm": _words("break_ksm", "unshare"),
    "break_ksm_misses_protnone": 0,
    "ksm_fork_copies_merging": 0,
    "unshare_zero_page": 1,
    "ksm_zero_pages_unmerge": 1,
    "ksm_checksum_first": 1,
    "ksm_smart_scan": 1,
    "fault_write_result": 0,
    "mprotect_writable": _words("mprotect_writable", "exclusive"),
    "swapin": _words("swapin", "its entry is exclusive, writable also for a load"),
    "mprotect_drops_account": 1,
    "uffd_wp_resolve_writable": 1,
    "uffd_wp_many_vmas": 1,
    "uffd_close_resets": 1,
    "mremap_clears_uffd_wp": 1,
    "uffd_wp_unpopulated": 1,
    "uffd_wp_async": 1,
    "pagemap_scan": 1,
    "ksm_merge_any": 1,
    "pagemap_scan_hole_written": 1,
    "io_uring_unlockable": 1,
    "swap_zeromap": 1,
    "wp_reuse_large": _words("wp_reuse_large", "never"),
    "split_pmd_dirty": 1,
    "pageout_large": 1,
    "swapin_large": _words("swapin_large", "all of it; where nothing else refers to it"),
    "split_folio": _words("split_folio", "its bits, but zeros become the zero page"),
}
_LARGE_REUSE = {"wp_reuse_large": _words("wp_reuse_large", "all references are mappings of its process"), "huge_zero_wp": 1}
_6_1_192 = _6_1 | {"uffd_close_resets": 1, "mremap_clears_uffd_wp": 1}  # by backports
_6_16 = _6_12 | _LARGE_REUSE | {"vma_merge_either_way": 1, "pt_reclaim": 1, "ksm_fork_copies_merging": 1, "pagemap_scan_hole_written": 0}
_6_17 = {"vma_merge_either_way": 1, "pt_reclaim": 1, "mremap_many_vmas": 1}
_6_18 = _6_12 | _LARGE_REUSE | _6_17 | {"mem_soft_dirty": 0, "mprotect_batch_dirty": 1}
_7_2 = _6_12 | _LARGE_REUSE | _6_17 | {"proc_mem_force": 0, "mprotect_batch_dirty": 1, "swapin_large": 2}

PROFILES = {
    name: Profile(name, release, values)
    for name, release, values in (
        ("5.10", "5.10.223", _OLDEST),
        ("6.1", "6.1.170", _6_1),
        ("6.1.192", "6.1.192", _6_1_192),
        ("6.12", "6.12.107", _6_12),
        ("6.16", "6.16.12", _6_16),
        ("6.18", "6.18.44", _6_18),
        ("6.18.15", "6.18.15", _6_18 | {"mem_soft_dirty": 1, "pagemap_scan_hole_written": 0}),  # as Debian builds it
        ("7.2", "7.2.13", _7_2),
        ("7.3", "7.3.4", _7_2 | {"ksm_stable_forgets": 1, "pagemap_scan_written_if_registered": 1}),
    )
}


def version(release: str) -> tuple[int, int]:
    """(major, minor) of a uname release or version number; (0, 0) if it is neither."""
    parts = release.replace("-", ".").split(".")
    numbers = [int(part) for part in parts[:2] if part.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)


def profile_for(release: str) -> Profile:
    """The profile of the newest kernel that is not newer than `release`, the oldest if there is none."""
    older = [profile for profile in PROFILES.values() if version(profile.release) <= version(release)]
    return max(older or [PROFILES["5.10"]], key=lambda profile: version(profile.release))


def nearest(profile: Profile) -> Profile:
    """The shipped profile that differs from `profile` in the fewest behaviours; of several the newest that is not newer."""
    expected = profile_for(profile.release)

    def distance(shipped: Profile) -> tuple[int, bool]:
        return sum(shipped.values[name] != value for name, value in profile.values.items()), shipped is not expected

    return min(PROFILES.values(), key=distance)
