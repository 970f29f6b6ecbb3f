"""The agent's serial port seen from outside: bytes that come in time, or a lost machine."""

import io
import select
import time

from breakcow.backend.errors import LostBackend
from breakcow.backend.vm.qemu import Machine

_FLOOD = 4 << 20  # bytes of one answer that no agent sends


class Port(io.RawIOBase):
    """What `machine` says on the agent's port. Reading keeps the console going, and raises LostBackend past the time limit."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.expect(0)

    def expect(self, seconds: float) -> None:
        """From now on, and after everything that is read, `seconds` are the limit for what comes next."""
        self._seconds = seconds
        self._flood = 0

    def readable(self) -> bool:
        """As io.RawIOBase."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """As io.RawIOBase: waits for at least one byte; 0 once QEMU has ended."""
        self._wait()
        data = self._machine.read(len(buffer))
        buffer[: len(data)] = data
        self._flood += len(data)
        if self._flood > _FLOOD:
            raise LostBackend("the guest talks without end")
        return len(data)

    def _wait(self) -> None:
        """Until there is something to read, or QEMU has ended."""
        end = time.monotonic() + self._seconds
        port, console = self._machine.fileno(), self._machine.console
        while True:
            descriptors = [port, console.fileno()] if console.fileno() >= 0 else [port]
            ready, _, _ = select.select(descriptors, [], [], max(0.0, end - time.monotonic()))
            if port in ready:
                return
            if not ready:
                raise LostBackend(f"the guest gave no sign for {self._seconds:g} s")
            console.position()
