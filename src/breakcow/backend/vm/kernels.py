"""Kernels by name: what Debian offers, what is cached, and the file that a name stands for.

A name is a series ("6.1": its newest), a version ("6.12.43"), a release as uname -r says it, with or without its flavour
("6.1.0-47-cloud-amd64", "6.12.43+deb13"), the name of a kernel built here, or the path of a bzImage.
"""

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from breakcow.backend.vm import apt
from breakcow.backend.vm.cache import Progress, UnavailableError, folder, fresh, locked, silent

_FLAVOUR = "-cloud-amd64"
_STOCK = rf"linux-(?:image|binary)-(\d+\.\d+\.\d[^-]*(?:-[\w.]+)?){_FLAVOUR}"


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel.

    release: what `uname -r` says in it, and its place in the cache. version: the upstream version. package, package_version: Debian's,
    "" for one built here. size: of the download in bytes, 0 if there is none. cached: True if its file is here. name: of one built here;
    key: what it was built of.
    """

    release: str
    version: str
    package: str = ""
    package_version: str = ""
    size: int = 0
    cached: bool = False
    name: str = ""
    key: str = ""

    @property
    def series(self) -> str:
        """The first two numbers of the version."""
        return ".".join(self.version.split(".")[:2])

    @property
    def names(self) -> set[str]:
        """Every name it answers to. A series and a version stand for Debian's kernels only."""
        if self.name:
            return {self.release, self.name}
        return {self.release, self.release.removesuffix(_FLAVOUR), self.version, self.series}

    @property
    def file(self) -> Path:
        """Where its bzImage is, once cached."""
        return folder("kernels", self.release, "vmlinuz")


def cached() -> list[Kernel]:
    """The kernels in the cache, oldest first. Needs neither apt nor a network."""
    found = [_noted(path) for path in folder("kernels").glob("[!.]*/kernel.json")]
    return sorted((kernel for kernel in found if kernel and kernel.file.exists()), key=_age)


def available(progress: Progress = silent, refresh: bool = False) -> list[Kernel]:
    """The kernels in the cache and those that Debian offers, oldest first.

    refresh: read the package lists even if they are not a day old. Raises UnavailableError if there are no lists.
    """
    apt.refresh(progress, age=0 if refresh else 86400)
    found: dict[str, Kernel] = {}
    for package in sorted(apt.packages(_STOCK), key=lambda package: package.name, reverse=True):
        match = re.fullmatch(_STOCK, package.name)
        if match:  # linux-binary-* sorts after linux-image-*, whose package then holds only what else is needed
            release = match[1] + _FLAVOUR
            found[release] = Kernel(release, package.version.partition("-")[0], package.name, package.version, package.size)
    found.update({kernel.release: kernel for kernel in cached()})
    return sorted(found.values(), key=_age)


def fetch(name: str, progress: Progress = silent) -> Kernel:
    """The newest kernel that answers to `name`, downloaded if it is not in the cache; raises UnavailableError."""
    candidates = [kernel for kernel in available(progress) if name in kernel.names]
    if not candidates:
        raise UnavailableError(f"There is no kernel {name}; `breakcow kernels list` shows which there are.")
    kernel = candidates[-1]
    target = kernel.file.parent
    with locked(target):
        if not kernel.file.exists():
            with fresh(target) as part:
                package = apt.Package(kernel.package, kernel.package_version, kernel.size)
                deb = apt.download(package, part, progress)
                apt.unpack(deb, "vmlinuz.*", part / "vmlinuz")
                deb.unlink()
                (part / "kernel.json").write_text(note(kernel))
    return kernel


def note(kernel: Kernel) -> str:
    """What is written beside a cached kernel, for `cached` to read."""
    return json.dumps({key: value for key, value in asdict(kernel).items() if key != "cached"})


def _noted(path: Path) -> Kernel | None:
    """The kernel that `note` wrote down; None if it was removed meanwhile, or another version of breakcow wrote it."""
    try:
        return Kernel(**json.loads(path.read_text()), cached=True)
    except (OSError, ValueError, TypeError):
        return None


def find(name: str, progress: Progress = silent) -> Path:
    """The bzImage that `name` stands for: a path, else the newest cached kernel of that name, else the newest that can be fetched."""
    if "/" in name or Path(name).is_file():
        return _given(Path(name))
    here = [kernel for kernel in cached() if name in kernel.names]
    return here[-1].file if here else fetch(name, progress).file


def remove(name: str) -> list[Kernel]:
    """Remove from the cache every kernel that answers to `name`, and say which; raises UnavailableError if there is none."""
    gone = [kernel for kernel in cached() if name in kernel.names]
    if not gone:
        raise UnavailableError(f"There is no kernel {name} in the cache.")
    for kernel in gone:
        with locked(kernel.file.parent):
            shutil.rmtree(kernel.file.parent, ignore_errors=True)
    return gone


def _given(path: Path) -> Path:
    """`path`, if it is a Linux kernel (Documentation/arch/x86/boot.rst: "HdrS" at 0x202); raises UnavailableError."""
    try:
        with path.open("rb") as file:
            header = file.read(0x206)
    except OSError as error:
        raise UnavailableError(f"The kernel {path} cannot be read: {error.strerror}.") from error
    if header[0x202:] != b"HdrS":
        raise UnavailableError(f"{path} is not a bzImage for x86-64.")
    return path


def _age(kernel: Kernel) -> tuple[list[int], list[tuple[int, int, str]]]:
    """A key that orders kernels by version, then by Debian's revision ("~" sorts before the end of a revision)."""
    numbers = [int(number) for number in re.findall(r"\d+", kernel.version)]
    tokens = re.findall(r"\d+|~|[^\d~]+", kernel.package_version)
    order = [(-1, 0, "") if token == "~" else (1, int(token), "") if token.isdigit() else (1, 0, token) for token in tokens]
    return numbers, [*order, (0, 0, "")]
