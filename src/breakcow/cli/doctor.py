"""`breakcow doctor`."""

import shutil
from collections.abc import Iterator

from breakcow.backend.errors import LostBackend
from breakcow.cli.say import OK, mention
from breakcow.kernel import PROFILES
from breakcow.report.failure import Line
from breakcow.suite.backends import kernel


def doctor() -> int:
    """Say what this machine can run and what it lacks, each with the way to get it."""
    from breakcow.report.terminal import Screen, write

    console = Screen()
    for part in (_models, _host, _snapshots, _machines):
        write(console, part())
    return OK


def _models() -> Iterator[Line]:
    """What runs everywhere."""
    yield Line("the specification: breakcow run --on model", "title")
    yield _yes(f"models of {', '.join(PROFILES)}")


def _host() -> Iterator[Line]:
    """What this machine's kernel can show."""
    yield Line("this machine's kernel: breakcow run --on host", "title")
    try:
        with kernel("host", mention) as host:
            found = host.probe()
    except LostBackend as lost:
        yield _no(f"it cannot run tests: {lost}")
        return
    yield _yes(f"release {found.release}")
    can = [word for word, lacking in found.abilities.items() if not lacking]
    yield _yes(", ".join(can)) if can else _no("none of what tests require")
    lacks = {word: lacking for word, lacking in found.abilities.items() if lacking and word != "model-only"}
    yield from (_no(f"{word}: {lacking}") for word, lacking in lacks.items())
    yield from (Line(f"  note {note}") for note in found.notes)


def _snapshots() -> Iterator[Line]:
    """Whether live snapshots can be trusted here."""
    from breakcow.snapshots import features

    yield Line("snapshots: breakcow.snapshot(), breakcow snapshot PID", "title")
    found = features.measured()
    if lacking := features.lacking(found):
        yield _no(f"no exact image can be had here: {lacking}")
        return
    yield _yes("exact: this kernel shows every page that lost its protection")
    if found.mode == features.USER_MODE_ONLY:
        yield _no(features.LIMITED)


def _machines() -> Iterator[Line]:
    """What other kernels can run in a virtual machine."""
    from breakcow.backend.vm import kernels

    yield Line("other kernels: breakcow run --on vm:6.1", "title")
    qemu = shutil.which("qemu-system-x86_64")
    yield _yes(f"QEMU: {qemu}") if qemu else _no("QEMU is not installed: apt install qemu-system-x86 --no-install-recommends")
    cached = ", ".join(one.release for one in kernels.cached())
    yield _yes(f"kernels here: {cached}") if cached else _no("no kernel is here yet: breakcow kernels fetch 6.1")
    if not shutil.which("apt-get"):
        yield _no("there is no apt to fetch kernels with: give the path of a bzImage, breakcow run --on vm:PATH")


def _yes(text: str) -> Line:
    """Something that this machine has."""
    return Line(f"  yes  {text}", "good")


def _no(text: str) -> Line:
    """Something that it lacks."""
    return Line(f"  no   {text}", "bad")
