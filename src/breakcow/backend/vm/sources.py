"""Where this machine gets its packages from: its own Debian mirror and keyring, out of its own apt configuration."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from breakcow.backend.vm.cache import UnavailableError

SERIES = ("bullseye", "bookworm", "trixie", "forky", "sid")
"""Debian's releases with a kernel that somebody still runs, oldest first."""
_KNOWN = {*SERIES, "oldoldstable", "oldstable", "stable", "testing", "unstable"}
_POCKETS = {"bullseye": ("", "-security"), "forky": ("",), "sid": ("",)}
_DEFAULT_POCKETS = ("", "-security", "-backports")


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of apt's configuration. signed_by: keyrings, or a key itself, or "" for the keys that apt trusts."""

    uri: str
    suite: str
    signed_by: str = ""


def configured() -> list[Source]:
    """The `deb` entries with component main in this machine's apt configuration; raises UnavailableError where there is no apt."""
    command = ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnavailableError(
            "Stock kernels come through apt, which this machine does not have; give the path of a bzImage instead (vm:PATH)."
        ) from error
    places = dict(re.findall(r"(\w+)='(.*)'", answer))
    parts = Path(places.get("PARTS", "/nonexistent"))
    files = [Path(places.get("LIST", "/nonexistent")), *sorted(parts.glob("*.list"))]
    entries = [entry for file in files if file.is_file() for entry in _one_line(file.read_text())]
    return entries + [entry for file in sorted(parts.glob("*.sources")) for entry in _deb822(file.read_text())]


def wanted(entries: list[Source]) -> list[Source]:
    """Every suite that may hold kernels, on the mirrors and with the keys of `entries`; raises UnavailableError if none is Debian's."""
    debian = [entry for entry in entries if _is_debian(entry)]
    main = [entry for entry in debian if not entry.suite.endswith("-security")]
    security = [entry for entry in debian if entry.suite.endswith("-security")]
    if not main:
        raise UnavailableError("This machine's apt has no Debian mirror; give the path of a bzImage instead (vm:PATH).")
    sources = []
    for release in SERIES:
        for pocket in _POCKETS.get(release, _DEFAULT_POCKETS):
            model = security if pocket == "-security" else main
            sources += [Source(model[0].uri, release + pocket, model[0].signed_by)] if model else []
    return sources


def _is_debian(entry: Source) -> bool:
    folder = entry.uri.rstrip("/").rpartition("/")[2].removesuffix(".list")
    release = entry.suite.split("-")[0].split("/")[0]
    return release in _KNOWN and (folder in ("debian", "debian-security") or "debian-archive" in entry.signed_by)


def _one_line(text: str) -> Iterator[Source]:
    """The entries of a .list file: `deb [options] uri suite component...`."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)", line)
        if match and "main" in match[4].split():
            options = dict(option.partition("=")[::2] for option in (match[1] or "").split())
            yield Source(match[2], match[3], options.get("signed-by", "").replace(",", " "))


def _deb822(text: str) -> Iterator[Source]:
    """The entries of a .sources file."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        found = re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        fields = {name.lower(): value.strip() for name, value in found}
        if fields.get("enabled", "yes").lower() in ("no", "false", "0") or "deb" not in fields.get("types", "").split():
            continue
        if "main" in fields.get("components", "").split():
            for uri in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    yield Source(uri, suite, fields.get("signed-by", ""))
