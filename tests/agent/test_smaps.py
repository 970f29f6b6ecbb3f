"""KSM pages told by smaps: what the counts settle, and nothing else."""

from breakcow.agent.smaps import _settled


def test_no_ksm_page_settles_all() -> None:
    assert dict(_settled(0, {10: 1, 11: 1}, {})) == {10: False, 11: False}


def test_as_many_as_there_are_settles_all() -> None:
    assert dict(_settled(3, {10: 2, 11: 1}, {})) == {10: True, 11: True}


def test_fewer_settle_nothing() -> None:
    assert dict(_settled(1, {10: 1, 11: 1}, {})) == {}


def test_what_is_known_from_elsewhere_settles_the_rest() -> None:
    assert dict(_settled(2, {10: 2, 11: 1}, {10: True})) == {11: False}
    assert dict(_settled(1, {10: 1, 11: 1}, {10: False})) == {11: True}
