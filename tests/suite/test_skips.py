"""Which skips are no news."""

import pytest

from breakcow.backend.abilities import Abilities
from breakcow.litmus import REQUIREMENTS
from breakcow.suite.skips import OF_THE_KERNEL, SINCE, unexpected


def kernel(release: str, *lacking: str) -> Abilities:
    """A kernel that lacks something."""
    return Abilities(release, {word: f"there is no {word}" if word in lacking else "" for word in REQUIREMENTS})


@pytest.mark.parametrize(
    ("release", "lacking", "expected"),
    [
        ("6.1.0-47-cloud-amd64", ("pagemap-scan", "smart-scan"), ()),
        ("6.7.0", ("pagemap-scan", "smart-scan"), ("pagemap-scan", "smart-scan")),
        ("6.1.0-47-cloud-amd64", ("soft-dirty", "pagemap-scan"), ("soft-dirty",)),
        ("6.12.107", ("ksm-bit", "model-only"), ()),
        ("5.10.223", ("swap", "io-uring"), ("swap", "io-uring")),
    ],
)
def test_what_a_kernel_of_that_release_can_have_is_missed(release: str, lacking: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert unexpected(lacking, kernel(release, *lacking)) == expected


def test_what_is_there_or_not_required_is_not_missed() -> None:
    assert unexpected(("ksm", "swap"), kernel("6.12.107", "swap", "thp")) == ("swap",)


def test_a_test_that_requires_nothing_is_skipped_for_all_that_is_lacking() -> None:
    assert "root" in unexpected((), kernel("6.12.107", *REQUIREMENTS))


def test_only_requirements_are_named() -> None:
    assert SINCE.keys() | set(OF_THE_KERNEL) <= REQUIREMENTS.keys()
