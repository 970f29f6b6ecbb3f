"""Thirteen wrong rules, put into `mm/` one after the other: does conform notice each on this machine's kernel, and how soon?

    python tools/wrong_rules.py

For each: a copy of the package with one place of it changed, and `breakcow conform` on the host with random programs until one differs.
Prints what was changed, the seconds until the program that shows it had been found and shrunk, and how many steps are left of it.
Exit status 1 if one goes unnoticed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "src" / "breakcow"
PROGRAMS = 2000
RULES = (  # what is wrong, file of mm/, what it says, what it says then
    ("an entry keeps its uffd-wp bit", "pgtable.py", "    pte.soft_dirty = 0\n    pte.uffd_wp = 0\n", "    pte.soft_dirty = 0\n"),
    ("pages_sharing counts twice", "ksm_tree.py", "        s.ksm.pages_sharing += 1\n", "        s.ksm.pages_sharing += 2\n"),
    ("ksm_merging_pages never falls", "ksm_tree.py", "    s.proc[p].merging -= 1\n", ""),
    (
        "an event too many",
        "userfaultfd.py",
        "    s.step.sleeps = v + 1\n",
        "    queue_event(s, EVENT_PAGEFAULT_WP, p, v)\n    s.step.sleeps = v + 1\n",
    ),
    ("a release wakes nobody", "userfaultfd.py", "        s.resumed[p].woken = 1\n", "        s.resumed[p].woken = 0\n"),
    ("no checksum gate", "ksm_scan.py", "    if item.checksum == checksum:\n        return 0\n", "    return 0\n"),
    ("a page in a pipe is merged", "ksm_scan.py", "        if page.refs or page_maybe_dma_pinned", "        if page_maybe_dma_pinned"),
    (
        "mremap keeps the registration",
        "mremap.py",
        "        s.vma[p, v].registered = 0  # mremap_userfaultfd_prep()\n",
        "        s.vma[p, v].registered = 1\n",
    ),
    ("MADV_DONTNEED drops nothing", "madvise.py", "            zap_pte(s, p, w)\n", "            pass\n"),
    ("a pinned page is shared by fork", "fork.py", "    if not page_maybe_dma_pinned(s, f):\n", "    if f:\n"),
    (
        "mprotect gives no write bit back",
        "mprotect.py",
        "can_change_pte_writable(s, p, v):\n        pte.write = 1\n",
        "can_change_pte_writable(s, p, v):\n        pte.write = 0\n",
    ),
    (
        "a release gives no write bit back",
        "userfaultfd.py",
        "can_change_pte_writable(s, p, v):\n        pte.write = 1\n",
        "can_change_pte_writable(s, p, v):\n        pte.write = 0\n",
    ),
    ("a page that fork copies is read-only", "fork.py", "    maybe_mkwrite(s, c, v)\n", ""),
)


def main() -> int:
    """Try each; the exit status."""
    missed = 0
    print("| wrong rule | file | found after | steps left |\n| --- | --- | --- | --- |")
    for what, file, right, wrong in RULES:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "breakcow"
            shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
            rules = copy / "mm" / file
            text = rules.read_text()
            if text.count(right) != 1:
                print(f"{file} no longer says just once: {right!r}")
                return 2
            rules.write_text(text.replace(right, wrong))
            start = time.monotonic()
            how = noticed(folder)
            missed += not how
            print(f"| {what} | `{file}` | {f'{time.monotonic() - start:.1f} s' if how else 'MISSED'} | {how} |", flush=True)
    print(f"\n{len(RULES) - missed} of {len(RULES)} wrong rules noticed.")
    return 1 if missed else 0


def noticed(folder: str) -> str:
    """How many steps are left of the first program that differs for the package in `folder`, or that the specification contradicts itself;
    "" if none does."""
    command = [sys.executable, "-m", "breakcow", "conform", "--on", "host", "--programs", str(PROGRAMS)]
    environment = {**os.environ, "PYTHONPATH": folder, "PYTHONUNBUFFERED": "1"}
    steps = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert run.stderr
        for line in run.stdout:
            steps += line[1:3] == "  "
            if line.startswith("seed "):
                run.send_signal(signal.SIGINT)
                return str(steps)
        return "it contradicts itself" if "contradict" in run.stderr.read() else ""


if __name__ == "__main__":
    sys.exit(main())
