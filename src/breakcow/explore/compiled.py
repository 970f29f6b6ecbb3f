"""The rules of `mm/` as one generated module that Numba compiles: the same functions, unchanged but for their imports and annotations.

Numba's own cache is keyed by file and signature and would serve a stale callee, so each combination of source, kernel and bounds has a
module of its own in the cache folder, named by what it was made from.
"""

import ast
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from breakcow import mm
from breakcow.explore import packing
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
        "memory",
        "fault",
        "uaccess",
        "gup",
        "ksm_break",
        "ksm_tree",
    ),
    *("ksm_scan", "ksm", "madvise", "mremap", "fork", "task_mmu", "ghost", "dispatch", "step", "promises"),
)
HERE = Path(__file__).parent
SEARCH = ("normal", "table", "bits", "expand", "entries")  # files of this folder that are compiled with the rules
ENTRIES = (  # what is called from outside
    *("run_step", "run_follow", "run_broken", "advance", "start", "leads_to", "put_away", "expand", "move_all", "address", "accept"),
)
HEAD = """from numba import from_dtype, int64, njit, void

from breakcow.explore.together import compare_and_swap, rule
from breakcow.mm.schema import Bounds, dtype

State = from_dtype(dtype({bounds!r}))
Pte, Vma, Ghost = (State.fields[name].type.dtype for name in ("pte", "vma", "ghost"))"""


def cache_folder() -> Path:
    """Where generated modules and what Numba makes of them are kept: breakcow/compiled under the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "breakcow" / "compiled"


TYPES = {"int": "int64", "None": "void", "Words": "int64[:, ::1]", "Row": "int64[::1]", "States": "State[::1]"}


def source(profile: Profile, bounds: Bounds, contents: int = 3) -> str:
    """The generated module: every rule with the behaviours of `profile` written in as constants, for states of one size."""
    parts = [HEAD.format(bounds=bounds)]
    parts += [f"{verb.name.upper()} = {number}" for number, verb in enumerate(VERBS)]
    for file in FILES:
        parts += list(_dispatch()) if file == "dispatch" else list(_functions(ROOM / f"{file}.py", profile))
    parts.append(packing.source(bounds, contents))
    for file in SEARCH:
        parts += list(_functions(HERE / f"{file}.py", profile))
    return "\n\n".join(parts) + "\n"


def _dispatch() -> Iterator[str]:
    """dispatch() as a chain of calls, one for each verb of the action table."""
    lines = ["@rule(int64(State, int64, int64, int64, int64, int64))", "def dispatch(s, verb, p, v, n, c):"]
    for number, verb in enumerate(VERBS):
        lines += [f"    if verb == {number}:", f"        return {verb.rule.split('.')[1]}(s, p, v, n, c)"]
    yield "\n".join([*lines, "    return 0"])


def _signature(node: ast.FunctionDef) -> str:
    """The types of a rule as Numba writes them: a record by its name, every number an int64."""
    words = [ast.unparse(argument.annotation) for argument in node.args.args if argument.annotation]
    result = ast.unparse(node.returns) if node.returns else "None"
    return f"{TYPES[result]}({', '.join(TYPES.get(word, word) for word in words)})"


class _Plain(ast.NodeTransformer):
    """Strip annotations and docstrings; put constants for `s.kernel.NAME`."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        decorator = "njit(cache=True, nogil=True, _nrt=False)" if node.name in ENTRIES else f"rule({_signature(node)})"
        node.returns = None
        for argument in node.args.args:
            argument.annotation = None
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        node.decorator_list = [ast.parse(decorator, mode="eval").body]
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.value, ast.Attribute) and node.value.attr == "kernel" and node.attr in NAMES:
            return ast.copy_location(ast.Constant(getattr(self.profile, node.attr)), node)
        return node


def _functions(file: Path, profile: Profile) -> Iterator[str]:
    """The constants and functions of one file, in order."""
    tree = ast.parse(file.read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield ast.unparse(ast.fix_missing_locations(_Plain(profile).visit(node)))
        elif isinstance(node, ast.Assign) and file.stem != "promises":
            yield _constant(node)


def _constant(node: ast.Assign) -> str:
    """A module constant; the numbers of verbs are looked up now, for the table itself is not compiled."""
    names = {"VERBS": VERBS, "VERB": actions.VERB}
    text = ast.unparse(node)
    return text if "VERB" not in text else f"{ast.unparse(node.targets[0])} = {eval(ast.unparse(node.value), names)}"


@cache
def load(profile: Profile, bounds: Bounds, contents: int = 3) -> ModuleType:
    """The compiled module for `profile` and states of `bounds`, generated if it is not in the cache. Raises ValueError as dtype().

    Its ENTRIES are compiled when they are first called: 15 s in all, less than one from the cache.
    """
    text = source(profile, bounds, contents)
    name = f"mm_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    path = cache_folder() / f"{name}.py"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(text)
        fresh.rename(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Numba's cache finds its functions through it
    spec.loader.exec_module(module)
    return module


def is_compiled(profile: Profile, bounds: Bounds, contents: int = 3) -> bool:
    """Whether the search over this module is in Numba's cache."""
    path = Path(str(load(profile, bounds, contents).__file__))
    return any((path.parent / "__pycache__").glob(f"{path.stem}.expand-*.nbc"))


def new_record(bounds: Bounds) -> Any:
    """An array of one all-zero compiled state."""
    import numpy as np

    return np.zeros(1, dtype(bounds))


def fill(record: Any, state: State) -> None:
    """Copy a plain state into a compiled one."""
    for name, (kind, axes) in LAYOUT.items():
        for field in RECORDS[kind]:
            plain = getattr(state, name)
            if not axes:
                record[name][field] = getattr(plain, field)
            else:
                record[name][field] = _grid([getattr(cell, field) for cell in plain.cells], state.bounds.shape(axes))


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
