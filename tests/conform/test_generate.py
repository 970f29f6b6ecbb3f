"""A seed is a program: valid, the same every time, and all of them together use every operation."""

from breakcow.conform.generate import generate
from breakcow.litmus import parse, to_text
from breakcow.litmus.syntax import Step
from breakcow.mm.actions import VERB


def test_every_seed_is_a_valid_test() -> None:
    for seed in range(300):
        test = generate(seed)
        (read,) = parse(to_text(test))
        assert read == test


def test_a_seed_is_the_same_program_every_time() -> None:
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)


def test_all_operations_are_drawn() -> None:
    drawn = {step.verb for seed in range(200) for step in generate(seed).body if isinstance(step, Step)}
    assert drawn == set(VERB) - {"begin", "retry"}


def test_pins_and_pipes_are_only_ended_where_they_were_begun() -> None:
    for seed in range(200):
        held: set[tuple[str, str, str]] = set()
        for step in generate(seed).body:
            assert isinstance(step, Step)
            kind = {"pin": "pin", "unpin": "pin", "vmsplice": "pipe", "drain": "pipe"}.get(step.verb)
            if kind is None:
                continue
            place = (kind, step.process, step.pages[0])
            assert (place in held) == (step.verb in ("unpin", "drain"))
            held ^= {place}
