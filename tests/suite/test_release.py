"""Which kernel is older than which fix."""

import pytest

from breakcow.suite.release import predates


@pytest.mark.parametrize(
    ("release", "fix", "older"),
    [
        ("6.1.0-47-cloud-amd64", "6.2", True),
        ("6.1", "6.2", True),
        ("5.10.223", "6.2", True),
        ("6.2.0", "6.2", False),
        ("6.2-rc3", "6.2", True),
        ("6.12.43+deb13-amd64", "6.2", False),
        ("6.12.43", "6.12.44", True),
        ("10.0", "6.2", False),
        ("next-20221101", "6.2", False),
    ],
)
def test_predates(release: str, fix: str, older: bool) -> None:
    assert predates(release, fix) is older
