"""Does what was seen keep the claims that the test writes down? Three answers: yes, no, and *cannot be seen on this kernel*."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from breakcow.backend.observation import Observation, PageSeen, ProcessSeen
from breakcow.litmus.program import Program
from breakcow.litmus.syntax import Atom, Expect, PageRef, Step, Test
from breakcow.suite.record import Reason
from breakcow.suite.wording import event_words, outcome_words, page_words

GONE = PageSeen("unmapped")


@dataclass(frozen=True, slots=True)
class Moment:
    """What an `expect` line looks at.

    step, seen: index of the last action of the step before the line, and the observations of all of that step's actions.
    process: of the line.
    """

    step: int
    seen: Sequence[Observation]
    process: str

    @property
    def last(self) -> Observation:
        """The state after the step."""
        return self.seen[-1]

    def page(self, ref: PageRef) -> PageSeen | None:
        """The page, None if its process is gone."""
        process = self.last.processes.get(ref.process)
        return process.pages.get(ref.page) if process else None


@dataclass(frozen=True, slots=True)
class Answer:
    """One claim on one page (or process, or counter): holds is None if it cannot be seen."""

    holds: bool | None
    expected: str
    observed: str
    process: str = ""
    page: str = ""


def check(test: Test, program: Program, observations: Sequence[Observation]) -> tuple[list[Reason], list[str]]:
    """The claims of `test` that do not hold, in order, and sentences for those that this kernel cannot show.

    A run that hung has fewer observations than actions: what comes after is not judged, the hang itself is a claim that does not hold.
    """
    broken: list[Reason] = []
    unobserved: list[str] = []
    seen: list[int] = []
    for number, item in enumerate(test.body):
        if isinstance(item, Step):
            seen = [index for index, action in enumerate(program.actions[: len(observations)]) if action.item == number]
            broken += [reason for index in seen for reason in _outcome(item, index, observations[index])]
        elif isinstance(item, Expect) and seen:
            moment = Moment(seen[-1], [observations[index] for index in seen], item.process)
            for atom in item.atoms:
                _file(answers(atom, moment), atom, item.line, moment.step, broken, unobserved)
    return broken, unobserved


def _file(found: Iterable[Answer], atom: Atom, line: int, step: int, broken: list[Reason], unobserved: list[str]) -> None:
    """Put the answers to a claim where they belong."""
    for answer in found:
        place = f"{answer.process} {answer.page}".strip()
        if answer.holds is None:
            unobserved.append(f"line {line}: {answer.expected}{f' of {place}' if place else ''} cannot be seen on this kernel")
        elif not answer.holds:
            broken.append(Reason("expect", step, line, atom.kind, answer.expected, answer.observed, answer.process, answer.page))


def _outcome(step: Step, index: int, seen: Observation) -> Iterator[Reason]:
    """The ways in which one action of `step` did not end as written."""
    wanted = "blocked" if step.outcome == "blocks" else step.outcome
    if seen.outcome.result != wanted:
        yield Reason("outcome", index, step.line, step.verb, wanted, outcome_words(seen.outcome), step.process)
    elif step.value is not None and seen.outcome.value != step.value:
        yield Reason("outcome", index, step.line, step.verb, f"{wanted} -> {step.value}", outcome_words(seen.outcome), step.process)


def answers(atom: Atom, moment: Moment) -> Iterator[Answer]:
    """What was seen says to each part of one claim."""
    if atom.kind in PAGE_CLAIMS:
        return (_page_claim(atom, ref, moment) for ref in atom.pages)
    return CLAIMS[atom.kind](atom, moment)


def _bit(field: str) -> Callable[[PageSeen], bool | None]:
    """A bit of a page table entry or page: not set where there is no page, else what was seen."""

    def holds(page: PageSeen) -> bool | None:
        value = getattr(page, field)
        return False if value is None and page.state in {"none", "unmapped"} else value

    return holds


PAGE_CLAIMS: dict[str, Callable[[PageSeen], bool | None]] = {
    "present": lambda page: page.state == "page",
    "none": lambda page: page.state in {"none", "unmapped"},
    "zero": lambda page: page.state == "zero",
    "swapped": lambda page: page.state == "swap",
    "moved": lambda page: page.moved,
    "ksm": lambda page: False if page.state != "page" else page.ksm,
    "protected": _bit("uffd_wp"),
    "soft-dirty": _bit("soft_dirty"),
    "huge": _bit("huge"),
    "writable": _bit("writable"),
    "dirty": _bit("dirty"),
    "exclusive": _bit("exclusive"),
}


def _page_claim(atom: Atom, ref: PageRef, moment: Moment) -> Answer:
    """A claim about one page, negated or not."""
    page = moment.page(ref)
    expected = f"{'not ' if atom.negated else ''}{atom.kind}"
    if page is None:
        return Answer(False, expected, _absent(moment, ref), ref.process, ref.page)
    holds = PAGE_CLAIMS[atom.kind](page)
    if atom.kind == "moved":
        holds = any(seen.processes[ref.process].pages[ref.page].moved for seen in moment.seen if _has(seen, ref))
    return Answer(None if holds is None else holds != atom.negated, expected, page_words(page), ref.process, ref.page)


def _has(seen: Observation, ref: PageRef) -> bool:
    """Was the page looked at in this observation?"""
    return ref.process in seen.processes and ref.page in seen.processes[ref.process].pages


def _absent(moment: Moment, ref: PageRef) -> str:
    """Why a page was not looked at."""
    process = moment.last.processes.get(ref.process)
    return f"{ref.process} {process.state}" if process else f"no process {ref.process}"


def _content(atom: Atom, moment: Moment) -> Iterator[Answer]:
    """`x = 7`: the zero page reads as 0; what is swapped out or beyond reach cannot be seen."""
    for ref in atom.pages:
        page = moment.page(ref)
        if page is None:
            yield Answer(False, f"= {atom.value}", _absent(moment, ref), ref.process, ref.page)
            continue
        value = 0 if page.state == "zero" else page.content
        unseen = value is None and page.state in {"page", "swap"}
        yield Answer(None if unseen else value == atom.value, f"= {atom.value}", page_words(page), ref.process, ref.page)


def _same(atom: Atom, moment: Moment) -> Iterator[Answer]:
    """`same x y z`: all of them one frame. `not same x y z`: no two of them. Compared with the first page before it that contradicts."""
    names: list[tuple[PageRef, int | str | None]] = [(ref, _frame(moment.page(ref))) for ref in atom.pages]
    for position, (ref, frame) in enumerate(names[1:], 1):
        for other, known in names[:position] if atom.negated else names[:1]:
            page = moment.page(ref)
            where = f"{'another frame than' if atom.negated else 'the frame of'} {other.process} {other.page}"
            seen = _absent(moment, ref) if page is None else page_words(page)
            unseen = frame is None or known is None
            yield Answer(None if unseen else _one_frame(frame, known) != atom.negated, where, seen, ref.process, ref.page)


def _frame(page: PageSeen | None) -> int | str | None:
    """What tells one frame from another: a number, "zero" for the zero page, "" for no frame at all, None if it cannot be seen."""
    if page is None or page.state not in {"page", "zero"}:
        return ""
    return "zero" if page.state == "zero" else page.frame


def _one_frame(one: int | str | None, other: int | str | None) -> bool:
    """Are two names of frames the same frame?"""
    return one == other and one != ""


def _held(atom: Atom, moment: Moment) -> Iterator[Answer]:
    """`pinned x = 7` and `spliced x = 7`: what the device or the pipe holds."""
    for ref in atom.pages:
        process = moment.last.processes.get(ref.process)
        held = {} if process is None else process.pinned if atom.kind == "pinned" else process.spliced
        value = held.get(ref.page)
        observed = f"not {atom.kind}" if value is None else f"{atom.kind} = {value}"
        yield Answer(value == atom.value, f"{atom.kind} = {atom.value}", observed, ref.process, ref.page)


def _state(atom: Atom, moment: Moment) -> Iterator[Answer]:
    """`blocked`, `exited`: the state of the line's process."""
    process: ProcessSeen | None = moment.last.processes.get(moment.process)
    state = process.state if process else "no process"
    yield Answer((state == atom.kind) != atom.negated, f"{'not ' if atom.negated else ''}{atom.kind}", state, moment.process)


def _event(atom: Atom, moment: Moment) -> Iterator[Answer]:
    """`event x`, `not event x`, `no event`: write-protect events of the last step."""
    events = [event for seen in moment.seen for event in seen.events if event.kind == "wp"]
    observed = ", ".join(event_words(event) for event in events) or "no event"
    if not atom.pages:
        yield Answer(bool(events) != atom.negated, "no event" if atom.negated else "event", observed)
    for ref in atom.pages:
        raised = any((event.process, event.page) == (ref.process, ref.page) for event in events)
        yield Answer(raised != atom.negated, "no event" if atom.negated else "event", observed, ref.process, ref.page)


def _reported(atom: Atom, moment: Moment) -> Iterator[Answer]:
    """`reported x`, `not reported x`: what the PAGEMAP_SCAN of the last step said of the page, of the process of the line."""
    seen = {page for one in moment.seen for page in one.outcome.pages or ()}
    observed = f"reported {' '.join(sorted(seen)) or 'nothing'}"
    for ref in atom.pages:
        holds = (ref.page in seen) != atom.negated
        yield Answer(holds, f"{'not ' if atom.negated else ''}reported", observed, ref.process, ref.page)


def _counter(atom: Atom, moment: Moment) -> Iterator[Answer]:
    """`counter NAME = n`: the process's own count, the sum over the step for cow_ksm, else the value after it."""
    process = moment.last.processes.get(moment.process)
    if atom.name == "ksm_merging_pages":
        value = process.merging if process else None
    elif atom.name == "cow_ksm":
        parts = [seen.counters.get(atom.name) for seen in moment.seen]
        value = None if None in parts else sum(part or 0 for part in parts)
    else:
        value = moment.last.counters.get(atom.name)
    holds = None if value is None else value == atom.value
    yield Answer(holds, f"{atom.name} = {atom.value}", f"{atom.name} = {value}", moment.process if atom.name == "ksm_merging_pages" else "")


CLAIMS: dict[str, Callable[[Atom, Moment], Iterator[Answer]]] = {
    "content": _content,
    "same": _same,
    "pinned": _held,
    "spliced": _held,
    "blocked": _state,
    "exited": _state,
    "event": _event,
    "reported": _reported,
    "counter": _counter,
}
