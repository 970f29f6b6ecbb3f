"""Rules for one search alone: what none of its operations can change is a constant in them, and what then cannot happen is left out.

A field that starts equal everywhere, and to which every assignment that can be reached gives that same value, is no part of the state.
Which they are is assumed of all fields first; each round folds the rules under what is still assumed, and drops the fields for which an
assignment is left that gives anything else, until none is dropped.
"""

import ast
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from breakcow.mm.schema import LAYOUT, RECORDS

Field = tuple[str, str]  # record, field
Constants = dict[Field, int]
Folded = dict[tuple[str, frozenset[Field], frozenset[tuple[str, int]]], ast.FunctionDef]
ARITHMETIC: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
COMPARISONS: dict[type, Callable[[int, int], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
UNARY: dict[type, Callable[[int], int]] = {ast.Not: lambda x: int(not x), ast.USub: operator.neg, ast.Invert: operator.invert}
ENDS = (ast.Return, ast.Continue, ast.Break)


@dataclass(frozen=True)
class Rules:
    """The functions of a module by name; its integer constants; numbers of the operations that are never taken."""

    functions: Mapping[str, ast.FunctionDef]
    numbers: Mapping[str, int]
    never: Collection[int]


def specialise(rules: Rules, roots: Sequence[str], start: Constants) -> tuple[dict[str, ast.FunctionDef], Constants]:
    """The functions that `roots` can reach, folded, and the fields that are constant in them.

    start: the fields that are equal in all cells of the first state, and their values. Raises TypeError for a field whose record is not
    known.
    """
    constants = dict(start)
    mentioned = {name: _mentioned(function) for name, function in rules.functions.items()}
    known: Folded = {}
    while True:
        folded = _fold_all(rules, roots, constants, mentioned, known)
        varying = {field for function in folded.values() for field in _changed(function, constants)}
        if not varying:
            return {name: _without(function, constants) for name, function in folded.items()}, constants
        for field in varying:
            del constants[field]


def _mentioned(function: ast.FunctionDef) -> frozenset[str]:
    """The fields that a function may read or set, and the functions that it may call: what its folding depends on."""
    return frozenset(node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)) | frozenset(called_by(function))


def _fold_all(
    rules: Rules, roots: Sequence[str], constants: Constants, mentioned: Mapping[str, frozenset[str]], known: Folded
) -> dict[str, ast.FunctionDef]:
    """Every function that can be reached, folded; again while a function turns out to give one number alone. known: what was folded
    before, by name and by what of `mentioned` was thought constant."""
    numbers: dict[str, int] = {}
    while True:
        folded: dict[str, ast.FunctionDef] = {}
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            if name not in folded:
                fields = frozenset(field for field in constants if field[1] in mentioned[name])
                key = name, fields, frozenset(item for item in numbers.items() if item[0] in mentioned[name])
                if key not in known:
                    known[key] = _fold(rules, rules.functions[name], constants, numbers)
                folded[name] = known[key]
                waiting += [called for called in called_by(folded[name]) if called in rules.functions]
        alone = {name: number for name, one in folded.items() if name not in roots and (number := _only_number(one)) is not None}
        if alone.keys() <= numbers.keys():
            return folded
        numbers |= alone


def _fold(rules: Rules, function: ast.FunctionDef, constants: Constants, results: Mapping[str, int]) -> ast.FunctionDef:
    """One function, folded until nothing changes. The names that always hold one number are folded with it."""
    known: dict[str, int] = {}
    while True:
        folded = _Fold(rules, function, constants, results, known).visit(_copy(function))
        more = _single(folded)
        if more.keys() <= known.keys():
            assert isinstance(folded, ast.FunctionDef)
            return folded
        known |= more


def _copy(function: ast.FunctionDef) -> ast.FunctionDef:
    copied = ast.parse(ast.unparse(function)).body[0]
    assert isinstance(copied, ast.FunctionDef)
    return copied


def called_by(function: ast.FunctionDef) -> Iterator[str]:
    """The names of the functions that a function calls, each as often as it stands there."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def _only_number(function: ast.FunctionDef) -> int | None:
    """The number that a function returns, if it does nothing besides naming numbers."""
    body = [one for one in function.body if not isinstance(one, ast.Expr) or not isinstance(one.value, ast.Constant)]
    for one in body[:-1]:
        if not isinstance(one, ast.Assign) or not isinstance(one.targets[0], ast.Name) or _number(one.value) is None:
            return None
    last = body[-1]
    return _number(last.value) if isinstance(last, ast.Return) and last.value else None


def _single(function: ast.FunctionDef) -> dict[str, int]:
    """Local names that are only ever assigned one number."""
    stored = Counter(node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    stored.update(argument.arg for argument in function.args.args)
    assigned: dict[str, list[int | None]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(_number(node.value))
    return {name: numbers[0] for name, numbers in assigned.items() if numbers[0] is not None and numbers == [numbers[0]] * stored[name]}


def _number(node: ast.expr) -> int | None:
    return int(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, int) else None


def _records(function: ast.FunctionDef) -> dict[str, str]:
    """What the arguments and local names of a function are: a record's name, State or States."""
    records = {one.arg: ast.unparse(one.annotation) for one in function.args.args if one.annotation}
    for _ in range(2):  # a name may be made from one below it in a loop
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and (record := _record(node.value, records)):
                records[node.targets[0].id] = record
    return records


def _record(node: ast.expr, records: Mapping[str, str]) -> str:
    """Which record an expression is, empty if it is none."""
    if isinstance(node, ast.Name):
        return records.get(node.id, "")
    if isinstance(node, ast.Subscript):
        inner = _record(node.value, records)
        return {"States": "State"}.get(inner, inner.removeprefix("grid of ") if inner.startswith("grid of ") else "")
    if isinstance(node, ast.Attribute) and _record(node.value, records) == "State" and node.attr in LAYOUT:
        record, axes = LAYOUT[node.attr]
        return f"grid of {record}" if axes else record
    return ""


def _field(node: ast.expr, records: Mapping[str, str]) -> Field | None:
    """The field that an expression names. Raises TypeError if it may be one, and its record is not known."""
    if not isinstance(node, ast.Attribute):
        return None
    record = _record(node.value, records)
    if record in RECORDS:
        return record, node.attr
    if record in {"State", "States"} or record.startswith("grid of ") or node.attr == "shape":
        return None
    raise TypeError(f"of which record is {ast.unparse(node)} (line {node.lineno})?")


def _pairs(node: ast.stmt) -> list[tuple[ast.expr, ast.expr | None]]:
    """What a statement assigns: (target, value), value None for one that cannot be told."""
    if isinstance(node, ast.AugAssign):
        return [(node.target, None)]
    if not isinstance(node, ast.Assign):
        return []
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def _changed(function: ast.FunctionDef, constants: Constants) -> Iterator[Field]:
    """The fields, thought constant, to which the function may give another value."""
    records = _records(function)
    for node in ast.walk(function):
        for target, value in _pairs(node) if isinstance(node, ast.stmt) else ():
            field = _field(target, records)
            if field in constants and (value is None or _number(value) != constants[field]):
                yield field


def _without(function: ast.FunctionDef, constants: Constants) -> ast.FunctionDef:
    """The function without its assignments to constant fields, and then to names that it no longer reads."""
    records = _records(function)

    def names_constants(node: ast.Assign) -> bool:
        return all(_field(target, records) in constants for target, _ in _pairs(node))

    function = _Drop(names_constants).visit(function)
    read = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}

    def names_nothing(node: ast.Assign) -> bool:
        return isinstance(node.targets[0], ast.Name) and node.targets[0].id not in read and _pure(node.value)

    dropped = _Drop(names_nothing).visit(function)
    assert isinstance(dropped, ast.FunctionDef)
    return dropped


class _Blocks(ast.NodeTransformer):
    """Keeps blocks whole when statements go: none is empty, and nothing stands below one that ends its block."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit what is below, then tidy its blocks."""
        super().generic_visit(node)
        if isinstance(node, (ast.FunctionDef, ast.For, ast.While)):
            node.body = _block(node.body) or [ast.Pass()]
        if isinstance(node, ast.If):
            node.body, node.orelse = _block(node.body) or [ast.Pass()], _block(node.orelse)
        return node

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt] | None:
        """One branch where the condition is a number; nothing where neither does anything."""
        self.generic_visit(node)
        number = _number(node.test)
        if number is not None:
            return node.body if number else node.orelse
        if _idle(node.body) and _idle(node.orelse):
            return None if _pure(node.test) else ast.Expr(node.test)
        return node

    def visit_For(self, node: ast.For) -> ast.stmt | None:
        """Nothing where nothing is done."""
        self.generic_visit(node)
        return None if _idle(node.body) else node


def _block(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements up to the first that ends them, without those that do nothing."""
    kept: list[ast.stmt] = []
    for statement in body:
        if not isinstance(statement, ast.Pass) and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            kept.append(statement)
        if isinstance(statement, ENDS):
            break
    return kept


def _idle(body: list[ast.stmt]) -> bool:
    return all(isinstance(one, ast.Pass) for one in body)


def _pure(node: ast.AST) -> bool:
    """Whether nothing is called: then an expression changes nothing."""
    return not any(isinstance(one, ast.Call) for one in ast.walk(node))


class _Drop(_Blocks):
    """Drops the assignments of which `idle` says so."""

    def __init__(self, idle: Callable[[ast.Assign], bool]) -> None:
        self.idle = idle

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | None:
        """Nothing, or the assignment."""
        return None if self.idle(node) else node


class _Fold(_Blocks):
    """Folds one function under what is thought constant."""

    def __init__(
        self, rules: Rules, function: ast.FunctionDef, constants: Constants, results: Mapping[str, int], known: Mapping[str, int]
    ) -> None:
        self.rules, self.constants, self.results, self.known = rules, constants, results, known
        self.records = _records(function)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """A constant field is its number where it is read."""
        field = _field(node, self.records) if isinstance(node.ctx, ast.Load) else None
        if field in self.constants:
            return ast.Constant(self.constants[field])
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """So is a name that holds one number."""
        return ast.Constant(self.known[node.id]) if isinstance(node.ctx, ast.Load) and node.id in self.known else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """So is a function that gives one number and does nothing."""
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        return ast.Constant(self.results[name]) if name in self.results and all(map(_pure, node.args)) else node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """-1, not 0."""
        self.generic_visit(node)
        number = _number(node.operand)
        return node if number is None else ast.Constant(UNARY[type(node.op)](number))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Of two numbers; x & 0, x | 0."""
        self.generic_visit(node)
        left, right = self._value(node.left), self._value(node.right)
        if left is not None and right is not None:
            return ast.Constant(ARITHMETIC[type(node.op)](left, right)) if type(node.op) in ARITHMETIC else node
        if isinstance(node.op, ast.BitAnd) and 0 in (left, right) and _pure(node):
            return ast.Constant(0)
        if isinstance(node.op, ast.BitOr) and 0 in (left, right):
            return node.right if left == 0 else node.left
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Of two numbers; and an operation that is never taken is none."""
        self.generic_visit(node)
        if len(node.ops) > 1:
            return node
        left, right = self._value(node.left), self._value(node.comparators[0])
        if left is not None and right is not None and type(node.ops[0]) in COMPARISONS:
            return ast.Constant(int(COMPARISONS[type(node.ops[0])](left, right)))
        return self._operation(node) if isinstance(node.left, ast.Name) and node.left.id == "verb" else node

    def _operation(self, node: ast.Compare) -> ast.expr:
        """A comparison of `verb`, which is always the number of an operation."""
        other = node.comparators[0]
        if isinstance(node.ops[0], ast.In) and isinstance(other, ast.Tuple):
            other.elts = [one for one in other.elts if self._value(one) not in self.rules.never]
            return node if other.elts else ast.Constant(0)
        if self._value(other) in self.rules.never and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            return ast.Constant(int(isinstance(node.ops[0], ast.NotEq)))
        return node

    def _value(self, node: ast.expr) -> int | None:
        """The number of an expression, a constant of the module included."""
        return self.rules.numbers.get(node.id) if isinstance(node, ast.Name) and node.id not in self.records else _number(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """Without what decides nothing, up to what decides all."""
        self.generic_visit(node)
        decides = isinstance(node.op, ast.Or)
        kept: list[ast.expr] = []
        for value in node.values:
            number = _number(value)
            if number is None:
                kept.append(value)
            elif bool(number) == decides:
                if all(map(_pure, kept)):
                    kept = []
                kept.append(ast.Constant(int(decides)))
                break
        if not kept:
            return ast.Constant(int(not decides))
        return kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        """One side where the condition is a number."""
        self.generic_visit(node)
        number = _number(node.test)
        return node if number is None else node.body if number else node.orelse

    def visit_While(self, node: ast.While) -> ast.stmt | None:
        """Nothing where the condition never holds."""
        self.generic_visit(node)
        return None if _number(node.test) == 0 else node
