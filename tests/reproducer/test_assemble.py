"""The C of tests, as a compiler and a kernel take it. What all of them say is compared by tools/reproducers.py."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from breakcow import litmus
from breakcow.litmus.syntax import Step
from breakcow.reproducer import NoReproducerError, reproducer
from breakcow.reproducer.steps import CALLS
from breakcow.suite.corpus import corpus, select
from breakcow.suite.run import run
from breakcow.suite.trial import trial

COMPILE = ("cc", "-Wall", "-Wextra", "-Werror", "-std=gnu11")
KSM = Path("/sys/kernel/mm/ksm")
THP = Path("/sys/kernel/mm/transparent_hugepage")
KHUGEPAGED = THP / "khugepaged/scan_sleep_millisecs"
compiler = pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
kernel = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access(KSM / "run", os.W_OK) or not shutil.which("cc"), reason="needs the superuser, KSM and a C compiler"
)

KEPT = """litmus own/kept
    What holds.

memory x y

A  write x y 7
A  madvise x y mergeable
-  ksm scan 2
A  expect same x y, ksm x y
A  fork B
B  write x 9
B  mprotect y none
B  read y -> SIGSEGV
A  mprotect x y rw
B  copy_to_user y 3 -> EFAULT
-  expect A.x = 7, B.x = 9, not same A.x B.x
B  exit
B  expect exited
"""

SHARED = """litmus own/shared
    Shared by fork.

memory x y

A  write x 7
-  ksm scan 1
A  fork B
B  write x 9
-  expect A.x = 7, B.x = 9
"""


def program(text: str, folder: Path) -> Path:
    """The compiled reproducer of a test, which waits no longer than two seconds for a step."""
    (test,) = litmus.parse(text)
    file = folder / "test.c"
    file.write_text(reproducer(test).replace("alarm(10);", "alarm(2);"))
    subprocess.run([*COMPILE, str(file), "-o", str(folder / "test")], check=True)
    return folder / "test"


def ended(text: str, folder: Path) -> tuple[int, str]:
    """Exit status and output of the reproducer of a test."""
    done = subprocess.run([str(program(text, folder))], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def settings() -> dict[str, str]:
    """What KSM and transparent huge pages are set to, and what KSM has merged, while nobody uses it."""
    names = ("run", "sleep_millisecs", "pages_to_scan", "use_zero_pages", "max_page_sharing", "smart_scan", "advisor_mode", "pages_shared")
    huge = ("enabled", "defrag", "use_zero_page", "khugepaged/pages_to_scan", "khugepaged/scan_sleep_millisecs")
    files = [*(KSM / name for name in names), *(THP / name for name in huge)]
    Path("/run/breakcow").mkdir(mode=0o700, exist_ok=True)
    with open("/run/breakcow/lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return {str(file): file.read_text() for file in files if file.exists()}


def test_every_test_of_the_corpus_has_one_or_is_refused_for_what_it_does() -> None:
    without: set[str] = set()
    for chosen in corpus():
        verbs = {item.verb for item in chosen.test.body if isinstance(item, Step)}
        try:
            text = reproducer(chosen.test)
        except NoReproducerError as error:
            without.add(chosen.test.name)
            assert verbs - CALLS.keys() or "needs" in str(error), chosen.test.name
            continue
        assert text.count("\n") < 900, chosen.test.name
        assert f'return verdict("{chosen.test.name}");' in text
    assert len(without) < len(corpus()) / 2


@pytest.mark.parametrize("profile", ["model:5.10", "model:6.1", "model:7.2"])
def test_where_a_promise_is_broken_a_written_claim_is(profile: str) -> None:
    """A reproducer judges what its test claims, and not the promises that every test is held to."""
    trials = [trial(*one) for one in corpus()]
    broken = [record for record in run(trials, [profile], 1, print) if record.verdict in {"broken", "known"}]
    assert broken
    assert [record.test for record in broken if {reason.kind for reason in record.reasons} == {"promise"}] == []


@compiler
def test_a_test_of_one_process_is_that_process(tmp_path: Path) -> None:
    alone = KEPT.partition("A  fork B")[0]
    assert "fork(" not in reproducer(*litmus.parse(alone)).partition("static void start_ksm")[0].replace("pid = must(fork()", "")
    program(alone, tmp_path)


def test_main_reads_like_the_test() -> None:
    (chosen,) = select(["ksm/unmerge-uffd-wp"])
    main = reproducer(chosen.test).partition("int main(void)")[2]
    said = re.findall(r'step\("(.*)"\)|/\* (.*) \*/', main)
    lines = litmus.to_text(chosen.test).splitlines()
    assert [one or other for one, other in said] == [line for line in lines if line.startswith(("memory", "A  ", "-  "))]


@compiler
def test_hostile_names_and_words_are_only_data(tmp_path: Path) -> None:
    text = (
        KEPT.replace(" x", " while")
        .replace(".x", ".while")
        .replace("What holds.", 'It */ ends; /* "here" \\')
        .replace("A  fork B", "# */ main( /*\nA  fork B")
    )
    program(text.replace(" y", " pid").replace(".y", ".pid"), tmp_path)


def test_what_has_no_c_is_refused_in_a_sentence() -> None:
    (test,) = litmus.parse("litmus own/shown\n    Shown.\n\nrequire model-only\nmemory x\n\nA  write x 7\n")
    with pytest.raises(NoReproducerError, match="own/shown needs model-only"):
        reproducer(test)


@kernel
def test_a_promise_kept(tmp_path: Path) -> None:
    before = settings()
    status, said = ended(KEPT, tmp_path)
    assert (status, said.splitlines()[-1]) == (0, "kept: own/kept")
    assert "    ok: A  same x y" in said
    assert settings() == before


@kernel
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("-  expect A.x = 8", "BROKEN: -  A.x = 8"),
        ("A  expect not ksm y", "BROKEN: A  not ksm y"),
        ("A  expect same x B.x", "BROKEN: A  same x B.x"),
        ("A  read x -> 8", "BROKEN: expected success (8), got success (7)"),
        ("A  write x 7 -> SIGSEGV", "BROKEN: expected Segmentation fault (-5011), got success (0)"),
        ("A  mprotect x none -> EFAULT", "BROKEN: expected Bad address (-14), got success (0)"),
        ("A  expect counter pages_shared = 5", "BROKEN: A  counter pages_shared = 5"),
    ],
)
def test_a_broken_promise_says_what_happened(wrong: str, says: str, tmp_path: Path) -> None:
    status, said = ended(KEPT.replace("B  exit", f"{wrong}\nB  exit"), tmp_path)
    assert status == 1
    assert says in said
    assert said.splitlines()[-1] == "BROKEN: own/kept"


@kernel
def test_a_store_that_waits_is_an_outcome(tmp_path: Path) -> None:
    text = "litmus own/waits\n    It waits.\n\nmemory x y\n\nA  write x y 3\nA  uffd open\nA  uffd register x y wp\nA  uffd protect x y\n"
    status, said = ended(
        text + "A  write x 7 -> blocks\nA  expect event x, blocked, x = 3\nA  uffd release x\nA  expect x = 7, no event, not blocked\n",
        tmp_path,
    )
    assert status == 0, said
    status, said = ended(text + "A  fork B\nA  write x 7\nA  write y 7\n", tmp_path)
    assert status == 1
    assert "BROKEN: expected success (0), got blocks" in said
    status, said = ended(text + "A  write x 7\n", tmp_path)
    assert (status, said.splitlines()[-1]) == (1, "    BROKEN: it waits in handle_userfault()")
    status, said = ended(text + "A  write x 7 -> blocks\nA  write y 7\n", tmp_path)
    assert status == 2, said


@kernel
def test_what_the_kernel_lacks_is_a_skip(tmp_path: Path) -> None:
    source = reproducer(litmus.parse(KEPT.replace("memory x", "require smart-scan\nmemory x"))[0]).replace(
        "ksm/smart_scan", "ksm/no_such_file"
    )
    (tmp_path / "test.c").write_text(source)
    subprocess.run([*COMPILE, str(tmp_path / "test.c"), "-o", str(tmp_path / "test")], check=True)
    done = subprocess.run([str(tmp_path / "test")], capture_output=True, text=True, check=False)
    assert (done.returncode, "SKIP: " in done.stdout) == (4, True)


@kernel
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("memory", "setting", "meanwhile"), [("memory", KSM / "run", "1\n"), ("memory huge", KHUGEPAGED, "4294967295\n")])
def test_the_settings_are_put_back_when_it_is_killed(
    memory: str, setting: Path, meanwhile: str, number: signal.Signals, tmp_path: Path
) -> None:
    if not setting.exists():
        pytest.skip(f"this kernel has no {setting}")
    before = settings()
    (test,) = litmus.parse(SHARED.replace("memory", memory))
    (tmp_path / "test.c").write_text(reproducer(test).replace("\treturn verdict(", '\tstep("rest");\n\tpause();\n\treturn verdict('))
    subprocess.run([*COMPILE, str(tmp_path / "test.c"), "-o", str(tmp_path / "test")], check=True)
    with subprocess.Popen([str(tmp_path / "test")], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        for line in running.stdout:
            if "rest" in line:
                break
        assert setting.read_text() == meanwhile
        running.send_signal(number)
    assert settings() == before


SPAWNED = """litmus own/spawned
    A spawned process is like any other, but that it has nothing of its parent's.

memory x y
memory z

A  write x y z 7
A  munmap y
A  uffd open event-fork wp-async
A  uffd register x wp
A  spawn B
B  expect none x y z
B  pagemap_scan x z present
B  expect not reported x z
B  write x 3
B  write y 4
B  fork C
-  expect same B.x C.x
C  mprotect y none
C  read y -> SIGSEGV
C  spawn D
D  read x -> 0
D  uffd open
D  uffd register x wp
D  write x 6
D  uffd protect x
D  write x 7 -> blocks
D  expect event x
D  uffd release x
-  expect A.x = 7, B.x = 3, D.x = 7
"""


@kernel
def test_a_spawned_process_is_like_any_other(tmp_path: Path) -> None:
    """It executes the same program again, which takes its place instead of running the test."""
    status, said = ended(SPAWNED, tmp_path)
    if status == 4:
        pytest.skip(said.splitlines()[-1])
    assert (status, said.splitlines()[-1]) == (0, "kept: own/spawned"), said
    assert said.count("memory x y") == 1
    status, said = ended(SPAWNED.replace("B  expect none x y z", "B  expect x = 7"), tmp_path)
    assert (status, "BROKEN: B  x = 7" in said) == (1, True), said
