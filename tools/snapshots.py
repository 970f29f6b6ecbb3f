"""Live snapshots on other kernels: guests in QEMU take them while a thread writes, and hold every page against the log of all writes.

Usage: python tools/snapshots.py [--rounds N] KERNEL...        as: python tools/snapshots.py 5.10 6.1 6.12 7.2
Prints for each kernel and kind, copied in C and in Python, how many were exact, or why this kernel is refused. Exit status 1 if one
snapshot was wrong, or was refused on some grounds in one round and not in another.
"""

import argparse
import io
import json
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from breakcow.backend.vm import cpio, initramfs, kernels, qemu
from breakcow.backend.vm.cpio import Entry
from breakcow.backend.vm.port import Port
from breakcow.snapshots import compiled

GUEST = "snapshots_guest"
KINDS, WAYS = 6, 2
UNTRUSTED = "this kernel is refused"
SECONDS = 300.0  # for a guest to boot, and for all rounds of one kind in it


def main() -> int:
    """On every kernel named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kernel", nargs="+")
    parser.add_argument("--rounds", type=int, default=10)
    wanted = parser.parse_args()
    print("| kernel | snapshots into | copied in | exact | else |\n| --- | --- | --- | --- | --- |")
    wrong = False
    for kernel in wanted.kernel:
        for kind, in_c, exact, others in answers(kernel, wanted.rounds):
            print(f"| {kernel} | {kind} | {'C' if in_c else 'Python'} | {exact} | {'; '.join(sorted(set(others)))} |", flush=True)
            wrong |= bool(others) and not (exact == 0 and all(other.startswith(UNTRUSTED) for other in others))
    return int(wrong)


def answers(which: str, rounds: int) -> Iterator[tuple[str, bool, int, list[str]]]:
    """What the guest says: kind, copied in C, exact images, and what else came out."""
    kernel = kernels.find(which, print)
    base = initramfs.image(GUEST)
    with tempfile.TemporaryDirectory() as name:
        image = Path(name) / "initramfs"
        with image.open("wb") as file:
            shutil.copyfileobj(base.open("rb"), file)
            file.write(bytes(-file.tell() % 4) + cpio.archive(_members(rounds)))
        machine = qemu.Machine(kernel, image, memory=512, swap=16, accel=qemu.accelerator(kernel, print))
        try:
            port = Port(machine)
            lines = io.BufferedReader(port)
            port.expect(SECONDS)
            lines.readline()  # it is ready
            for _ in range(KINDS * WAYS):
                port.expect(SECONDS)
                yield tuple(json.loads(lines.readline()))
        finally:
            machine.stop()


def _members(rounds: int) -> list[Entry]:
    """What the guest needs beside its Python: how many rounds, and the C with what it was compiled to."""
    made = compiled.path()
    members = [Entry("rounds", stat.S_IFREG | 0o644, str(rounds).encode())]
    if made:
        root = Path(compiled.__file__).parents[2]
        for source in compiled.SOURCES:
            place = Path(initramfs.STDLIB) / source.relative_to(root)
            members.append(Entry(str(place), stat.S_IFREG | 0o644, source.read_bytes()))
        members += [Entry(folder, stat.S_IFDIR | 0o755) for folder in ("cache", "cache/breakcow", "cache/breakcow/snapshots")]
        members.append(Entry(f"cache/breakcow/snapshots/{made.name}", stat.S_IFREG | 0o755, made.read_bytes()))
    return members


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
