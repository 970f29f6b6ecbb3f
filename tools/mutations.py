"""The mutants of the specification: each is one small change of one function of src/breakcow/mm/.

A statement is dropped, a condition negated or altered, a constant changed, an operand left out, or another value returned.
"""

import ast
import copy
import importlib
import random
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakcow import mm

ROOM = Path(mm.__file__).parent


@dataclass(frozen=True)
class Mutant:
    """One change.

    function: as it is reached in the module, `name` or `Class.name`. text: `original -> mutated`. source: of the changed function.
    """

    file: str
    line: int
    function: str
    text: str
    source: str

    def apply(self) -> None:
        """Make the change in this process: whoever imported the function has it."""
        target: Any = importlib.import_module(f"breakcow.mm.{self.file.removesuffix('.py')}")
        for name in self.function.split("."):
            target = getattr(target, name)
        target.__code__ = _compile(self.source, ROOM / self.file, target.__name__)


def mutants(files: list[str]) -> Iterator[Mutant]:
    """Every mutant of every function, in the order of the sources, each once."""
    for path in sorted(ROOM.glob("*.py")):
        if files and path.name not in files:
            continue
        tree = ast.parse(path.read_text())
        for prefix, function in _functions(tree):
            seen = {ast.unparse(function)}
            for line, before, changed in _changes(function):
                text = ast.unparse(changed)
                if text not in seen:
                    seen.add(text)
                    yield Mutant(path.name, line, prefix + function.name, before, text)


def sample(among: list[Mutant], number: int, seed: int) -> list[Mutant]:
    """So many of them by chance, in their order."""
    keep = sorted(random.Random(seed).sample(range(len(among)), min(number, len(among))))
    return [among[index] for index in keep]


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.", inner) for inner in node.body if isinstance(inner, ast.FunctionDef))


def _compile(text: str, path: Path, name: str) -> types.CodeType:
    code = compile(f"from __future__ import annotations\n{text}", str(path), "exec")
    return next(const for const in code.co_consts if isinstance(const, types.CodeType) and const.co_name == name)


def _changes(function: ast.FunctionDef) -> Iterator[tuple[int, str, ast.FunctionDef]]:
    """(line, original -> mutated, the changed function) for every place and way to change it."""
    for number, (statement, node) in enumerate(_places(function)):
        if _is_name(function, statement) and node is statement:
            continue  # without it the function does not run at all
        for way in _ways(statement, node):
            changed = copy.deepcopy(function)
            twin, place = list(_places(changed))[number]
            before = _line(twin)
            way(place)
            after = _line(twin)
            yield statement.lineno, f"{before} -> {after}", changed


def _places(function: ast.FunctionDef) -> Iterator[tuple[ast.stmt, ast.AST]]:
    """Every statement but the docstring, and every part of its own expressions, with the statement it belongs to."""
    skip = function.body[0] if ast.get_docstring(function) is not None else None
    for statement in ast.walk(function):
        if not isinstance(statement, ast.stmt) or statement is function or statement is skip:
            continue
        yield statement, statement
        for field, value in ast.iter_fields(statement):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.expr) and field not in ("targets", "target"):
                    yield from ((statement, inner) for inner in ast.walk(child) if isinstance(inner, ast.expr))


def _is_name(function: ast.FunctionDef, statement: ast.stmt) -> bool:
    """The only assignment to a local variable."""
    names = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name) and names.count(statement.targets[0].id) == 1


def _line(statement: ast.stmt) -> str:
    """The statement, or the head of it."""
    return ast.unparse(statement).split("\n")[0]


def _ways(statement: ast.stmt, node: ast.AST) -> list[Callable[[Any], None]]:
    """How a place can be changed, as functions that change it in place."""
    if node is statement:
        return _ways_of_statement(statement)
    if isinstance(node, ast.BoolOp):
        return [_junction, *(_without(index) for index in range(len(node.values)))]
    if isinstance(node, ast.Compare):
        kinds = OTHER[type(node.ops[0])] if len(node.ops) == 1 else (ast.Lt, ast.LtE)
        return [_operator(kind) for kind in kinds]
    if isinstance(node, ast.Constant):
        return [_constant] if type(node.value) is int else []
    return [_become(part) for part in PARTS.get(type(node), ())]


PARTS: dict[type[ast.AST], tuple[str, ...]] = {ast.BinOp: ("left", "right"), ast.UnaryOp: ("operand",), ast.IfExp: ("body", "orelse")}
OTHER: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}


def _ways_of_statement(statement: ast.stmt) -> list[Callable[[Any], None]]:
    if isinstance(statement, ast.Return):
        if statement.value is None:
            return []
        return [_return(1)] if ast.unparse(statement.value) in {"OK", "FOLLOWED"} else [_return(0), _return(1)]
    if isinstance(statement, ast.Pass | ast.Import | ast.ImportFrom | ast.Continue | ast.Break | ast.FunctionDef):
        return []
    if isinstance(statement, ast.If | ast.While):
        plain = isinstance(statement.test, ast.UnaryOp) or (isinstance(statement.test, ast.Compare) and len(statement.test.ops) == 1)
        return [_drop] if plain else [_drop, _negate]
    if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add | ast.Sub):
        return [_drop, _sign]
    return [_drop]


def _drop(statement: Any) -> None:
    """Turn a statement into one that does nothing."""
    _replace(statement, ast.parse("pass").body[0])


def _negate(statement: Any) -> None:
    statement.test = ast.UnaryOp(ast.Not(), statement.test)


def _sign(statement: Any) -> None:
    statement.op = ast.Sub() if isinstance(statement.op, ast.Add) else ast.Add()


def _return(value: int) -> Callable[[Any], None]:
    def way(statement: Any) -> None:
        statement.value = ast.Constant(value)

    return way


def _operator(kind: type[ast.cmpop]) -> Callable[[Any], None]:
    def way(node: Any) -> None:
        node.ops = [kind(), *node.ops[1:]]

    return way


def _junction(node: Any) -> None:
    node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()


def _without(index: int) -> Callable[[Any], None]:
    def way(node: Any) -> None:
        left = [value for number, value in enumerate(node.values) if number != index]
        _replace(node, left[0] if len(left) == 1 else ast.BoolOp(node.op, left))

    return way


def _become(part: str) -> Callable[[Any], None]:
    def way(node: Any) -> None:
        _replace(node, getattr(node, part))

    return way


def _constant(node: Any) -> None:
    node.value = 1 - node.value if node.value in (0, 1) else node.value + 1


def _replace(node: Any, other: ast.AST) -> None:
    """Let `node` be what `other` is: nodes know nothing of their parents, so it is done in place."""
    fields = dict(other.__dict__)
    node.__class__ = other.__class__
    node.__dict__.clear()
    node.__dict__.update(fields)
