"""Kernels by name, with the real apt and a mirror of our own."""

import subprocess
import sys

import pytest

from backend.vm.mirror import Mirror
from breakcow.backend.vm import apt, kernels
from breakcow.backend.vm.cache import UnavailableError, folder


def start(*names: str) -> "subprocess.Popen[str]":
    script = "import sys\nfrom breakcow.backend.vm import kernels\nfor name in sys.argv[1:]: kernels.fetch(name, print)"
    return subprocess.Popen([sys.executable, "-c", script, *names], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_what_can_be_had(mirror: Mirror) -> None:
    found = kernels.available()
    assert [(kernel.release, kernel.version, kernel.package) for kernel in found] == [
        ("6.1.0-9-cloud-amd64", "6.1.90", "linux-image-6.1.0-9-cloud-amd64"),
        ("6.1.0-10-cloud-amd64", "6.1.100", "linux-image-6.1.0-10-cloud-amd64"),
        ("6.12.43+deb12-cloud-amd64", "6.12.43", "linux-image-6.12.43+deb12-cloud-amd64"),
        ("6.12.43+deb13-cloud-amd64", "6.12.43", "linux-image-6.12.43+deb13-cloud-amd64"),
        ("7.2.13+deb14-cloud-amd64", "7.2.13", "linux-binary-7.2.13+deb14-cloud-amd64"),
    ]
    assert not any(kernel.cached for kernel in found)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("6.1", "linux-image-6.1.0-10-cloud-amd64"),
        ("6.1.90", "linux-image-6.1.0-9-cloud-amd64"),
        ("6.1.0-9", "linux-image-6.1.0-9-cloud-amd64"),
        ("6.12.43", "linux-image-6.12.43+deb13-cloud-amd64"),
        ("6.12.43+deb12", "linux-image-6.12.43+deb12-cloud-amd64"),
        ("7.2", "linux-binary-7.2.13+deb14-cloud-amd64"),
    ],
)
def test_a_name_is_a_series_a_version_or_a_release(mirror: Mirror, name: str, package: str) -> None:
    kernel = kernels.fetch(name)
    assert kernel.package == package
    assert kernel.file.read_text() == package
    assert sorted(path.name for path in kernel.file.parent.iterdir()) == ["kernel.json", "vmlinuz"]
    assert [one.release for one in kernels.cached()] == [kernel.release]


def test_an_unknown_kernel_is_said_so(mirror: Mirror) -> None:
    with pytest.raises(UnavailableError, match=r"^There is no kernel 6\.99; `breakcow kernels list` shows which there are\.$"):
        kernels.fetch("6.99")


def test_what_is_cached_works_without_a_network(mirror: Mirror) -> None:
    file = kernels.find("6.1.90")
    mirror.close()
    assert kernels.find("6.1") == file
    assert [kernel.cached for kernel in kernels.available(refresh=True)] == [True, False, False, False, False]
    with pytest.raises(UnavailableError, match=r"linux-image-6\.1\.0-10-cloud-amd64 cannot be downloaded: "):
        kernels.fetch("6.1")


def test_without_network_or_lists_a_sentence_says_so(mirror: Mirror) -> None:
    mirror.close()
    with pytest.raises(UnavailableError, match=r"^The package lists cannot be had: "):
        kernels.find("6.1")


def test_lists_are_read_once_a_day(mirror: Mirror) -> None:
    said: list[str] = []
    for _ in range(2):
        kernels.available(said.append)
    assert said.count("reading Debian's package lists") == 1
    kernels.available(said.append, refresh=True)
    assert said.count("reading Debian's package lists") == 2


def test_a_list_that_another_key_signed_is_not_used(mirror: Mirror) -> None:
    key = mirror.key.read_text()
    mirror.sign()
    mirror.key.write_text(key)
    with pytest.raises(UnavailableError, match=r"^The package lists cannot be had: .*(is not signed|NO_PUBKEY)"):
        kernels.find("6.1")


def test_a_package_that_was_changed_is_not_used(mirror: Mirror) -> None:
    for deb in mirror.root.glob("pool/linux-image-6.1.0-10-cloud-amd64_*.deb"):
        deb.write_bytes(deb.read_bytes()[:-1] + b"x")
    with pytest.raises(UnavailableError, match=r"cannot be downloaded: .*(Hash Sum mismatch|Hashes)"):
        kernels.find("6.1")
    assert kernels.cached() == []


def test_two_at_once_do_not_collide(mirror: Mirror) -> None:
    both = [start("6.1", "6.12", "7.2") for _ in range(2)]
    said = [process.communicate() for process in both]
    assert [(process.returncode, error) for process, (_, error) in zip(both, said, strict=True)] == [(0, "")] * 2
    assert "".join(output for output, _ in said).count("downloading") == 3


def test_a_stopped_download_leaves_no_kernel(mirror: Mirror) -> None:
    kernels.available()
    mirror.stall.set()
    with start("6.1") as process:
        assert mirror.asked.wait(60)
        process.kill()
    assert kernels.cached() == []
    mirror.stall.clear()
    file = kernels.find("6.1")
    assert file.read_text() == "linux-image-6.1.0-10-cloud-amd64"
    assert list(folder("kernels").glob(".*.part")) == []


def test_removed_is_gone(mirror: Mirror) -> None:
    kernels.fetch("6.1")
    assert [kernel.release for kernel in kernels.remove("6.1")] == ["6.1.0-10-cloud-amd64"]
    assert kernels.cached() == []
    with pytest.raises(UnavailableError, match=r"^There is no kernel 6\.1 in the cache\.$"):
        kernels.remove("6.1")


def test_a_note_of_another_version_is_no_kernel(mirror: Mirror) -> None:
    kernel = kernels.fetch("6.1")
    for text in ("", "[]", '{"release": "6.1", "colour": "red"}'):
        (kernel.file.parent / "kernel.json").write_text(text)
        assert kernels.cached() == []


def test_nothing_of_the_system_is_touched(mirror: Mirror) -> None:
    kernels.fetch("6.1")
    text = (folder("apt") / "apt.conf").read_text()
    for line in ("Dir::State ", "Dir::State::lists", "Dir::State::status", "Dir::Cache ", "Dir::Cache::archives"):
        assert f'{line.strip()} "{folder("apt")}' in text
    assert apt.packages("linux-image-6.1.0-9-cloud-amd64")[0].version == "6.1.90-1"
