"""`breakcow kernels`."""

import sys

from cyclopts import App

from breakcow.backend.vm import kernels as store
from breakcow.backend.vm.cache import UnavailableError
from breakcow.cli.say import OK, complain, epilogue, mention

EXAMPLES = ("breakcow kernels list", "breakcow kernels fetch 5.10 6.1 6.12 7.2", "breakcow run --on vm:6.1")

kernels = App(name="kernels", help="Fetch, list and remove kernels for the virtual machine.", help_epilogue=epilogue(EXAMPLES))


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
def remove(*names: str) -> int:
    """Remove kernels from the cache."""
    for name in names:
        sys.stdout.writelines(f"removed {kernel.release}\n" for kernel in store.remove(name))
    return OK
