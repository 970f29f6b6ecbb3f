"""`breakcow gallery`."""

import sys


def gallery(*, on: tuple[str, ...] = ()) -> int:
    """Write which tests notice each of the kernel bugs that were real: the page docs/wrong-kernels.md.

    Parameters
    ----------
    on
        A kernel to run these tests on as well: vm:6.1, host. May be repeated.
    """
    from breakcow.cli.say import OK, mention
    from breakcow.report.gallery import lines
    from breakcow.suite import backends
    from breakcow.suite.corpus import corpus
    from breakcow.suite.gallery import noticed
    from breakcow.suite.run import run
    from breakcow.suite.trial import trial

    found = noticed([trial(*one) for one in corpus()])
    wanted = {one.test.name: one for part in found.values() for one in part}
    names = backends.names(on)
    verdicts = {(record.backend, record.test): record.verdict for record in run(list(wanted.values()), names, 1, mention)}
    sys.stdout.writelines(f"{line}\n" for line in lines(found, names, verdicts))
    return OK
