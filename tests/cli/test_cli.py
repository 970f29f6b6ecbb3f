"""The command line as its users meet it: real processes, real litmus files, the models."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

KSM = """litmus t/unmerge
    MADV_UNMERGEABLE unshares KSM pages that userfaultfd write-protects.

memory x y

A  write x y 7
A  madvise x y mergeable
-  ksm scan 2
A  expect same x y
A  uffd open
A  uffd register x y wp
A  uffd protect x y
A  madvise x y unmergeable
A  expect not same x y, x = 7, y = 7, no event
{fixed}"""
FIXED = "\nfixed 6.2  6cce3314b928 mm/ksm: fix KSM COW breaking with userfaultfd-wp via FAULT_FLAG_UNSHARE\n"
WRONG = "litmus t/wrong\n    No kernel does this.\n\nmemory x\n\nA  write x 7\nA  expect x = 8\n"
SKIPS = "litmus t/skips\n    Needs what 6.1 has not.\n\nrequire smart-scan\nmemory x\n\nA  write x 7\nA  expect x = 7\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "unmerge.litmus").write_text(KSM.format(fixed=FIXED))
    (tmp_path / "t" / "wrong.litmus").write_text(WRONG)
    (tmp_path / "t" / "skips.litmus").write_text(SKIPS)
    return tmp_path


def breakcow(*words: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "breakcow", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_a_known_bug_is_known_on_old_models_and_ok_on_new_ones(folder: Path) -> None:
    done = breakcow("run", folder / "t" / "unmerge.litmus", "--on", "model:6.1", "--on", "model:6.12", "--ktap")
    assert (done.returncode, done.stderr) == (0, "")
    assert "  not ok 1 t/unmerge # XFAIL known, fixed in 6.2 (6cce3314b928)\nok 1 model:6.1\n" in done.stdout
    assert "  ok 1 t/unmerge\nok 2 model:6.12\n" in done.stdout


def test_the_same_bug_without_its_fix_is_a_broken_promise(folder: Path) -> None:
    (folder / "t" / "unmerge.litmus").write_text(KSM.format(fixed=""))
    done = breakcow("run", folder / "t" / "unmerge.litmus", "--on", "model:6.1")
    assert done.returncode == 1
    assert ">  14  A  expect not same x y, x = 7, y = 7, no event" in done.stdout
    assert "promise unmerge-leaves-no-ksm is broken" in done.stdout
    path = next(line for line in done.stdout.splitlines() if line.startswith("the model, in this step: "))
    assert re.search("handle_userfault <- do_wp_page <- .* <- break_ksm <- unmerge_ksm_pages <- ksm_madvise", path)


def test_the_command_that_a_failure_names_repeats_it(folder: Path) -> None:
    first = breakcow("run", "t/wrong.litmus", "--on", "model:6.12", cwd=folder)
    repeat = next(line for line in first.stdout.splitlines() if line.startswith("repeat: breakcow "))
    again = breakcow(*repeat.removeprefix("repeat: breakcow ").split(), cwd=folder)
    assert (again.returncode, again.stdout) == (first.returncode, first.stdout) == (1, first.stdout)
    assert "line 7, A x: expected  = 8" in first.stdout


def test_a_skip_is_told_and_fails_only_if_it_is_unexpected_and_strict(folder: Path) -> None:
    words = ("run", folder / "t" / "skips.litmus", "--on", "model:6.1")
    done = breakcow(*words)
    assert done.returncode == 0
    assert "model:6.1 (6.1.170): 1 skip\n  1 skipped on model:6.1: ksmd has no smart_scan\n" in done.stdout
    assert breakcow(*words, "--strict").returncode == 0
    breakcow(*words, "--jsonl", folder / "skips.jsonl")
    record = json.loads((folder / "skips.jsonl").read_text()) | {"unexpected": ["swap"], "backend": "host"}
    (folder / "skips.jsonl").write_text(json.dumps(record) + "\n")
    judged = ("judge", folder / "skips.jsonl")
    assert breakcow(*judged).returncode == 0
    assert "  1 skipped on host, which could run here: ksmd has no smart_scan" in breakcow(*judged).stdout
    done = breakcow(*judged, "--strict", "--ktap")
    assert done.returncode == 3
    assert "not ok 1 t/skips # ERROR skipped, though it could run: ksmd has no smart_scan (swap)\n" in done.stdout


def test_records_are_equal_but_for_time_and_can_be_judged_and_compared(folder: Path) -> None:
    for name in ("a", "b"):
        breakcow("run", folder, "--on", "model", "--jsonl", f"{name}.jsonl", *(["-j", "2"] if name == "b" else []), cwd=folder)
    a, b = ([json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()] for name in "ab")
    assert [{**one, "seconds": 0} for one in a] == [{**one, "seconds": 0} for one in b]
    assert breakcow("diff", "a.jsonl", "b.jsonl", cwd=folder).stdout == "no difference\n"
    judged = breakcow("judge", "a.jsonl", "--jsonl", "c.jsonl", cwd=folder)
    assert judged.returncode == 1
    assert breakcow("diff", "a.jsonl", "c.jsonl", cwd=folder).returncode == 0


def test_diff_shows_two_kernels_apart(folder: Path) -> None:
    for name in ("6.1", "6.12"):
        breakcow("run", "t/unmerge.litmus", "--on", f"model:{name}", "--jsonl", f"{name}.jsonl", cwd=folder)
    done = breakcow("diff", "6.1.jsonl", "6.12.jsonl", cwd=folder)
    assert done.returncode == 1
    assert "  verdict\n    - known fixed in 6.2 (6cce3314b928)\n    + ok\n" in done.stdout
    assert done.stdout.endswith("1 test differs\n")


def test_junit_beside_the_lines_for_people(folder: Path) -> None:
    breakcow("run", folder, "--on", "model:6.1", "--junit", "out.xml", cwd=folder)
    root = ElementTree.parse(folder / "out.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root[0].get("skipped")) == ("3", "1", "2")


def test_show_puts_two_kernels_side_by_side(folder: Path) -> None:
    done = breakcow("show", folder / "t" / "unmerge.litmus", "--on", "model:6.1", "--on", "model:6.12")
    assert done.returncode == 0
    assert [line.split()[1:3] for line in done.stdout.splitlines() if line.startswith("   !") and " A " in line] == [["A", "x"], ["A", "y"]]


def test_matrix_over_models() -> None:
    done = breakcow("matrix", "model:6.1", "model:6.12")
    assert done.returncode in {0, 1}
    assert "model:6.12" in done.stdout


def test_list_names_every_test_once() -> None:
    names = breakcow("run", "--list").stdout.splitlines()
    assert names == sorted(set(names))


def test_help_version_and_examples() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", breakcow("--version").stdout)
    told = breakcow("run", "--help").stdout
    assert "Exit status: 0 all as promised" in told
    assert "breakcow run ksm/unmerge-uffd-wp --on model:6.1 --on host" in told


def test_help_imports_neither_parser_nor_model() -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "breakcow", "--help"], capture_output=True, text=True, check=True)
    assert not [line for line in done.stderr.splitlines() if re.search(r"\b(lark|msgspec|breakcow\.(suite|litmus|backend|mm))\b", line)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("rnu",), 'Did you mean "run"?'),
        (("run", "--jsnl", "x"), "Unknown option: --jsnl"),
        (("run", "--on", "modl:6.1"), "nothing called 'modl:6.1' runs tests: did you mean model?"),
        (("run", "--on", "model:9.9"), "there is no model of kernel '9.9': there are models of 5.10"),
        (("run", "-j", "0"), "at least one job is needed"),
        (("run", "-j", "many"), 'unable to convert "many" into int'),
        (("run", "./none.litmus"), "none.litmus: no such file"),
        (("run", "no/such-test-anywhere"), "no test is called 'no/such-test-anywhere'"),
        (("run", "--list", "--junit"), "--junit"),
        (("show",), "requires an argument"),
        (("judge", "none.jsonl"), "none.jsonl: No such file or directory"),
        (("diff", "/dev/null"), "requires an argument"),
    ],
)
def test_wrong_use_is_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    done = breakcow(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_a_build_cannot_take_is_one_sentence(tmp_path: Path) -> None:
    option = breakcow("kernels", "build", "6.1", "--config", "DEBUG_VM")
    assert (option.returncode, option.stdout) == (2, "")
    assert "write NAME=VALUE" in option.stderr
    patch = breakcow("kernels", "build", "6.1", "--patch", tmp_path / "none.patch")
    assert (patch.returncode, patch.stdout) == (3, "")
    assert "none.patch cannot be read" in patch.stderr
    assert option.stderr.count("\n") == patch.stderr.count("\n") == 1


def test_a_test_that_cannot_be_read_is_shown_with_a_caret(folder: Path) -> None:
    (folder / "t" / "wrong.litmus").write_text(WRONG.replace("write", "wriet"))
    done = breakcow("run", folder / "t" / "wrong.litmus")
    assert (done.returncode, done.stdout) == (2, "")
    assert "^" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_be_written_is_said_before_anything_runs(folder: Path) -> None:
    done = breakcow("run", folder, "--jsonl", folder / "none" / "out.jsonl")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such file or directory" in done.stderr


@pytest.mark.parametrize("form", ["", "--ktap"])
def test_nobody_reads_the_output(folder: Path, form: str) -> None:
    command = f"{sys.executable} -m breakcow run {folder} --on model {form} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_is_a_sentence(folder: Path) -> None:
    command = f"{sys.executable} -m breakcow run {folder} --on model:6.1 --jsonl /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_hostile_text_reaches_no_terminal(folder: Path) -> None:
    (folder / "t" / "wrong.litmus").write_text(WRONG.replace("No kernel", "\x1b]0;owned\x07\u202e"))
    done = breakcow("run", folder / "t" / "wrong.litmus", "--on", "model:6.1")
    assert not set(done.stdout + done.stderr) & set("\x1b\x07\u202e")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_with_a_summary_of_what_was_done(folder: Path, jobs: str) -> None:
    body = "".join(f"A  write x {number}\n" for number in range(190))
    big = "litmus t/big\n    Long.\n\nparam v = 1 | 2 | 3 | 4 | 5 | 6\nmemory x\n\n" + body + "A  write x {v}\nA  expect x = {v}\n"
    (folder / "t" / "big.litmus").write_text(big)
    command = [sys.executable, "-m", "breakcow", "run", "t/big.litmus", "--on", "model", "-j", jobs]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
    assert (process.returncode, err) == (130, "")
    assert out.endswith("interrupted: this is what was done until then\n")
    assert "model:5.10 (5.10.223): " in out


def test_a_picture_of_one_small_search_and_of_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "states.html"
    small = ("explore", "--kernel", "6.1", "--pages", "1", "--operations", "write,read", "--depth", "2", "--graph", file)
    done = breakcow(*small)
    assert done.returncode == 0, done.stderr
    assert "6.1: 4 states" in file.read_text()
    many = breakcow("explore", "--graph", file)
    assert (many.returncode, many.stderr) == (2, "breakcow: --graph draws one search: give --operations, or --kinds all\n")
    large = breakcow("explore", "--kinds", "all", "--graph", file)
    assert large.returncode == 2
    assert "more than 400 states" in large.stderr
