"""Fixtures of the tests that boot virtual machines."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backend.vm.mirror import Mirror
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


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """The mirror that this test's apt is configured with, and a cache folder of its own."""
    if not all(shutil.which(program) for program in ("apt-get", "gpg", "dpkg-deb")):
        pytest.skip("needs apt and gpg, as a Debian machine has")
    found = Mirror(tmp_path)
    (tmp_path / "sources.list").write_text(f"deb [signed-by={found.key}] {found.uri} bookworm main\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "/dev/null";\nAcquire::Retries "0";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield found
    found.close()


def bzimage(series: str) -> Path:
    """The file of the newest kernel of a series; skips where it cannot be had."""
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("QEMU is not installed")
    try:
        return kernels.find(series)
    except UnavailableError as error:
        pytest.skip(str(error))
