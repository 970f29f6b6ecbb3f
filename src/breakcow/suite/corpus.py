"""Finding tests: the corpus, files that the command line names, and which of all that was meant."""

import difflib
import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from breakcow import litmus
from breakcow.litmus.syntax import Test

SUFFIX = ".litmus"


class NotFoundError(Exception):
    """Nothing of that name; the message is a sentence, with what may have been meant."""


def folder() -> Path:
    """Where the corpus is: inside the installed package, or beside the sources. Raises NotFoundError."""
    package = Path(__file__).parent.parent
    for candidate in (package / "corpus", package.parent.parent / "litmus"):
        if candidate.is_dir():
            return candidate
    raise NotFoundError("this installation has no corpus: install breakcow again, or name litmus files")


class Chosen(NamedTuple):
    """A test, and the word that finds it on the command line: its name, or the file it stands in."""

    test: Test
    word: str


def corpus() -> tuple[Chosen, ...]:
    """Every test of the corpus, by name. Raises NotFoundError, litmus.LitmusError."""
    return _read(_files(folder()))


def select(words: Sequence[str]) -> tuple[Chosen, ...]:
    """The tests that `words` name, each once: paths of files or folders, names, beginnings of names up to a slash, patterns with * ? [].

    No words: the whole corpus. Raises NotFoundError, litmus.LitmusError.
    """
    if not words:
        return corpus()
    chosen: dict[str, Chosen] = {}
    for word in words:
        for found in _of_path(Path(word)) if _is_path(word) else named(_read(_candidates(word)), word):
            if chosen.setdefault(found.test.name, found).test != found.test:
                raise NotFoundError(f"{found.word}: a test called {found.test.name} is already chosen: names must be unique in a run")
    return tuple(chosen.values())


def named(tests: Iterable[Chosen], word: str) -> tuple[Chosen, ...]:
    """The tests that `word` means. Raises NotFoundError with the nearest names."""
    known = {chosen.test.name: chosen for chosen in tests}
    if word in known:
        return (known[word],)
    below = word.rstrip("/") + "/"
    found = [chosen for name, chosen in known.items() if name.startswith((below, word + "[")) or fnmatch.fnmatchcase(name, word)]
    if found:
        return tuple(found)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5) or [name for name in known if word in name][:3]
    hint = f"did you mean {', '.join(near)}?" if near else "`breakcow run --list` shows all of them"
    raise NotFoundError(f"no test is called {word!r}: {hint}")


def _candidates(word: str) -> list[Path]:
    """The files of the corpus that can hold what `word` names: a test's name is its file's, so that others need not be read."""
    path = folder() / word.partition("[")[0].rstrip("/")
    file = path.with_name(path.name + SUFFIX)
    if file.is_file():
        return [file]
    return _files(path if path.is_dir() else folder())


def _read(paths: Iterable[Path]) -> tuple[Chosen, ...]:
    """The tests of files of the corpus, by name."""
    tests = [test for file in paths for test in litmus.parse_file(file)]
    return tuple(Chosen(test, test.name) for test in sorted(tests, key=lambda test: test.name))


def _is_path(word: str) -> bool:
    """Does the word mean a file or a folder, existing or not?"""
    return word.endswith(SUFFIX) or word.startswith(("/", "./", "../", "~")) or word in {".", ".."}


def _of_path(path: Path) -> Iterator[Chosen]:
    """The tests of one file or below one folder."""
    path = path.expanduser()
    if not path.exists():
        raise NotFoundError(f"{path}: no such file")
    files = _files(path) if path.is_dir() else [path]
    if not files:
        raise NotFoundError(f"{path}: no file below it ends in {SUFFIX}")
    return (Chosen(test, str(file)) for file in files for test in litmus.parse_file(file))


def _files(path: Path) -> list[Path]:
    """Every litmus file below `path`."""
    return sorted(path.rglob(f"*{SUFFIX}"))
