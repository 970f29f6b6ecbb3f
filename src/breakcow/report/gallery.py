"""docs/wrong-kernels.md: for each real kernel bug the tests that notice it, on models and on kernels that have it and that do not."""

from collections.abc import Iterator, Mapping, Sequence

from breakcow.suite.gallery import Bug, bugs, stems
from breakcow.suite.trial import Trial

HEAD = """# A wrong kernel is noticed

Kernel bugs that were real, each with the tests of the corpus that notice it: those that fail on the model of a kernel that has it, and
pass on the same model without it. The models differ in the one behaviour that the fix changed. Beside them stand stock kernels: how many
of the same tests fail there, of those that it can run. A kernel that has the fix fails none of them for this bug, but may fail for another.

Written by `breakcow gallery > docs/wrong-kernels.md`, with `--on vm:6.1` and so on for the kernels.
"""

Verdicts = Mapping[tuple[str, str], str]  # (backend, test) -> verdict


def lines(found: Mapping[str, Sequence[Trial]], kernels: Sequence[str], verdicts: Verdicts) -> Iterator[str]:
    """The lines of the page. found: bug -> tests that notice it. verdicts: of these tests on the kernels."""
    yield from HEAD.splitlines()
    for bug in bugs():
        yield from _bug(bug, found[bug.id], kernels, verdicts)


def _bug(bug: Bug, trials: Sequence[Trial], kernels: Sequence[str], verdicts: Verdicts) -> Iterator[str]:
    """The section of one bug."""
    changed = {name: value for name, value in bug.right.values.items() if bug.wrong.values[name] != value}
    yield from ("", f"## {bug.id}", "", f"{bug.what}. Mended in {bug.fixed}. Model of {bug.wrong.name}; `{', '.join(changed)}`.", "")
    yield f"| test | model that has it | model that does not |{''.join(f' {kernel} |' for kernel in kernels)}"
    yield "| --- |" + " --- |" * (2 + len(kernels))
    for stem, part in stems(trials).items():
        cells = [f"{len(part)} fail", "0 fail", *(_cell(kernel, part, verdicts) for kernel in kernels)]
        yield f"| [{stem}](../litmus/{stem}.litmus) | {' | '.join(cells)} |"


def _cell(kernel: str, trials: Sequence[Trial], verdicts: Verdicts) -> str:
    """How the tests of one file fared on a kernel."""
    seen = [verdicts[kernel, trial.test.name] for trial in trials if (kernel, trial.test.name) in verdicts]
    ran = [verdict for verdict in seen if verdict not in {"skip", "error"}]
    return f"{sum(verdict != 'ok' for verdict in ran)} of {len(ran)} fail" if ran else "not run"
