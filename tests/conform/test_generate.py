"""A seed is a program: valid, the same every time, and all of them together use every operation."""

from breakcow.backend.model import ModelBackend
from breakcow.conform.able import EVERY
from breakcow.conform.generate import generate
from breakcow.kernel import PROFILES
from breakcow.litmus import parse, program, to_text
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
    drawn = {step.verb for seed in range(400) for step in generate(seed).body if isinstance(step, Step)}
    assert drawn == set(VERB) - {"begin", "retry"}


def test_pins_and_pipes_are_only_ended_where_they_were_begun() -> None:
    for seed in range(200):
        held: set[tuple[str, str, str]] = set()
        for step in generate(seed).body:
            assert isinstance(step, Step)
            kind = {"pin": "pin", "unpin": "pin", "vmsplice": "pipe", "drain": "pipe"}.get(step.verb)
            if kind is None:
                continue
            for page in step.pages:
                place = (kind, step.process, page)
                assert (place in held) == (step.verb in ("unpin", "drain"))
                held ^= {place}


def test_an_operation_that_a_kernel_lacks_is_not_drawn() -> None:
    verbs = tuple(verb for verb in EVERY if verb not in ("pageout", "pin", "unpin", "dma"))
    drawn = {step.verb for seed in range(200) for step in generate(seed, verbs).body if isinstance(step, Step)}
    assert drawn <= set(verbs)


def test_phrases_bring_programs_to_what_matters() -> None:
    """Of 200 programs scores merge pages, and dozens have a store wait and go on."""
    model = ModelBackend(PROFILES["7.2"])
    merged = resumed = 0
    for seed in range(200):
        seen = model.run(program(generate(seed)))
        merged += any(page.ksm for one in seen for process in one.processes.values() for page in process.pages.values())
        resumed += any(one.resumed for one in seen)
    assert merged > 60
    assert resumed > 20


def test_programs_with_a_huge_page_are_valid_too() -> None:
    for seed in range(300):
        test = generate(seed, huge=True)
        (read,) = parse(to_text(test))
        assert read == test
        assert test.huge == (0,)


def test_programs_with_a_huge_page_use_all_operations_but_spawn() -> None:
    drawn = {step.verb for seed in range(400) for step in generate(seed, huge=True).body if isinstance(step, Step)}
    assert drawn == set(VERB) - {"begin", "retry", "spawn"}


def test_what_is_left_of_a_huge_page_is_never_populated_in_part() -> None:
    for seed in range(300):
        test = generate(seed, huge=True)
        rest = test.memory[0][-1]
        assert not any(step.verb == "populate_write" and rest in step.pages for step in test.body if isinstance(step, Step))


def test_a_huge_page_of_several_vmas_is_moved_only_while_no_userfaultfd_is_registered() -> None:
    moved = 0
    for seed in range(1000):
        armed = False
        for step in generate(seed, huge=True).body:
            assert isinstance(step, Step)
            armed |= step.verb == "uffd_register"
            if step.verb == "mremap" and len(step.pages) > 1:
                assert not armed
                moved += 1
    assert moved > 20
