"""What the command line says besides its results: sentences on stderr, and exit codes."""

import sys
from collections.abc import Iterable
from functools import cache

from breakcow.report.printable import printable_lines

OK, BROKEN, WRONG_USE, RUN_FAILED, INTERRUPTED, NO_READER = 0, 1, 2, 3, 130, 141
EXIT_CODES = "Exit status: 0 all as promised (known bugs and skips included), 1 a promise is broken or a kernel differs from its model, \
2 wrong use, 3 the run itself failed, 130 interrupted."


class WrongUseError(Exception):
    """What was asked for makes no sense; the message is a sentence."""


def complain(message: object) -> None:
    """Say on stderr what is wrong."""
    for text in printable_lines(f"breakcow: {message}"):
        print(text, file=sys.stderr)


@cache
def mention(sentence: str) -> None:
    """Say on stderr what people should know meanwhile, each sentence once: four kernels without KVM are one piece of news."""
    complain(sentence)


def exit_code(verdicts: Iterable[str]) -> int:
    """The exit code for these verdicts. A broken promise outweighs a failed run: it is proven whatever else went wrong."""
    seen = set(verdicts)
    if seen & {"broken", "differs"}:
        return BROKEN
    return RUN_FAILED if "error" in seen else OK


def epilogue(examples: Iterable[str]) -> str:
    """What stands below the help of a command."""
    return "\n".join(["For example:", "", *[f"    {example}" for example in examples], "", EXIT_CODES])
