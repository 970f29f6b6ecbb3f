"""The specification as a backend: runs a program on the model of one kernel, along every path that kernel may take."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import msgspec

from breakcow.backend.abilities import Abilities
from breakcow.backend.compare import Difference, difference
from breakcow.backend.observation import Observation
from breakcow.backend.observe import Frames, frames, observe
from breakcow.kernel import Profile
from breakcow.litmus.program import Action, Program
from breakcow.litmus.requirements import REQUIREMENTS
from breakcow.mm import flags
from breakcow.mm.actions import BIRTHS, VERB, VERBS
from breakcow.mm.flags import REUSE_REFCOUNT
from breakcow.mm.ghost import follow
from breakcow.mm.huge_memory import SPLIT_ZERO_PAGE
from breakcow.mm.promises import consistent_page, consistent_tree
from breakcow.mm.schema import Bounds, State
from breakcow.mm.step import boot, step

Path = tuple[Observation, ...]
NUMBER = {verb.name: number for number, verb in enumerate(VERBS)}
ROOM = os.path.dirname(flags.__file__)
NO_RULES = {"schema.py", "step.py", "dispatch.py", "ghost.py", "promises.py"}  # files of mm/ that stand for no kernel function
FAULTS = {
    *("handle_mm_fault", "__handle_mm_fault", "handle_pte_fault", "do_anonymous_page", "do_wp_page", "wp_page_copy", "handle_userfault"),
    "faultin_page",
}  # functions that give VM_FAULT_* bits
MOST_PATHS = 64  # a program on a kernel that chooses freely is followed along this many paths at most


class ModelError(Exception):
    """The specification contradicts itself: a bug of ours, never an outcome of a test."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the specification: how deep, the function, its file, its arguments and its result as words."""

    depth: int
    function: str
    file: str
    arguments: str
    result: str


def lacking(profile: Profile) -> dict[str, str]:
    """Requirement -> why the kernel of `profile` cannot meet it; "" where it can."""
    needs = {
        "soft-dirty": ("mem_soft_dirty", "the kernel is built without CONFIG_MEM_SOFT_DIRTY"),
        "ksm-zero-pages": ("ksm_zero_pages_unmerge", "the kernel does not count the zero pages that KSM placed"),
        "uffd-user-mode-only": ("uffd_user_mode_only", "the kernel has no UFFD_USER_MODE_ONLY"),
        "uffd-wp-unpopulated": ("uffd_wp_unpopulated", "the kernel has no UFFD_FEATURE_WP_UNPOPULATED"),
        "uffd-wp-async": ("uffd_wp_async", "the kernel has no UFFD_FEATURE_WP_ASYNC"),
        "populate": ("madv_populate", "the kernel has no MADV_POPULATE_READ and MADV_POPULATE_WRITE"),
        "proc-mem-force": ("proc_mem_force", "writes to /proc/PID/mem do not override page protections"),
        "merge-any": ("ksm_merge_any", "the kernel has no PR_SET_MEMORY_MERGE"),
        "pagemap-scan": ("pagemap_scan", "the kernel has no PAGEMAP_SCAN"),
        "smart-scan": ("ksm_smart_scan", "ksmd has no smart_scan"),
    }
    found = {}
    for word in REQUIREMENTS:
        name, why = needs.get(word, ("", ""))
        found[word] = why if name and not getattr(profile, name) else ""
    return found


class ModelBackend:
    """Runs programs on the specification with the behaviours of `profile`."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.name = f"model:{profile.name}"

    def probe(self) -> Abilities:
        """What the modelled kernel can do."""
        return Abilities(self.profile.release, lacking(self.profile), ())

    def run(self, program: Program) -> Path:
        """One observation for each action, along the first path."""
        state = self._start(program)
        path = []
        for action in program.actions:
            path.append(self._observe(state, program, action))
        return tuple(path)

    def ask(self, program: Program) -> Callable[[], Path]:
        """As a kernel that runs it meanwhile, but it runs when its observations are asked for."""
        return partial(self.run, program)

    def paths(self, program: Program) -> tuple[Path, ...]:
        """Every sequence of observations that this kernel may show, each once; MOST_PATHS at most."""
        ends: list[tuple[State, Path]] = [(self._start(program), ())]
        for action in program.actions:
            grown = [(after, (*path, seen)) for state, path in ends for after, seen in self._outcomes(state, program, action)]
            ends = grown if len(grown) == 1 else _apart(grown)
        return tuple({msgspec.json.encode(path): path for _, path in ends}.values())

    def check(self, program: Program, observations: Path) -> Difference | None:
        """The first observation that no path of this kernel allows, beside the nearest that one does; None if all are allowed."""
        states = [self._start(program)]
        for number, (action, observed) in enumerate(zip(program.actions, observations, strict=False)):
            outcomes = [outcome for state in states for outcome in self._outcomes(state, program, action)]
            found = [difference(number, seen, observed) for _, seen in outcomes]
            unlike = [found_ for found_ in found if found_]
            if len(unlike) == len(found):
                return min(unlike, key=len)[0]
            matching = [after for (after, _), d in zip(outcomes, found, strict=True) if not d]
            states = matching if len(matching) == 1 else list({after.pack(): after for after in matching}.values())
        return None

    def trace(self, program: Program, number: int) -> tuple[Call, ...]:
        """The calls that the specification makes in action `number`, in order, along the first path."""
        state = self._start(program)
        for action in program.actions[:number]:
            self._take(state, program, action, 0)
        calls: list[Call] = []
        _traced(lambda: self._take(state, program, program.actions[number], 0), program, calls)
        return tuple(calls)

    def _start(self, program: Program) -> State:
        state = State(Bounds(len(program.processes), len(program.pages)), self.profile)
        for v, area in enumerate(program.mappings):
            state.vma[0, v].area = area
            state.vma[0, v].huge = program.mappings.index(area) + 1 if area in program.huge else 0
        boot(state)
        return state

    def _outcomes(self, state: State, program: Program, action: Action) -> list[tuple[State, Observation]]:
        """Every way the action can end from `state`, which is used up where this kernel has no choice."""
        if not self._chooses(program):
            return [(state, self._observe(state, program, action))]
        done, pending = [], [0]
        while pending:
            choices = pending.pop()
            after = state.copy()
            seen = self._observe(after, program, action, choices)
            done.append((after, seen))
            known = choices.bit_length()
            pending += [choices | 1 << bit for bit in range(known, after.step.drawn)]
        return done

    def _chooses(self, program: Program) -> bool:
        """Whether a rule of this kernel may call choose()."""
        if program.huge and self.profile.split_folio == SPLIT_ZERO_PAGE:
            return True
        return self.profile.wp_reuse == REUSE_REFCOUNT or bool(self.profile.break_ksm_misses_protnone)

    def _observe(self, state: State, program: Program, action: Action, choices: int = 0) -> Observation:
        before: Frames = frames(state)
        self._take(state, program, action, choices)
        self._check_itself(state)
        return observe(state, program, action.verb, before)

    def _take(self, state: State, program: Program, action: Action, choices: int) -> None:
        p = 0 if action.process == "-" else program.processes.index(action.process)
        argument = action.argument
        if action.verb in BIRTHS:
            argument = program.processes.index(chr(ord("A") + argument))
        state.step.choices = choices
        step(state, NUMBER[action.verb], p, action.page, action.count, argument)
        follow(state, NUMBER[action.verb], p, action.page, action.count, argument)

    def _check_itself(self, state: State) -> None:
        """The ninth promise, at every step: a state that contradicts itself is a bug of the specification."""
        processes, pages = state.pte.shape
        for p in range(processes):
            for v in range(pages):
                if not consistent_page(state, p, v):
                    raise ModelError(f"{self.name}: the entry of process {p}, page {v} contradicts its page")
        if not consistent_tree(state):
            raise ModelError(f"{self.name}: the counters contradict the page tables")


def _apart(ends: list[tuple[State, Path]]) -> list[tuple[State, Path]]:
    """Those that differ in state or path, each once; MOST_PATHS at most."""
    keyed = {(state.pack(), msgspec.json.encode(path)): (state, path) for state, path in reversed(ends)}
    return list(reversed(keyed.values()))[:MOST_PATHS]


def _traced(run: Callable[[], None], program: Program, calls: list[Call]) -> None:
    """Run `run` and append a Call for each function of `mm/` that it enters."""
    open_calls: list[int] = []

    def profile(frame: FrameType, event: str, value: Any) -> None:
        folder, file = os.path.split(frame.f_code.co_filename)
        if folder != ROOM or file in NO_RULES or frame.f_code.co_name.startswith("<"):
            return
        if event == "call":
            open_calls.append(len(calls))
            calls.append(Call(len(open_calls) - 1, frame.f_code.co_name, file, _arguments(frame, program), ""))
        elif event == "return" and open_calls:
            index = open_calls.pop()
            call = calls[index]
            calls[index] = Call(call.depth, call.function, call.file, call.arguments, _result(call.function, value))

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)


def _arguments(frame: FrameType, program: Program) -> str:
    """The arguments worth reading: processes, pages and fault flags by name, other numbers as they are."""
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    return ", ".join(_argument(name, frame.f_locals[name], program) for name in names if isinstance(frame.f_locals[name], int))


def _argument(name: str, value: int, program: Program) -> str:
    if name == "flags":
        return flag_names(value, "FAULT_FLAG_")
    if name == "foll":
        return flag_names(value, "FOLL_")
    if name in ("p", "q") and value < len(program.processes):
        return program.processes[value]
    if name in ("v", "w", "start") and 0 <= value < len(program.pages):
        return program.pages[value]
    return f"{name}={value}"


def _result(function: str, value: Any) -> str:
    """A fault's result as VM_FAULT_* names, flags as FAULT_FLAG_* names, any other as it is."""
    if function in FAULTS:
        return flag_names(value, "VM_FAULT_") or "0"
    if function == "break_ksm_flags":
        return flag_names(value, "FAULT_FLAG_")
    return "" if value is None else str(value)


def flag_names(value: int, prefix: str) -> str:
    """The names of the bits of `value` among the constants with `prefix`, without it, joined by |."""
    bits = {name: number for name, number in vars(flags).items() if name.startswith(prefix) and bin(number).count("1") == 1}
    return "|".join(name.removeprefix(prefix) for name, number in bits.items() if value & number)


assert set(VERB) == set(NUMBER)
