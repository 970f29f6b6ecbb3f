"""The canonical text of a test: what `parse` reads back as an equal test."""

from __future__ import annotations

from breakcow.litmus.claims import claimed
from breakcow.litmus.operations import phrase
from breakcow.litmus.syntax import Comment, Expect, Step, Test


def to_text(test: Test) -> str:
    """`test` as a litmus file, parameters filled in."""
    head = [f"litmus {test.name}", *(f"    {line}".rstrip() for line in test.description.splitlines())]
    header = [f"require {', '.join(test.require)}"] if test.require else []
    header += [f"covers {text}" for text in test.covers]
    header += [f"memory {'huge ' if number in test.huge else ''}{' '.join(pages)}" for number, pages in enumerate(test.memory)]
    end = [f"fixed {fixed.release}  {fixed.commit} {fixed.subject}" for fixed in test.fixed]
    end += [f"unfixed {test.unfixed}"] if test.unfixed else []
    parts = [head, header, [item_text(item) for item in test.body], end]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def item_text(item: Step | Expect | Comment) -> str:
    """The line of the body that `item` is."""
    if isinstance(item, Comment):
        return f"# {item.comment}".rstrip()
    said = _step(item) if isinstance(item, Step) else "expect " + ", ".join(claimed(atom, item.process) for atom in item.atoms)
    return f"{item.process}  {said}" + (f"  # {item.comment}" if item.comment else "")


def _step(step: Step) -> str:
    """The operation of a step and, unless it is the usual one, its outcome."""
    outcome = str(step.value) if step.value is not None else {"ok": "", "blocked": "blocks"}.get(step.outcome, step.outcome)
    return phrase(step) + (f" -> {outcome}" if outcome else "")
