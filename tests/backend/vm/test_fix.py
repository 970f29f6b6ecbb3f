"""The loop of a kernel developer: build 6.1 with the fix of the review, and see the promise that 6.1 breaks kept.

The fix is made here, by editing break_ksm() in the unpacked source. It takes minutes: only with BREAKCOW_BUILD=1, or once it is built.
"""

import difflib
import os
import re
import tarfile
from pathlib import Path

import pytest

from backend.vm.conftest import Boot
from backend.vm.test_backend import REVIEW
from breakcow import litmus
from breakcow.backend.vm import kernels
from breakcow.backend.vm.build import build
from breakcow.backend.vm.cache import folder

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3600)]
NAME = "fixed-6.1"


def fix(target: Path) -> Path:
    """A patch that makes break_ksm() unshare instead of write."""
    (source,) = folder("sources").glob("linux-source-6.1-*/source.tar.xz")
    with tarfile.open(source, "r|xz") as archive:
        text = next(archive.extractfile(one).read().decode() for one in archive if one.name.endswith("/mm/ksm.c"))  # type: ignore[union-attr]
    before, body, after = re.split(r"(^static int break_ksm\(.*?^\})", text, maxsplit=1, flags=re.DOTALL | re.MULTILINE)
    fixed = before + re.sub(r"\bFAULT_FLAG_WRITE\b", "FAULT_FLAG_UNSHARE", body) + after
    target.write_text("".join(difflib.unified_diff(text.splitlines(True), fixed.splitlines(True), "a/mm/ksm.c", "b/mm/ksm.c")))
    return target


@pytest.mark.long
def test_the_fix_of_the_review_keeps_the_promise(boot: Boot, tmp_path: Path) -> None:
    built = any(kernel.name == NAME for kernel in kernels.cached()) and any(folder("sources").glob("linux-source-6.1-*/source.tar.xz"))
    if not os.environ.get("BREAKCOW_BUILD") and not built:
        pytest.skip("builds a kernel, which takes minutes: set BREAKCOW_BUILD=1")
    build("6.1")
    assert build("6.1", [fix(tmp_path / "fix.patch")], name=NAME).name == NAME
    (test,) = litmus.parse(REVIEW)
    *_, last = boot(NAME).run(litmus.program(test))
    assert last.outcome.result == "ok"
    assert last.console == ""
    pages = last.processes["A"].pages
    assert pages["x"].frame != pages["y"].frame
    assert pages["x"].uffd_wp and pages["y"].uffd_wp
