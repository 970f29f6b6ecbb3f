"""Building kernels: the steps with a source that make builds at once, and one real kernel where it has been built before."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.vm.conftest import Boot
from backend.vm.mirror import Mirror
from backend.vm.test_backend import REVIEW
from breakcow import litmus
from breakcow.backend.vm import build as module
from breakcow.backend.vm import kernels
from breakcow.backend.vm.build import build
from breakcow.backend.vm.cache import UnavailableError, folder

PATCH = """--- a/mm/ksm.c
+++ b/mm/ksm.c
@@ -1 +1 @@
-break_ksm: write
+break_ksm: unshare
"""
UNSET = """--- a/Makefile
+++ b/Makefile
@@ -5,4 +5,4 @@
 bzImage:
-\t@echo '  CC      mm/ksm.o'
+\t@echo 'mm/ksm.c:1: error: expected ;' && false
 \tmkdir -p arch/x86/boot && cat mm/ksm.c .config > arch/x86/boot/bzImage
"""
Written = Callable[[str], Path]


@pytest.fixture
def patch(tmp_path: Path) -> Written:
    def write(text: str) -> Path:
        path = tmp_path / "my.patch"
        path.write_text(text)
        return path

    return write


def test_a_build_is_a_kernel_with_a_name(mirror: Mirror) -> None:
    kernel = build("6.1")
    assert kernel.release == "6.1.100-built-6.1"
    assert kernels.find("built-6.1") == kernels.find(kernel.release) == kernel.file
    text = kernel.file.read_text()
    assert text.startswith("break_ksm: write\n")
    assert "CONFIG_KSM=y\n" in text
    assert 'CONFIG_LOCALVERSION="-built-6.1"\n' in text
    assert sorted(path.name for path in kernel.file.parent.iterdir()) == ["kernel.json", "vmlinuz"]


def test_a_series_stands_for_stock_kernels_only(mirror: Mirror) -> None:
    build("6.1")
    assert kernels.fetch("6.1").package == "linux-image-6.1.0-10-cloud-amd64"


def test_the_same_is_built_once_and_anything_else_again(mirror: Mirror, patch: Written) -> None:
    said: list[str] = []
    first = build("6.1", [patch(PATCH)], name="mine", progress=said.append)
    assert first.file.read_text().startswith("break_ksm: unshare\n")
    assert build("6.1", [patch(PATCH)], name="mine", progress=said.append) == first
    assert sum("compiling" in line for line in said) == 1
    second = build("6.1", name="mine", progress=said.append)
    assert second.file == first.file
    assert second.file.read_text().startswith("break_ksm: write\n")
    assert sum("downloading" in line for line in said) == 1


def test_what_differs_has_another_name(mirror: Mirror, patch: Written) -> None:
    names = {build("6.1").name, build("6.1", [patch(PATCH)]).name, build("6.1", config={"DEBUG_VM": "n"}).name}
    assert len(names) == 3


def test_options(mirror: Mirror) -> None:
    assert "# CONFIG_DEBUG_VM is not set\n" in build("6.1", config={"DEBUG_VM": "n"}).file.read_text()
    with pytest.raises(UnavailableError, match=r"^This kernel does not take CONFIG_NONSENSE=y: "):
        build("6.1", config={"NONSENSE": "y"})
    with pytest.raises(UnavailableError, match=r"^KSM=y\nX is no option of a kernel"):
        build("6.1", config={"KSM": "y\nX"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (PATCH.replace("write", "read"), r"my\.patch does not apply: .*FAILED"),
        (UNSET, r"^The kernel does not compile: mm/ksm\.c:1: error: expected ;$"),
    ],
)
def test_what_fails_says_why_and_leaves_nothing(mirror: Mirror, patch: Written, text: str, sentence: str) -> None:
    with pytest.raises(UnavailableError, match=sentence):
        build("6.1", [patch(text)])
    assert kernels.cached() == []
    assert list(folder("kernels").glob("*.part")) == []


def test_bad_input_gets_a_sentence(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"^Debian has no source of 9\.9 to build; it has 6\.1\.$"):
        build("9.9")
    with pytest.raises(UnavailableError, match=r"^The patch .*/none cannot be read: No such file or directory\.$"):
        build("6.1", [tmp_path / "none"])
    with pytest.raises(UnavailableError, match=r"^A kernel cannot be called '6\.1': "):
        build("6.1", name="6.1")


def test_what_is_missing_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PACKAGES", {"gcc": "gcc", "no-such-flex": "flex", "no-such-bc": "bc"})
    monkeypatch.setattr(module, "_HEADERS", {"no_such_gelf.h": "libelf-dev"})
    with pytest.raises(UnavailableError, match=r"^Building a kernel needs .* `apt install flex bc libelf-dev`\.$"):
        build("6.1")


@pytest.mark.vm
def test_a_built_kernel_says_at_which_step_it_warns(boot: Boot) -> None:
    if not any(kernel.name == "built-6.1" for kernel in kernels.cached()):
        pytest.skip("needs `breakcow kernels build 6.1`, which takes minutes")
    guest = boot("built-6.1")
    assert guest.probe().release.endswith("-built-6.1")
    (test,) = litmus.parse(REVIEW)
    *before, last = guest.run(litmus.program(test))
    assert [one.console for one in before] == [""] * len(before)
    lines = last.console.splitlines()
    assert lines.count("FAULT_FLAG_ALLOW_RETRY missing 881") == 2  # one for each page
    functions = [line.split("+")[0].strip() for line in lines if re.match(r" [a-z_]\w*\+0x", line)]
    path = ["handle_userfault", "__handle_mm_fault", "handle_mm_fault", "break_ksm", "unmerge_ksm_pages", "ksm_madvise", "do_madvise"]
    assert [name for name in functions if name in path] == path * 2
