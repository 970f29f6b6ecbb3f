"""What a run of conform came to, as JSON that runs on other machines can be merged with."""

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import msgspec

from breakcow.conform.stretches import Stretch, joined, overlap


class Result(msgspec.Struct, frozen=True):
    """One run on one kernel, or several of the same kind on the same kernel merged.

    kind: "tours" or "random". on, release, profile: the kernel. bound: in words. shards: which of how many it was, each as "1/3".
    transitions: dealt to the programs that ran; confirmed: of these, in programs on which model and kernel agree (tours only).
    states: in which programs that ran end; told: of these, in such programs, whose ends tell of `writable` pages whether they are
    writable, and of `inferred` pages whether they are exclusive (tours only).
    seeds: of each stretch the first, the last, and how far apart (random only). skipped: programs not for this kernel.
    disturbed: programs that could not be judged, because KSM merged memory of other processes too. promises: broken promise -> programs.
    differences: each program that differs, as text with what it shows. seconds: of wall time, added up.
    """

    kind: str
    on: str
    release: str
    profile: str
    bound: str
    shards: tuple[str, ...] = ()
    transitions: int = 0
    confirmed: int = 0
    seeds: tuple[Stretch, ...] = ()
    programs: int = 0
    steps: int = 0
    skipped: int = 0
    promises: dict[str, int] = {}
    differences: tuple[str, ...] = ()
    seconds: float = 0.0
    disturbed: int = 0
    inferred: int = 0
    writable: int = 0
    states: int = 0
    told: int = 0

    @property
    def share(self) -> float:
        """The share of the transitions that are confirmed, in percent."""
        return 100 * self.confirmed / self.transitions if self.transitions else 0.0


class BadResultError(Exception):
    """A file that holds no results, or results that cannot be merged; the message is a sentence."""


def read(path: Path) -> tuple[Result, ...]:
    """The results of a file. Raises BadResultError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Result, ...])
    except OSError as error:
        raise BadResultError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise BadResultError(f"{path}: not a result of breakcow conform: {error}") from None


def write(path: Path, results: Sequence[Result]) -> None:
    """Write results to a file."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")


def merge(results: Iterable[Result]) -> list[Result]:
    """Runs of one kind on one kernel and bound made one, in order of kind, kernel and bound. Raises BadResultError for a shard or seed that
    is there twice."""
    merged: dict[tuple[str, ...], Result] = {}
    for one in results:
        key = (one.kind, one.on, one.release, one.profile, one.bound)
        merged[key] = _add(merged[key], one) if key in merged else one
    return [merged[key] for key in sorted(merged)]


def _add(a: Result, b: Result) -> Result:
    if shards := sorted(set(a.shards) & set(b.shards)):
        raise BadResultError(f"{a.kind} on {a.on}: {', '.join(shards)} is there twice")
    if seeds := overlap(a.seeds, b.seeds):
        raise BadResultError(f"{a.kind} on {a.on}: {len(seeds)} seeds from {seeds[0]} on are there twice")
    return msgspec.structs.replace(
        a,
        shards=tuple(sorted({*a.shards, *b.shards}, key=Fraction)),
        seeds=joined((*a.seeds, *b.seeds)),
        promises=dict(sorted((Counter(a.promises) + Counter(b.promises)).items())),
        differences=(*a.differences, *b.differences),
        **{name: getattr(a, name) + getattr(b, name) for name in SUMS},
    )


SUMS = ("transitions", "confirmed", "programs", "steps", "skipped", "seconds", "disturbed", "inferred", "writable", "states", "told")
