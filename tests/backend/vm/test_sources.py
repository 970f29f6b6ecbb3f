"""The machine's own mirror and keyring, as apt's configuration has them."""

from pathlib import Path

import pytest

from breakcow.backend.vm.cache import UnavailableError
from breakcow.backend.vm.sources import SERIES, Source, configured, wanted


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt configuration of its own: a sources.list and the folder `parts`."""
    parts = tmp_path / "parts"
    parts.mkdir()
    (tmp_path / "sources.list").touch()
    (tmp_path / "apt.conf").write_text(f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "{parts}";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    return tmp_path


def test_one_line_entries(etc: Path) -> None:
    (etc / "sources.list").write_text(
        "# deb http://old.example/debian stretch main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # the mirror\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb http://mirror.example/other bookworm contrib\n"
    )
    assert configured() == [Source("http://mirror.example/debian", "bookworm", "/k.gpg")]


def test_deb822_entries(etc: Path) -> None:
    (etc / "parts" / "debian.sources").write_text(
        "Types: deb deb-src\n# a comment\nURIs: http://a.example/debian\n  http://b.example/debian\nSuites: trixie trixie-updates\n"
        "Components: main\nSigned-By: /k.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://c.example/debian\nSuites: sid\nComponents: main\n"
        "\nTypes: deb\nURIs: http://d.example/debian\nSuites: sid\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n AAAA\n"
    )
    (etc / "parts" / "other.disabled").write_text("deb http://e.example/debian sid main\n")
    first, *_, last = entries = configured()
    assert [(entry.uri, entry.suite) for entry in entries] == [
        ("http://a.example/debian", "trixie"),
        ("http://a.example/debian", "trixie-updates"),
        ("http://b.example/debian", "trixie"),
        ("http://b.example/debian", "trixie-updates"),
        ("http://d.example/debian", "sid"),
    ]
    assert first.signed_by == "/k.gpg"
    assert "BEGIN PGP" in last.signed_by


def test_every_suite_comes_from_the_same_mirror() -> None:
    main, security = (
        Source("http://m.example/debian", "bookworm", "/k.gpg"),
        Source("http://s.example/debian-security", "bookworm-security"),
    )
    found = wanted([Source("http://third.example/apt", "bookworm"), main, security])
    assert {source.uri for source in found} == {main.uri, security.uri}
    assert {source.suite for source in found} >= {*SERIES, "bookworm-backports", "trixie-security"}
    assert all(source.uri == security.uri for source in found if source.suite.endswith("-security"))


def test_without_a_security_mirror_its_suites_are_left_out() -> None:
    found = wanted([Source("mirror+file:///etc/apt/mirrors/debian.list", "trixie")])
    assert not any(source.suite.endswith("-security") for source in found)
    assert {source.suite for source in found} >= set(SERIES)


def test_a_machine_that_is_not_debian_is_told_what_to_do() -> None:
    with pytest.raises(UnavailableError, match=r"give the path of a bzImage instead \(vm:PATH\)\.$"):
        wanted([Source("http://archive.ubuntu.com/ubuntu", "noble")])


def test_a_machine_without_apt_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UnavailableError, match=r"give the path of a bzImage instead \(vm:PATH\)\.$"):
        configured()
