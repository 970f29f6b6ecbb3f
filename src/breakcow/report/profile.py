"""A measured profile, for people and for machines: which value of each behaviour a kernel has, and the program that showed it."""

import textwrap
from collections.abc import Iterator

from breakcow.backend.measure import Finding, Measured, litmus_text
from breakcow.kernel import PROFILES, nearest
from breakcow.kernel.behaviours import BEHAVIOURS
from breakcow.report.failure import Line
from breakcow.report.printable import printable

MEANING = {behaviour.name: behaviour.meaning for behaviour in BEHAVIOURS}
WORDS = {behaviour.name: behaviour.values for behaviour in BEHAVIOURS}
WIDTH = 110  # of a program that is written in one paragraph


def lines(measured: Measured, backend: str, release: str) -> Iterator[Line]:
    """What was measured on the kernel `release` of `backend`: each behaviour, what fits no value, and the profile."""
    yield Line(printable(f"{backend} ({release})"), "title")
    for finding in measured.findings:
        yield from _behaviour(finding)
    for finding in finds(measured):
        yield from _find(finding)
    yield from _conclusion(measured)


def finds(measured: Measured) -> list[Finding]:
    """The behaviours of which no value fits what the kernel did."""
    return [finding for finding in measured.findings if finding.how == "no value fits"]


def differences(measured: Measured) -> dict[str, tuple[str, str]]:
    """Behaviour -> (value of this kernel, value of the nearest shipped profile) wherever the two are not the same."""
    near = nearest(measured.profile)
    return {
        name: (WORDS[name][value], WORDS[name][near.values[name]])
        for name, value in measured.profile.values.items()
        if value != near.values[name]
    }


def as_json(measured: Measured, backend: str, release: str) -> dict[str, object]:
    """The same as JSON-able values. profile: the shipped profile that this kernel's equals, null if there is none."""
    return {
        "backend": backend,
        "kernel": release,
        "profile": measured.profile.name if measured.profile.name in PROFILES else None,
        "nearest": nearest(measured.profile).name,
        "differs": {name: {"kernel": own, "nearest": near} for name, (own, near) in differences(measured).items()},
        "behaviours": [
            {"behaviour": one.behaviour, "meaning": MEANING[one.behaviour], "value": one.value or None, "how": one.how, "program": one.text}
            for one in measured.findings
        ],
    }


def _behaviour(finding: Finding) -> Iterator[Line]:
    """One behaviour: its value and how it was found, its meaning, the program."""
    bad = finding.how == "no value fits"
    yield Line(f"{finding.behaviour:26} {finding.value or '?':20} {finding.how}", "bad" if bad else "")
    yield Line(f"    {MEANING[finding.behaviour]}", "dim")
    yield from (Line(f"      {text}", "dim") for text in _wrapped(finding.text))


def _wrapped(program: str) -> list[str]:
    """The program in lines that end where a step ends."""
    steps = program.replace(" ", "\xa0").replace(";\xa0", "; ")
    return [text.replace("\xa0", " ") for text in textwrap.wrap(steps, WIDTH)]


def _find(finding: Finding) -> Iterator[Line]:
    """What no value of a behaviour explains, as a test to run and to paste."""
    yield Line(f"a find: no value of {finding.behaviour} ({', '.join(WORDS[finding.behaviour])}) gives what this kernel does in", "bad")
    yield from (Line(f"    {text}".rstrip()) for text in litmus_text(finding.behaviour, finding.text).rstrip().split("\n"))


def _conclusion(measured: Measured) -> Iterator[Line]:
    """The profile's name, or what it differs in from the nearest shipped one."""
    found = differences(measured)
    if not found:
        yield Line(f"profile: {measured.profile.name}, as shipped", "bad" if finds(measured) else "good")
        return
    yield Line(f"profile: none that is shipped; the nearest is {nearest(measured.profile).name}, but", "title")
    yield from (Line(f"    {name}: {own} here, {near} there") for name, (own, near) in found.items())
