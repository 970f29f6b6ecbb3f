"""A test as the flat list of actions that every backend executes, in the form that goes over the wire."""

from dataclasses import dataclass

from breakcow.litmus.syntax import Comment, Step, Test
from breakcow.mm.actions import BIRTHS, VERB


@dataclass(frozen=True, slots=True)
class Action:
    """One primitive operation.

    process: name, "-" for the kernel. verb: of the action table. page, count: first page and number of contiguous pages, as indexes
    into `Program.pages` (0, 0 where none). argument: see `Step`. item: index of its line in `Test.body`.
    """

    process: str
    verb: str
    page: int
    count: int
    argument: int
    item: int


@dataclass(frozen=True, slots=True)
class Program:
    """processes: in order of name, A first. pages: names in order of declaration. mappings: one index per page, equal for one mapping.

    huge: the mappings that are huge regions: each page is a base page, but the last is all base pages that are left of 2 MiB.
    """

    processes: tuple[str, ...]
    pages: tuple[str, ...]
    mappings: tuple[int, ...]
    actions: tuple[Action, ...]
    huge: tuple[int, ...] = ()

    def rests(self) -> set[int]:
        """The pages that stand for all that is left of their huge region."""
        return {max(page for page, mapping in enumerate(self.mappings) if mapping == huge) for huge in self.huge}

    def wire(self) -> dict[str, object]:
        """The program as JSON-able values, as the agent takes it."""
        return {
            "processes": list(self.processes),
            "pages": list(self.pages),
            "mappings": list(self.mappings),
            "huge": list(self.huge),
            "actions": [[a.process, a.verb, a.page, a.count, a.argument] for a in self.actions],
        }


def program(test: Test) -> Program:
    """Flatten `test`: one action for each page or contiguous run that a line names, in the order written.

    Two pages are contiguous if they were declared side by side in one mapping and no earlier mremap of the test moved them apart.
    """
    pages = tuple(page for mapping in test.memory for page in mapping)
    mappings = [number for number, mapping in enumerate(test.memory) for _ in mapping]
    names = {"A"} | {item.process for item in test.body if not isinstance(item, Comment) and item.process != "-"}
    names |= {chr(ord("A") + item.argument) for item in test.body if isinstance(item, Step) and item.verb in BIRTHS}
    areas = {name: list(mappings) for name in names}
    actions: list[Action] = []
    fresh = len(mappings)
    for number, item in enumerate(test.body):
        if not isinstance(item, Step):
            continue
        indexes = [pages.index(page) for page in item.pages]
        if item.verb == "ksm_scan":  # each scan is a step: where a page went twice, nobody could tell
            actions += [Action("-", "ksm_scan", 0, 0, 1, number)] * item.argument
            continue
        whole = item.verb == "mremap" and tuple(item.pages) in [test.memory[huge] for huge in test.huge]
        for first, count in _spans(item, indexes, areas.get(item.process, []), whole):
            actions.append(Action(item.process, item.verb, first, count, item.argument, number))
            if item.verb == "mremap":
                areas[item.process][first : first + count] = [fresh] * count
                fresh += 1
        if item.verb in BIRTHS:
            areas[chr(ord("A") + item.argument)] = list(areas[item.process])
    return Program(tuple(sorted(names)), pages, tuple(mappings), tuple(actions), test.huge)


def _spans(step: Step, indexes: list[int], area: list[int], whole: bool) -> list[tuple[int, int]]:
    """The (first page, count) pairs that `step` acts on. whole: it moves a huge region, which stays together."""
    if not indexes:
        return [(0, 0)]
    if not whole and "{each}" in VERB[step.verb].pattern:
        return [(index, 1) for index in indexes]
    spans: list[tuple[int, int]] = []
    for index in indexes:
        first, count = spans[-1] if spans else (-1, 0)
        if spans and index == first + count and area[index] == area[first]:
            spans[-1] = (first, count + 1)
        else:
            spans.append((index, 1))
    return spans
