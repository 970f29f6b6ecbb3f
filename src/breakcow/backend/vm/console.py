"""What a guest prints on its console: kept, bounded, and made harmless before anybody shows it."""

import os
import re

_LIMIT = 4 << 20  # bytes kept of one console
_TROUBLE = re.compile(r"\b(Kernel panic|kernel BUG at|BUG: |Oops: |WARNING: |general protection fault)")


class Console:
    """The read end of the pipe that QEMU writes the console to.

    A position is the number of bytes printed so far. Of a console that prints without end the newest part is kept.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._kept = bytearray()
        self._dropped = 0
        os.set_blocking(pipe, False)

    def fileno(self) -> int:
        """The descriptor to wait for; -1 once the guest's end is closed."""
        return self._pipe

    def position(self) -> int:
        """How much was printed so far, in bytes."""
        self._drain()
        return self._dropped + len(self._kept)

    def since(self, position: int = 0) -> str:
        """What was printed after `position`, harmless."""
        self._drain()
        return harmless(bytes(self._kept[max(0, position - self._dropped) :]))

    def close(self) -> None:
        """Keep what the pipe still holds, and close it."""
        self._drain()
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = -1

    def _drain(self) -> None:
        """Read what is in the pipe."""
        while self._pipe >= 0:
            try:
                chunk = os.read(self._pipe, 65536)
            except BlockingIOError:
                return
            if not chunk:
                os.close(self._pipe)
                self._pipe = -1
            self._kept += chunk
            if len(self._kept) > _LIMIT:
                del self._kept[: _LIMIT // 2]
                self._dropped += _LIMIT // 2


def harmless(data: bytes) -> str:
    """The text of a guest with no character that a terminal would act on: escapes, controls and marks of direction are spelled out."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return "".join(one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode() for one in text)


def trouble(text: str) -> str:
    """The line of a console that says what went wrong in the kernel, without its time; "" if none does."""
    lines = [re.sub(r"^\[ *\d+\.\d+\] *", "", line) for line in text.splitlines()]
    found = [line for line in lines if _TROUBLE.search(line)]
    panic = [line for line in found if "Kernel panic" in line]
    return (panic or found or [""])[0]
