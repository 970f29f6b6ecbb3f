"""Printing and reading are inverse, for every valid test and for every operation."""

import pytest
from hypothesis import HealthCheck, given, settings

from breakcow.litmus import item_text, parse, to_text
from breakcow.litmus.operations import PROCESSES
from breakcow.litmus.syntax import Atom, Comment, Expect, PageRef, Step, Test
from breakcow.litmus.words import KINDS
from breakcow.mm.actions import VERBS, Verb

from .generated import valid_tests


@settings(max_examples=600, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(valid_tests())
def test_a_printed_test_reads_back_as_itself(test: Test) -> None:
    text = to_text(test)
    (read,) = parse(text)
    assert read == test
    assert to_text(read) == text


EXAMPLE = {"{each}": "x y", "{range}": "x y", "{value}": "7", "{process}": "B", "{prot}": "rw", "{features}": "sigbus", "{number}": "1"}
EXAMPLE |= {"{knob}": "use_zero_pages", "{scan}": "written"}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_operation_of_the_table_is_read_and_printed(verb: Verb) -> None:
    words = " ".join(EXAMPLE.get(word, word) for word in verb.pattern.split())
    (test,) = parse(f"litmus a/b\nmemory x y\n{'-' if verb.kernel else 'A'}  {words}\n")
    step = test.body[0]
    assert isinstance(step, Step)
    assert step.verb == verb.name
    assert item_text(step) == f"{'-' if verb.kernel else 'A'}  {words}"


def test_arguments_are_what_the_syntax_tree_says() -> None:
    text = """\
litmus a/b
memory x
A  fork C
A  mprotect x rw
A  uffd open sigbus wp-async
-  ksm set max_page_sharing 2
-  ksm scan 20
A  read x -> 0
A  write x 3 -> blocks
"""
    (test,) = parse(text)
    steps = [item for item in test.body if isinstance(item, Step)]
    assert [step.argument for step in steps] == [PROCESSES.index("C"), 3, 2 | 32, 2002, 20, 0, 3]
    assert [step.outcome for step in steps[-2:]] == ["ok", "blocked"]
    assert [step.value for step in steps[-2:]] == [0, None]
    assert to_text(test).split("\n\n")[-1] == text.split("memory x\n")[1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_claim_is_read_and_printed(kind: str) -> None:
    how = KINDS[kind]
    atom = Atom(kind, (PageRef("A", "x"), PageRef("B", "y"))[: max(how.pages, 2) if how.pages else 0], 7 if how.value else None)
    text = item_text(Expect("A", (atom,)))
    assert (kind in text) == (kind != "content")
    assert ("x B.y" in text) == bool(how.pages)
    (test,) = parse(f"litmus a/b\nmemory x y\nA  fork B\n{text}\n")
    assert test.body[1] == Expect("A", (atom,))


def test_comments_survive_wherever_they_stand() -> None:
    text = """\
# first
litmus a/b # title
memory x  # pages

# a step
A  read x  # why
A  expect zero x  # because
#

fixed 6.2  0123456789ab subject with # in it
unfixed"""
    (test,) = parse(text[: text.index("\nunfixed")])
    comments = [item.comment for item in test.body if isinstance(item, Comment)]
    assert comments == ["first", "title", "pages", "a step", ""]
    assert [item.comment for item in test.body if not isinstance(item, Comment)] == ["why", "because"]
    assert test.fixed[0].subject == "subject with # in it"
    assert parse(to_text(test)) == (test,)


def test_descriptions_keep_their_shape() -> None:
    (test,) = parse("litmus a/b\n  one # not a comment\n\n    two {x}\n\tthree\n\nmemory x\nA  read x\n")
    assert test.description == "one # not a comment\n\n  two {x}\n      three"
    assert parse(to_text(test)) == (test,)
