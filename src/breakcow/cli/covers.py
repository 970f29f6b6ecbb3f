"""`breakcow covers`."""

import sys


def covers() -> int:
    """Write which cases of the kernel's own test programs the corpus covers, and why not the others: the page docs/covers.md."""
    from breakcow.cli.say import OK
    from breakcow.report.covers import lines
    from breakcow.suite.corpus import corpus

    sys.stdout.writelines(f"{line}\n" for line in lines(chosen.test for chosen in corpus()))
    return OK
