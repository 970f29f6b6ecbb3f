"""`breakcow reproducer`."""

import sys


def reproducer(test: str, /) -> int:
    """Print a test as one C file that needs nothing but libc.

    Compile it with `cc test.c`, run it as root. It says what was promised and what happened, and exits with 0 if the kernel keeps the
    promise, 1 if it breaks it, 4 if it lacks something, 2 if the test broke off.

    Parameters
    ----------
    test
        Name of one test, or a litmus file that holds one.
    """
    from breakcow.cli.say import WrongUseError
    from breakcow.reproducer import NoReproducerError
    from breakcow.reproducer import reproducer as written
    from breakcow.suite.corpus import select

    chosen = select((test,))
    if len(chosen) > 1:
        raise WrongUseError(
            f"{test} names {len(chosen)} tests, and a reproducer is of one: {chosen[0].test.name}, {chosen[1].test.name} ..."
        )
    try:
        sys.stdout.write(written(chosen[0].test))
    except NoReproducerError as error:
        raise WrongUseError(str(error)) from None
    return 0
