"""This machine's kernel: an agent in a process of its own."""

import platform
import subprocess
import sys
from collections.abc import Callable
from typing import IO, cast

from breakcow.backend.abilities import Abilities
from breakcow.backend.agent_link import AgentBackend
from breakcow.backend.errors import LostBackend
from breakcow.litmus.requirements import REQUIREMENTS

CLOSING_SECONDS = 10


class HostBackend(AgentBackend):
    """The agent on this machine.

    Close it, or leave its `with` block: then no process of a test is left and all settings of the machine are as they were.
    notice: is told what the user should know while it works; standard error by default.
    """

    def __init__(self, notice: Callable[[str], None] | None = None) -> None:
        self._lacking = lacking()
        if self._lacking:
            return
        pipe = subprocess.PIPE
        command = [sys.executable, "-I", "-m", "breakcow.agent"]
        self._agent = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        super().__init__("host", cast(IO[bytes], self._agent.stdout), cast(IO[bytes], self._agent.stdin), notice or _say)

    def probe(self) -> Abilities:
        """What this machine's kernel can do. Raises LostBackend."""
        if self._lacking:
            return Abilities(platform.release(), dict.fromkeys(REQUIREMENTS, self._lacking))
        return super().probe()

    def close(self) -> None:
        """End the agent; one that is busy or does not end is killed, and its watcher puts the settings back before this returns."""
        if self._lacking:
            return
        if self._unanswered:
            self._agent.kill()  # it may be in a step that lasts
        super().close()
        try:
            self._agent.wait(CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            self._agent.kill()
            self._agent.wait()
        self._read_stderr()

    def _send(self, request: dict[str, object]) -> None:
        if self._lacking:
            raise LostBackend(self._lacking)
        super()._send(request)

    def _last_words(self) -> str:
        """The last line that the agent printed, which says why it ended."""
        self._agent.kill()
        self._agent.wait()
        lines = self._read_stderr().decode(errors="replace").splitlines()
        return f": {lines[-1]}" if lines else ""

    def _read_stderr(self) -> bytes:
        """What the agent printed. The agent and its watcher hold the other end, so both are gone when this returns."""
        stream = cast(IO[bytes], self._agent.stderr)
        if stream.closed:
            return b""
        with stream:
            return stream.read()


def lacking() -> str:
    """Why this machine cannot be tested at all, as a sentence; empty if it can."""
    if platform.system() != "Linux":
        return f"this machine runs {platform.system()}: real kernels are tested on Linux, or in a VM"
    if platform.machine() != "x86_64":
        return f"this machine is {platform.machine()}: the agent's litmus process is x86-64 machine code"
    return ""


def _say(sentence: str) -> None:
    """Where notices go if nobody else wants them."""
    print(f"breakcow: {sentence}", file=sys.stderr, flush=True)
