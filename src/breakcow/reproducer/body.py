"""`main()`, which reads like the test: a call for each step, with the line of the test above it, and one for each claim."""

from collections.abc import Iterator, Sequence

from breakcow import litmus
from breakcow.litmus.program import Action, Program
from breakcow.litmus.syntax import Atom, Comment, Expect, Step, Test
from breakcow.reproducer import claims, steps

NEEDS = {  # requirement -> the fragment that skips where it lacks, and its call
    "soft-dirty": ("need_soft_dirty", "need_soft_dirty();"),
    "populate": ("need_populate", "need_populate();"),
    "proc-mem-force": ("need_proc_mem_force", "need_proc_mem_force();"),
    "ksm-bit": ("need_ksm_bit", "need_ksm_bit();"),
    "uffd-wp-bit": ("need_uffd_wp_bit", "need_uffd_wp_bit();"),
    "swap": ("need_swap", "need_swap();"),
    "smart-scan": ("need_file", 'need_file("/sys/kernel/mm/ksm/smart_scan");'),
    "thp": ("huge_pages", "need_thp();"),
    "ksm-zero-pages": ("need_file", 'need_file("/sys/kernel/mm/ksm/ksm_zero_pages");'),
}
ELSEWHERE = (  # requirements whose lack shows when they are used: in birth(), start_ksm(), or in the first step that does
    *("root", "ksm", "uffd", "uffd-wp", "uffd-event-fork", "uffd-user-mode-only", "uffd-wp-unpopulated", "uffd-wp-async"),
    *("io-uring", "pagemap-scan", "merge-any"),
)
SHOWS = {  # fragment -> what is asked before anything runs
    "uffd_wp": "uffd_wp_bit = shows_uffd_wp();",
    "soft_dirty": "soft_dirty_bit = shows_soft_dirty();",
}
START = {  # fragment -> what is done once KSM stands still
    "counter": "look_if_alone();",
    "zero_pages": 'zero_pages_before = ksm_read("ksm_zero_pages");',
}
LEAVES = {"pin": "unpin", "vmsplice": "drain"}  # verb -> the fragment that undoes it when the process exits


def main(test: Test, program: Program, chosen: set[str]) -> str:
    """The function `main()` of a reproducer that has the fragments `chosen`. With arguments it is a process that was spawned."""
    lines = ["if (argc > 1)", "\tgo_on(words);"] if "spawn" in chosen else []
    lines += ["begin();", *_asked(test, chosen), *(["birth();"] if "many" in chosen else [])]
    lines += ["start_thp();"] if "huge_pages" in chosen else []
    if "ksm" in chosen:
        lines += ["start_ksm();", *(text for fragment, text in START.items() if fragment in chosen)]
    lines += [line for number in range(len(test.memory)) for line in _mapped(test, number)]
    lines += ["keep_page_table(A);"] if "keep_page_table" in chosen else []
    held: list[str] = []
    checked = claims.checked(test)
    for number, item in enumerate(test.body):
        if isinstance(item, Comment):
            lines += ["", f"/* {harmless(item.comment)} */"]
        elif isinstance(item, Expect):
            lines += [f"/* {harmless(litmus.item_text(item))} */"]
            lines += [line for atom in checked[item] for line in claims.lines(atom, item.process)]
        else:
            actions = [action for action in program.actions if action.item == number]
            lines += ["", *_made(item, actions, program, _claimed(test, number))]
            lines += _let_go(item, held)
    lines += ["", f'return verdict("{test.name}");']
    arguments = "int argc, char **words" if "spawn" in chosen else "void"
    return f"int main({arguments})\n{{\n" + "\n".join(f"\t{line}" if line else "" for line in lines) + "\n}"


def harmless(text: str) -> str:
    """Text that does not end the comment it stands in."""
    return text.replace("*/", "* /").replace("/*", "/ *")


def _asked(test: Test, chosen: set[str]) -> Iterator[str]:
    """What this kernel must have, and what it shows."""
    for word in litmus.requirements(test):
        if word in NEEDS:
            yield NEEDS[word][1]
    yield from (text for fragment, text in SHOWS.items() if fragment in chosen)


def _mapped(test: Test, number: int) -> list[str]:
    """A `memory` line."""
    pages = test.memory[number]
    huge, function = ("huge ", "map_huge") if number in test.huge else ("", "map_pages")
    return ["", f'step("memory {huge}{" ".join(pages)}");', f"returns(0, {function}({pages[0]}, {len(pages)}));"]


def _claimed(test: Test, number: int) -> list[Atom]:
    """The claims between the step that is item `number` and the next step."""
    found: list[Atom] = []
    for item in test.body[number + 1 :]:
        if isinstance(item, Step):
            break
        if isinstance(item, Expect):
            found += item.atoms
    return found


def _made(step: Step, actions: Sequence[Action], program: Program, claimed: Sequence[Atom]) -> list[str]:
    """A step: what it must be watched for, and the call for each of its actions."""
    moves = any(atom.kind == "moved" for atom in claimed)
    text = litmus.item_text(step).replace("\\", "\\\\").replace('"', '\\"')
    watched = ["watch_moves();"] if moves else []
    watched += ["watch_cow_ksm();"] if any(atom.name == "cow_ksm" for atom in claimed) else []
    if step.verb == "ksm_scan":
        return [f'step("{text}");', *watched, *_scanned(step.argument, moves)]
    calls = [_call(step, action, program) for action in actions]
    return [f'step("{text}");', *watched, *calls, *(["note_moves();"] if moves else [])]


def _call(step: Step, action: Action, program: Program) -> str:
    """One action, and how it must end."""
    call = steps.call(action, program)
    if steps.any_value(step):
        return f'expect({call} >= 0, "it reads {program.pages[action.page]}");'
    return f"returns({steps.outcome(step)}, {call});"


def _scanned(number: int, moves: bool) -> list[str]:
    """Full scans of ksmd."""
    one = ["ksm_scan();", *(["note_moves();"] if moves else [])]
    if number == 1:
        return one
    loop = f"for (int scan = 0; scan < {number}; scan++)"
    return [f"{loop} {{", *(f"\t{line}" for line in one), "}"] if moves else [loop, f"\t{one[0]}"]


def _let_go(step: Step, held: list[str]) -> list[str]:
    """What a process that exits has pinned, or put into a pipe, goes with it. `held`: the calls that let go, kept up to date."""
    for verb, end in (("pin", "unpin_page"), ("vmsplice", "drain_pipe")):
        if step.verb == verb and step.outcome == "ok":
            held += [f"{end}({step.process}, {page});" for page in step.pages]
    for verb, end in (("unpin", "unpin_page"), ("drain", "drain_pipe")):
        if step.verb == verb:
            for page in step.pages:
                held.remove(f"{end}({step.process}, {page});")
    return [call for call in held if f"({step.process}," in call] if step.verb == "exit" else []
