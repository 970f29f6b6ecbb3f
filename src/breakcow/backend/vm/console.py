"""What a guest prints on its console: kept, bounded, and made harmless before anybody shows it."""

import threading
from typing import IO

_LIMIT = 4 << 20  # bytes kept of one console


class Console:
    """Reads a guest's console in a thread of its own, so that the guest never waits for its reader.

    A position is the number of bytes printed so far. Of a console that prints without end the newest part is kept.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = bytearray()
        self._dropped = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    def position(self) -> int:
        """How much was printed so far, in bytes."""
        with self._lock:
            return self._dropped + len(self._kept)

    def since(self, position: int = 0) -> str:
        """What was printed after `position`, harmless."""
        with self._lock:
            return harmless(bytes(self._kept[max(0, position - self._dropped) :]))

    def finish(self, seconds: float = 2.0) -> None:
        """Wait until the guest's end of the console is closed and all of it is read."""
        self._thread.join(seconds)

    def _read(self) -> None:
        with self._stream as stream:
            while chunk := stream.read1(65536):  # type: ignore[attr-defined]
                with self._lock:
                    self._kept += chunk
                    if len(self._kept) > _LIMIT:
                        del self._kept[: _LIMIT // 2]
                        self._dropped += _LIMIT // 2


def harmless(data: bytes) -> str:
    """The text of a guest with no character that a terminal would act on: escapes, controls and marks of direction are spelled out."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return "".join(one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode() for one in text)
