"""The whole C file of a test: what it needs of the fragments, and a `main()` that reads like the test."""

import textwrap

from breakcow import litmus
from breakcow.litmus.program import Program
from breakcow.litmus.syntax import Atom, Step, Test
from breakcow.mm.actions import BIRTHS
from breakcow.reproducer import claims, fragments, steps
from breakcow.reproducer.body import ELSEWHERE, LEAVES, NEEDS, harmless, main
from breakcow.reproducer.names import renamed

COLUMNS = 120  # of a line of the comment at the top
USE = (
    "Build it with cc, run it as root. Exit status: 0 the kernel keeps the promise, 1 it breaks it, 2 the test broke off,",
    "4 this kernel lacks something. The settings of KSM are put back at the end, however it comes.",
)


class NoReproducerError(Exception):
    """The test cannot be a C program; the message is a sentence."""


def reproducer(test: Test) -> str:
    """`test` as a C file. Raises NoReproducerError."""
    _check(test)
    names = _fragments(test)
    includes, texts = fragments.joined(names)
    test = renamed(test, texts)
    program = litmus.program(test)
    system = "#define _GNU_SOURCE\n" + "\n".join(includes)
    chosen = fragments.closure(names)
    return "\n\n".join([_head(test), system, _names(program, "expect" in chosen), *texts, main(test, program, chosen)]) + "\n"


def _check(test: Test) -> None:
    """Refuse what has no C."""
    for word in litmus.requirements(test):
        if word not in NEEDS and word not in ELSEWHERE:
            raise NoReproducerError(f"{test.name} needs {word}: {litmus.REQUIREMENTS[word]}. There is no reproducer for such a test")
    for item in test.body:
        if isinstance(item, Step) and item.verb not in steps.CALLS:
            raise NoReproducerError(f"{test.name} has a step '{item.verb}', which reproducers do not make")


def _fragments(test: Test) -> set[str]:
    """The fragments that the test names; they may need others."""
    made = [item for item in test.body if isinstance(item, Step)]
    atoms = [atom for checked in claims.checked(test).values() for atom in checked]
    found = _ways(made, atoms).union(*map(steps.needs, made), *map(claims.needs, atoms))
    exits = {step.process for step in made if step.verb == "exit"}
    held = {step.verb for step in made if step.process in exits}
    found |= {end for verb, end in LEAVES.items() if verb in held}
    words = litmus.requirements(test)
    if len(test.huge) < len(test.memory):
        found.add("map_pages")
    if test.huge:  # a huge page has its page table with it
        found = found - {"keep_page_table"} | ({"fill"} if {"ksm", "swap"} & set(words) else set())
    return found | {NEEDS[word][0] for word in words if word in NEEDS} | ({"ksm"} if "ksm" in words else set())


def _ways(made: list[Step], atoms: list[Atom]) -> set[str]:
    """The program is the test's one process itself, or has many.

    It is itself if the process never forks or exits, is not to wait for its userfaultfd, and does not have KSM scan all that it has.
    """
    ends = any(step.verb in {*BIRTHS, "exit", "merge_any"} or step.outcome == "blocked" for step in made)
    if ends or any(atom.kind == "blocked" for atom in atoms):
        return {"processes", "many"}
    return {"processes", "alone", *(["may_wait"] if any(step.verb == "uffd_open" for step in made) else [])}


def _head(test: Test) -> str:
    """The comment at the top."""
    said = [test.name, "", *test.description.splitlines()]
    said += ["", *(f'Fixed in {fixed.release}: {fixed.commit} ("{fixed.subject}")' for fixed in test.fixed)] if test.fixed else []
    said += ["", f"No kernel has fixed it: see {test.unfixed} of breakcow"] if test.unfixed else []
    lines = [line for text in [*said, "", *USE] for line in textwrap.wrap(text, COLUMNS - 3, break_on_hyphens=False) or [""]]
    return "// SPDX-License-Identifier: MIT\n/*\n" + "\n".join(f" * {harmless(line)}".rstrip() for line in lines) + "\n */"


def _names(program: Program, shown: bool) -> str:
    """The processes and the pages as numbers, and, if pages are shown to people, their names."""
    lines = [f"enum {{ {', '.join(names)} }};" for names in ([*program.processes, "PROCESSES"], [*program.pages, "PAGES"])]
    words = ", ".join(f'"{page}"' for page in program.pages)
    return "\n".join([*lines, *([f"static const char *const name[] = {{ {words} }};"] if shown else [])])
