"""The lock files and the README say what is so."""

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from breakcow.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ALL = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["build"]]
DEV = [*ALL, *chain(*PROJECT["project"]["optional-dependencies"].values()), *PROJECT["dependency-groups"]["dev"][1:]]


def locked(file: str) -> dict[str, set[str]]:
    """Package -> its versions (several where they depend on the Python)."""
    found: dict[str, set[str]] = {}
    for entry in (ROOT / file).read_text().replace("\\\n", " ").splitlines():
        pinned = re.fullmatch(r"([a-z0-9.-]+)==(\S+)( ; [^\\]+?)?\s+((--hash=sha256:[0-9a-f]{64}\s*)+)", entry)
        assert pinned, f"no exact version with hashes: {entry[:80]}"
        found.setdefault(pinned[1], set()).add(pinned[2])
    return found


@pytest.mark.parametrize(("file", "wanted"), [("requirements.lock", ALL), ("requirements-dev.lock", DEV)])
def test_the_lock_has_what_the_project_asks_for(file: str, wanted: list[str]) -> None:
    have = locked(file)
    for requirement in map(Requirement, wanted):
        versions = have.get(canonicalize_name(requirement.name), set())
        assert versions, f"{file} lacks {requirement.name}: run .ci/lock"
        assert all(requirement.specifier.contains(version) for version in versions), f"{file} is old: run .ci/lock"


def test_both_locks_agree() -> None:
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()


def test_the_readme_names_every_command() -> None:
    named = set(re.findall(r"^\| `breakcow (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    also = set(re.findall(r"^\| .*`(judge|diff)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named | also == set(COMMANDS)


def test_the_transcript_of_the_readme_is_what_is_printed() -> None:
    command = [sys.executable, "-m", "breakcow", "run", "ksm/unmerge-uffd-wp", "--on", "model:6.1", "--on", "model:6.12"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shown = (ROOT / "README.md").read_text().split("```")[1].splitlines()
    assert [line for line in done.stdout.splitlines() if line not in shown] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_files_that_pages_name_are_there() -> None:
    floors = "mm|kernel|suite|backend|agent|litmus|explore|reproducer"
    named = chain.from_iterable(re.findall(rf"`((?:{floors})/\w+\.py)", page.read_text()) for page in PAGES)
    assert [file for file in sorted(set(named)) if not (ROOT / "src" / "breakcow" / file).exists()] == []
