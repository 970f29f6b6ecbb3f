"""From numbers to rules."""

from breakcow.mm import fault, ksm
from breakcow.mm.actions import VERBS
from breakcow.mm.dispatch import RULES, dispatch, rule
from mm.machine import NUMBER, Machine


def test_a_number_is_the_rule_of_that_verb() -> None:
    assert len(RULES) == len(VERBS)
    assert rule("fault.store") is RULES[NUMBER["write"]] is fault.store
    assert RULES[NUMBER["ksm_set"]] is ksm.knob_store


def test_dispatch_passes_everything_on() -> None:
    machine = Machine(processes=2)
    machine.do("fork", c=1)
    assert dispatch(machine.s, NUMBER["write"], 1, 2, 1, 9) == 0
    assert machine.content(2, 1) == 9
    assert dispatch(machine.s, NUMBER["munmap"], 1, 0, 3, 0) == 0
    assert [machine.s.vma[1, v].mapped for v in range(3)] == [0, 0, 0]
