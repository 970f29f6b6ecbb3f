"""Figures: samples in the unit that people compare, their median and quartiles, and the file that they are kept in."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

MIB, GIB = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Kind:
    """A benchmark. unit: "MiB/s" (more is faster), "ns/page", "us/event" or "ms/GiB". what: is measured."""

    unit: str
    what: str

    def value(self, nanoseconds: int, amount: int) -> float:
        """A sample in the unit. amount: bytes, or pages or events for a unit that is per page or event."""
        if self.unit == "MiB/s":
            return amount / MIB / (nanoseconds / 1e9)
        if self.unit == "ms/GiB":
            return nanoseconds / 1e6 / (amount / GIB)
        return nanoseconds / amount / (1000 if self.unit == "us/event" else 1)


KINDS = {  # by the names of breakcow.agent.bench.BENCHMARKS
    "merge": Kind("MiB/s", "ksmd merges equal pages: from MADV_MERGEABLE to the end of the second full scan"),
    "merge-huge": Kind("MiB/s", "the same of transparent huge pages, which it splits"),
    "unmerge": Kind("MiB/s", "MADV_UNMERGEABLE of merged pages"),
    "unshare": Kind("ns/page", "a read pin of a merged page (process_vm_readv), which unshares it since 5.19"),
    "cow-merged": Kind("ns/page", "a store to a merged page, which is copied"),
    "cow-unmerged": Kind("ns/page", "a store to a page that is not merged: no fault"),
    "cow-forked": Kind("ns/page", "a store to a page shared since fork, which is copied"),
    "uffd-protect": Kind("ms/GiB", "UFFDIO_WRITEPROTECT of present pages"),
    "uffd-release": Kind("ms/GiB", "UFFDIO_WRITEPROTECT that releases them"),
    "wp-round-trip": Kind("us/event", "a store to a protected page, told to a handler that releases it"),
    "wp-async": Kind("ns/page", "a store to a page that is protected with WP_ASYNC"),
    "pagemap-scan": Kind("ms/GiB", "PAGEMAP_SCAN finds every second page written, and protects it again"),
}


class Figure(msgspec.Struct, frozen=True):
    """What a benchmark came to. low, high: the quartiles. samples: in the order in which they were taken; all in `unit`."""

    name: str
    unit: str
    median: float
    low: float
    high: float
    samples: tuple[float, ...]


class Machine(msgspec.Struct, frozen=True):
    """What the figures are of. kernel: uname release. cpus, memory: number, and MiB."""

    kernel: str
    processor: str
    cpus: int
    memory: int


class Report(msgspec.Struct, frozen=True):
    """All figures of one kernel. backend: host, vm:6.1. mib: each worked on. skipped: benchmark -> why there is no figure."""

    breakcow: str
    backend: str
    machine: Machine
    mib: int
    warmup: int
    figures: tuple[Figure, ...]
    skipped: dict[str, str] = {}


class BadReportError(Exception):
    """A file of figures that cannot be read; the message is a sentence."""


def figure(name: str, samples: Sequence[tuple[int, int]]) -> Figure:
    """The figure of samples (nanoseconds, amount), of which there is one at least."""
    kind = KINDS[name]
    values = tuple(kind.value(*sample) for sample in samples)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Figure(name, kind.unit, median, low, high, values)


def write(path: Path, reports: Sequence[Report]) -> None:
    """Keep reports as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(reports)) + b"\n")


def read(path: Path) -> tuple[Report, ...]:
    """The reports of a file. Raises BadReportError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Report, ...])
    except OSError as error:
        raise BadReportError(f"{path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise BadReportError(f"{path} has no figures of breakcow bench: {error}") from None
