"""What runs in the guest of tools/reproducers.py: each program of /reproducers, with a line of JSON for each. Standard library only."""

import json
import os
import subprocess


def main() -> None:
    """Run them all, in the order of their numbers."""
    for number in sorted(os.listdir("/reproducers"), key=int):
        done = subprocess.run([f"/reproducers/{number}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(json.dumps([done.returncode, done.stdout]), flush=True)
