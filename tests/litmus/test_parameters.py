"""Parameters stand for every combination of their options."""

from breakcow.litmus import parse, to_text
from breakcow.litmus.syntax import Expect, Fixed, Step

TEXT = """\
litmus ksm/order
    Neither order matters.

param order   # which first
    merge-first:    -  ksm scan 2; A  uffd protect x
    protect-first:  A  uffd protect x; -  ksm scan 2
    neither:
param break = unmergeable | dontneed
param need = ksm | ksm-bit
require {need}, uffd
param claim
    any: not present x, not zero x
param minor = 2
memory x

A  uffd open
{order}  # here
A  madvise x {break}  # there
A  expect {claim}, none x
fixed 6.{minor}  0123456789ab mm/{ksm,gup}: {break}
"""


def test_the_cross_product_in_the_order_declared() -> None:
    tests = parse(TEXT)
    assert len(tests) == 12
    assert [test.name for test in tests[:3]] == [
        "ksm/order[order=merge-first,break=unmergeable,need=ksm,claim=any,minor=2]",
        "ksm/order[order=merge-first,break=unmergeable,need=ksm-bit,claim=any,minor=2]",
        "ksm/order[order=merge-first,break=dontneed,need=ksm,claim=any,minor=2]",
    ]
    assert len({test.name for test in tests}) == 12


def test_a_hole_alone_becomes_the_lines_of_its_option() -> None:
    by_order = {test.name.split("=")[1].split(",")[0]: [item.verb for item in test.body if isinstance(item, Step)] for test in parse(TEXT)}
    assert by_order == {
        "merge-first": ["uffd_open", "ksm_scan", "uffd_protect", "dontneed"],
        "protect-first": ["uffd_open", "uffd_protect", "ksm_scan", "dontneed"],
        "neither": ["uffd_open", "dontneed"],
    }


def test_holes_are_filled_wherever_they_stand_and_comments_stay() -> None:
    test = parse(TEXT)[1]
    assert test.require == ("ksm-bit", "uffd")
    assert test.fixed == (Fixed("6.2", "0123456789ab", "mm/{ksm,gup}: unmergeable"),)
    expect = test.body[-1]
    assert isinstance(expect, Expect)
    assert [(atom.kind, atom.negated) for atom in expect.atoms] == [("present", True), ("zero", True), ("none", False)]
    assert [item.comment for item in test.body] == ["which first", "", "here", "", "", "there", ""]


def test_lines_belong_to_the_file_and_filled_tests_read_back() -> None:
    for test in parse(TEXT):
        assert test.source == TEXT
        numbers = {item.verb: item.line for item in test.body if isinstance(item, Step)}
        assert numbers["uffd_open"] == TEXT.split("\n").index("A  uffd open") + 1
        assert numbers.get("ksm_scan", numbers["uffd_open"] + 1) == numbers["uffd_open"] + 1
        assert parse(to_text(test)) == (test,)
