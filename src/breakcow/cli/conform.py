"""`breakcow conform`."""

import sys
import time


def conform(*, on: str = "host", programs: int = 1000, seed: int = 0) -> int:
    """Run random programs on a kernel and hold every observation against its model.

    Each program has about 30 steps. One that differs is shrunk and printed as a litmus test. Exit status 1 if one differs.

    Parameters
    ----------
    on
        The kernel: host, vm:6.1, vm:PATH of a bzImage.
    programs
        How many, of consecutive seeds.
    seed
        Of the first.
    """
    from breakcow.backend.measure import measure
    from breakcow.backend.model import ModelBackend
    from breakcow.cli.say import BROKEN, OK, RUN_FAILED, WrongUseError, complain, mention
    from breakcow.conform.random_programs import Tally
    from breakcow.conform.random_programs import conform as run
    from breakcow.litmus import to_text
    from breakcow.suite import backends

    (name, *others) = backends.names((on,))
    if others or backends.is_model(name):
        raise WrongUseError(f"--on {on}: programs run on a real kernel: name one, as host or vm:6.1")
    if programs < 1 or seed < 0:
        raise WrongUseError("--programs wants a number from 1, --seed one from 0")
    found = 0
    tally = Tally()
    with backends.kernel(name, mention) as kernel:
        abilities = kernel.probe()
        if abilities.abilities["root"]:
            complain(abilities.abilities["root"])
            return RUN_FAILED
        profile = measure(kernel).profile
        start = time.monotonic()
        progress = _Progress(programs)
        for finding in run(kernel, ModelBackend(profile), range(seed, seed + programs), tally, progress):
            found += 1
            d = finding.difference
            print(to_text(finding.test))
            said = f"step {d.step}: the model allows {d.field} {d.expected}, observed {d.observed} {d.process} {d.page}" if d else ""
            print(f"seed {finding.seed}: {said.rstrip() or 'differed once and not again'}\n")
    rate = tally.programs / max(time.monotonic() - start, 0.001)
    print(f"{name} ({abilities.release}), profile {profile.name}, seeds {seed} to {seed + programs - 1}")
    print(f"  {tally.programs} programs, {tally.steps} steps, {tally.skipped} not for this kernel, {rate:.0f} programs a second")
    for promise, number in sorted(tally.promises.items()):
        print(f"  {number} programs broke the promise {promise}")
    print(f"  {found} differ from the model")
    return BROKEN if found else OK


class _Progress:
    """A line on standard error that counts, on a terminal."""

    def __init__(self, programs: int) -> None:
        self.programs = programs
        self.done = 0

    def __call__(self) -> None:
        self.done += 1
        if sys.stderr.isatty() and (self.done % 20 == 0 or self.done == self.programs):
            end = "\n" if self.done == self.programs else ""
            print(f"\r{self.done} of {self.programs} programs", end=end, file=sys.stderr, flush=True)
