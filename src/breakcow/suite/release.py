"""Kernel releases: which of two is older."""

import re

RELEASE = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:-rc(\d+))?")
FINAL = 1 << 16  # a release counts as later than each of its candidates


def version(release: str) -> tuple[int, int, int, int]:
    """The upstream version in `release`, comparable: "6.1.0-47-amd64" -> (6, 1, 0, final). Raises ValueError if there is none."""
    match = RELEASE.match(release)
    if match is None:
        raise ValueError(f"{release!r} is no kernel release: it should begin like 6.1 or 6.12.43")
    major, minor, patch, candidate = match.groups()
    return int(major), int(minor), int(patch or 0), int(candidate) if candidate else FINAL


def predates(release: str, fix: str) -> bool:
    """Is kernel `release` older than `fix`? False where either names no version: what cannot be compared excuses nothing."""
    try:
        return version(release) < version(fix)
    except ValueError:
        return False
