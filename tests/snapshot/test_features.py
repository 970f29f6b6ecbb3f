"""Which kernels are refused, and with what sentence: what was measured on each of them decides, not its version."""

import os
import subprocess
import sys
import textwrap

import pytest

from breakcow.snapshots import features
from breakcow.snapshots.features import FULL, NEEDED, WP_ASYNC, Features, lacking, measured

OFFERED = {"5.10": 0x1FF, "6.1": 0x1FFF, "6.12": 0x1FFFF, "7.2": 0x1FFFF}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (Features("", refusal="ENOSYS"), "CONFIG_USERFAULTFD"),
        (Features("", refusal="EPERM"), "a sandbox forbids it"),
        (Features(FULL, 0), "Linux 5.7"),
        (Features(FULL, OFFERED["5.10"]), "WP_UNPOPULATED is not offered"),
        (Features(FULL, OFFERED["6.1"]), "it needs Linux 6.4"),
        (Features(FULL, NEEDED, "ENOTTY"), "PAGEMAP_SCAN gives ENOTTY"),
        (Features(FULL, OFFERED["6.12"], moves=True), "moved into place would pass for unchanged"),
        (Features(FULL, OFFERED["6.12"]), ""),
    ],
)
def test_what_is_lacking(found: Features, sentence: str) -> None:
    assert sentence in lacking(found)
    assert bool(sentence) == bool(lacking(found))


def test_this_kernel_is_measured() -> None:
    found = measured()
    assert lacking(found) or (found.offered & WP_ASYNC and not found.moves and found.scan == "ok")


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists(features.DEVICE) or bool(lacking(measured())), reason="root gives its rights up here"
)
def test_without_privilege_reads_fail_and_the_rest_is_exact() -> None:
    code = """
        import os, sys, warnings
        warnings.simplefilter("error")
        import breakcow
        import mmap
        m = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        m[:3] = b"abc"
        try:
            breakcow.snapshot(m)
        except UserWarning as warning:
            print(warning)
        warnings.simplefilter("ignore")
        source = os.open("/proc/self/exe", os.O_RDONLY)
        pieces = breakcow.snapshot(m)
        print(pieces.stats.mode)
        try:
            os.preadv(source, [memoryview(m)[:4096]], 0)
        except OSError as error:
            print(error.strerror)
        m[:3] = b"xyz"
        print(bytes(next(pieces)[1][:3]))
        del pieces
        print(os.preadv(source, [memoryview(m)[:4096]], 0))
    """
    drop = 'mount --bind /dev/null /dev/userfaultfd && exec setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace "$@"'
    command = ["unshare", "--mount", "sh", "-c", drop, "sh", sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    assert lines[:1] == [features.LIMITED], done.stderr
    assert lines[1:] == ["user-mode-only", "Bad address", "b'abc'", "4096"], done.stderr
