"""The words of a step against the action table: both ways, and nothing about any single operation but its numbers' bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from breakcow.litmus.errors import did_you_mean, listed
from breakcow.litmus.structure import Line, Word
from breakcow.litmus.syntax import Step
from breakcow.mm.actions import FEATURES, KNOBS, LIMITS, PROTECTIONS, SCANS, VERB, VERBS, Verb

PROCESSES = tuple("ABCDEF")[: LIMITS["processes"]]
NUMBERS = {  # lowest and highest number of a verb, or of a knob
    "ksm_scan": (1, LIMITS["scans"]),
    "ksm_run": (0, 2),
    "merge_any": (0, 1),
    "use_zero_pages": (0, 1),
    "max_page_sharing": (2, 256),
    "smart_scan": (0, 1),
}
HIGHEST = 999  # of any other number: `Step.argument` holds a knob and its number as knob * 1000 + number
PAGES = {"{each}", "{range}"}
LISTS = {"{each}": "PAGE...", "{range}": "PAGE...", "{features}": "[FEATURE...]"}


@dataclass(frozen=True, slots=True)
class Form:
    """A pattern of the action table, split at its list: words before it, the list's hole or "", words after it."""

    verb: Verb
    before: tuple[str, ...]
    list: str
    after: tuple[str, ...]

    def shown(self) -> str:
        """As a message shows it: `madvise PAGE... mergeable`."""
        words = [*self.before, *([self.list] if self.list else []), *self.after]
        return " ".join(LISTS.get(word) or word.strip("{}").upper() if word.startswith("{") else word for word in words)


@cache
def forms() -> tuple[Form, ...]:
    """One form for each verb of the action table, in its order."""
    return tuple(_form(verb) for verb in VERBS)


def _form(verb: Verb) -> Form:
    words = verb.pattern.split()
    at = next((at for at, word in enumerate(words) if word in LISTS), None)
    if at is None:
        return Form(verb, tuple(words), "", ())
    return Form(verb, tuple(words[:at]), words[at], tuple(words[at + 1 :]))


def match(line: Line, words: tuple[Word, ...]) -> tuple[Verb, tuple[Word, ...], int]:
    """The verb, the pages and the argument that `words` stand for; pages are not looked up here."""
    form = _chosen(line, words)
    listed_words = _listed(line, words, form)
    argument = 0
    for pattern, word in [*zip(form.before, words, strict=False), *zip(form.after, words[len(words) - len(form.after) :], strict=True)]:
        if pattern.startswith("{"):
            argument = argument * 1000 + _number(line, form.verb, pattern, word, argument)
    if form.list == "{features}":
        return form.verb, (), _features(line, listed_words)
    return form.verb, listed_words, argument


def _listed(line: Line, words: tuple[Word, ...], form: Form) -> tuple[Word, ...]:
    """The words of the form's list; refuse too few words, or too many."""
    written = f"it is written '{form.shown()}'"
    most = len(form.before) + len(form.after)
    if form.after and not form.after[-1].startswith("{") and words[-1] != form.after[-1]:
        raise line.error(words[-1], f"'{' '.join(form.before)}' ends with '{form.after[-1]}': {written}")
    if not form.list and len(words) > most:
        raise line.error(words[most], f"'{words[most][:40]}' is one word too many: {written}")
    if len(words) < most:
        raise line.error(words[-1], f"'{' '.join(words)[:80]}' is not complete: {written}")
    if len(words) == most and form.list in PAGES:
        raise line.error(words[-1], f"'{' '.join(words)[:80]}' names no page: {written}")
    return words[len(form.before) : len(words) - len(form.after)]


def phrase(step: Step) -> str:
    """The operation of `step` as it is written, its outcome left out: what `match` reads."""
    form = _form(VERB[step.verb])
    argument = step.argument
    written: list[str] = []
    for pattern in reversed((*form.before, form.list, *form.after)):
        if pattern in PAGES:
            written[:0] = step.pages
        elif pattern == "{features}":
            written[:0] = [name for name, bit in FEATURES.items() if argument & bit]
        elif pattern.startswith("{"):
            argument, number = divmod(argument, 1000)
            written.insert(0, SHOWN[pattern](number))
        elif pattern:
            written.insert(0, pattern)
    return " ".join(written)


def _chosen(line: Line, words: tuple[Word, ...]) -> Form:
    """The form that the fixed words of `words` choose."""
    left = list(forms())
    for at, word in enumerate(words):
        if not any(_fixed(form.before, at) for form in left):
            break
        known = dict.fromkeys(form.before[at] for form in left if _fixed(form.before, at))
        if word not in known:
            raise line.error(word, _unknown(words[:at], word, known))
        left = [form for form in left if _fixed(form.before, at) == word]
    if any(_fixed(form.before, len(words)) for form in left):
        raise line.error(words[-1], f"'{words[-1]}' needs one more word: {listed(form.before[len(words)] for form in left)}")
    return left[0] if len(left) == 1 else _by_last_word(line, words, left)


def _fixed(before: tuple[str, ...], at: int) -> str:
    """The fixed word at `at`, or "" where there is a hole or nothing."""
    return before[at] if at < len(before) and not before[at].startswith("{") else ""


def _by_last_word(line: Line, words: tuple[Word, ...], left: list[Form]) -> Form:
    """The one of `left` whose last words are those of `words`."""
    for form in left:
        if form.after and words[-len(form.after) :] == form.after:
            return form
    known = [" ".join(form.after) for form in left]
    reason = f"'{words[0]}' takes pages, then one of {', '.join(known)}"
    raise line.error(words[-1], reason + did_you_mean(words[-1], known).replace(":", ";", 1))


def _unknown(before: tuple[Word, ...], word: str, known: Mapping[str, None]) -> str:
    """Why `word` cannot follow `before`."""
    if not before:
        return f"unknown operation '{word[:40]}'" + did_you_mean(word, known, f"one of {', '.join(known)}")
    return f"'{' '.join(before)}' takes one of {', '.join(known)}, not '{word[:40]}'" + did_you_mean(word, known).replace(":", ";", 1)


def _number(line: Line, verb: Verb, pattern: str, word: Word, knob: int) -> int:
    """What the word in a hole of `verb`'s pattern stands for."""
    if pattern == "{value}":
        return bounded(line, word, 0, 255, "a page's content is")
    if pattern == "{number}":
        subject = SHOWN["{knob}"](knob) if "{knob}" in verb.pattern else verb.name
        lowest, highest = NUMBERS.get(subject, (0, HIGHEST))
        return bounded(line, word, lowest, highest, f"'{subject.replace('_', ' ', verb.name == subject)}' takes")
    names = NAMES[pattern]
    if word in names:
        return names[word]
    raise line.error(word, f"'{word[:40]}' is no {CALLED[pattern]}" + did_you_mean(word, names, f"one of {', '.join(names)}"))


def bounded(line: Line, word: Word, lowest: int, highest: int, what: str) -> int:
    """`word` as a decimal number within its bounds."""
    if word.isascii() and word.isdigit() and str(int(word[:9])) == word and lowest <= int(word) <= highest:
        return int(word)
    raise line.error(word, f"{what} a number from {lowest} to {highest}, not '{word[:40]}'")


def _features(line: Line, words: tuple[Word, ...]) -> int:
    """The bits of the features named."""
    bits = 0
    for word in words:
        if word not in FEATURES:
            raise line.error(word, f"'{word[:40]}' is no feature" + did_you_mean(word, FEATURES, f"one of {', '.join(FEATURES)}"))
        if bits & FEATURES[word]:
            raise line.error(word, f"'{word}' stands here twice")
        bits |= FEATURES[word]
    return bits


CALLED = {"{prot}": "protection", "{scan}": "scan", "{knob}": "knob", "{process}": "process"}
NAMES: dict[str, dict[str, int]] = {
    "{prot}": PROTECTIONS,
    "{scan}": SCANS,
    "{knob}": KNOBS,
    "{process}": {name: index for index, name in enumerate(PROCESSES)},
}


def _named(names: Mapping[str, int]) -> Callable[[int], str]:
    by_number = {number: name for name, number in names.items()}
    return by_number.__getitem__


SHOWN: dict[str, Callable[[int], str]] = {"{value}": str, "{number}": str} | {hole: _named(names) for hole, names in NAMES.items()}
