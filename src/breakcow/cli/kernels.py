"""`breakcow kernels`."""

import sys
from pathlib import Path

from cyclopts import App

from breakcow.backend.vm import build as made
from breakcow.backend.vm import kernels as store
from breakcow.backend.vm.cache import UnavailableError
from breakcow.cli.say import OK, WrongUseError, complain, epilogue, mention

EXAMPLES = (
    "breakcow kernels list",
    "breakcow kernels fetch 5.10 6.1 6.12 7.2",
    "breakcow kernels build 6.1 --patch my.patch --name mine",
    "breakcow run --on vm:mine",
)

kernels = App(name="kernels", help="Fetch, build, list and remove kernels for the virtual machine.", help_epilogue=epilogue(EXAMPLES))


@kernels.command(name="list")
def list_(*, refresh: bool = False) -> int:
    """List the kernels that are here and those that can be fetched.

    Parameters
    ----------
    refresh
        Read the package lists again even if they are not a day old.
    """
    try:
        found = store.available(mention, refresh)
    except UnavailableError as error:
        complain(f"{error} What is here:")
        found = store.cached()
    sys.stdout.writelines(f"{'here  ' if one.cached else f'{one.size >> 20:3} MB'}  {one.series:5}  {one.release}\n" for one in found)
    return OK


@kernels.command
def fetch(*names: str) -> int:
    """Download kernels by series (6.1: its newest), version or release; those that are here already are left alone."""
    for name in names:
        sys.stdout.write(f"{store.fetch(name, mention).file}\n")
    return OK


@kernels.command
def path(name: str, /) -> int:
    """Print the file of a kernel, fetched if it is not here."""
    sys.stdout.write(f"{store.find(name, mention)}\n")
    return OK


@kernels.command
def build(series: str, /, *, patch: list[Path] | None = None, config: list[str] | None = None, name: str = "") -> int:
    """Build a small kernel with DEBUG_VM and soft-dirty from the Debian source of a series; some minutes, once for the same input.

    Parameters
    ----------
    patch
        A file for `patch -p1`; may be given several times, in order.
    config
        An option, as NAME=y or CONFIG_NAME=64; may be given several times.
    name
        What `--on vm:NAME` calls it. Without one: built-SERIES, with a hash if there are patches or options.
    """
    options = {}
    for word in config or []:
        option, equals, value = word.partition("=")
        if not equals or not value:
            raise WrongUseError(f"--config {word}: write NAME=VALUE, as in DEBUG_VM_PGTABLE=y")
        options[option.removeprefix("CONFIG_")] = value
    sys.stdout.write(f"{made.build(series, patch or [], options, name, mention).file}\n")
    return OK


@kernels.command
def remove(*names: str) -> int:
    """Remove kernels from the cache."""
    for name in names:
        sys.stdout.writelines(f"removed {kernel.release}\n" for kernel in store.remove(name))
    return OK
