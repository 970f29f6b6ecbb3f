"""Do the reproducers say what breakcow says? Write, compile and run the C program of every test, and compare the verdicts.

Each is compiled with -Wall -Wextra -Werror -std=gnu11, so that a warning is a failure, and runs on this machine's kernel (host) or, packed
into the initramfs, on a kernel in QEMU (vm:6.1), as breakcow's own run of the same tests before it, but where --records names a file of
its records (`breakcow run --jsonl FILE`). --keep leaves programs and sources in a folder, and does not compile again what is there already.

Usage: python tools/reproducers.py [-j N] [--tests PATTERN] [--keep FOLDER] [--records FILE]... WHERE...
Prints each test on which the two disagree with what the program said, and the counts. Exit status 1 if they disagree on any.
"""

import argparse
import io
import json
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from breakcow.backend.vm import cpio, initramfs, kernels, qemu
from breakcow.backend.vm.port import Port
from breakcow.reproducer import NoReproducerError, reproducer
from breakcow.suite import corpus, record
from breakcow.suite.run import run
from breakcow.suite.trial import trial

COMPILE = ("cc", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-s")
SAYS = {0: "kept", 1: "broken", 2: "broke off", 4: "skip"}  # exit status of a reproducer -> what it says
MEANS = {"ok": "kept", "known": "broken", "broken": "broken", "skip": "skip", "differs": "kept"}  # verdict of breakcow -> the same
GUEST = "reproducers_guest"
SECONDS = 120.0  # for a guest to boot, and for one reproducer in it


class Ended(NamedTuple):
    """How a reproducer ended: its exit status, and what it printed."""

    status: int
    said: str


def main() -> int:
    """Compare on every kernel named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("where", nargs="+")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("--tests", default="*")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--records", type=Path, action="append", default=[])
    wanted = parser.parse_args()
    chosen = corpus.select([wanted.tests])
    with tempfile.TemporaryDirectory() as name:
        folder = wanted.keep or Path(name)
        written = dict(_write(chosen, folder))
        programs = _compile(written, wanted.jobs)
        told = [one for file in wanted.records for one in record.read(file) if one.backend in wanted.where]
        compare = partial(_compare, [one for one in chosen if one.test.name in programs], programs, told)
        with ThreadPoolExecutor(wanted.jobs) as pool:
            wrong = list(pool.map(compare, wanted.where))
    return int(any(wrong) or len(programs) < len(written))


def _write(chosen: Sequence[corpus.Chosen], folder: Path) -> Iterator[tuple[str, Path]]:
    """Write the C of every test that has one: name and file."""
    folder.mkdir(exist_ok=True)
    sizes = []
    for one in chosen:
        try:
            text = reproducer(one.test)
        except NoReproducerError as error:
            print(error)
            continue
        file = folder / (re.sub(r"[^A-Za-z0-9.-]", "_", one.test.name) + ".c")
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            file.with_suffix("").unlink(missing_ok=True)
        sizes.append(text.count("\n"))
        yield one.test.name, file
    sizes.sort()
    print(f"{len(sizes)} of {len(chosen)} tests written in C: {sizes[0]} to {sizes[-1]} lines, {sizes[len(sizes) // 2]} in the middle")


def _compile(written: dict[str, Path], jobs: int) -> dict[str, Path]:
    """The programs that could be compiled without a warning."""
    with ThreadPoolExecutor(jobs) as pool:
        done = dict(zip(written, pool.map(_compiled, written.values()), strict=True))
    print(f"{sum(one is not None for one in done.values())} of {len(done)} compiled without a warning", flush=True)
    return {name: program for name, program in done.items() if program}


def _compiled(file: Path) -> Path | None:
    """The program of a C file, made unless it is there; prints what the compiler says if there is none."""
    program = file.with_suffix("")
    if program.exists():
        return program
    done = subprocess.run([*COMPILE, str(file), "-o", str(program)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr)
        return None
    return program


def _compare(chosen: Sequence[corpus.Chosen], programs: dict[str, Path], told: Sequence[record.Record], where: str) -> int:
    """Run both on one kernel, breakcow only if `told` has no records of that: on how many tests they disagree."""
    here = [one for one in told if one.backend == where] or run([trial(*one) for one in chosen], [where], 1, print)
    own = {one.test: one for one in here}
    ended = dict(_on_host(programs) if where == "host" else _in_vm(where.removeprefix("vm:"), programs))
    pairs = {name: (MEANS.get(own[name].verdict, own[name].verdict), SAYS.get(ended[name].status, "crashed")) for name in programs}
    differ = [name for name, (one, other) in pairs.items() if one != other]
    for name in differ:
        print(f"{name} on {where}: breakcow {own[name].verdict} {own[name].why}, the reproducer {pairs[name][1]}\n{ended[name].said}")
    counts = ", ".join(f"{number} {verdict}" for verdict, number in Counter(one for one, _ in pairs.values()).items())
    print(f"{where} ({next(iter(own.values())).kernel}): {counts}; they disagree on {len(differ)} of {len(pairs)}", flush=True)
    return len(differ)


def _on_host(programs: dict[str, Path]) -> Iterator[tuple[str, Ended]]:
    """Run them here."""
    for name, program in programs.items():
        done = subprocess.run([str(program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        yield name, Ended(done.returncode, done.stdout)


def _in_vm(which: str, programs: dict[str, Path]) -> Iterator[tuple[str, Ended]]:
    """Run them in a guest whose initramfs has them all."""
    kernel = kernels.find(which, print)
    base = initramfs.image(GUEST)
    members = [
        cpio.Entry(f"reproducers/{number}", stat.S_IFREG | 0o755, program.read_bytes()) for number, program in enumerate(programs.values())
    ]
    with tempfile.TemporaryDirectory() as name:
        image = Path(name) / "initramfs"
        with image.open("wb") as file:
            shutil.copyfileobj(base.open("rb"), file)
            file.write(bytes(-file.tell() % 4) + cpio.archive(members))
        machine = qemu.Machine(kernel, image, memory=512, swap=64, accel=qemu.accelerator(kernel, print))
        try:
            yield from _answers(machine, list(programs))
        finally:
            machine.stop()


def _answers(machine: qemu.Machine, names: Iterable[str]) -> Iterator[tuple[str, Ended]]:
    """What the guest says of each program, in their order; before that it says that it is ready."""
    port = Port(machine)
    lines = io.BufferedReader(port)
    port.expect(SECONDS)
    lines.readline()
    for name in names:
        port.expect(SECONDS)
        status, said = json.loads(lines.readline())
        yield name, Ended(status, said)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
