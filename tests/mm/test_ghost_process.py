"""What a child is promised, and what is asked for of all memory at once."""

import pytest

from mm.machine import Machine
from mm.test_ghost import ASYNC, FORK, HOLES, REMAP, ghost, told


def test_writing_2_asks_for_all_mergeable_pages_back_until_the_next_scan() -> None:
    machine = told(Machine(), "mergeable", 0, 2)
    told(machine, "ksm_run", c=0)
    assert ghost(machine, "unmerged") == [0, 0, 0]
    told(machine, "ksm_run", c=2)
    assert ghost(machine, "unmerged") == [1, 1, 0]
    told(machine, "ksm_scan", c=2)
    assert ghost(machine, "unmerged") == [1, 1, 0], "ksmd is stopped"
    told(machine, "ksm_run", c=1)
    assert ghost(machine, "unmerged") == [0, 0, 0], "starting it scans at once"
    told(machine, "ksm_run", c=2)
    told(machine, "mergeable", 0)
    told(machine, "ksm_run", c=2)
    assert ghost(machine, "unmerged") == [0, 1, 0], "2 once more does nothing"
    machine.s.ksm.asked_run = 1
    told(machine, "ksm_run", c=1)
    assert ghost(machine, "unmerged") == [0, 1, 0], "1 once more does not scan"
    told(machine, "ksm_scan", c=1)
    assert ghost(machine, "unmerged") == [0, 0, 0]


def test_a_scan_that_leaves_the_zero_page_where_a_page_was_placed_it() -> None:
    machine = Machine("6.12")
    machine.do("ksm_set", c=1001)
    machine.do("write", 0)
    machine.do("read", 1)
    machine.do("mergeable", 0, 3)
    machine.do("ksm_scan", c=2)
    assert ghost(machine, "ksm_zero") == [1, 0, 0]
    machine.do("write", 0, c=5)
    assert ghost(machine, "ksm_zero") == [0, 0, 0]
    assert ghost(machine, "was_page") == [1, 0, 0]


def test_a_child_inherits_what_is_known_of_a_zero_page() -> None:
    machine = Machine("6.12")
    machine.do("ksm_set", c=1001)
    machine.do("write", 0)
    machine.do("mergeable", 0)
    machine.do("ksm_scan", c=2)
    machine.do("fork", c=1)
    assert ghost(machine, "ksm_zero", 1) == [1, 0, 0]
    machine.do("unmergeable", p=1)
    assert machine.broken() == set()


@pytest.mark.parametrize("follows", [0, 1])
def test_what_a_child_inherits(follows: int) -> None:
    machine = Machine("6.12")
    machine.do("uffd_open", c=FORK if follows else 0)
    machine.do("write", 0, c=7)
    machine.do("mergeable", 0)
    machine.protected(0)
    machine.do("clear_refs")
    machine.do("pin", 1)
    machine.do("vmsplice", 2)
    machine.do("write", 2, c=5)
    machine.do("fork", c=1)
    child = {field: ghost(machine, field, 1) for field in ("value", "mapped", "mergeable", "registered", "armed", "written", "pinned")}
    assert child == {
        "value": [7, 0, 5],
        "mapped": [1, 1, 1],
        "mergeable": [1, 0, 0],
        "registered": [follows, 0, 0],
        "armed": [follows, 0, 0],
        "written": [0, 0, 1],
        "pinned": [0, 0, 0],
    }
    assert ghost(machine, "exempt", 1) == [0, 1, 0]
    assert ghost(machine, "spliced", 1) == [0, 0, 0]
    assert machine.s.proc[1].event_fork == follows


@pytest.mark.parametrize(
    ("features", "expected"), [(0, (0, 0, 0, 0)), (ASYNC, (1, 1, 0, 0)), (HOLES, (0, 1, 0, 0)), (FORK, (0, 0, 1, 0)), (REMAP, (0, 0, 0, 1))]
)
def test_features_that_change_what_is_promised(features: int, expected: tuple[int, ...]) -> None:
    machine = Machine("6.12")
    machine.do("uffd_open", c=features)
    machine.do("fork", c=1)
    for p in range(2):
        proc = machine.s.proc[p]
        assert (proc.async_wp, proc.all_holes, proc.event_fork, proc.event_remap) == expected
