"""Every way to be wrong gets a sentence that says where and what would be right."""

import pickle
import re
from pathlib import Path

import pytest

from breakcow.litmus import LitmusError, parse, parse_file, to_text
from breakcow.litmus.parameters import TESTS
from breakcow.litmus.reader import TOTAL
from breakcow.litmus.structure import BYTES, COLUMNS, LINES
from breakcow.mm.actions import LIMITS

HEAD = "litmus ksm/wrong\n    What it promises.\n\nmemory x y\n"  # the body starts on line 5


def refused(text: str, file: str = "<string>") -> LitmusError:
    with pytest.raises(LitmusError) as caught:
        parse(text, file)
    error = caught.value
    first, shown, caret = str(error).split("\n")
    assert first.startswith(f"{file}:{error.line}:{error.column}: ")
    assert shown == f"{error.line:5} | {error.text}"
    assert caret.index("^") - shown.index("|") - 1 == error.column
    return error


def test_the_whole_message() -> None:
    assert str(refused(HEAD + "A  madvis x mergeable\n", "a.txt")) == (
        "a.txt:5:4: unknown operation 'madvis': did you mean 'madvise'?\n    5 | A  madvis x mergeable\n      |    ^"
    )


STEPS = [
    ("A madvise x mergable", 13, "'madvise' takes pages, then one of mergeable, unmergeable, dontneed,.*; did you mean 'mergeable'"),
    ("A madvise x y", 13, "'madvise' takes pages, then one of mergeable, unmergeable"),
    ("A madvise mergeable", 11, "names no page: it is written 'madvise PAGE... mergeable'"),
    ("A write x 256", 11, "a page's content is a number from 0 to 255, not '256'"),
    ("A write x 07", 11, "a number from 0 to 255, not '07'"),
    ("A write x -1", 11, "a number from 0 to 255, not '-1'"),
    ("A write x ²", 11, "a number from 0 to 255"),
    ("A write z 3", 9, "page 'z' is not declared: memory has x, y"),
    ("A write x x 3", 11, "'x' stands here twice"),
    ("A write 3", 9, "names no page: it is written 'write PAGE... VALUE'"),
    ("A write", 3, "'write' is not complete"),
    ("A exit x", 8, "'x' is one word too many: it is written 'exit'"),
    ("A uffd", 3, "'uffd' needs one more word: open, register,"),
    ("A uffd opne", 8, "'uffd' takes one of open, .*; did you mean 'open'"),
    ("A uffd open sigbos", 13, "'sigbos' is no feature: did you mean 'sigbus'"),
    ("A uffd open sigbus sigbus", 20, "stands here twice"),
    ("A uffd register x y", 19, "'uffd register' ends with 'wp'"),
    ("A ksm scan 2", 1, "is no process's work: write '-  ksm scan 2'"),
    ("- write x 3", 1, "is the work of a process: write 'A  write x 3'"),
    (f"- ksm scan {LIMITS['scans'] + 1}", 12, f"'ksm scan' takes a number from 1 to {LIMITS['scans']}"),
    ("- ksm run 3", 11, "'ksm run' takes a number from 0 to 2"),
    ("- ksm set sleep 3", 11, "'sleep' is no knob: one of use_zero_pages"),
    ("- ksm set use_zero_pages 2", 26, "'use_zero_pages' takes a number from 0 to 1"),
    ("A mprotect x w", 14, "'w' is no protection: did you mean 'rw'"),
    ("A write x 3 -> 3", 16, "only a 'read' gives a value"),
    ("A read x -> 256", 13, "a page's content is a number from 0 to 255"),
    ("A read x -> EINVALL", 13, "'EINVALL' is no outcome: did you mean 'EINVAL'"),
    ("A read x ->", 12, "this is not how such a line is written: PROCESS OPERATION"),
    ("A read x; A read y", 9, "';' separates steps only in the options of a parameter"),
    ("A fork G", 8, "'G' is no process: one of A, B"),
    ("A fork A", 8, "A already exists"),
    ("B read x", 1, "B is named before any fork made it: write 'A  fork B' above"),
    ("G read x", 1, "'G' is no process"),
    ("a read x", 1, "did you mean 'A'"),
    ("  A read x", 1, "only the description, .* are indented"),
    ("A expect x = 3", 1, "speaks of the step before it: there is none yet"),
    ("A read {order}", 8, "'{order}' names no parameter: the file has no 'param' line"),
    ("requires ksm", 1, "no line starts with 'requires': did you mean 'require'"),
    ("require ksn", 9, "unknown requirement 'ksn': did you mean 'ksm'"),
    ("require ksm, ksm", 14, "'ksm' is required twice"),
    ("memory x", 8, "page 'x' is declared twice"),
    ("memory madvise", 8, "'madvise' is a word of the language"),
    ("memory Z", 8, "'Z' cannot name a page"),
    ("memory ../../etc/passwd", 8, "cannot name a page"),
    ("memory a b c d e f g h i j k", 28, f"at most {LIMITS['pages']} pages"),
    ("A read\x07 x", 7, r"U\+0007 .* has no place in a litmus test"),
    ("A read\x00 x", 7, r"U\+0000 .* has no place"),
    ("A read \u202ex", 8, r"U\+202E \(RIGHT-TO-LEFT OVERRIDE\) has no place"),
    ("A read\u00a0x", 7, r"U\+00A0 \(NO-BREAK SPACE\) has no place"),
    ("A " + "x" * COLUMNS, 1, f"a line has at most {COLUMNS} characters"),
    ("litmus ksm/other", 1, "a file holds one test"),
]


@pytest.mark.parametrize(("line", "column", "reason"), STEPS, ids=[case[0][:25] for case in STEPS])
def test_a_wrong_line(line: str, column: int, reason: str) -> None:
    error = refused(HEAD + line + "\n")
    assert (error.line, error.column) == (5, column)
    assert re.search(reason, error.reason), error.reason


CLAIMS = [
    ("A expect protcted x", 10, "unknown claim 'protcted': did you mean 'protected'"),
    ("A expect x", 10, "a page's name alone claims nothing"),
    ("A expect x = 300", 14, "a number from 0 to 255"),
    ("A expect not x = 3", 10, "has no 'not'"),
    ("A expect not", 10, "what follows 'not'"),
    ("A expect not = 3", 10, "what follows 'not'"),
    ("A expect = 3", 10, "this is not how such a line is written"),
    ("A expect .x = 3", 10, "'' is no process: one of A, B"),
    ("A expect AB.x = 3", 10, "'AB' is no process"),
    ("A expect no ksm x", 13, "'no' is only said of events"),
    ("A expect event", 10, "takes the pages it is raised for; or write 'no event'"),
    ("A expect ksm", 10, "'ksm' takes a page or more"),
    ("A expect ksm x = 1", 18, "'ksm' compares no value"),
    ("A expect pinned x", 17, "'pinned' compares a value: write '= NUMBER'"),
    ("A expect same x", 10, "'same' takes two pages or more"),
    ("A expect same x A.x", 17, "'A.x' stands here twice"),
    ("A expect blocked x", 18, "takes no page"),
    ("A expect ksm x,", 16, "this is not how such a line is written: PROCESS expect CLAIM"),
    ("A expect B.x = 3", 10, "B is named before any fork"),
    ("A expect A.z = 3", 10, "page 'z' is not declared"),
    ("A expect counter foo = 1", 18, "'foo' is no counter: one of pages_shared"),
    ("A expect counter pages_shared", 18, "'counter' compares a value"),
    ("- expect ksm x", 14, "whose page"),
    ("- expect no event", 13, "is said of a process"),
    ("- expect blocked", 10, "is said of a process"),
    ("- expect counter ksm_merging_pages = 1", 18, "is of a process"),
    ("B expect exited", 1, "B is named before any fork"),
    ("require ksm", 1, "'require' belongs above the first step"),
    ("fixed 6 0123456789ab x", 7, "'6' is no release"),
    ("fixed 6.2 0123456789AB x", 11, "is no commit: the first 12 hexadecimal"),
    ("fixed 6.2 0123456789ab", 23, "fixed RELEASE COMMIT SUBJECT"),
    ("unfixed ../../etc/passwd", 9, "docs/finds/NAME.md"),
    ("unfixed docs/finds/../x.md", 9, "docs/finds/NAME.md"),
]


@pytest.mark.parametrize(("line", "column", "reason"), CLAIMS, ids=[case[0] for case in CLAIMS])
def test_a_wrong_line_after_a_step(line: str, column: int, reason: str) -> None:
    error = refused(HEAD + "A read x\n" + line + "\n")
    assert (error.line, error.column) == (6, column)
    assert re.search(reason, error.reason), error.reason


TEXTS = [
    ("", 1, "the file ends too early: what is missing is 'litmus SUBJECT/NAME'"),
    ("# only a comment\n", 2, "the file ends too early"),
    ("litmus", 1, "litmus SUBJECT/NAME"),
    ("A read x", 1, "this line stands too early"),
    ("litmus ../x\nmemory x\nA exit", 1, "'../x' is no name"),
    ("litmus /etc/passwd\nmemory x\nA exit", 1, "is no name"),
    ("litmus a/b\nA exit", 1, "the test has no 'memory' line"),
    ("litmus a/b[o=x]\nparam o = x\nmemory x\nA read {o}", 1, "a name with '[' is of a test whose parameters are filled in"),
    ("litmus a/b\nmemory x\nA exit\nunfixed docs/finds/x.md\nunfixed docs/finds/y.md", 5, "the 'unfixed' line above"),
    ("litmus a/b\nA read x", 2, "page 'x' is not declared: no line 'memory' above"),
    ("litmus a/b\nmemory x", 1, "the test has no step"),
    ("litmus a/b\nmemory x\nA fork B\nB exit\nB read x", 5, "B has exited on line 4"),
    ("litmus a/b\nmemory x\nA fork B\nA fork B", 4, "B already exists since line 3"),
    ("litmus a/b\nmemory x\nA exit\nfixed 6.2 0123456789ab x\nunfixed docs/finds/x.md", 5, "is not 'unfixed'"),
    ("litmus a/b\nmemory x\nA exit\nunfixed docs/finds/x.md\nfixed 6.2 0123456789ab x", 5, "nobody has mended"),
    ("litmus a/b\nmemory x\nA exit\nunfixed docs/finds/x.md\nA read x", 5, "and last 'fixed' or 'unfixed'"),
    ("litmus a/b\nmemory x\n" + "A read x\n" * (LIMITS["steps"] + 1), LIMITS["steps"] + 3, f"at most {LIMITS['steps']} steps"),
    ("\n" * (LINES + 1), LINES + 1, f"at most {LINES} lines"),
    ("#" * (BYTES + 1), 1, f"at most {BYTES}"),
]


@pytest.mark.parametrize(("text", "line", "reason"), TEXTS, ids=[case[2] for case in TEXTS])
def test_a_wrong_file(text: str, line: int, reason: str) -> None:
    error = refused(text)
    assert error.line == line
    assert reason in error.reason


OPTIONS = [
    ("param o = a | b\nA exit", 5, 7, "parameter 'o' fills no hole"),
    ("param o = a | a\nA {o} x", 5, 15, "option 'a' stands here twice"),
    ("param o = a | b\nparam o = c\nA {o} x", 6, 7, "parameter 'o' stands here twice"),
    ("param o = a | b\nA {p} {o}", 6, 3, "'{p}' names no parameter: the parameters are o"),
    ("param o = a | b\nA read {o} {o", 6, 12, "a hole is '{', the name of a parameter, '}'"),
    ("param o\nA {o} x", 5, 7, "'param o' has no options: write them below it"),
    ("  a: A exit\nA read x", 5, 1, "an option stands right below a line 'param NAME'"),
    ("param o = a\n  b: A exit\nA read {o}", 6, 1, "an option stands right below"),
    ("param o\n  a: {b}\n{o}", 6, 3, "option 'a' has a hole"),
    ("param o/ = a\nA {o/} x", 5, 7, "'o/' cannot name a parameter"),
    ("param o\n  a: A read x; A read y\nA write x {o}", 7, 11, "has several steps: write '{o}' on a line of its own"),
    ("param o\n  a: A exit\n  b: A exit; A raed x\n{o}", 8, 1, "'raed': did you mean 'read'? (in 'A raed x', with o=b)"),
    ("param o\n  a: A exit\n  b: A exit; A read x\n{o}", 8, 1, "A has exited on line 8 (in 'A read x', with o=b)"),
    ("param o\n  a: A exit\n  b: A raed x\n# here\n{o}", 9, 1, "'raed': did you mean 'read'? (in 'A raed x'"),
    ("param o\n  a: require ksm\n{o}", 7, 1, "an option may fill in steps"),
    ("param o\n  a: litmus a/b\n{o}", 7, 1, "a file holds one test (in 'litmus a/b', with o=a)"),
    ("param o = x | 300\nA read x\nA expect x = {o}", 7, 14, "not 'x' (in 'A expect x = x', with o=x)"),
    ("param o = ksm | 1\nrequire {o}\nA read x", 6, 9, "unknown requirement '1'"),
    ("param a = 1 | 2\nparam b = 1 | 6\nA write x {a}{b}0", 7, 11, "not '260' (in 'A write x 260', with a=2,b=6)"),
]


@pytest.mark.parametrize(("text", "line", "column", "reason"), OPTIONS, ids=[case[3] for case in OPTIONS])
def test_a_wrong_parameter_points_at_the_hole_and_names_the_option(text: str, line: int, column: int, reason: str) -> None:
    error = refused(HEAD + text)
    assert (error.line, error.column, error.reason) == (line, column, error.reason)
    assert reason in error.reason


def test_one_file_makes_a_bounded_number_of_tests() -> None:
    fifteen = " | ".join(str(number) for number in range(15))
    error = refused(HEAD + f"param a = {fifteen}\nparam b = {fifteen}\nA write x {{a}}\nA write x {{b}}\n")
    assert f"the parameters make 225 tests of this file: at most {TESTS}" in error.reason


def test_the_tests_of_one_file_have_a_bounded_size() -> None:
    ten, twenty = (" | ".join(str(number) for number in range(count)) for count in (10, 20))
    head = HEAD + f"param a = {ten}\nparam b = {twenty}\nA write x {{a}}\nA write x {{b}}\n"
    body = "#\n" * (TOTAL // 200 - 2)
    assert len(parse(head + body)) == 200
    assert f"at most {TOTAL} lines together" in refused(head + body + "#\n").reason


def test_a_name_is_its_files(tmp_path: Path) -> None:
    text = HEAD + "A exit\n"
    assert "this file is not 'ksm/wrong.litmus'" in refused(text, "ksm/right.litmus").reason
    assert "this file is not 'ksm/wrong.litmus'" in refused(text, "not-ksm/wrong.litmus").reason
    for file in ("ksm/wrong.litmus", "/tmp/ksm/wrong.litmus", "<stdin>"):
        assert parse(text, file)[0].name == "ksm/wrong"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, data, reason in [
        (tmp_path / "none.litmus", None, "cannot be read: No such file"),
        (tmp_path, None, "no regular file"),
        (tmp_path / "big.litmus", b"#" * (BYTES + 5), f"at most {BYTES}"),
        (tmp_path / "latin.litmus", b"litmus a/b\n  caf\xe9\n", "byte 16 is not UTF-8"),
        (tmp_path / "zero\0", None, "cannot be read"),
    ]:
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(LitmusError) as caught:
            parse_file(path)
        assert reason in str(caught.value)
        assert str(caught.value).startswith(f"{path}:{caught.value.line}:{caught.value.column}: ")


def test_errors_cross_process_borders() -> None:
    error = refused(HEAD + "A read z\n")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


PAGE_NAME = "is not declared"
PRINTED = f"printed, this test would have more than {LINES} lines, {COLUMNS} characters in a line or {BYTES} bytes"


def canonical(comments: list[str], blank: str = "\n", space: str = "  ") -> str:
    """A file of four lines, two blank ones and these comments, as the printer writes it, or more tightly."""
    return f"litmus ksm/wrong\n{blank}memory x\n{blank}A{space}read x\n" + "".join(f"# {each}\n" for each in comments)


def test_lines_at_the_bound() -> None:
    line = "A  read x  # " + "c" * (COLUMNS - 13)
    for text in (HEAD + line, HEAD + "param o = x\n" + line.replace("x", "{o}").replace("ccc", "c", 1)):
        (test,) = parse(text)
        assert to_text(test).splitlines()[-1] == line[: len(to_text(test).splitlines()[-1])]
    assert "a line has at most" in refused(HEAD + line + "c").reason
    assert PRINTED in refused(HEAD + "A read x#" + "c" * (COLUMNS - 9)).reason


def test_the_number_of_lines_at_the_bound() -> None:
    full = canonical(["c"] * (LINES - 5))
    (test,) = parse(full)
    assert to_text(test) == full
    assert f"a litmus test has at most {LINES} lines" in refused(full + "#\n").reason
    assert PRINTED in refused(canonical(["c"] * (LINES - 4), blank="")).reason


def test_the_number_of_bytes_at_the_bound() -> None:
    rest = BYTES - len(canonical(["ä" * 240] * 134 + [""]).encode())  # for one more comment, or two
    full = canonical(["ä" * 240] * 134 + ["c" * (rest - 300), "c" * 297])
    assert len(full.encode()) == BYTES
    (test,) = parse(full)
    assert to_text(test) == full
    assert f"at most {BYTES}" in refused(full + "\n").reason
    assert PRINTED in refused(canonical(["ä" * 240] * 134 + ["c" * (rest - 300), "c" * 298], space=" ")).reason


def test_a_name_too_long_to_print_is_refused() -> None:
    options = "\n".join(f"param {'p' * 28}{number} = {'o' * 30}" for number in range(9))
    holes = "\n".join(f"fixed 6.2 0123456789ab {{{'p' * 28}{number}}}" for number in range(9))
    assert PRINTED in refused(f"litmus a/b\nmemory x\n{options}\nA exit\n{holes}").reason


def test_a_filled_line_at_the_bound() -> None:
    head = HEAD + f"param o\n    a: {'x' * 100}{' ' * 100}7\n"
    for width, most in [(COLUMNS, PAGE_NAME), (COLUMNS + 1, f"a line has at most {COLUMNS}")]:
        error = refused(head + "A  write {o} " + " " * (width - 9 - 201 - 2) + "8\n")
        assert most in error.reason


def test_a_character_that_cannot_be_shown_is_not_shown() -> None:
    assert refused(HEAD + "A read\x07 x\u202e  # why\n").text == "A read? x?  # why"


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("A  read rest", "'rest' is all that is left of a huge page: 'read' is done to single pages"),
        ("A  spawn B", "the specification does not know huge pages in a program that execve() started"),
    ],
)
def test_what_is_not_done_to_huge_pages(step: str, says: str) -> None:
    assert says in str(refused(HEAD.replace("memory x y", "memory huge x rest") + f"{step}\n"))
