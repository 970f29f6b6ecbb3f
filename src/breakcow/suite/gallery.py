"""The gallery: kernel bugs that were real, and which tests of the corpus notice each.

A bug is a change of a model (gallery.toml). The tests that notice it are those that something is wrong with on the model that has it, and
nothing on the same model without it.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from breakcow.backend.model import ModelBackend
from breakcow.kernel import PROFILES, Profile
from breakcow.kernel.behaviours import BEHAVIOURS
from breakcow.suite.execute import lacks
from breakcow.suite.judge import judge
from breakcow.suite.trial import Trial


@dataclass(frozen=True, slots=True)
class Bug:
    """id, what: its name, and what goes wrong. fixed: release, commit and subject. wrong, right: the models that have it and do not."""

    id: str
    what: str
    fixed: str
    wrong: Profile
    right: Profile


@cache
def bugs() -> tuple[Bug, ...]:
    """Every bug, in the order of the data. Raises ValueError for a behaviour or a value that is none."""
    data = tomllib.loads(files("breakcow.suite").joinpath("gallery.toml").read_text("utf-8"))
    return tuple(_bug(entry) for entry in data["bug"])


def _bug(entry: dict[str, object]) -> Bug:
    """One entry of the data."""
    wrong = PROFILES[str(entry["base"])].but(**_values(entry.get("wrong", {})))
    return Bug(str(entry["id"]), str(entry["what"]), str(entry["fixed"]), wrong, wrong.but(**_values(entry["right"])))


def _values(words: object) -> dict[str, int]:
    """Behaviours and their values, from words to numbers."""
    assert isinstance(words, dict)
    known = {behaviour.name: behaviour.values for behaviour in BEHAVIOURS}
    return {name: known[name].index(word) for name, word in words.items()}


def noticed(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Name of each bug -> the tests that notice it on the models."""
    failing: dict[tuple[int, ...], list[Trial]] = {}
    found = {}
    for bug in bugs():
        key = tuple(bug.wrong.values.values())
        if key not in failing:
            failing[key] = [trial for trial in trials if fails(trial, bug.wrong)]
        found[bug.id] = [trial for trial in failing[key] if fails(trial, bug.right) is False]
    return found


def fails(trial: Trial, profile: Profile) -> bool | None:
    """Is something wrong with the test on this model, on any path? None if it cannot run there."""
    model = ModelBackend(profile)
    if lacks(trial, model.probe()):
        return None
    return any(judge(trial.test, trial.program, path, profile.release).reasons for path in model.paths(trial.program))


def stems(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """File of the corpus -> its tests among these."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.test.name.partition("[")[0], []).append(trial)
    return found
