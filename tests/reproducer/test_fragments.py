"""The parts of a reproducer: only what is needed, each after what it needs."""

from pathlib import Path

import breakcow.reproducer
from breakcow.reproducer.fragments import closure, fragment, joined

FILES = sorted(file.stem for file in (Path(breakcow.reproducer.__file__).parent / "fragments").glob("*.c"))


def test_every_fragment_names_only_fragments() -> None:
    named = {name for file in FILES for name in (*fragment(file).needs, *fragment(file).many, *fragment(file).after)}
    assert named <= set(FILES)
    assert closure(FILES) == set(FILES)


def test_what_is_needed_comes_first_and_nothing_else_comes() -> None:
    _, texts = joined(["many", "dma"])
    order = [
        next(number for number, text in enumerate(texts) if word in text)
        for word in ("long ask(", "long transfer(", "long pin_page(", "long dma(")
    ]
    assert order == sorted(order)
    assert not any("ksm" in text for text in texts)


def test_lines_for_another_fragment_come_only_with_it() -> None:
    alone, together = ("\n".join(joined(names)[1]) for names in (["many"], ["many", "fork", "uffd"]))
    assert "SYS_clone" not in alone
    assert "settle();" not in alone
    assert "SYS_clone" in together
    assert "settle();" in together
    assert "//" not in alone + together
