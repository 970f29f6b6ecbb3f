"""A private apt: the machine's own mirror, keyring and apt, with all state in the user's cache folder. Nothing is installed."""

import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from breakcow.backend.vm import sources
from breakcow.backend.vm.cache import Progress, UnavailableError, folder, locked, silent, writing

_DAY = 86400
_CONFIGURATION = """
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Default-Release;
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{root}";
Dir::State::lists "{root}/lists";
Dir::State::status "{root}/status";
Dir::Cache "{root}";
Dir::Cache::archives "{root}/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
"""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that can be downloaded. size: of the .deb, in bytes."""

    name: str
    version: str
    size: int


def refresh(progress: Progress = silent, age: float = _DAY) -> None:
    """Bring the private package lists up to date if they are older than `age` seconds.

    Without a network the old lists stay in use; raises UnavailableError if there are none.
    """
    root = folder("apt")
    stamp = root / "refreshed"
    with locked(root):
        text = _sources_text(root)
        current = stamp.exists() and (root / "sources.list").read_text() == text
        if current and time.time() - stamp.stat().st_mtime < age:
            return
        _configure(root, text)
        progress("reading Debian's package lists")
        done = _run("apt-get", "update", "-q")
        if not any((root / "lists").glob("*_Packages*")):
            raise UnavailableError(f"The package lists cannot be had: {_reason(done)}")
        if re.search(r"^(Get|Hit):", done.stdout, re.MULTILINE):
            stamp.touch()
        else:
            progress(f"the package lists stay as they were: {_reason(done)}")


def packages(pattern: str) -> list[Package]:
    """The packages in the private lists whose whole name matches the regular expression `pattern`, each in its newest version."""
    names = [name for name in _run("apt-cache", "pkgnames", "linux-").stdout.split() if re.fullmatch(pattern, name)]
    if not names:
        return []
    text = _run("apt-cache", "--no-all-versions", "show", *names).stdout
    found = []
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Size): (.*)$", stanza, re.MULTILINE))
        if len(fields) == 3:
            found.append(Package(fields["Package"], fields["Version"], int(fields["Size"])))
    return found


def download(package: Package, target: Path, progress: Progress = silent) -> Path:
    """Download the package's .deb into the folder `target`, its checksum checked by apt; raises UnavailableError."""
    progress(f"downloading {package.name} {package.version} ({package.size / 1e6:.0f} MB)")
    done = _run("apt-get", "download", "-q", f"{package.name}={package.version}", where=target)
    debs = list(target.glob("*.deb"))
    if done.returncode != 0 or not debs:
        raise UnavailableError(f"{package.name} cannot be downloaded: {_reason(done)}")
    return debs[0]


def unpack(deb: Path, pattern: str, target: Path) -> Path:
    """Write the first regular file in `deb` whose base name matches `pattern` to the file `target`; raises UnavailableError."""
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as child,
        tarfile.open(fileobj=child.stdout, mode="r|") as members,
        writing(target),
    ):
        for member in members:
            content = members.extractfile(member) if member.isfile() else None
            if content and re.fullmatch(pattern, Path(member.name).name):
                target.write_bytes(content.read())
                child.kill()
                return target
    raise UnavailableError(f"{deb.name} holds no file like {pattern}.")


def _sources_text(root: Path) -> str:
    """The private sources.list. A key that stands in the machine's configuration itself goes into a file."""
    return "".join(_line(source, root) for source in sources.wanted(sources.configured()))


def _line(source: sources.Source, root: Path) -> str:
    options = "arch=amd64 target=Packages"
    if "BEGIN PGP" in source.signed_by:
        options += f" signed-by={root}/keyring.asc"
    elif source.signed_by:
        options += " signed-by=" + ",".join(source.signed_by.split())
    return f"deb [{options}] {source.uri} {source.suite} main\n"


def _configure(root: Path, text: str) -> None:
    with writing(root):
        for name in ("lists/partial", "archives/partial"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "status").touch()
        for key in _embedded_keys():
            (root / "keyring.asc").write_text(key)
        (root / "sources.list").write_text(text)
        (root / "apt.conf").write_text(_CONFIGURATION.format(root=root))


def _embedded_keys() -> Iterator[str]:
    for source in sources.wanted(sources.configured()):
        if "BEGIN PGP" in source.signed_by:
            yield re.sub(r"(?m)^[ \t]+\.?", "", source.signed_by) + "\n"


def _run(command: str, *arguments: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run an apt program on the private state."""
    line = [command, "-c", str(folder("apt") / "apt.conf"), *arguments]
    return subprocess.run(line, cwd=where, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """What apt complained about, in one line. That a mirror lacks a suite says the least."""
    lines = [line[3:] for line in done.stderr.splitlines() if line.startswith(("E: ", "W: "))]
    lines.sort(key=lambda line: "does not have a Release file" in line)
    return lines[0] if lines else f"{done.args[0]} ended with status {done.returncode}."
