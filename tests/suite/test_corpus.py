"""Selection: what a word on the command line means, and what is said when it means nothing."""

from pathlib import Path

import pytest

from breakcow.litmus import LitmusError
from breakcow.suite import corpus
from breakcow.suite.corpus import NotFoundError, select

TEXT = "litmus {name}\n    A promise.\n\nmemory x\n\nA  write x 7\nA  expect x = 7\n"


@pytest.fixture
def tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of three tests, and one file outside of it."""
    for name in ("cow/fork-write", "cow/fork-read", "ksm/merge"):
        path = tmp_path / "corpus" / f"{name}.litmus"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEXT.format(name=name))
    other = tmp_path / "other" / "own"
    other.mkdir(parents=True)
    (other / "mine.litmus").write_text(TEXT.format(name="own/mine"))
    (other / "grid.litmus").write_text(
        TEXT.format(name="own/grid").replace("memory x", "param v = 7 | 8\nmemory x").replace("x 7", "x {v}")
    )
    monkeypatch.setattr(corpus, "folder", lambda: tmp_path / "corpus")
    return other


def names(*words: str) -> list[str]:
    return [chosen.test.name for chosen in select(words)]


def test_no_word_is_the_whole_corpus_by_name(tests: Path) -> None:
    assert names() == ["cow/fork-read", "cow/fork-write", "ksm/merge"]


def test_a_name_a_subject_and_a_pattern(tests: Path) -> None:
    assert names("ksm/merge") == ["ksm/merge"]
    assert names("cow") == names("cow/") == names("*/fork-*") == ["cow/fork-read", "cow/fork-write"]
    assert names("ksm/merge", "*") == ["ksm/merge", "cow/fork-read", "cow/fork-write"]


def test_files_and_folders(tests: Path) -> None:
    assert names(str(tests / "mine.litmus"), "ksm/merge") == ["own/mine", "ksm/merge"]
    assert names(str(tests)) == ["own/grid[v=7]", "own/grid[v=8]", "own/mine"]
    assert select((str(tests / "mine.litmus"),))[0].word == str(tests / "mine.litmus")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("ksm/mreg", "no test is called 'ksm/mreg': did you mean ksm/merge?"),
        ("fork", "did you mean cow/fork-read, cow/fork-write?"),
        ("zzz", "`breakcow run --list` shows all of them"),
        ("./nowhere.litmus", "nowhere.litmus: no such file"),
    ],
)
def test_what_is_not_found_gets_a_sentence(tests: Path, word: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        select((word,))
    assert hint in str(caught.value)


def test_two_tests_of_one_name_are_refused(tests: Path) -> None:
    twin = tests.parent / "twin" / "ksm"
    twin.mkdir(parents=True)
    (twin / "merge.litmus").write_text(TEXT.format(name="ksm/merge").replace("7", "9"))
    with pytest.raises(NotFoundError, match="ksm/merge is already chosen"):
        select(("ksm/merge", str(twin / "merge.litmus")))


def test_the_corpus_of_this_repository_is_found() -> None:
    assert corpus.folder().name in {"corpus", "litmus"}


def test_a_name_is_found_though_another_test_cannot_be_read(tests: Path) -> None:
    (corpus.folder() / "ksm" / "bad.litmus").write_text("nonsense")
    assert names("cow", "ksm/merge") == ["cow/fork-read", "cow/fork-write", "ksm/merge"]
    with pytest.raises(LitmusError):
        names("*/merge")


def test_an_expanded_name(tests: Path) -> None:
    (corpus.folder() / "own").mkdir()
    (tests / "grid.litmus").rename(corpus.folder() / "own" / "grid.litmus")
    assert names("own/grid") == ["own/grid[v=7]", "own/grid[v=8]"]
    assert names("own/grid[v=8]") == ["own/grid[v=8]"]
    assert names("own/grid*8]") == ["own/grid[v=8]"]
