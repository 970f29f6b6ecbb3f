"""What people read: a line a test, and a summary in which no skip hides."""

import io

from rich.console import Console

from breakcow.report.failure import Line
from breakcow.report.terminal import Terminal
from breakcow.suite.record import Record
from report.samples import EACH, sample


def shown(*records: Record, terminal: bool = False, interrupted: bool = False, **environment: str) -> str:
    out = io.StringIO()
    report = Terminal(
        Console(file=out, force_terminal=terminal, width=200, _environ=environment),
        len(records),
        lambda record: [Line(f"told {record.test}")] if record.verdict == "broken" else [],
    )
    for record in records:
        report.record(record)
    report.end(interrupted)
    return out.getvalue()


def test_a_pipe_gets_a_plain_line_for_each_test_however_long() -> None:
    text = shown(*EACH, sample("skip", "because " * 60, test="long/one"))
    assert "\x1b" not in text
    assert "ok      model:6.1  cow/fork\n" in text
    assert "known   model:6.1  ksm/unmerge  # fixed in 6.2 (6cce3314b928)\n" in text
    assert "told ksm/unmerge\n\n" in text
    assert f"long/one  # {'because ' * 60}\n" in text


def test_the_summary_counts_every_verdict_and_each_reason_of_a_skip() -> None:
    text = shown(
        *EACH, sample("skip", "this kernel has no soft-dirty", test="sd/other"), sample("ok", test="a/b", unobserved=("line 3", "line 4"))
    )
    assert "model:6.1 (6.1.170): 2 ok, 1 known, 2 skip\n" in text
    assert "host (6.1.170): 1 broken, 1 differs, 1 error\n" in text
    assert "  2 skipped on model:6.1: this kernel has no soft-dirty\n" in text
    assert "  2 claims could not be judged on model:6.1: this kernel does not show them\n" in text


def test_a_terminal_shows_what_is_not_plainly_ok() -> None:
    text = shown(*EACH, terminal=True, TERM="xterm")
    assert "ksm/unmerge" in text
    assert "ok      " not in text


def test_no_color() -> None:
    assert "\x1b[3" not in shown(*EACH, terminal=True, NO_COLOR="1", TERM="xterm").replace("\x1b[38", "")


def test_an_interrupt_is_told() -> None:
    assert shown(EACH[0], interrupted=True).endswith("interrupted: this is what was done until then\n")
