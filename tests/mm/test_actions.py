"""The action table, and the rules that it names."""

import ast
import inspect
import re
from pathlib import Path

from breakcow import mm
from breakcow.mm import dispatch
from breakcow.mm.actions import FEATURES, KNOBS, LIMITS, PROTECTIONS, VERB, VERBS

ROOM = Path(mm.__file__).parent


def test_verbs_have_unique_names_and_patterns() -> None:
    assert len({verb.name for verb in VERBS}) == len({verb.pattern for verb in VERBS}) == len(VERBS) == len(VERB)


def test_every_pattern_uses_only_the_words_of_the_language() -> None:
    known = {"each", "range", "value", "process", "prot", "scan", "features", "knob", "number"}
    assert {word for verb in VERBS for word in re.findall(r"{(\w+)}", verb.pattern)} == known


def test_the_operations_of_the_kernel_come_last() -> None:
    """step() tells them by their number."""
    assert [verb.kernel for verb in VERBS] == sorted(verb.kernel for verb in VERBS)
    assert {verb.name for verb in VERBS if verb.kernel} == {"ksm_scan", "ksm_run", "ksm_set"}


def test_the_operations_on_a_userfaultfd_stand_together() -> None:
    names = [verb.name for verb in VERBS]
    first, last = names.index("uffd_register"), names.index("uffd_close")
    assert names[first : last + 1] == ["uffd_register", "uffd_protect", "uffd_release", "uffd_unregister", "uffd_close"]
    assert names[first - 1] == "uffd_open"


def test_every_rule_takes_state_process_page_pages_and_argument() -> None:
    for verb, rule in zip(VERBS, dispatch.RULES, strict=True):
        file, function = verb.rule.split(".")
        assert rule.__name__ == function
        assert rule.__module__ == f"breakcow.mm.{file}"
        assert list(inspect.signature(rule).parameters) == ["s", "p", "v", "n", "c"]


def test_no_two_functions_or_constants_of_the_specification_share_a_name() -> None:
    """The compiled form puts all files into one module."""
    functions: dict[str, str] = {}
    constants: dict[str, tuple[str, str]] = {}
    for path in sorted(ROOM.glob("*.py")):
        if path.name in ("actions.py", "schema.py"):
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                assert functions.setdefault(node.name, path.name) == path.name, node.name
            elif isinstance(node, ast.Assign):
                name, value = ast.unparse(node.targets[0]), ast.unparse(node.value)
                assert constants.setdefault(name, (path.name, value))[1] == value, name
    assert not functions.keys() & constants.keys()


def test_features_are_distinct_bits_and_the_rest_distinct_numbers() -> None:
    assert sorted(FEATURES.values()) == [1 << bit for bit in range(len(FEATURES))]
    assert PROTECTIONS == {"none": 0, "r": 1, "rw": 3}
    assert len(set(KNOBS.values())) == len(KNOBS)
    assert LIMITS["processes"] >= 2
