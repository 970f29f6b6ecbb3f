"""Programs written on one line, for tests of what executes and judges them."""

from breakcow import litmus
from breakcow.litmus.program import Program

MERGED = "A write x y 7; A madvise x y mergeable; - ksm scan 2; "
UNMERGE = MERGED + "A uffd open; A uffd register x y wp; A uffd protect x y; A madvise x y unmergeable"
REUSE = "A write x 7; A clear_refs; A write x 8"


def flat(text: str, memory: str = "x y z") -> Program:
    """The program of steps that are parted by semicolons, on one mapping of pages."""
    steps = "\n".join(step.strip() for step in text.split(";"))
    (test,) = litmus.parse(f"litmus t/test\n    A test.\n\nmemory {memory}\n\n{steps}\n")
    return litmus.program(test)
