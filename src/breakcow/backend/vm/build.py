"""A small kernel from Debian's source package of a series: the options of kernel.config, and patches on top."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from breakcow.backend.vm import apt, kernels
from breakcow.backend.vm.cache import Progress, UnavailableError, folder, fresh, locked, silent, writing
from breakcow.backend.vm.kernels import Kernel

_PACKAGES = {"gcc": "gcc", "make": "make", "flex": "flex", "bison": "bison", "bc": "bc", "tar": "tar", "xz": "xz-utils", "patch": "patch"}
_HEADERS = {"gelf.h": "libelf-dev", "stdio.h": "libc6-dev"}
_NAME = re.compile(r"[a-z][a-z0-9.+-]{0,39}")
_ENVIRONMENT = {
    "LC_ALL": "C",
    "ARCH": "x86_64",
    "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
    "KBUILD_BUILD_USER": "breakcow",
    "KBUILD_BUILD_HOST": "breakcow",
}
_EACH = 200  # files between two reports of progress


def build(
    series: str, patches: Sequence[Path] = (), config: Mapping[str, str] | None = None, name: str = "", progress: Progress = silent
) -> Kernel:
    """Build a kernel, or find it built: the same source, options and patches are built once.

    series: "6.1". patches: files for `patch -p1`. config: option without CONFIG_ -> value ("y", "n", a number). name: what `vm:NAME` calls
    it; by default "built-SERIES", with a hash where there are patches or options. Raises UnavailableError.
    """
    texts = [_text(patch) for patch in patches]
    options = _options(config or {})
    plain = not patches and not config
    _check_tools()
    source = _source(series, progress)
    key = hashlib.sha256(json.dumps([source.version, options, [text.hex() for text in texts]]).encode()).hexdigest()[:16]
    name = name or f"built-{series}" + ("" if plain else f"-{key[:8]}")
    if not _NAME.fullmatch(name):
        raise UnavailableError(f"A kernel cannot be called {name!r}: a name begins with a letter, then letters, digits and . + - follow.")
    version = source.version.partition("-")[0]
    kernel = Kernel(f"{version}-{name}", version, package_version=source.version, name=name, key=key)
    target = kernel.file.parent
    with locked(target):
        if not any(one.name == name and one.key == key for one in kernels.cached()):
            with fresh(target) as part:
                _make(_unpacked(source, part, progress), patches, options, f"-{name}", progress)
                (part / "tree" / "arch/x86/boot/bzImage").rename(part / "vmlinuz")
                shutil.rmtree(part / "tree")
                (part / "kernel.json").write_text(kernels.note(kernel))
    return kernel


def _text(patch: Path) -> bytes:
    try:
        return patch.read_bytes()
    except OSError as error:
        raise UnavailableError(f"The patch {patch} cannot be read: {error.strerror}.") from error


def _options(config: Mapping[str, str]) -> str:
    """The text for .config: ours, then the caller's."""
    ours = (files("breakcow.backend.vm") / "kernel.config").read_text()
    lines = []
    for option, value in config.items():
        if not re.fullmatch(r"[A-Z0-9_]+", option) or not re.fullmatch(r'[yn]|-?\d+|0x[0-9a-f]+|"[^"\\]*"', value):
            raise UnavailableError(f"{option}={value} is no option of a kernel: write it as PAGE_TABLE_CHECK=y.")
        lines.append(f"# CONFIG_{option} is not set\n" if value == "n" else f"CONFIG_{option}={value}\n")
    return ours + "".join(lines)


def _check_tools() -> None:
    """Raise UnavailableError with the apt line for all that is missing."""
    missing = [package for program, package in _PACKAGES.items() if not shutil.which(program)]
    if "gcc" not in missing:
        missing += [package for header, package in _HEADERS.items() if not _has_header(header)]
    if missing:
        raise UnavailableError(f"Building a kernel needs what is not installed here: `apt install {' '.join(missing)}`.")


def _has_header(header: str) -> bool:
    command = ["gcc", "-E", "-x", "c", "-"]
    return subprocess.run(command, input=f"#include <{header}>\n".encode(), capture_output=True, check=False).returncode == 0


def _source(series: str, progress: Progress) -> apt.Package:
    apt.refresh(progress)
    found = apt.packages(rf"linux-source-{re.escape(series)}")
    if not found:
        offered = sorted(package.name.removeprefix("linux-source-") for package in apt.packages(r"linux-source-\d.*"))
        raise UnavailableError(f"Debian has no source of {series} to build; it has {', '.join(offered)}.")
    return found[0]


def _unpacked(source: apt.Package, part: Path, progress: Progress) -> Path:
    """The kernel's tree, unpacked into `part`. The source itself stays in the cache."""
    target = folder("sources", f"{source.name}-{source.version}")
    with locked(target):
        if not target.exists():
            with fresh(target) as place:
                deb = apt.download(source, place, progress)
                apt.unpack(deb, r"linux-source-.*\.tar\.xz", place / "source.tar.xz")
                deb.unlink()
    progress("unpacking the source")
    tree = part / "tree"
    with writing(tree):
        tree.mkdir()
    _run(["tar", "-xf", str(target / "source.tar.xz"), "--strip-components=1"], tree, "The source cannot be unpacked")
    return tree


def _make(tree: Path, patches: Sequence[Path], options: str, localversion: str, progress: Progress) -> None:
    for patch in patches:
        _run(["patch", "-p1", "--batch", "--forward", "-i", str(patch.resolve())], tree, f"{patch} does not apply")
    _run(["make", "tinyconfig"], tree, "The kernel cannot be configured")
    with (tree / ".config").open("a") as file:
        file.write(f'{options}CONFIG_LOCALVERSION="{localversion}"\n')
    _run(["make", "olddefconfig"], tree, "The kernel cannot be configured")
    _check_options(options, (tree / ".config").read_text())
    jobs = len(os.sched_getaffinity(0))
    progress(f"compiling with {jobs} jobs")
    _run(["nice", "-n", "19", "make", f"-j{jobs}", "bzImage"], tree, "The kernel does not compile", progress)


def _check_options(options: str, result: str) -> None:
    """Raise UnavailableError for an option of the caller's that this kernel does not take as given."""
    ours = (files("breakcow.backend.vm") / "kernel.config").read_text()
    taken = set(result.splitlines())
    for line in options.removeprefix(ours).splitlines():
        absent = line.startswith("# ") and f"{line.split()[1]}=" not in result
        if line not in taken and not absent:
            raise UnavailableError(f"This kernel does not take {line}: it has no such option, or others do not go with it.")


def _run(command: list[str], tree: Path, failure: str, progress: Progress = silent) -> None:
    """Run one step of a build in `tree`; raises UnavailableError with what it complained about."""
    environment = {**os.environ, **_ENVIRONMENT}
    said: list[str] = []
    compiled = 0
    with subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            said.append(line.rstrip())
            if line.startswith("  CC "):
                compiled += 1
                if compiled % _EACH == 0:
                    progress(f"compiled {compiled} files")
    if child.returncode != 0:
        wrong = [line for line in said if re.search(r"error|FAILED|No space|can't|malformed", line)] or said[-1:] or ["no word of why"]
        raise UnavailableError(f"{failure}: {wrong[0]}")
