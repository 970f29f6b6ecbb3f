"""The wrong rules of docs/wrong-rules.md can be put into the specification as it is."""

import ast
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = runpy.run_path(str(ROOT / "tools" / "wrong_rules.py"))["RULES"]


@pytest.mark.parametrize(("what", "file", "right", "wrong"), RULES)
def test_a_wrong_rule_has_its_place(what: str, file: str, right: str, wrong: str) -> None:
    text = (ROOT / "src" / "breakcow" / "mm" / file).read_text()
    assert text.count(right) == 1
    ast.parse(text.replace(right, wrong))
    assert f"| {what} | `{file}` |" in (ROOT / "docs" / "wrong-rules.md").read_text()
