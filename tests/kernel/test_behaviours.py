"""The table of behaviours."""

import ast
import re
from pathlib import Path

import pytest

from breakcow import mm
from breakcow.kernel import BEHAVIOURS, Behaviour
from breakcow.kernel.behaviours import NAMES

CITATION = re.compile(r'Linux kernel commit [0-9a-f]{12} \("[^"]+"\) \(in v\d+\.\d+\)')
VERSION = re.compile(r"\b(?:v\d+\.\d+|v?[4-9]\.\d+)\b|in no kernel|a build option")
ROOM = Path(mm.__file__).parent


def test_names_are_unique_and_meanings_are_said() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(BEHAVIOURS)
    assert all(behaviour.meaning and behaviour.name.isidentifier() for behaviour in BEHAVIOURS)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=NAMES)
def test_citations_are_well_formed(behaviour: Behaviour) -> None:
    assert behaviour.source.count("Linux kernel commit") == len(CITATION.findall(behaviour.source)), behaviour.source
    assert not re.search(r"\b[0-9a-f]{7,40}\b", CITATION.sub("", behaviour.source)), "a commit outside a citation"


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=NAMES)
def test_every_source_says_when(behaviour: Behaviour) -> None:
    assert VERSION.search(behaviour.source), behaviour.source


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=NAMES)
def test_values_are_two_or_more_different_words(behaviour: Behaviour) -> None:
    assert len(set(behaviour.values)) == len(behaviour.values) >= 2


def asked() -> set[str]:
    """What the rules ask of s.kernel."""
    found = set()
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "kernel":
                found.add(node.attr)
    return found


def test_the_rules_ask_for_every_behaviour_and_for_nothing_else() -> None:
    assert asked() == set(NAMES)


def test_no_rule_asks_for_a_version() -> None:
    for path in ROOM.glob("*.py"):
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not names & {"release", "version"}, path.name
