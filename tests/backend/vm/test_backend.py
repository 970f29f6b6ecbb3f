"""Real kernels in QEMU: the four series of the gallery, and everything that can become of a machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.vm.conftest import Boot, bzimage
from breakcow import litmus
from breakcow.backend.errors import LostBackend
from breakcow.backend.measure import measure
from breakcow.backend.model import ModelBackend
from breakcow.backend.vm import VmBackend
from breakcow.backend.vm import backend as module
from breakcow.backend.vm.cache import UnavailableError
from breakcow.litmus.program import Action, Program

pytestmark = pytest.mark.vm
WILD = "backend.vm.agents.wild"
REVIEW = """litmus t/unmerge-uffd-wp
    MADV_UNMERGEABLE unshares KSM pages that userfaultfd write-protects.

memory  x y

A  write x y 7
A  madvise x y mergeable
-  ksm scan 2
A  uffd open
A  uffd register x y wp
A  uffd protect x y
A  madvise x y unmergeable
"""


def deed(name: str) -> Program:
    return Program(("A",), (name,), (0,), (Action("A", "read", 0, 1, 0, 0), Action("A", "read", 0, 1, 0, 1)))


@pytest.mark.parametrize(("series", "shared"), [("5.10", True), ("6.1", True), ("6.12", False), ("7.2", False)])
def test_the_bug_of_the_review_is_in_old_kernels_and_not_in_new_ones(boot: Boot, series: str, shared: bool) -> None:
    guest = boot(series)
    assert guest.probe().release.startswith(series + ".")
    (test,) = litmus.parse(REVIEW)
    seen = guest.run(litmus.program(test))
    assert guest.run(litmus.program(test)) == seen
    pages = seen[-1].processes["A"].pages
    assert seen[-1].outcome.result == "ok"
    assert (pages["x"].frame == pages["y"].frame) is shared
    assert [one.console for one in seen] == [""] * len(seen)


HOLE = """litmus t/populate-past-hole
    Prefaulting comes past a hole before it sleeps.

memory  x y

A  write y 1
A  uffd open
A  uffd register y wp
A  uffd protect y
A  munmap x
A  madvise x y populate_write
A  uffd release y
"""


@pytest.mark.parametrize(("series", "said"), [("5.10", ("EINVAL", "")), ("6.1", ("blocked", "ENOMEM")), ("6.12", ("ENOMEM", ""))])
def test_prefaulting_past_a_hole_ends_as_the_specification_says(boot: Boot, series: str, said: tuple[str, str]) -> None:
    guest = boot(series)
    (test,) = litmus.parse(HOLE)
    flat = litmus.program(test)
    seen = guest.run(flat)
    assert ModelBackend(measure(guest).profile).check(flat, seen) is None
    resumed = seen[-1].resumed.get("A")
    assert (seen[-2].outcome.result, resumed.result if resumed else "") == said


def test_swap_is_there_when_it_is_asked_for(boot: Boot) -> None:
    guest = boot("5.10", swap=64)
    guest.probe()
    assert "Adding 65532k swap on /dev/nvme0n1" in guest.console


def test_what_the_kernel_warns_of_during_an_action_is_in_its_observation_and_nothing_else(boot: Boot) -> None:
    guest = boot("5.10", agent=WILD)
    first, second = guest.run(deed("warn"))
    assert first.console == ""
    assert second.console == "WARNING: CPU: 0 PID: 1 at mm/ksm.c:1 \\x1b[31mred\n"
    assert [one.console for one in guest.run(deed("chat"))] == ["", ""]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("crash", r"^the agent ended before it had answered: Kernel panic - not syncing: sysrq triggered crash$"),
        ("leave", r"^the agent ended before it had answered: the agent has had enough$"),
        ("nonsense", r"^the agent said b'\\x1b\[2Jhello\\n', which is no answer$"),
        pytest.param("flood", r"^the guest talks without end$", marks=pytest.mark.long),
    ],
)
def test_a_lost_machine_says_why_and_keeps_what_was_seen(boot: Boot, name: str, sentence: str) -> None:
    guest = boot("5.10", agent=WILD)
    guest.probe()
    with pytest.raises(LostBackend, match=sentence) as lost:
        guest.run(deed(name))
    assert len(lost.value.observations) == 1


def test_the_console_of_a_panic_is_kept(boot: Boot) -> None:
    guest = boot("6.12", agent=WILD)
    with pytest.raises(LostBackend) as lost:
        guest.run(deed("crash"))
    assert lost.value.console.startswith("sysrq: Trigger a crash\nKernel panic - not syncing: sysrq triggered crash\n")
    assert "sysrq_handle_crash+0x" in lost.value.console


def test_a_guest_that_reboots_is_lost(boot: Boot) -> None:
    with pytest.raises(LostBackend, match="ended before it had answered"):
        boot("5.10", agent=WILD).run(deed("reboot"))


def test_a_guest_that_hangs_is_lost_after_the_time_limit(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = boot("5.10", agent=WILD)
    guest.probe()
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    with pytest.raises(LostBackend, match=r"^the guest gave no sign for 1 s$"):
        guest.run(deed("hang"), step_seconds=0.5)


def test_after_a_lost_machine_a_fresh_one_goes_on(boot: Boot) -> None:
    with pytest.raises(LostBackend):
        boot("5.10", agent=WILD).run(deed("crash"))
    assert len(boot("5.10", agent=WILD).run(deed("fine"))) == 2


def test_a_killed_qemu_is_said_so(boot: Boot) -> None:
    guest = boot("5.10", agent=WILD)
    guest.probe()
    os.kill(guest.pid, signal.SIGKILL)
    with pytest.raises(LostBackend, match="QEMU was killed by signal 9"):
        guest.run(deed("fine"))


def test_qemu_dies_with_breakcow() -> None:
    bzimage("5.10")
    script = "from breakcow.backend.vm import VmBackend\nvm = VmBackend('5.10')\nvm.probe()\nprint(vm.pid, flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as breakcow:
        assert breakcow.stdout
        guest = int(breakcow.stdout.readline())
        assert lives(guest)
        breakcow.kill()
        breakcow.wait()
        while lives(guest):
            time.sleep(0.01)


def test_a_file_that_is_no_kernel_is_refused(tmp_path: Path) -> None:
    bzimage("5.10")
    text = tmp_path / "bzImage"
    text.write_text("no kernel\n" * 1000)
    with pytest.raises(UnavailableError, match=rf"^{text} is not a bzImage for x86-64\.$"):
        VmBackend(str(text))
    with pytest.raises(UnavailableError, match=r"^The kernel /nonexistent/bzImage cannot be read: No such file or directory\.$"):
        VmBackend("/nonexistent/bzImage")


def test_half_a_kernel_does_not_start(tmp_path: Path) -> None:
    half = tmp_path / "bzImage"
    half.write_bytes(bzimage("6.1").read_bytes()[:3000000])
    with VmBackend(str(half), lambda _: None) as guest, pytest.raises(LostBackend, match=r"^the guest did not start: "):
        guest.probe()


def test_without_qemu_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    bzimage("5.10")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UnavailableError, match=r"^QEMU is not installed: `apt install qemu-system-x86`\.$"):
        VmBackend("5.10", lambda _: None)


def lives(pid: int) -> bool:
    """The process is there, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
