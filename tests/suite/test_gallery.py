"""Every bug of the gallery is noticed, and docs/wrong-kernels.md says by which tests."""

import re
from pathlib import Path

from breakcow.suite.corpus import corpus
from breakcow.suite.gallery import bugs, noticed, stems
from breakcow.suite.trial import trial

PAGE = Path(__file__).parents[2] / "docs" / "wrong-kernels.md"


def test_every_bug_is_noticed_and_the_page_says_by_what() -> None:
    found = noticed([trial(*one) for one in corpus()])
    assert [bug.id for bug in bugs() if not found[bug.id]] == []
    sections = dict(re.findall(r"^## ([a-z-]+)\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE))
    for bug in bugs():
        said = dict(re.findall(r"^\| \[([a-z0-9/-]+)\]\S+ \| (\d+) fail \|", sections[bug.id], re.MULTILINE))
        wanted = {stem: str(len(part)) for stem, part in stems(found[bug.id]).items()}
        assert said == wanted, f"{bug.id}: breakcow gallery > docs/wrong-kernels.md"


def test_a_bug_is_one_change_of_a_model() -> None:
    for bug in bugs():
        assert sum(bug.right.values[name] != value for name, value in bug.wrong.values.items()) == 1
