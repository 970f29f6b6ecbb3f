"""A test as the flat list of actions."""

from breakcow.litmus import parse, program


def test_lines_become_actions_for_pages_and_for_contiguous_runs() -> None:
    (test,) = parse(
        """\
litmus a/b
memory x y
memory z
A  write x z 7
# a comment is no action
A  madvise x y z mergeable
A  madvise y x dontneed
-  ksm scan 2
A  fork C
C  mremap x
C  munmap x y
A  munmap x y
A  expect none x
A  exit
"""
    )
    flat = program(test)
    assert flat.processes == ("A", "C")
    assert flat.pages == ("x", "y", "z")
    assert flat.mappings == (0, 0, 1)
    assert flat.wire()["actions"] == [
        ["A", "write", 0, 1, 7],
        ["A", "write", 2, 1, 7],
        ["A", "mergeable", 0, 2, 0],
        ["A", "mergeable", 2, 1, 0],
        ["A", "dontneed", 1, 1, 0],
        ["A", "dontneed", 0, 1, 0],
        ["-", "ksm_scan", 0, 0, 1],
        ["-", "ksm_scan", 0, 0, 1],
        ["A", "fork", 0, 0, 2],
        ["C", "mremap", 0, 1, 0],
        ["C", "munmap", 0, 1, 0],
        ["C", "munmap", 1, 1, 0],
        ["A", "munmap", 0, 2, 0],
        ["A", "exit", 0, 0, 0],
    ]
    assert [action.item for action in flat.actions] == [0, 0, 2, 2, 3, 3, 4, 4, 5, 6, 7, 7, 8, 10]
