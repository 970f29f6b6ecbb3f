"""`breakcow probe`."""

import sys


def probe(*, on: str, json: bool = False) -> int:
    """Measure how a kernel behaves: which value it has of each behaviour that kernels differ in, and the program that showed it.

    Exit status 1 if some behaviour of this kernel has no value that breakcow knows.

    Parameters
    ----------
    on
        The kernel: host, vm:6.1, vm:PATH of a bzImage.
    json
        Write one JSON object instead of lines for people.
    """
    import msgspec

    from breakcow.backend.measure import measure
    from breakcow.cli.say import BROKEN, OK, RUN_FAILED, WrongUseError, complain, mention
    from breakcow.report.profile import as_json, finds, lines
    from breakcow.report.terminal import Screen, write
    from breakcow.suite import backends

    (name, *others) = backends.names((on,))
    if others or backends.is_model(name):
        raise WrongUseError(f"--on {on}: the profile of a model is given, not measured: name a kernel, as host or vm:6.1")
    with backends.kernel(name, mention) as kernel:
        abilities = kernel.probe()
        if abilities.abilities["root"]:
            complain(abilities.abilities["root"])
            return RUN_FAILED
        measured = measure(kernel)
    if json:
        sys.stdout.write(msgspec.json.encode(as_json(measured, name, abilities.release)).decode() + "\n")
    else:
        write(Screen(), lines(measured, name, abilities.release))
    return BROKEN if finds(measured) else OK
