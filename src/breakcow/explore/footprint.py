"""What an operation can read or change: the cells of the state that its rules may touch, whatever they hold.

The rules are run on values that are not known: both sides of a condition that could go either way are taken, and an index that is not known
means every cell of its axis. What is found is never too little; it may be too much. Outside its footprint a step reads nothing and
changes nothing, so two states that are alike in it take the step alike (`recall.py`).
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise, product

from breakcow.explore.packing import Cell
from breakcow.explore.several import UNKNOWN, Known, Paths, Place, Value, both, each, either, numbers
from breakcow.explore.specialise import ARITHMETIC, COMPARISONS, UNARY
from breakcow.mm.schema import LAYOUT, RECORDS, TRANSIENT, Bounds

Ranges = dict[tuple[str, str], set[int]]  # attribute of the state, field -> all numbers that it ever holds
MOST_ROUNDS = 64  # of a loop that are gone through one by one


class Footprint:
    """The cells that the calls made so far may touch, in states of `bounds`, by the rules `functions` with the constants `numbers`.

    ranges: what some fields hold in every state, all that these calls set them to included: a number that is missing is added.
    """

    def __init__(self, functions: Mapping[str, ast.FunctionDef], numbers: Mapping[str, int], bounds: Bounds, ranges: Ranges) -> None:
        self.functions, self.numbers, self.bounds, self.ranges = functions, numbers, bounds, ranges
        self.touched: set[Cell] = set()
        outcome = {(name, index, one): 0 for name in TRANSIENT for index, one in self._all(name)}
        outcome.pop(("step", (), "choices"))
        self.known: Known | None = Known({}, outcome)

    def call(self, name: str, *arguments: Value) -> None:
        """Let the step go on with a rule."""
        assert self.known is not None, "no path leads here"
        _, self.known = self._run(name, list(arguments), self.known)

    def _all(self, name: str) -> Iterator[tuple[tuple[int, ...], str]]:
        record, axes = LAYOUT[name]
        yield from product(product(*map(range, self.bounds.shape(axes))), RECORDS[record])

    def _run(self, name: str, arguments: list[Value], known: Known) -> tuple[Value, Known]:
        """What a rule returns, and what is known then."""
        function = self.functions[name]
        inner = Known(dict(zip((one.arg for one in function.args.args), arguments, strict=True)), known.cells)
        paths = self._block(function.body, inner)
        ends = paths.returns + ([(UNKNOWN, paths.on)] if paths.on else [])
        value, after = ends[0]
        for other, then in ends[1:]:
            value = either(value, other)
            after = both(after, then) or after
        return value, Known(known.names, after.cells)

    # statements

    def _block(self, body: Sequence[ast.stmt], known: Known) -> Paths:
        paths = Paths(known)
        for statement in body:
            if paths.on is None:
                break
            then: Paths = getattr(self, f"_{type(statement).__name__.lower()}")(statement, paths.on)
            paths.on = then.on
            paths.breaks += then.breaks
            paths.continues += then.continues
            paths.returns += then.returns
        return paths

    def _return(self, node: ast.Return, known: Known) -> Paths:
        value = self._value(node.value, known) if node.value else UNKNOWN
        return Paths(None, returns=[(value, known)])

    def _break(self, _: ast.Break, known: Known) -> Paths:
        return Paths(None, breaks=[known])

    def _continue(self, _: ast.Continue, known: Known) -> Paths:
        return Paths(None, continues=[known])

    def _pass(self, _: ast.Pass, known: Known) -> Paths:
        return Paths(known)

    def _expr(self, node: ast.Expr, known: Known) -> Paths:
        self._value(node.value, known)
        return Paths(known)

    def _assign(self, node: ast.Assign, known: Known) -> Paths:
        target = node.targets[0]
        targets, values = [target], [node.value]
        if isinstance(target, ast.Tuple):
            assert isinstance(node.value, ast.Tuple)
            targets, values = target.elts, node.value.elts
        for one, value in zip(targets, [self._value(value, known) for value in values], strict=True):
            self._set(one, value, known)
        return Paths(known)

    def _annassign(self, node: ast.AnnAssign, known: Known) -> Paths:
        assert node.value is not None
        self._set(node.target, self._value(node.value, known), known)
        return Paths(known)

    def _augassign(self, node: ast.AugAssign, known: Known) -> Paths:
        before = ast.Name(node.target.id) if isinstance(node.target, ast.Name) else ast.Attribute(node.target.value, node.target.attr)  # type: ignore[union-attr]
        self._set(node.target, self._value(ast.BinOp(before, node.op, node.value), known), known)
        return Paths(known)

    def _if(self, node: ast.If, known: Known) -> Paths:
        number = self._number(node.test, known)
        if number is not UNKNOWN:
            return self._block(node.body if number else node.orelse, known)
        one, other = self._block(node.body, known.copy()), self._block(node.orelse, known)
        return Paths(both(one.on, other.on), one.breaks + other.breaks, one.continues + other.continues, one.returns + other.returns)

    def _for(self, node: ast.For, known: Known) -> Paths:
        assert isinstance(node.iter, ast.Call) and isinstance(node.target, ast.Name)
        limits = [self._number(argument, known) for argument in node.iter.args]
        name = node.target.id
        if any(limit is UNKNOWN for limit in limits):

            def again(at: Known) -> Value:
                at.names[name] = UNKNOWN
                return UNKNOWN

            return self._rounds(node.body, known, again)
        paths = Paths(known)
        left: Known | None = None
        for number in range(*limits):  # type: ignore[arg-type]
            if paths.on is None:
                break
            paths.on.names[name] = number
            one = self._block(node.body, paths.on)
            paths.on = one.on
            for at in one.continues:
                paths.on = both(paths.on, at)
            for at in one.breaks:
                left = both(left, at)
            paths.returns += one.returns
        paths.on = both(paths.on, left)
        return paths

    def _while(self, node: ast.While, known: Known) -> Paths:
        return self._rounds(node.body, known, lambda at: self._number(node.test, at))

    def _rounds(self, body: Sequence[ast.stmt], known: Known, test: Callable[[Known], Value]) -> Paths:
        """A loop of which nobody knows how often it is gone through: what is known is what holds before every round."""
        paths = Paths(None)
        left: Known | None = None
        rounds = 0
        while True:
            at = known.copy()
            goes_on = test(at)
            if goes_on is UNKNOWN or not goes_on:
                left = both(left, at.copy())
            if goes_on is not UNKNOWN and not goes_on:
                break
            one = self._block(body, at)
            paths.returns += one.returns
            for out in one.breaks:
                left = both(left, out)
            after = one.on
            for next_round in one.continues:
                after = both(after, next_round)
            rounds += 1
            if after is None:
                break
            joined = after if goes_on is not UNKNOWN and rounds < MOST_ROUNDS else both(known, after)
            if joined == known:
                break
            assert joined is not None
            known = joined
        paths.on = left
        return paths

    # expressions

    def _value(self, node: ast.expr, known: Known) -> Value:
        value: Value = getattr(self, f"_{type(node).__name__.lower()}")(node, known)
        return value

    def _number(self, node: ast.expr, known: Known) -> int | None:
        value = self._value(node, known)
        assert not isinstance(value, Place), ast.unparse(node)
        return UNKNOWN if isinstance(value, frozenset) else value

    def _constant(self, node: ast.Constant, _: Known) -> Value:
        assert isinstance(node.value, int)
        return int(node.value)

    def _name(self, node: ast.Name, known: Known) -> Value:
        return known.names[node.id] if node.id in known.names else self.numbers[node.id]

    def _attribute(self, node: ast.Attribute, known: Known) -> Value:
        place = self._value(node.value, known)
        assert isinstance(place, Place), ast.unparse(node)
        if not place.name:
            return Place(node.attr, None if LAYOUT[node.attr][1] else ())
        if place.index is None:
            assert node.attr == "shape"
            return place
        cells = list(self._cells(place, node.attr))
        found = {known.cells.get(cell) for cell in cells}
        self.touched.update(cell for cell in cells if cell not in known.cells)
        number = found.pop() if len(found) == 1 else UNKNOWN
        several = self.ranges.get((place.name, node.attr))
        return frozenset(several) if number is UNKNOWN and several is not None else number

    def _cells(self, place: Place, field: str) -> Iterator[Cell]:
        axes = self.bounds.shape(LAYOUT[place.name][1])
        assert place.index is not None
        for index in product(*(range(most) if at is UNKNOWN else [at] for at, most in zip(place.index, axes, strict=True))):
            if all(0 <= at < most for at, most in zip(index, axes, strict=True)):  # else no state leads here
                yield place.name, index, field

    def _subscript(self, node: ast.Subscript, known: Known) -> Value:
        place = self._value(node.value, known)
        assert isinstance(place, Place)
        if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
            assert isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int)
            return self.bounds.shape(LAYOUT[place.name][1])[node.slice.value]
        indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return Place(place.name, tuple(self._number(one, known) for one in indices))

    def _set(self, target: ast.expr, value: Value, known: Known) -> None:
        if isinstance(target, ast.Name):
            known.names[target.id] = value
            return
        assert isinstance(target, ast.Attribute) and not isinstance(value, Place), ast.unparse(target)
        place = self._value(target.value, known)
        assert isinstance(place, Place)
        cells = list(self._cells(place, target.attr))
        self.touched.update(cells)
        if (place.name, target.attr) in self.ranges:
            assert value is not UNKNOWN, ast.unparse(target)
            self.ranges[place.name, target.attr] |= numbers(value)
        for cell in cells:
            if isinstance(value, int) and (len(cells) == 1 or known.cells.get(cell) == value):
                known.cells[cell] = value
            else:
                known.cells.pop(cell, None)

    def _call(self, node: ast.Call, known: Known) -> Value:
        assert isinstance(node.func, ast.Name)
        arguments = [self._value(argument, known) for argument in node.args]
        if node.func.id in ("min", "max"):
            return each({"min": min, "max": max}[node.func.id], *arguments)
        value, after = self._run(node.func.id, arguments, known)
        known.cells = after.cells
        return value

    def _unaryop(self, node: ast.UnaryOp, known: Known) -> Value:
        return each(UNARY[type(node.op)], self._value(node.operand, known))

    def _binop(self, node: ast.BinOp, known: Known) -> Value:
        left, right = self._value(node.left, known), self._value(node.right, known)
        if isinstance(node.op, ast.BitAnd) and 0 in (left, right):
            return 0
        return each(ARITHMETIC[type(node.op)], left, right) if type(node.op) in ARITHMETIC else UNKNOWN

    def _compare(self, node: ast.Compare, known: Known) -> Value:
        values = [self._value(node.left, known)]
        if isinstance(node.ops[0], ast.In):
            among = node.comparators[0]
            assert isinstance(among, ast.Tuple)
            return each(lambda one, *others: one in others, *values, *(self._value(other, known) for other in among.elts))
        values += [self._value(other, known) for other in node.comparators]
        pairs = zip(node.ops, pairwise(values), strict=True)
        results = [each(COMPARISONS[type(op)], *pair) for op, pair in pairs]
        if 0 in results:
            return 0
        return 1 if all(result == 1 for result in results) else UNKNOWN

    def _boolop(self, node: ast.BoolOp, known: Known) -> Value:
        decides = isinstance(node.op, ast.Or)
        first, *rest = node.values
        number = self._number(first, known)
        if not rest or (number is not UNKNOWN and bool(number) == decides):
            return number
        others = ast.BoolOp(node.op, rest)
        if number is not UNKNOWN:
            return self._value(others, known)
        maybe = known.copy()
        second = self._number(others, maybe)
        known.cells = (both(known, maybe) or known).cells
        return int(decides) if second is not UNKNOWN and bool(second) == decides else UNKNOWN

    def _ifexp(self, node: ast.IfExp, known: Known) -> Value:
        number = self._number(node.test, known)
        if number is not UNKNOWN:
            return self._value(node.body if number else node.orelse, known)
        other = known.copy()
        value = either(self._value(node.body, known), self._value(node.orelse, other))
        known.cells = (both(known, other) or known).cells
        return value
