"""What an exploration found, as text and as JSON."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from breakcow.explore.bound import Bound
from breakcow.explore.counterexample import Counterexample
from breakcow.explore.search import Tally
from breakcow.explore.survey import Survey
from breakcow.litmus import to_text
from breakcow.mm.promises import PROMISES


def found(one: Counterexample, confirmed: str) -> str:
    """A counterexample as a litmus test, below what it breaks; confirmed: what a real kernel said to it, or nothing."""
    lines = [f"# {_count(len(one.steps), 'step')} {'breaks' if len(one.steps) == 1 else 'break'} {', '.join(one.promises)}"]
    lines += [f"# {confirmed}"] if confirmed else []
    return "\n".join([*lines, to_text(one.test)])


def progress(survey: Survey) -> str:
    """Where the search is: which of the searches, depth, frontier, rate, and how far this level is."""
    _, tally = survey.done[-1]
    rate = tally.transitions / tally.seconds / 1e6 if tally.seconds else 0
    left = f", about {tally.level_left:.0f} s left of this level" if tally.level_left > 2 else ""
    number = f"search {len(survey.done)} of {len(survey.planned)}: " if len(survey.planned) > 1 else ""
    found_ = len(survey.found) + len(tally.finds)
    words = f"{number}depth {tally.depth + 1}, frontier {tally.frontier:,}, {tally.states:,} states, {rate:.1f} M transitions/s{left}"
    return f"{words}, {found_} programs that break a promise"


def summary(survey: Survey) -> str:
    """What was searched, and which promises nothing breaks up to which bound."""
    broken = {name for one in survey.found for name in one.promises}
    kept = [name for name, _ in PROMISES if name not in broken]
    first = survey.planned[0]
    seconds = sum(tally.seconds for _, tally in survey.done)
    lines = [
        f"{survey.profile.name}: programs found {len(survey.found)}, promises broken {len(broken)}",
        f"  none up to this bound breaks {', '.join(kept)}" if kept else "  each promise is broken",
        f"  bound: {_count(first.processes, 'process', 'es')}, {_count(first.pages, 'page')} in {_count(first.mappings, 'mapping')}, "
        f"{_count(first.contents, 'content')} and zeros, {_count(first.depth, 'step')}, {_searches(survey)}",
        f"  {survey.states:,} states, {survey.transitions:,} transitions, {seconds:.1f} s",
        f"  states are told apart by 64-bit hashes: the chance that one was missed is {_chance(survey):.1e}",
        *_closed(survey),
    ]
    lines += [f"  {_name(bound)}: only {tally.depth} steps: {tally.stopped}" for bound, tally in survey.stopped]
    left = len(survey.planned) - len(survey.done)
    return "\n".join([*lines, *([f"  {left} searches were not begun: the time was over"] if left else [])])


def _closed(survey: Survey) -> Iterator[str]:
    """How many searches came to an end before their bound."""
    longest = [tally.depth - 1 for _, tally in survey.done if tally.closed]
    if longest:
        which = f"{len(longest)} of {len(survey.planned)} searches closed" if len(survey.planned) > 1 else "closed"
        yield f"  {which}: each state comes from a program of at most {_count(max(longest), 'step')}"


def write_tests(folder: Path, survey: Survey) -> None:
    """Each program as a file of the corpus: FOLDER/explore/NAME.litmus."""
    for one in survey.found:
        path = folder / f"{one.test.name}.litmus"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_text(one.test))


def write_json(path: Path, survey: Survey, confirmed: dict[str, str]) -> None:
    """All of it for machines."""
    searches = [_search(bound, tally) for bound, tally in survey.done]
    programs = [
        {
            "name": one.test.name,
            "promises": one.promises,
            "steps": len(one.steps),
            "confirmed": confirmed.get(one.test.name, ""),
            "text": to_text(one.test),
        }
        for one in survey.found
    ]
    content = {"kernel": survey.profile.name, "behaviours": survey.profile.values, "searches": searches, "found": programs}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")


def _search(bound: Bound, tally: Tally) -> dict[str, Any]:
    return {
        "bound": bound,
        "states": tally.states,
        "transitions": tally.transitions,
        "depth": tally.depth,
        "closed": tally.closed,
        "stopped": tally.stopped,
        "seconds": round(tally.seconds, 3),
        "bytes": tally.bytes,
        "chance_of_a_miss": tally.chance_of_a_miss,
    }


def _searches(survey: Survey) -> str:
    """How the searches divide the programs."""
    if len(survey.planned) > 1:
        return f"{len(survey.planned)} searches, one for each mixture of kinds of operations"
    return f"operations {', '.join(survey.planned[0].operations)}"


def _count(number: int, thing: str, ending: str = "s") -> str:
    return f"{number} {thing}{'' if number == 1 else ending}"


def _chance(survey: Survey) -> float:
    return min(1.0, sum(tally.chance_of_a_miss for _, tally in survey.done))


def _name(bound: Bound) -> str:
    """The operations of one mixture, without those that are in all of them."""
    return ", ".join(verb for verb in bound.operations if verb not in ("write", "read"))
