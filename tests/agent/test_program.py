"""What the agent executes is what the action table names, and it believes nothing."""

from typing import Any

import pytest

from breakcow.agent import ksm, uffd
from breakcow.agent.outside import OUTSIDE
from breakcow.agent.program import ARGUMENTS, KERNEL_VERBS, LIMITS, NO_PAGES, ONE_PAGE, RequestError, program
from breakcow.agent.verbs import VERBS
from breakcow.litmus.requirements import BY_VERB
from breakcow.mm import actions


def wire(**changes: Any) -> dict[str, Any]:
    good = {
        "processes": ["A", "B"],
        "pages": ["x", "y", "z"],
        "mappings": [0, 0, 1],
        "actions": [["A", "write", 0, 1, 7], ["A", "fork", 0, 0, 1], ["-", "ksm_scan", 0, 0, 2], ["B", "munmap", 0, 2, 0]],
    }
    return good | changes


MODEL_ONLY = {verb for verb, word in BY_VERB.items() if word == "model-only"}


def test_the_verbs_are_those_of_the_action_table() -> None:
    ours = [*VERBS, *OUTSIDE, *KERNEL_VERBS]
    assert len(ours) == len(set(ours))
    assert set(ours) == set(actions.VERB) - MODEL_ONLY
    assert set(KERNEL_VERBS) == {verb.name for verb in actions.VERBS if verb.kernel}


def test_the_pages_that_a_verb_takes_are_those_of_its_pattern() -> None:
    assert set(ONE_PAGE) == {verb.name for verb in actions.VERBS if "{each}" in verb.pattern} - MODEL_ONLY - {
        "mremap"
    }  # or all of a huge region
    without = {verb.name for verb in actions.VERBS if "{each}" not in verb.pattern and "{range}" not in verb.pattern}
    assert set(NO_PAGES) == without - MODEL_ONLY


def test_the_arguments_are_those_of_the_action_table() -> None:
    taking = {verb.name for verb in actions.VERBS if verb.pattern.count("{") > ("{each}" in verb.pattern) + ("{range}" in verb.pattern)}
    assert set(ARGUMENTS) == taking - MODEL_ONLY
    assert actions.LIMITS == LIMITS
    assert {name: number for number, name in ksm.KNOBS.items()} == actions.KNOBS
    assert set(actions.PROTECTIONS.values()) == set(ARGUMENTS["mprotect"])
    assert set(actions.FEATURES.values()) == {uffd.USER_MODE_ONLY, *uffd.FEATURES}
    assert max(ARGUMENTS["uffd_open"]) == sum(actions.FEATURES.values())


def test_mappings_lie_apart_and_their_pages_side_by_side() -> None:
    checked = program(wire())
    x, y, z = checked.addresses()
    assert y == x + 4096
    assert abs(z - y) > 12 * 4096
    assert checked.spans() == [(x, 8192), (z, 4096)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"processes": "AB"}, "processes are a list of names"),
        ({"processes": []}, "1 to 6 processes"),
        ({"processes": ["A", "A"]}, "each named once"),
        ({"processes": ["A", "/proc/1"]}, "processes are named A to F"),
        ({"processes": ["B"]}, "begins with process A"),
        ({"pages": ["x"] * 3}, "each named once"),
        ({"pages": [f"p{n}" for n in range(13)], "mappings": [0] * 13}, "1 to 12 pages"),
        ({"pages": ["x", "y", "z" * 65]}, "pages are a list of names"),
        ({"mappings": [0, 1]}, "one number for each page"),
        ({"mappings": [0, 0, True]}, "one number for each page"),
        ({"mappings": [1, 0, 1]}, "in the order of the pages"),
        ({"mappings": [0, 1, 99]}, "in the order of the pages"),
        ({"mappings": None}, "mappings are a list"),
        ({"actions": {}}, "actions are a list"),
        ({"actions": [["A", "write", 0, 1, 7]] * 2401}, "at most 2400 actions"),
        ({"actions": [["A", "write", 0, 1]]}, "an action is a list"),
        ({"actions": [["A", "system", 0, 1, 7]]}, "unknown verb 'system'"),
        ({"actions": [["A", "write", 3, 1, 7]]}, "pages that the program does not have"),
        ({"actions": [["A", "write", -1, 1, 7]]}, "pages that the program does not have"),
        ({"actions": [["A", "munmap", 1, 3, 0]]}, "pages that the program does not have"),
        ({"actions": [["A", "munmap", 0, 0, 0]]}, "pages that the program does not have"),
        ({"actions": [["A", "write", 0, 2, 7]]}, "write takes one page"),
        ({"actions": [["A", "write", 0, 1, 256]]}, "write does not take the argument 256"),
        ({"actions": [["A", "mprotect", 0, 1, 7]]}, "mprotect does not take the argument 7"),
        ({"actions": [["A", "munmap", 0, 1, 1]]}, "munmap does not take the argument 1"),
        ({"actions": [["-", "ksm_scan", 0, 0, 21]]}, "ksm_scan does not take the argument 21"),
        ({"actions": [["-", "ksm_set", 0, 0, 4001]]}, "ksm_set does not take the argument 4001"),
        ({"actions": [["-", "write", 0, 1, 7]]}, "write cannot be done by '-'"),
        ({"actions": [["A", "ksm_scan", 0, 0, 1]]}, "ksm_scan cannot be done by 'A'"),
        ({"actions": [["C", "write", 0, 1, 7]]}, "write cannot be done by 'C'"),
        ({"actions": [["A", "fork", 0, 0, 2]]}, "birth of a process that the program does not name"),
        ({"actions": [["A", "fork", 0, 0, 1]] * 2}, "born once"),
        ({"actions": [["A", "write", 0.0, 1, 7]]}, "are numbers"),
    ],
)
def test_what_is_no_program_is_refused_with_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        program(wire(**changes))


def test_what_is_no_object_is_refused() -> None:
    others: list[object] = [None, [], "A", 7]
    for other in others:
        with pytest.raises(RequestError, match="a program is an object"):
            program(other)
