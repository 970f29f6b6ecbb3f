"""Fixtures of the tests that boot virtual machines."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from breakcow.backend.vm import VmBackend, kernels
from breakcow.backend.vm.cache import UnavailableError

Boot = Callable[..., VmBackend]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vm: boots a kernel in QEMU")


@pytest.fixture
def boot() -> Iterator[Boot]:
    """Starts a guest of a series, and ends it with the test; skips where there is no QEMU or no such kernel."""
    with ExitStack() as stack:

        def start(series: str, **options: object) -> VmBackend:
            bzimage(series)
            return stack.enter_context(VmBackend(series, lambda _: None, **options))  # type: ignore[arg-type]

        yield start


def bzimage(series: str) -> Path:
    """The file of the newest kernel of a series; skips where it cannot be had."""
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("QEMU is not installed")
    try:
        return kernels.find(series)
    except UnavailableError as error:
        pytest.skip(str(error))
