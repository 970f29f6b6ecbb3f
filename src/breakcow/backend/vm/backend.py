"""A kernel in a virtual machine as a backend: the agent inside, spoken to over a serial port, and the kernel's console beside it."""

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from breakcow.backend.abilities import Abilities
from breakcow.backend.agent_link import AgentBackend, Seen
from breakcow.backend.errors import LostBackend
from breakcow.backend.vm import initramfs, kernels, qemu
from breakcow.backend.vm.console import harmless, trouble
from breakcow.backend.vm.port import Port
from breakcow.litmus.program import Program

BOOT_SECONDS = 120.0  # under TCG on a busy machine; KVM needs one
STEP_SECONDS = 5.0  # of the agent, unless it is told another limit
ANSWER_SECONDS = 20.0  # on top of what the actions of a program may take


class VmBackend(AgentBackend):
    """The agent in a fresh guest.

    which: a kernel as `kernels.find` takes it. memory, swap: of the guest, in MiB. agent: the module whose `main()` runs in the guest.
    notice: is told what the user should know meanwhile. Raises UnavailableError where there is no such kernel or no QEMU, and LostBackend
    wherever the machine is gone: the exception then has the observations before, and the console since the program began.
    """

    def __init__(
        self,
        which: str,
        notice: Callable[[str], None] | None = None,
        *,
        memory: int = 256,
        swap: int = 0,
        agent: str = "breakcow.agent.controller",
    ) -> None:
        say = notice or _say
        kernel = kernels.find(which, say)
        self._machine = qemu.Machine(kernel, initramfs.image(agent), memory=memory, swap=swap, accel=qemu.accelerator(kernel, say))
        self._port = Port(self._machine)
        self._up = False
        self._began = 0
        super().__init__(f"vm:{which}", io.BufferedReader(self._port), self._machine.stdin, say, slow=True)

    @property
    def pid(self) -> int:
        """The process id of QEMU."""
        return self._machine.pid

    @property
    def console(self) -> str:
        """All that the guest has printed since it started."""
        return self._machine.console.since()

    def probe(self) -> Abilities:
        """What the guest's kernel can do. Raises LostBackend."""
        self._boot()
        self._port.expect(ANSWER_SECONDS)
        try:
            return super().probe()
        except LostBackend as lost:
            raise self._complete(lost) from None

    def run(self, program: Program, step_seconds: float = 5, trace: Sequence[int] | None = None) -> Seen:
        """Run a program: as AgentBackend.run, with what the kernel printed during each action. Raises LostBackend."""
        self._boot()
        self._port.expect(ANSWER_SECONDS + step_seconds * max(_scans(program)))
        self._began = self._machine.console.position()
        return super().run(program, step_seconds, trace)

    def ask(self, program: Program) -> Callable[[], Seen]:
        """As AgentBackend.ask. Raises LostBackend."""
        self._boot()
        self._port.expect(ANSWER_SECONDS + STEP_SECONDS * sum(_scans(program)))
        return super().ask(program)

    def _observations(self) -> Seen:
        """As AgentBackend._observations."""
        try:
            seen = super()._observations()
        except LostBackend as lost:
            raise self._complete(lost) from None
        self._began = self._machine.console.position()
        return seen

    def converse(self, request: dict[str, object], seconds: float) -> Iterator[dict[str, object]]:
        """As AgentBackend.converse. Raises LostBackend."""
        self._boot()
        self._began = self._machine.console.position()
        try:
            self._port.expect(seconds)
            for answer in super().converse(request, seconds):
                yield answer
                self._port.expect(seconds)
        except LostBackend as lost:
            raise self._complete(lost) from None

    def close(self) -> None:
        """End the guest."""
        self._machine.stop()
        super().close()

    def _boot(self) -> None:
        """Wait for the guest's first line."""
        if self._up:
            return
        self._port.expect(BOOT_SECONDS)
        try:
            self._up = "ready" in self._receive()
            self._began = self._machine.console.position()  # what a stock kernel warns of at its start is no test's doing
        except LostBackend as lost:
            raise self._complete(LostBackend(f"the guest did not start: {lost}")) from None

    def _send(self, request: dict[str, object]) -> None:
        """Ask for the kernel's words with every observation."""
        super()._send({**request, "console": True})

    def _receive(self) -> dict[str, object]:
        """The next answer, with the kernel's words made harmless."""
        answer = super()._receive()
        for one in (answer, *cast(list[dict[str, object]], answer.get("seen", ()))):
            if "console" in one:
                one["console"] = harmless(str(one["console"]).encode(errors="replace"))
        return answer

    def _last_words(self) -> str:
        """How the guest ended: what its kernel said last, or what became of QEMU."""
        self._machine.wait(2.0)
        said = self._machine.console.since(self._began)
        lines = [line for line in said.splitlines() if line and not line.startswith("reboot: ")]
        words = self._machine.ending() or trouble(said) or (lines[-1] if lines else "")
        return f": {words}" if words else ""

    def _complete(self, lost: LostBackend) -> LostBackend:
        """`lost` with the console of what ran."""
        lost.console = self._machine.console.since(self._began)
        return lost


def _scans(program: Program) -> list[int]:
    """Of each action of a program, how many times a step's time limit it may take."""
    return [max(1, action.argument) if action.verb == "ksm_scan" else 1 for action in program.actions] or [1]


def _say(sentence: str) -> None:
    """Where notices go if nobody else wants them."""
    print(f"breakcow: {sentence}", file=sys.stderr, flush=True)
