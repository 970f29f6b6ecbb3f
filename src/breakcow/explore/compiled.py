"""The rules of `mm/` as one generated module that Numba compiles: the same functions, unchanged but for their imports and annotations.

Numba's own cache is keyed by file and signature and would serve a stale callee, so each combination of source, kernel and bounds has a
module of its own in the cache folder, named by what it was made from.
"""

import ast
import hashlib
import importlib.util
import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from breakcow import mm
from breakcow.explore import packing
from breakcow.explore.program import start
from breakcow.explore.specialise import Constants, Rules, called_by, specialise
from breakcow.kernel import Profile
from breakcow.kernel.behaviours import NAMES
from breakcow.mm import actions
from breakcow.mm.actions import VERBS
from breakcow.mm.schema import LAYOUT, RECORDS, Bounds, State, dtype

ROOM = Path(mm.__file__).parent
FILES = (
    *(
        "flags",
        "page_alloc",
        "pgtable",
        "huge_memory",
        "vma",
        "mprotect",
        "userfaultfd",
        "huge_fault",
        "swap",
        "huge_swap",
        "memory",
        "fault",
        "uaccess",
        "gup",
        "ksm_break",
        "ksm_tree",
    ),
    *("ksm_scan", "ksm", "madvise", "mremap", "fork", "task_mmu", "ghost_process", "ghost", "dispatch", "step", "promises"),
)
HERE = Path(__file__).parent
SHORT = 20  # nodes of the syntax tree of a function
SEARCH = ("normal", "table", "bits", "recall", "expand", "entries")  # files of this folder that are compiled with the rules
ENTRIES = (  # what is called from outside
    *("run_step", "run_follow", "run_broken", "advance", "start", "leads_to", "expand", "move_all", "address", "accept"),
)
HEAD = """from numba import from_dtype, int64, njit, void

from breakcow.explore.together import compare_and_swap, copy_words, fold_product, pdep, pext, rule
from breakcow.mm.schema import Bounds, dtype

BITS = {bits!r}
LEFT_OUT = {left_out!r}
RECORD = dtype({bounds!r}, BITS)
WORDS = {words}
State = from_dtype(RECORD)
Pte, Vma, Ghost = (State.fields[name].type.dtype for name in ("pte", "vma", "ghost"))"""


def cache_folder() -> Path:
    """Where generated modules and what Numba makes of them are kept: breakcow/compiled under the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "breakcow" / "compiled"


TYPES = {"int": "int64", "None": "void", "Words": "int64[:, ::1]", "Row": "int64[::1]", "States": "State[::1]"}


@dataclass(frozen=True)
class Part:
    """The part of the rules that a search needs. operations: verbs that it takes. areas: in which mapping each page is at its start."""

    operations: frozenset[str]
    areas: tuple[int, ...]

    def bounds(self, profile: Profile, processes: int, pages: int) -> Bounds:
        """The size of its states: only who pins or splices, and a swap cache that pages stay in, hold frames that are not mapped."""
        cached = "pageout" in self.operations and not profile.cow_frees_swap_cache
        return Bounds(processes, pages, ("pin" in self.operations) + ("vmsplice" in self.operations) + cached)


def source(profile: Profile, bounds: Bounds, contents: int = 3, part: Part | None = None) -> str:
    """The generated module: every rule with the behaviours of `profile` written in as constants, for states of one size; or the `part` of
    them that a search needs, with what is constant in it written in as well."""
    trees = [ast.parse((ROOM / f"{file}.py").read_text()) if file != "dispatch" else _dispatch(part) for file in FILES]
    trees += [ast.parse((HERE / f"{file}.py").read_text()) for file in SEARCH]
    judges = len(FILES) - 1  # promises.py: its constants are for people
    nodes = [node for number, tree in enumerate(trees) for node in tree.body if number != judges or isinstance(node, ast.FunctionDef)]
    constants = [_constant(node) for node in nodes if isinstance(node, ast.Assign)]
    constants = [f"{verb.name.upper()} = {number}" for number, verb in enumerate(VERBS)] + constants
    rules = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    functions = {node.name: _Behaviours(profile).visit(node) for node in rules}
    assert len(functions) == len(rules), Counter(node.name for node in rules).most_common(1)
    left_out: Constants = {}
    if part:
        functions, left_out = _specialised(functions, constants, start_values(bounds, profile, part), part)
    bits = packing.narrow(bounds, contents) | dict.fromkeys(left_out, 0) if part else {}
    form = packing.Form(bounds, contents, left_out, bits) if part else None
    head = HEAD.format(bits=bits, left_out=left_out, bounds=bounds, words=form.words if form else 0)
    calls = Counter(called for name, node in functions.items() if name not in ENTRIES or name == "expand" for called in called_by(node))
    texts = [ast.unparse(ast.fix_missing_locations(_Plain(calls).visit(node))) for node in functions.values()]
    from breakcow.explore.together import has_bmi2

    packed = [form.source(*(("pext", "pdep") if has_bmi2() else ("gather", "scatter")))] if form else []
    return "\n\n".join([head, *constants, *texts, *packed]) + "\n"


def start_values(bounds: Bounds, profile: Profile, part: Part) -> Constants:
    """The fields that are equal in all cells of the state that a search starts in, and their values."""
    state = start(bounds, part.areas, profile)
    values = {}
    for name, (record, axes) in LAYOUT.items():
        cells = getattr(state, name).cells if axes else (getattr(state, name),)
        for field in RECORDS[record]:
            alike = {getattr(cell, field) for cell in cells}
            if len(alike) == 1:
                values[record, field] = alike.pop()
    return values


def _specialised(
    functions: dict[str, ast.FunctionDef], constants: list[str], start: Constants, part: Part
) -> tuple[dict[str, ast.FunctionDef], Constants]:
    """The functions that the search can reach, and what is constant in them."""
    room: dict[str, Any] = {}
    exec("\n".join(constants), room)
    numbers = {name: value for name, value in room.items() if isinstance(value, int)}
    never = {number for number, verb in enumerate(VERBS) if verb.name not in part.operations}
    kept, left_out = specialise(Rules(functions, numbers, never), (*ENTRIES, "gather", "scatter"), start)
    return {name: kept[name] for name in functions if name in kept}, left_out


def _dispatch(part: Part | None) -> ast.Module:
    """dispatch() as a chain of calls, one for each verb of the action table that is taken."""
    lines = ["def dispatch(s: State, verb: int, p: int, v: int, n: int, c: int) -> int:"]
    for number, verb in enumerate(VERBS):
        if not part or verb.name in part.operations:
            lines += [f"    if verb == {number}:", f"        return {verb.rule.split('.')[1]}(s, p, v, n, c)"]
    return ast.parse("\n".join([*lines, "    return 0"]))


def _signature(node: ast.FunctionDef) -> str:
    """The types of a rule as Numba writes them: a record by its name, every number an int64."""
    words = [ast.unparse(argument.annotation) for argument in node.args.args if argument.annotation]
    result = ast.unparse(node.returns) if node.returns else "None"
    return f"{TYPES[result]}({', '.join(TYPES.get(word, word) for word in words)})"


class _Behaviours(ast.NodeTransformer):
    """Put constants for `s.kernel.NAME`."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.value, ast.Attribute) and node.value.attr == "kernel" and node.attr in NAMES:
            return ast.copy_location(ast.Constant(getattr(self.profile, node.attr)), node)
        return node


class _Plain(ast.NodeTransformer):
    """Strip annotations and docstrings, and say how Numba is to compile: whole in its caller what is short or called in one place."""

    def __init__(self, calls: Counter[str]) -> None:
        self.calls = calls

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        decorator = (
            "njit(cache=True, nogil=True, _nrt=False)" if node.name in ENTRIES else f"rule({_signature(node)}, {self._inline(node)})"
        )
        node.returns = None
        for argument in node.args.args:
            argument.annotation = None
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        node.decorator_list = [ast.parse(decorator, mode="eval").body]
        return node

    def _inline(self, node: ast.FunctionDef) -> bool:
        return self.calls[node.name] == 1 or sum(1 for _ in ast.walk(node)) < SHORT


def _constant(node: ast.Assign) -> str:
    """A module constant; the numbers of verbs are looked up now, for the table itself is not compiled."""
    names = {"VERBS": VERBS, "VERB": actions.VERB}
    text = ast.unparse(node)
    return text if "VERB" not in text else f"{ast.unparse(node.targets[0])} = {eval(ast.unparse(node.value), names)}"


@cache
def load(profile: Profile, bounds: Bounds, contents: int = 3, part: Part | None = None) -> ModuleType:
    """The compiled module for `profile` and states of `bounds`, generated if it is not in the cache. Raises ValueError as dtype().

    RECORD is the type of its states, WORDS the 64-bit words of a packed one, LEFT_OUT what it knows as constants. Its ENTRIES are compiled
    when they are first called: 15 s in all, less than one from the cache.
    """
    name = f"mm_{_key(profile, bounds, contents, part)}"
    path = cache_folder() / f"{name}.py"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(source(profile, bounds, contents, part))
        fresh.rename(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Numba's cache finds its functions through it
    spec.loader.exec_module(module)
    return module


def _key(profile: Profile, bounds: Bounds, contents: int, part: Part | None) -> str:
    """A name for what a module is made from: all source of the specification and of this folder, and what is asked for."""
    from breakcow.explore.together import has_bmi2

    asked = repr((has_bmi2(), profile.values, bounds, contents, part and (sorted(part.operations), part.areas)))
    files = [file.read_bytes() for folder in (ROOM, HERE) for file in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"\0".join([asked.encode(), *files])).hexdigest()[:16]


def is_compiled(rules: ModuleType) -> bool:
    """Whether the search over this module is in Numba's cache."""
    path = Path(str(rules.__file__))
    return any((path.parent / "__pycache__").glob(f"{path.stem}.expand-*.nbc"))


def new_record(bounds: Bounds) -> Any:
    """An array of one all-zero compiled state of the whole specification."""
    import numpy as np

    return np.zeros(1, dtype(bounds))


def fill(record: Any, state: State, left_out: Mapping[tuple[str, str], int] = MappingProxyType({})) -> None:
    """Copy a plain state into a compiled one. Raises ValueError if what `left_out` says is constant has another value."""
    for name, (kind, axes) in LAYOUT.items():
        plain = getattr(state, name)
        for field in RECORDS[kind]:
            values = [getattr(cell, field) for cell in plain.cells] if axes else [getattr(plain, field)]
            if (kind, field) in left_out:
                if set(values) != {left_out[kind, field]}:
                    raise ValueError(f"{kind}.{field} is not {left_out[kind, field]}, as this search was compiled to think")
            elif axes:
                record[name][field] = _grid(values, state.bounds.shape(axes))
            else:
                record[name][field] = values[0]


def _grid(values: list[int], shape: tuple[int, ...]) -> Any:
    import numpy as np

    return np.array(values).reshape(shape)


def pack(record: Any) -> tuple[int, ...]:
    """The same tuple that `State.pack` gives for an equal plain state."""
    packed: list[int] = []
    for name, (kind, _) in LAYOUT.items():
        columns = [record[name][field].ravel().tolist() for field in RECORDS[kind]]
        packed += [int(value) for row in zip(*columns, strict=True) for value in row]
    return tuple(packed)
