"""KSM pages told by smaps: what the counts settle and no more; on this kernel the same as KPF_KSM where that is right."""

import json
import os
from collections import Counter

import pytest

from breakcow import litmus
from breakcow.agent import probe
from breakcow.agent.controller import Controller
from breakcow.agent.smaps import settle

BODY = """
A  write x 7
A  write y 7
A  write z 5
A  write u 6
A  madvise x y z mergeable
-  ksm scan 2
A  write x 9
A  fork B
B  write y 3
A  madvise x y z unmergeable
B  write z 7
"""


def test_no_ksm_page_settles_all() -> None:
    assert settle([(0, Counter((10, 11)))], {}) == {10: False, 11: False}


def test_as_many_as_there_are_settles_all() -> None:
    assert settle([(3, Counter((10, 10, 11)))], {}) == {10: True, 11: True}


def test_fewer_settle_nothing() -> None:
    assert settle([(1, Counter((10, 11)))], {}) == {}


def test_what_is_known_from_elsewhere_settles_the_rest() -> None:
    assert settle([(1, Counter((10, 11))), (1, Counter((10,)))], {}) == {10: True, 11: False}
    assert settle([(1, Counter((10, 11)))], {10: False}) == {10: False, 11: True}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_it_tells_what_the_bit_tells() -> None:
    test = litmus.parse("litmus a/b\n    Test.\n\nmemory x y z\nmemory u\n" + BODY)[0]
    request = json.dumps({"run": litmus.program(test).wire()}).encode()
    answers: list[dict[str, object]] = []
    controller = Controller(answers.append)
    try:
        found = probe.abilities()
        if found["ksm"] or found["ksm-bit"]:
            pytest.skip(found["ksm"] or found["ksm-bit"])
        controller.answer(request)
        by_bit, answers[:] = [answer["processes"] for answer in answers if "processes" in answer], []
        controller.bits = probe.bits(found | {"ksm-bit": "pretend that it lies"})
        controller.answer(request)
        by_smaps = [answer["processes"] for answer in answers if "processes" in answer]
    finally:
        controller.close()
    assert len(by_bit) == 12
    assert by_smaps == by_bit
