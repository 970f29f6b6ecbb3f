"""One search of everything, or one of each mixture of kinds of operations: what they find, each bug once, by its shortest program."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from breakcow.explore.bound import ALWAYS, Bound
from breakcow.explore.compiled import is_compiled
from breakcow.explore.counterexample import Counterexample, counterexample
from breakcow.explore.search import Search, Tally
from breakcow.kernel import Profile
from breakcow.mm.actions import BIRTHS


@dataclass(frozen=True, slots=True)
class Limits:
    """picked: promises to check, a bit each. symmetric, threads, memory, most_states: as in Search. deadline: of time.monotonic().
    cluster: search on a Ray cluster."""

    picked: int
    symmetric: bool
    threads: int
    memory: int
    most_states: int
    deadline: float
    cluster: bool = False


@dataclass
class Survey:
    """Searches of the same kernel, one after the other. planned: bounds, in order. done: those begun, each with its tally, the last of
    which may still be growing. found: counterexamples, each of which does without something that every shorter one needs."""

    profile: Profile
    planned: Sequence[Bound]
    done: list[tuple[Bound, Tally]] = field(default_factory=list)
    found: list[Counterexample] = field(default_factory=list)

    @property
    def states(self) -> int:
        """Seen by all searches."""
        return sum(tally.states for _, tally in self.done)

    @property
    def transitions(self) -> int:
        """Taken by all searches."""
        return sum(tally.transitions for _, tally in self.done)

    @property
    def stopped(self) -> list[tuple[Bound, Tally]]:
        """The searches that ended before their depth, or never began to."""
        return [(bound, tally) for bound, tally in self.done if tally.stopped]

    @property
    def operations(self) -> frozenset[str]:
        """Of all searches: one compiled form of the rules serves them."""
        return frozenset(verb for bound in self.planned for verb in bound.operations)

    def run(self, limits: Limits, progress: Callable[["Survey"], None]) -> None:
        """Search every bound in turn. On KeyboardInterrupt what was found before is kept, and the interrupt goes on."""
        for bound in self.planned:
            if time.monotonic() > limits.deadline:
                return
            search = _search(self.profile, bound, self.operations, limits)
            self.done.append((bound, search.tally))
            try:
                search.run(lambda _: progress(self), limits.deadline)
            finally:
                self.found = named(distinct([*self.found, *counterexamples(search)]))
                progress(self)


def prepare(survey: Survey) -> Iterator[str]:
    """Compile the rules for every size of state that the searches need; before each that is not in the cache, a sentence about it."""
    for bound in {one.processes: one for one in map(alone, survey.planned)}.values():
        search = Search(survey.profile, replace(bound, depth=1), among=survey.operations)
        if not is_compiled(search.rules):
            yield f"compiling the rules of {survey.profile.name} for {bound.processes} x {bound.pages} pages, once: about 20 s"
            search.run()


def alone(bound: Bound) -> Bound:
    """The bound that is searched: one process is enough where nothing forks."""
    return bound if BIRTHS & set(bound.operations) else replace(bound, processes=1)


def _search(profile: Profile, bound: Bound, among: frozenset[str], limits: Limits) -> Search:
    kind = Search
    if limits.cluster:
        from breakcow.explore.cluster import ClusterSearch  # for those who have Ray

        kind = ClusterSearch
    return kind(
        profile,
        alone(bound),
        limits.picked,
        symmetric=limits.symmetric,
        threads=limits.threads,
        memory=limits.memory,
        most_states=limits.most_states,
        among=among,
    )


def counterexamples(search: Search) -> Iterator[Counterexample]:
    """What a search found, the shortest first."""
    return (counterexample(search, find) for find in sorted(search.tally.finds, key=lambda find: find.depth))


def distinct(found: Sequence[Counterexample]) -> list[Counterexample]:
    """The shortest program of each bug, the shortest first. Programs that break one promise by one operation are one bug if the longer
    needs every operation that the shorter needs; stores and loads, which are everywhere, do not count."""
    kept: list[Counterexample] = []
    for one in sorted(found, key=lambda one: len(one.steps)):
        if not any(same_bug(shorter, one) for shorter in kept):
            kept.append(one)
    return kept


def same_bug(shorter: Counterexample, longer: Counterexample) -> bool:
    """Whether a longer program shows nothing that a shorter one does not."""
    last = longer.steps[-1].operation.verb
    if shorter.steps[-1].operation.verb != last or not set(longer.promises) <= set(shorter.promises):
        return False
    return shorter.verbs - set(ALWAYS) <= longer.verbs - set(ALWAYS)


def named(found: Sequence[Counterexample]) -> list[Counterexample]:
    """The same with names that are unique: the second of a name is NAME-2."""
    times: Counter[str] = Counter()
    result = []
    for one in found:
        name = one.name
        times[name] += 1
        unique = name if times[name] == 1 else f"{name}-{times[name]}"
        result.append(replace(one, test=replace(one.test, name=unique)))
    return result
