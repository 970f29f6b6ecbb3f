"""`breakcow show`."""


def show(test: str, /, *, on: tuple[str, ...] = ()) -> int:
    """Show a test as a storyboard: after each step the pages of each process, and what changed.

    Parameters
    ----------
    test
        Name of a test, or a litmus file.
    on
        Where: model:6.1, host, vm:6.1. Repeated: side by side, with what differs marked. Without: the model of the newest kernel.
    """
    from breakcow.cli.say import exit_code, mention
    from breakcow.report.storyboard import lines
    from breakcow.report.terminal import Screen, write
    from breakcow.suite import backends
    from breakcow.suite.corpus import select
    from breakcow.suite.run import run
    from breakcow.suite.trial import trial

    console = Screen()
    names = backends.names(on) or backends.names(("model",))[-1:]
    verdicts: list[str] = []
    for chosen in select((test,)):
        ready = trial(*chosen)
        records = list(run([ready], names, 1, mention))
        verdicts += [record.verdict for record in records]
        write(console, lines(ready.test, ready.program, records))
    return exit_code(verdicts)
