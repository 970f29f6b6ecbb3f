"""The program of a request, checked: the controller runs as root and believes nothing that it is sent."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import thp
from .abi import PAGE
from .ksm import KNOBS
from .outside import OUTSIDE
from .process import AREA, FIRST_AREA, NAMES, runs
from .verbs import VERBS, Action

KERNEL_VERBS = ("ksm_scan", "ksm_run", "ksm_set")
LIMITS = {"processes": 6, "pages": 12, "steps": 200, "scans": 20}  # as in the action table; a step is one action for each page at most
ARGUMENTS = {  # verb -> values that its argument can have; 0 alone for all other verbs
    "write": range(256),
    "copy_to_user": range(256),
    "mem_write": range(256),
    "process_vm_writev": range(256),
    "dma": range(256),
    "mprotect": (0, 1, 3),
    "fork": range(1, LIMITS["processes"]),
    "spawn": range(1, LIMITS["processes"]),
    "merge_any": range(2),
    "uffd_open": range(64),
    "pagemap_scan": range(10),
    "ksm_scan": range(LIMITS["scans"] + 1),
    "ksm_run": range(3),
    "ksm_set": tuple(knob * 1000 + number for knob in KNOBS for number in range(1000)),
}
ONE_PAGE = (
    "write",
    "read",
    "copy_to_user",
    "mem_write",
    "process_vm_readv",
    "process_vm_writev",
    "pin",
    "unpin",
    "dma",
    "vmsplice",
    "drain",
)
NO_PAGES = (*KERNEL_VERBS, "fork", "spawn", "merge_any", "exit", "clear_refs", "uffd_open", "uffd_close")


class RequestError(Exception):
    """The request is not one that the agent executes. The message is a sentence."""


@dataclass(frozen=True)
class Program:
    """As breakcow.litmus.program.Program."""

    pages: tuple[str, ...]
    mappings: tuple[int, ...]
    actions: tuple[Action, ...]
    huge: tuple[int, ...]

    @property
    def area(self) -> int:
        """Bytes from one area to the next."""
        return 2 * thp.HUGE if self.huge else AREA

    @cached_property
    def merges(self) -> bool:
        """It may merge pages, or step ksmd."""
        return any(action.verb in ("mergeable", "merge_any", *KERNEL_VERBS) for action in self.actions)

    @cached_property
    def splits(self) -> bool:
        """Whether huge pages may be split into base pages, where zeros are not what other contents are."""
        return bool(self.huge) and (self.merges or any(action.verb == "pageout" for action in self.actions))

    @cached_property
    def scans(self) -> bool:
        """It uses PAGEMAP_SCAN."""
        return any(action.verb == "pagemap_scan" for action in self.actions)

    def sizes(self) -> list[int]:
        """How many bytes each page stands for."""
        return thp.sizes(self.mappings, self.huge)

    def addresses(self) -> list[int]:
        """Where each page begins its life: each mapping in an area of its own, its pages side by side."""
        firsts = [self.mappings.index(mapping) for mapping in self.mappings]
        return [FIRST_AREA + self.mappings[first] * self.area + (page - first) * PAGE for page, first in enumerate(firsts)]

    def offsets(self) -> dict[int, int]:
        """Where in its huge region each page of one begins."""
        return {page: at % thp.HUGE for page, at in enumerate(self.addresses()) if self.mappings[page] in self.huge}

    def spans(self) -> list[tuple[int, int]]:
        """The (address, length) of each mapping."""
        return runs(self.addresses(), self.sizes())


def program(wire: object) -> Program:
    """The program that `wire` is. Raises RequestError."""
    if not isinstance(wire, dict):
        raise RequestError("a program is an object with processes, pages, mappings and actions")
    processes = _names(wire.get("processes"), "processes", LIMITS["processes"])
    pages = _names(wire.get("pages"), "pages", LIMITS["pages"])
    if not set(processes) <= set(NAMES):
        raise RequestError(f"processes are named {NAMES[0]} to {NAMES[-1]}")
    _demand("A" in processes, "a program begins with process A")
    mappings, actions = _list(wire, "mappings"), _list(wire, "actions")
    _demand(
        len(mappings) == len(pages) and all(type(each) is int for each in mappings),
        "mappings are one number for each page",
    )
    _demand(
        mappings == sorted(mappings) and mappings[0] >= 0 and mappings[-1] < len(pages),
        "mappings are numbered from 0 in the order of the pages",
    )
    if len(actions) > LIMITS["steps"] * LIMITS["pages"]:
        raise RequestError(f"a program has at most {LIMITS['steps'] * LIMITS['pages']} actions")
    checked = tuple(_action(action, processes, len(pages)) for action in actions)
    forked = [action.argument for action in checked if action.verb in ("fork", "spawn")]
    _demand(len(forked) == len(set(forked)), "a process is born once")
    _demand(all(NAMES[index] in processes for index in forked), "birth of a process that the program does not name")
    huge = _list(wire, "huge") if "huge" in wire else []
    _demand(all(type(each) is int and mappings.count(each) > 1 for each in huge), "a huge region is a mapping of two pages or more")
    found = Program(tuple(pages), tuple(mappings), checked, tuple(huge))
    single = [action.page for action in checked if action.verb in ONE_PAGE]
    _demand(all(found.sizes()[page] == PAGE for page in single), "what is left of a huge page is no single page")
    return found


def _demand(holds: bool, sentence: str) -> None:
    if not holds:
        raise RequestError(sentence)


def _list(wire: dict[str, Any], key: str) -> list[Any]:
    value = wire.get(key)
    if not isinstance(value, list):
        raise RequestError(f"{key} are a list")
    return value


def _names(wire: object, what: str, limit: int) -> list[str]:
    """A list of 1 to `limit` short names, each once."""
    _demand(isinstance(wire, list) and all(isinstance(name, str) and 0 < len(name) <= 64 for name in wire), f"{what} are a list of names")
    assert isinstance(wire, list)
    if not 0 < len(wire) <= limit or len(set(wire)) != len(wire):
        raise RequestError(f"a program has 1 to {limit} {what}, each named once")
    return wire


def _action(wire: object, processes: list[str], pages: int) -> Action:
    """One action. Raises RequestError."""
    _demand(isinstance(wire, list) and len(wire) == 5, "an action is a list of process, verb, page, count and argument")
    assert isinstance(wire, list)
    process, verb, page, count, argument = wire
    _demand(isinstance(process, str) and isinstance(verb, str), "process and verb of an action are names")
    _demand(all(type(number) is int for number in (page, count, argument)), "page, count and argument of an action are numbers")
    if verb not in VERBS and verb not in OUTSIDE and verb not in KERNEL_VERBS:
        raise RequestError(f"unknown verb {verb[:40]!r}")
    if process not in (["-"] if verb in KERNEL_VERBS else processes):
        raise RequestError(f"{verb} cannot be done by {process[:40]!r}")
    if verb in NO_PAGES:
        page = count = 0
    elif not (0 <= page < pages and 1 <= count <= pages - page):
        raise RequestError(f"{verb} names pages that the program does not have")
    elif verb in ONE_PAGE and count > 1:
        raise RequestError(f"{verb} takes one page")
    if argument not in ARGUMENTS.get(verb, (0,)):
        raise RequestError(f"{verb} does not take the argument {argument}")
    return Action(process, verb, page, count, argument)
