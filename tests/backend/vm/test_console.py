"""What a guest prints, before anybody shows it."""

import os

from breakcow.backend.vm.console import Console, harmless, trouble


def test_nothing_that_a_terminal_acts_on_gets_through() -> None:
    assert harmless(b"a\x1b[2Jb\x07\x9b\x7f\r\n\tc\xff") == "a\\x1b[2Jb\\x07\ufffd\\x7f\n\tc\ufffd"
    assert harmless("\x9b31m \u202egnp.exe \u2066".encode()) == "\\x9b31m \\u202egnp.exe \\u2066"


def test_trouble_is_the_panic_where_there_is_one() -> None:
    text = "[    1.0] fine\n[    2.5] WARNING: CPU: 0 PID: 1 at mm/gup.c\n[    3.0] Kernel panic - not syncing: x\n"
    assert trouble(text) == "Kernel panic - not syncing: x"
    assert trouble("[    2.5] WARNING: CPU: 0 PID: 1 at mm/gup.c\n") == "WARNING: CPU: 0 PID: 1 at mm/gup.c"
    assert trouble("[    2.5] kernel BUG at mm/page_table_check.c:93!\n") == "kernel BUG at mm/page_table_check.c:93!"
    assert trouble("all is well\ndebug: nothing\nNo bugs\n") == ""


def test_a_position_tells_old_from_new() -> None:
    read, write = os.pipe()
    console = Console(read)
    os.write(write, b"old\n")
    position = console.position()
    os.write(write, b"new\n")
    assert console.since(position) == "new\n"
    os.write(write, b"last\n")
    os.close(write)
    console.close()
    assert console.since() == "old\nnew\nlast\n"


def test_of_a_console_without_end_the_newest_part_is_kept() -> None:
    read, write = os.pipe()
    console = Console(read)
    for number in range(600):
        os.write(write, b"%09d\n" % number * 1000)
        console.position()
    os.close(write)
    position = console.position()
    assert position == 6_000_000
    assert console.since().endswith("000000599\n")
    assert 2 << 20 <= len(console.since()) <= 4 << 20
    assert console.since(position - 10) == "000000599\n"
    console.close()
