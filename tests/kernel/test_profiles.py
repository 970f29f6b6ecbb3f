"""Profiles: which kernel behaves how."""

import re

import pytest

from breakcow.kernel import BEHAVIOURS, PROFILES, profile_for
from breakcow.kernel.behaviours import NAMES
from breakcow.kernel.profiles import version


@pytest.mark.parametrize("name", PROFILES)
def test_every_behaviour_has_a_value_that_has_words(name: str) -> None:
    profile = PROFILES[name]
    assert profile.name == name
    assert re.fullmatch(r"\d+\.\d+\.\d+", profile.release)
    assert profile.release.startswith(name.split("-", maxsplit=1)[0])
    assert set(profile.values) == set(NAMES)
    for behaviour in BEHAVIOURS:
        assert 0 <= getattr(profile, behaviour.name) < len(behaviour.values), behaviour.name


def test_no_two_profiles_are_the_same() -> None:
    assert len({tuple(sorted(profile.values.items())) for profile in PROFILES.values()}) == len(PROFILES)


def test_the_third_option_is_in_no_kernel() -> None:
    words = next(b.values for b in BEHAVIOURS if b.name == "break_ksm")
    assert {words[profile.break_ksm] for profile in PROFILES.values()} == {"fake-write", "unshare"}


@pytest.mark.parametrize(
    ("behaviour", "since"),
    [
        ("break_ksm", (6, 2)),
        ("gup_unshare", (5, 19)),
        ("uffd_close_resets", (6, 9)),
        ("uffd_unregister_resets", (6, 0)),
        ("ksm_zero_pages_unmerge", (6, 6)),
        ("unshare_zero_page", (6, 2)),
    ],
)
def test_values_agree_with_the_releases_that_are_cited(behaviour: str, since: tuple[int, int]) -> None:
    """Backports set a behaviour earlier; no kernel after the release lacks it."""
    backported = {"6.1.192": {"uffd_close_resets"}}
    for profile in PROFILES.values():
        expected = version(profile.release) >= since or behaviour in backported.get(profile.name, set())
        assert bool(getattr(profile, behaviour)) is expected, profile.name


def test_but_changes_what_it_is_told_and_nothing_else() -> None:
    old = PROFILES["6.1"]
    changed = old.but(break_ksm=1, mem_soft_dirty=0)
    assert {name for name in NAMES if getattr(changed, name) != getattr(old, name)} == {"break_ksm", "mem_soft_dirty"}
    assert (changed.name, changed.release) == (old.name, old.release)
    assert old.break_ksm == 0
    assert old.but() == old


def test_but_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="unknown behaviour swap, thp"):
        PROFILES["6.1"].but(thp=1, swap=1, break_ksm=1)


def test_an_unknown_behaviour_is_no_attribute() -> None:
    assert not hasattr(PROFILES["6.1"], "thp")


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("5.10.223", "5.10"),
        ("5.10.0-30-cloud-amd64", "5.10"),
        ("5.19.17", "5.10"),
        ("6.2.0", "6.1"),
        ("6.12.107+deb13-cloud-amd64", "6.12"),
        ("6.13.1", "6.12"),
        ("6.18.44", "6.18"),
        ("7.0.1", "6.18"),
        ("7.2.13", "7.2"),
        ("7.3.4", "7.3"),
        ("9.0", "7.3"),
        ("4.19.0", "5.10"),
        ("not a release", "5.10"),
    ],
)
def test_the_profile_of_the_newest_kernel_that_is_not_newer(release: str, name: str) -> None:
    assert profile_for(release).name == name


@pytest.mark.parametrize(
    ("release", "numbers"),
    [("6.1.170", (6, 1)), ("6.12-rc3", (6, 12)), ("7.2", (7, 2)), ("6", (0, 0)), ("", (0, 0)), ("x.y", (0, 0)), ("6.x.3", (0, 0))],
)
def test_versions(release: str, numbers: tuple[int, int]) -> None:
    assert version(release) == numbers
