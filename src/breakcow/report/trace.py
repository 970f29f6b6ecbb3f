"""What a kernel did in a step beside what its model does, function by function, for people and for machines."""

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from breakcow.backend.model import Call
from breakcow.backend.trace import KernelCall
from breakcow.report.failure import FIELDS, Line
from breakcow.report.printable import printable
from breakcow.suite.trace import Step
from breakcow.suite.wording import event_words, outcome_words

# include/linux/mm_types.h (5.10: mm.h): bit by bit the same in 5.10, 6.1, 6.12 and 7.2, but that 5.10 ends with INTERRUPTIBLE
FAULT_FLAGS = (
    "WRITE",
    "MKWRITE",
    "ALLOW_RETRY",
    "RETRY_NOWAIT",
    "KILLABLE",
    "TRIED",
    "USER",
    "REMOTE",
    "INSTRUCTION",
    "INTERRUPTIBLE",
    "UNSHARE",
    "ORIG_PTE_VALID",
    "VMA_LOCK",
)
# include/linux/mm_types.h: enum vm_fault_reason; WRITE until 6.1, COMPLETED since 6.1. Bit 7 has no name
VM_FAULTS = (
    "OOM",
    "SIGBUS",
    "MAJOR",
    "WRITE",
    "HWPOISON",
    "HWPOISON_LARGE",
    "SIGSEGV",
    "",
    "NOPAGE",
    "LOCKED",
    "RETRY",
    "FALLBACK",
    "DONE_COW",
    "NEEDDSYNC",
    "COMPLETED",
)
PF_BITS = ("PROT", "WRITE", "USER", "RSVD", "INSTR")  # arch/x86/include/asm/trap_pf.h
FAULTS = frozenset({"handle_mm_fault", "__handle_mm_fault", "do_anonymous_page", "do_wp_page", "wp_page_copy", "handle_userfault"})
ALLOWED_ALONE = frozenset({"VMA_LOCK", "TRIED"})  # of locks and second tries, which the model does not know
LEGEND = "= both call it   ! both call it, with other flags or another result"
WIDTH = 100  # of the kernel's column at most


@dataclass(frozen=True, slots=True)
class Pair:
    """A row: a call of the kernel, one of the model, or one that both make."""

    kernel: KernelCall | None
    model: Call | None

    @property
    def mark(self) -> str:
        """How the two compare: "=", "!", or " " where only one side has the call."""
        if not self.kernel or not self.model:
            return " "
        return "!" if _differ(self.kernel, self.model) else "="


def lines(steps: Sequence[Step], backend: str, model: str) -> Iterator[Line]:
    """All steps, the kernel's calls on the left, the model's on the right. model: its profile's name."""
    for sentence in dict.fromkeys(step.kernel.how for step in steps if step.kernel.how):
        yield Line(printable(f"{backend}: {sentence}"), "bad")
    for step in steps:
        yield from _step(step, backend, model)
    yield Line(LEGEND, "dim")


def as_json(steps: Sequence[Step]) -> list[dict[str, object]]:
    """The same as JSON-able values: for each step the rows, and what was seen."""
    return [
        {
            "line": step.line,
            "text": step.text,
            "action": step.action,
            "seen": _seen(step),
            "lacking": step.kernel.how,
            "lost": step.kernel.lost,
            "calls": [_row(pair) for pair in pairs(step.kernel.calls, step.model)],
        }
        for step in steps
    ]


def pairs(kernel: Sequence[KernelCall], model: Sequence[Call]) -> list[Pair]:
    """The calls of both in order, those of the same name in one row wherever the order of both permits it."""
    own = [call for call in model if call.file not in FIELDS]
    found: list[Pair] = []
    first = start = 0
    for last, end in [*_common([call.function for call in kernel], [call.function for call in own]), (len(kernel), len(own))]:
        found += [Pair(call, None) for call in kernel[first:last]]
        found += [Pair(None, call) for call in own[start:end]]
        if last < len(kernel):
            found.append(Pair(kernel[last], own[end]))
        first, start = last + 1, end + 1
    return found


def _common(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """The longest list of positions in both at which the same words stand in the same order."""
    best = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            best[i][j] = best[i + 1][j + 1] + 1 if left[i] == right[j] else max(best[i + 1][j], best[i][j + 1])
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def names(value: int, words: Sequence[str]) -> str:
    """The names of the bits of a number, joined by |; bits without a name in hex; "0" for none."""
    found = [word for bit, word in enumerate(words) if word and value >> bit & 1]
    rest = value & ~sum(1 << bit for bit, word in enumerate(words) if word)
    return "|".join([*found, *([hex(rest)] if rest else [])]) or "0"


def kernel_words(call: KernelCall) -> str:
    """A call of the kernel in words: name, arguments, result."""
    arguments = [_argument(name, value) for name, value in call.arguments.items() if name != "since"]
    result = "" if call.result is None else f" = {_result(call)}"
    since = f"  (called in {call.arguments['since']})" if "since" in call.arguments else ""
    return f"{call.function}({', '.join(arguments)}){result}{since}"


def _argument(name: str, value: int | str) -> str:
    if name == "flags" and isinstance(value, int):
        return names(value, FAULT_FLAGS)
    if name == "error_code" and isinstance(value, int):
        return names(value, PF_BITS)
    return str(value) if name == "page" else f"{name}={value}"


def _result(call: KernelCall) -> str:
    """A fault's result by its names, another by its errno's."""
    assert call.result is not None
    if call.function in FAULTS:
        return names(call.result, VM_FAULTS)
    return f"-{errno.errorcode.get(-call.result, -call.result)}" if call.result < 0 else str(call.result)


def _model_words(call: Call) -> str:
    """A call of the model in words."""
    result = f" = {call.result}" if call.result else ""
    return f"{call.function}({call.arguments}){result}"


def _differ(kernel: KernelCall, model: Call) -> bool:
    """Do the two say different flags, or different results of a fault, where both say some?"""
    told = next((set(word.split("|")) for word in model.arguments.split(", ") if set(word.split("|")) <= set(FAULT_FLAGS)), None)
    if "flags" in kernel.arguments and told is not None:
        own = set(names(int(kernel.arguments["flags"]), FAULT_FLAGS).split("|"))
        if (own - ALLOWED_ALONE) != told:
            return True
    return kernel.function in FAULTS and kernel.result is not None and bool(model.result) and _result(kernel) != model.result


def _seen(step: Step) -> list[str]:
    """How the action ended, and the events of userfaultfds."""
    if step.seen is None:
        return ["not run"]
    resumed = [f"{name} resumed {outcome_words(outcome)}" for name, outcome in step.seen.resumed.items()]
    return [outcome_words(step.seen.outcome), *(event_words(event) for event in step.seen.events), *resumed]


def _step(step: Step, backend: str, model: str) -> Iterator[Line]:
    """One step: its line, how it ended, then the two columns."""
    yield Line(printable(f"{step.line:3}  {step.text}"), "title")
    yield Line(printable(f"     {', '.join(_seen(step))}"))
    if step.kernel.lost:
        yield Line(f"     {step.kernel.lost} events of the kernel were lost: the buffer was full", "bad")
    rows = [(pair.mark, *_cells(pair)) for pair in pairs(step.kernel.calls, step.model) if pair.kernel or _of_the_kernel(pair.model)]
    if not rows:
        return
    width = min(WIDTH, max(len(backend), *(len(left) for _, left, _ in rows)))
    yield Line(printable(f"     {backend:{width}}  | model:{model}"), "dim")
    for mark, left, right in rows:
        style = {"=": "good", "!": "bad"}.get(mark, "")
        yield Line(printable(f"   {mark} {left:{width}}  | {right}".rstrip()), style)


def _of_the_kernel(call: Call | None) -> bool:
    """Does a function of the model stand for one of the kernel, or begin the step? What else it is made of has no other side."""
    return call is not None and (call.depth == 0 or _documented(call.file.removesuffix(".py"), call.function))


@cache
def _documented(file: str, function: str) -> bool:
    """Does the docstring of a function of `mm/` begin with the kernel's own function?"""
    doc = getattr(import_module(f"breakcow.mm.{file}"), function).__doc__ or ""
    return bool(doc.startswith(f"{function}()"))


def _cells(pair: Pair) -> tuple[str, str]:
    """The two columns of a row, each indented by the depth of the call."""
    left = right = ""
    if pair.kernel:
        task = f"{pair.kernel.task}: " if not pair.kernel.depth else ""
        left = "  " * pair.kernel.depth + task + kernel_words(pair.kernel)
    if pair.model:
        right = "  " * pair.model.depth + _model_words(pair.model)
    return left, right


def _row(pair: Pair) -> dict[str, object]:
    """A row as JSON-able values."""
    kernel, model = pair.kernel, pair.model
    return {
        "mark": pair.mark.strip(),
        "kernel": kernel and {"task": kernel.task, "depth": kernel.depth, "function": kernel.function, "words": kernel_words(kernel)},
        "model": model and {"depth": model.depth, "function": model.function, "words": _model_words(model)},
    }
