"""What `--on` names: the models, this machine's kernel, kernels in a VM."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from breakcow.backend.abilities import Abilities
from breakcow.backend.observation import Observation
from breakcow.backend.trace import Traced
from breakcow.kernel import PROFILES
from breakcow.litmus.program import Program

SWAP = 64  # MiB of a guest's swap area


class UnknownBackendError(Exception):
    """`--on` names nothing that runs tests; the message is a sentence."""


class Kernel(Protocol):
    """A real kernel, open while in a `with` block. Raises backend.errors.LostBackend when it is gone."""

    name: str
    traced: dict[int, Traced]

    def probe(self) -> Abilities:
        """What it can run."""

    def run(self, program: Program, step_seconds: float = 5, trace: Sequence[int] | None = None) -> tuple[Observation, ...]:
        """Run a program, one observation for each action; what it did in the actions of `trace` (none: in all) is then in `traced`."""

    def ask(self, program: Program) -> Callable[[], tuple[Observation, ...]]:
        """Have a program run, after those that were asked for before: what is to be called for its observations."""

    def converse(self, request: dict[str, object], seconds: float) -> Iterator[dict[str, object]]:
        """The answers to a request that has many, the last included; lost after that many seconds of silence in a VM."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def names(words: Sequence[str]) -> tuple[str, ...]:
    """The backends that `words` of `--on` name, in order, each once; `model` is the model of every profile. Raises UnknownBackendError."""
    return tuple(dict.fromkeys(name for word in words for name in _expand(word)))


def everything() -> tuple[str, ...]:
    """What a run without `--on` uses: every model, and this machine's kernel."""
    return names(("model", "host"))


def kernels(words: Sequence[str]) -> tuple[str, ...]:
    """The backends that words such as 6.1, 6.12.43, a path or what `--on` takes name; every cached kernel for no words.

    Raises UnknownBackendError.
    """
    if not words:
        from breakcow.backend.vm.kernels import cached

        words = [kernel.release for kernel in cached()]
        if not words:
            raise UnknownBackendError("no kernel is cached: name some, as in `breakcow matrix 6.1 6.12`, or see `breakcow kernels list`")
    return names([word if word in {"model", "host"} or word.startswith(("model:", "vm:")) else f"vm:{word}" for word in words])


def is_model(name: str) -> bool:
    """Is this the executable specification, which needs no kernel?"""
    return name.startswith("model:")


def _expand(word: str) -> tuple[str, ...]:
    """One word of `--on`."""
    kind, _, which = word.partition(":")
    if word == "model":
        return tuple(f"model:{profile}" for profile in PROFILES)
    if kind == "model":
        if which not in PROFILES:
            raise UnknownBackendError(f"there is no model of kernel {which!r}: there are models of {', '.join(PROFILES)}")
        return (word,)
    if word == "host" or (kind == "vm" and which):
        return (word,)
    near = difflib.get_close_matches(kind, ("model", "host", "vm"), n=1)
    hint = f"did you mean {near[0]}?" if near else "use model, model:6.1, host or vm:6.1"
    raise UnknownBackendError(f"nothing called {word!r} runs tests: {hint}")


def kernel(name: str, notice: Callable[[str], None], memory: int = 256) -> Kernel:
    """The real kernel of that name. notice: is told what people should know meanwhile. memory: of a VM, in MiB.

    Raises UnavailableError, LostBackend.
    """
    if name == "host":
        from breakcow.backend.host import HostBackend

        return HostBackend(notice)
    from breakcow.backend.vm import VmBackend

    return VmBackend(name.removeprefix("vm:"), notice, memory=memory, swap=SWAP)
