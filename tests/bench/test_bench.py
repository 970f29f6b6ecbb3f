"""Benchmarks: the machine code is what its assembler says, figures are what samples say, and the command takes them on this kernel."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from breakcow.agent import abi, bench_code
from breakcow.agent.bench import BENCHMARKS
from breakcow.agent.bench_memory import Region
from breakcow.agent.controller import Controller
from breakcow.backend.host import lacking
from breakcow.bench.figures import KINDS, BadReportError, Machine, Report, figure, read, write
from breakcow.bench.page import page
from breakcow.bench.words import compared, lines, overlap, pairs

KSM = Path("/sys/kernel/mm/ksm")
on_host = pytest.mark.skipif(bool(lacking()) or os.geteuid() != 0 or not KSM.exists(), reason="needs root, KSM and x86-64 Linux")
MS = 1_000_000


def report(backend: str, *milliseconds: int, skipped: dict[str, str] | None = None) -> Report:
    """`merge` of 64 MiB in so many milliseconds."""
    machine = Machine("6.1.0", "A processor <of a kind>", 2, 1024)
    return Report("0.1", backend, machine, 64, 1, (figure("merge", [(each * MS, 64 << 20) for each in milliseconds]),), skipped or {})


def breakcow(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "breakcow", "bench", *words], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not shutil.which("as") or not shutil.which("objcopy"), reason="needs as and objcopy of binutils")
def test_bytes_are_what_the_assembler_makes(tmp_path: Path) -> None:
    (tmp_path / "code.s").write_text(".intel_syntax noprefix\n" + "\n".join(line[1] for line in bench_code.CODE) + "\n")
    for command in ("as code.s -o code.o", "objcopy -O binary -j .text code.o code.bin"):
        subprocess.run(command.split(), cwd=tmp_path, check=True)
    assert (tmp_path / "code.bin").read_bytes() == bench_code.code()


def test_stride_stores_a_byte_at_every_step_and_nowhere_else() -> None:
    buffer = bytearray(64)
    bench_code.stride(abi.address_of(buffer), 16, 3, 7)
    assert bytes(buffer) == (b"\7" + bytes(15)) * 3 + bytes(16)


def test_a_region_is_aligned_to_huge_pages_and_gone_afterwards() -> None:
    with Region(4 << 20) as region:
        assert region.start % (2 << 20) == 0
        region.fill()
        assert region.huge() == 0
    with pytest.raises(OSError, match="Cannot allocate"):
        region.advise(abi.MADV_COLD)


def test_both_sides_know_the_same_benchmarks() -> None:
    assert list(KINDS) == list(BENCHMARKS)


def test_a_figure_is_the_median_with_its_quartiles_in_the_unit() -> None:
    found = figure("merge", [(each * MS, 64 << 20) for each in (100, 400, 200, 800, 1600)])
    assert (found.unit, found.low, found.median, found.high) == ("MiB/s", 80, 160, 320)
    assert found.samples == (640, 160, 320, 80, 40)
    assert figure("uffd-protect", [(3 * MS, 1 << 28)]).median == 12
    assert figure("unshare", [(3000, 4)]).median == 750
    assert figure("wp-round-trip", [(3000, 4)]).median == 0.75


def test_a_file_of_figures_is_read_as_it_was_written(tmp_path: Path) -> None:
    reports = (report("host", 100, 200), report("vm:6.1", 300, skipped={"wp-async": "it needs more"}))
    write(tmp_path / "a.json", reports)
    assert read(tmp_path / "a.json") == reports
    (tmp_path / "b.json").write_text('{"no": "figures"}')
    for name in ("b.json", "none.json"):
        with pytest.raises(BadReportError, match=name):
            read(tmp_path / name)


def test_a_difference_within_the_spread_is_called_so() -> None:
    near, far = (
        (report("host", 100, 110, 120), report("host", 105, 115, 125)),
        (report("host", 100, 110, 120), report("host", 300, 310, 320)),
    )
    assert overlap(near[0].figures[0], near[1].figures[0])
    assert [line.text.endswith("within the spread") for line in compared(*near)] == [False, False, True]
    assert [line.text.endswith("B is slower") for line in compared(*far)] == [False, False, True]
    assert "  0.35  B is slower" in list(compared(*far))[-1].text
    assert list(compared(far[1], far[0]))[-1].text.endswith("B is faster")


def test_reports_of_the_same_backend_are_compared() -> None:
    first, second = [report("host", 1), report("vm:6.1", 2)], [report("vm:6.1", 3), report("vm:7.2", 4)]
    assert pairs(first, second) == [(first[1], second[0])]
    assert pairs(first[:1], second[:1]) == [(first[0], second[0])]


def test_the_page_draws_each_figure_and_names_what_has_none() -> None:
    text = page([report("host", 100, 200, 300), report("host", 200), report("vm:6.1", 400, skipped={"wp-async": "it needs <more>"})])
    root = ElementTree.fromstring(re.sub(r"<meta[^>]*>|<!doctype html>", "", text))
    bars = [float(bar.attrib["width"]) for bar in root.iter("rect")]
    assert bars == [pytest.approx(480 * 320 / 480), pytest.approx(480 * 320 / 480), pytest.approx(480 * 160 / 480)]
    assert {"host [1]", "host [2]", "vm:6.1"} <= {head.text for head in root.iter("th")}
    assert "wp-async on vm:6.1: no figure: it needs &lt;more&gt;" in text
    assert "http" not in text.replace("http-equiv", "")


def test_lines_say_what_was_measured_and_what_was_not() -> None:
    said = [line.text for line in lines(report("host", 100, 200, 400, skipped={"wp-async": "it needs more"}))]
    assert said[0] == "host (6.1.0): A processor <of a kind>, 2 CPUs, 1024 MiB"
    assert said[3].split()[:3] == ["merge", "320", "MiB/s"]
    assert said[-1].strip() == "wp-async       no figure: it needs more"


@on_host
def test_every_benchmark_comes_to_a_figure_or_says_why_not(tmp_path: Path) -> None:
    done = breakcow("--mib", "4", "--repeats", "2", "--warmup", "1", "--json", str(tmp_path / "a.json"), "--html", str(tmp_path / "a.html"))
    assert done.returncode == 0
    (found,) = read(tmp_path / "a.json")
    assert {figure.name for figure in found.figures} | set(found.skipped) == set(KINDS)
    assert all(len(figure.samples) == 2 and figure.median > 0 for figure in found.figures)
    assert found.machine.kernel == os.uname().release
    assert {"merge", "unmerge", "cow-merged"} <= {figure.name for figure in found.figures}
    assert (tmp_path / "a.html").read_text().count("<rect") == len(found.figures)
    compare = breakcow("--compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"))
    assert compare.stdout.count("1.00  within the spread") == len(found.figures)


@on_host
def test_a_store_to_a_merged_page_costs_a_copy() -> None:
    said: list[dict[str, object]] = []
    controller = Controller(said.append)
    controller.answer(json.dumps({"bench": {"names": ["cow-merged", "cow-unmerged"], "repeats": 3, "mib": 2}}).encode())
    controller.close()
    samples = [answer["sample"] for answer in said if "sample" in answer]
    spent = {name: min(each["nanoseconds"] for each in samples if each["name"] == name) for name in ("cow-merged", "cow-unmerged")}  # type: ignore[index]
    assert spent["cow-merged"] > 3 * spent["cow-unmerged"]


@pytest.mark.parametrize("words", [("mergee",), ("--repeats", "0"), ("--mib", "3"), ("--on", "model:6.1"), ("--compare", "/none", "/none")])
def test_what_makes_no_sense_is_a_sentence(words: tuple[str, ...]) -> None:
    done = breakcow(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("breakcow: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("request_", [None, {"names": ["merge"], "repeats": 0, "mib": 2}, {"names": ["x"], "repeats": 1, "mib": 2}])
def test_a_request_that_makes_no_sense_is_a_sentence(request_: object) -> None:
    said: list[dict[str, object]] = []
    controller = Controller(said.append)
    controller.answer(json.dumps({"bench": request_}).encode())
    controller.close()
    assert " is a number " in str(said[-1]["error"]) or "names are some of" in str(said[-1]["error"])
