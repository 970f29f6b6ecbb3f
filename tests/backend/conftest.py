"""Marks of the tests of real kernels, and one agent on this machine's kernel for all tests of a module."""

from collections.abc import Iterator

import pytest

from breakcow.backend.host import HostBackend


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(word, ...): skip where this machine's kernel lacks one of these abilities")


@pytest.fixture(scope="module")
def host() -> Iterator[HostBackend]:
    with HostBackend() as backend:
        yield backend


@pytest.fixture(scope="module")
def abilities(host: HostBackend) -> dict[str, str]:
    return host.probe().abilities


@pytest.fixture(autouse=True)
def _able(request: pytest.FixtureRequest) -> None:
    """Skip a test marked `needs("ksm", ...)` where this kernel lacks one."""
    marker = request.node.get_closest_marker("needs")
    if marker:
        found = request.getfixturevalue("abilities")
        lacking = [found[word] for word in marker.args if found[word]]
        if lacking:
            pytest.skip(lacking[0])
