"""A stress run on a kernel: what the agent says of it, and the verdict."""

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from breakcow.backend.abilities import Abilities
from breakcow.backend.errors import LostBackend
from breakcow.backend.vm.console import harmless, trouble
from breakcow.stress.known import excuse

SILENCE_SECONDS = 400.0  # a run says something every second; before it says that a process hangs it waits, and it does so twice


class Options(msgspec.Struct, frozen=True):
    """seconds, operations: the first that is reached ends the run, 0 for no such limit. processes: at most at a time."""

    seconds: int
    operations: int
    seed: int
    processes: int


class Finding(msgspec.Struct, frozen=True):
    """A promise that was seen broken.

    process: its lineage, 7.1 for the first child of the seventh process. operation: what it was doing. page, address: where.
    known: what the process knew of the page. cause: of stress.known, "" if none is established. excuse: why it is no news, or "".
    """

    process: str
    pid: int
    operation: str
    page: int
    address: int
    promise: str
    cause: str
    expected: str
    found: str
    known: str
    excuse: str = ""


class Summary(msgspec.Struct, frozen=True):
    """What was done in `seconds`. known: cause -> how often. processes: that live now. born: that were no fork of another one.

    scans, cow_ksm: of the kernel, at the end; cow_ksm is None where it is not counted. merges_seen, breaks_seen: by the processes, which
    notice a merge when they look at the page the next time, and a break by a store of their own.
    """

    seconds: float = 0.0
    operations: int = 0
    stores: int = 0
    events: int = 0
    forks: int = 0
    protections: int = 0
    unmerges: int = 0
    moves: int = 0
    checks: int = 0
    audits: int = 0
    merges_seen: int = 0
    breaks_seen: int = 0
    known: dict[str, int] = {}
    processes: int = 0
    born: int = 0
    scans: int = 0
    cow_ksm: int | None = None
    knobs: dict[str, int] = {}
    neighbours: tuple[str, ...] = ()


class Stressed(msgspec.Struct, frozen=True):
    """A run. verdict: ok, known, broken, skip or error. why: in a sentence. findings: the first of each known cause, and all others.

    console: what the kernel printed meanwhile that is a warning or worse.
    """

    backend: str
    kernel: str
    verdict: str
    why: str
    options: Options
    summary: Summary
    findings: tuple[Finding, ...] = ()
    console: str = ""


class Kernel(Protocol):
    """A real kernel, as suite.backends has it."""

    name: str

    def probe(self) -> Abilities:
        """What it can do."""

    def converse(self, request: dict[str, object], seconds: float) -> Iterator[dict[str, object]]:
        """The answers to a request, up to the last."""


class Run:
    """What is known of a run so far. Interrupt `go` and `result` tells what was done until then."""

    def __init__(self, kernel: Kernel, options: Options) -> None:
        self.kernel = kernel
        self.options = options
        self.release = ""
        self.summary = Summary()
        self.findings: list[Finding] = []
        self.console = ""
        self.failure = ""
        self.skip = ""

    def go(self, progress: Callable[[Summary], None]) -> None:
        """Run to the end."""
        try:
            abilities = self.kernel.probe()
            self.release = abilities.release
            self.skip = next((why for need in ("root", "ksm", "uffd-wp") if (why := abilities.abilities[need])), "")
            if not self.skip:
                self._listen(progress)
        except LostBackend as lost:
            self.failure = str(lost)
            self.console += lost.console

    def _listen(self, progress: Callable[[Summary], None]) -> None:
        for answer in self.kernel.converse({"stress": msgspec.to_builtins(self.options)}, SILENCE_SECONDS):
            if "finding" in answer:
                found = msgspec.convert(answer["finding"], Finding)
                self.findings.append(msgspec.structs.replace(found, excuse=excuse(found.cause, self.release)))
            elif "console" in answer:
                self.console += harmless(str(answer["console"]).encode(errors="replace"))
            else:
                self.summary = msgspec.convert(answer.get("summary") or answer["progress"], Summary)
                progress(self.summary)

    def result(self, interrupted: bool = False) -> Stressed:
        """The verdict on what was done."""
        verdict, why = self._verdict()
        if interrupted:
            why = f"interrupted; until then {why or 'all as promised'}"
        return Stressed(
            self.kernel.name, self.release, verdict, why, self.options, self.summary, tuple(self.findings), self.console.strip()
        )

    def _verdict(self) -> tuple[str, str]:
        """A broken promise outweighs a failed run: it is proven whatever else went wrong."""
        news = [found for found in self.findings if not found.excuse]
        if news:
            return "broken", f"{news[0].promise}: expected {news[0].expected}, found {news[0].found}"
        if words := trouble(self.console):
            return "broken", f"the kernel printed: {words}"
        if self.failure:
            return "error", self.failure
        if self.skip:
            return "skip", self.skip
        if self.findings:
            return "known", "; ".join(dict.fromkeys(found.excuse for found in self.findings))
        return "ok", ""
