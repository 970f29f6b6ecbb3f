"""breakcow bench and the kernel's own ksm_tests in turns, on this machine's kernel, and what each says side by side.

    .venv/bin/python bench/against_ksm_tests.py [ROUNDS]

ROUNDS, 30 without, is how often each takes its turn; who goes first changes with every round. ksm_tests is built by bench/ksm_tests.sh
when it is not there. Both run on the same CPU at the same priority, with ksmd on the others, and with the same settings of KSM.
"""

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

from breakcow.agent.bench import COW_PAGES
from breakcow.agent.bench_memory import HIGHEST, PAGES_TO_SCAN
from breakcow.backend.host import HostBackend
from breakcow.bench.figures import MIB, Figure, figure
from breakcow.bench.run import run

MIBS = 64
TIME = re.compile(r"Total time: +(\d+)\.(\d+) s")
WAYS = {"-P": ("merge",), "-D": ("unmerge",), "-C": ("cow-unmerged", "cow-merged")}  # in the order in which ksm_tests prints them
AMOUNT = {"merge": MIBS * MIB, "unmerge": MIBS * MIB, "cow-unmerged": COW_PAGES // 2, "cow-merged": COW_PAGES // 2}

# the CPU and the priorities that breakcow's agent gives itself, which leads a session too
PRIORITY = f"echo {HIGHEST} > /proc/self/autogroup; exec nice -n {HIGHEST} taskset -c {max(os.sched_getaffinity(0))}"
ALIKE = ("sh", "-c", f'{PRIORITY} "$@"', "sh")

Samples = dict[str, list[tuple[int, int]]]


def ksm_tests(program: str, taken: Samples) -> None:
    """One turn of the C program."""
    for option, names in WAYS.items():
        command = [program, option, "-s", str(MIBS), "-p", str(PAGES_TO_SCAN)]
        said = subprocess.run([*ALIKE, *command], capture_output=True, text=True, check=True, start_new_session=True).stdout
        for name, (seconds, nanoseconds) in zip(names, TIME.findall(said), strict=True):
            taken[name].append((int(seconds) * 10**9 + int(nanoseconds), AMOUNT[name]))


def breakcow(host: HostBackend, taken: Samples) -> None:
    """One turn of ours."""
    run(host, list(taken), 0, 1, MIBS, lambda sample: taken[sample.name].append((sample.nanoseconds, sample.amount)))


def row(ours: Figure, theirs: Figure) -> str:
    """Both figures with their quartiles, and how far apart they are: of each round by itself, as the machine is not the same in all."""
    cells = [f"{each.median:9.1f} ({each.low:.1f} to {each.high:.1f})" for each in (ours, theirs)]
    apart = [(one / other - 1) * 100 for one, other in zip(ours.samples, theirs.samples, strict=True)]
    low, median, high = statistics.quantiles(apart, n=4, method="inclusive")
    return f"{ours.name:13} {cells[0]:34} {cells[1]:34} {ours.unit:8} {median:+6.1f} % ({low:+.1f} to {high:+.1f})"


def main() -> None:
    """Take turns and print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    built = subprocess.run([Path(__file__).with_name("ksm_tests.sh")], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    ours: Samples = {name: [] for name in AMOUNT}
    theirs: Samples = {name: [] for name in AMOUNT}
    with HostBackend() as host:
        breakcow(host, {name: [] for name in AMOUNT})  # pins ksmd, and warms up
        for number in range(rounds):
            if number % 2:
                breakcow(host, ours)
            ksm_tests(built, theirs)
            if not number % 2:
                breakcow(host, ours)
    print(f"{os.uname().release}, {rounds} rounds in turns, {MIBS} MiB, medians and quartiles; load {os.getloadavg()[0]:.0f}")
    print(f"{'':13} {'breakcow bench':34} {'ksm_tests':34} {'':8} difference")
    for name in AMOUNT:
        print(row(figure(name, ours[name]), figure(name, theirs[name])))


if __name__ == "__main__":
    main()
