"""The verbs that the controller executes: on the userfaultfd, the fixed buffers and the pipes, of which it holds the only descriptors.

They work while the process sleeps: releasing a page is what wakes it.
"""

import os
from collections.abc import Callable

from . import uffd
from .contents import Contents
from .process import Process
from .verbs import Action

Outside = Callable[[Contents, Process, Action], str]


def _ioctl(call: Callable[[int, int, int], str]) -> Outside:
    """An ioctl (fd, start, length) on the process's userfaultfd; "busy" if it has none."""

    def verb(_: Contents, process: Process, action: Action) -> str:
        if process.uffd < 0:
            return "busy"
        return call(process.uffd, *process.span(action.page, action.count))

    return verb


def uffd_close(_: Contents, process: Process, __: Action) -> str:
    """close(2) of the userfaultfd; "busy" if there is none."""
    if process.uffd < 0:
        return "busy"
    os.close(process.uffd)
    process.uffd = -1
    return "ok"


def unpin(_: Contents, process: Process, action: Action) -> str:
    """Unregister the fixed buffer; "busy" if there is none."""
    pin = process.pins.pop(action.page, None)
    if pin is None:
        return "busy"
    pin.close()
    return "ok"


def dma(contents: Contents, process: Process, action: Action) -> str:
    """The device stores into the fixed buffer; "busy" if there is none."""
    pin = process.pins.get(action.page)
    return pin.store(contents.page(action.argument)) if pin else "busy"


def drain(_: Contents, process: Process, action: Action) -> str:
    """Empty the pipe; "busy" if there is none."""
    spliced = process.pipes.pop(action.page, None)
    if spliced is None:
        return "busy"
    spliced.close()
    return "ok"


# verb -> (function, whether it needs a process that is neither asleep nor gone)
OUTSIDE: dict[str, tuple[Outside, bool]] = {
    "uffd_register": (_ioctl(uffd.register), False),
    "uffd_protect": (_ioctl(uffd.protect), False),
    "uffd_release": (_ioctl(uffd.release), False),
    "uffd_unregister": (_ioctl(uffd.unregister), False),
    "uffd_close": (uffd_close, False),
    "unpin": (unpin, True),
    "dma": (dma, True),
    "drain": (drain, True),
}
