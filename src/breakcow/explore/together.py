"""Rules that Numba compiles once each, and optimises together.

Left alone, Numba compiles a function anew for every kind of integer it is called with, and optimises each function with all that it calls,
again at every floor: 400 functions of machine code for 140 rules, in 80 s. A rule needs one form, for 64-bit integers, and no way in
from Python: here its code goes into a library shared by all rules, which is optimised when a function outside first needs it. 15 s.
"""

# mypy: disable-error-code="misc, no-untyped-call, untyped-decorator, call-overload, import-untyped"
# Numba's inner parts have no types.

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, typed_passes, untyped_passes
from numba.core import ir as numba_ir
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, _LowerResult
from numba.core.compiler_machinery import FunctionPass, LoweringPass, register_pass
from numba.core.funcdesc import PythonFunctionDescriptor
from numba.core.lowering import Lower
from numba.core.registry import cpu_target
from numba.core.typed_passes import NativeLowering
from numba.extending import intrinsic

UNNEEDED = (
    *(untyped_passes.WithLifting, untyped_passes.InlineClosureLikes, untyped_passes.MakeFunctionToJitFunction),
    *(untyped_passes.InlineInlinables, untyped_passes.FindLiterallyCalls, untyped_passes.LiteralUnroll, untyped_passes.DeadBranchPrune),
    *(typed_passes.InlineOverloads, typed_passes.NopythonRewrites, typed_passes.DumpParforDiagnostics),
)


class Library(JITCodeLibrary):
    """The code of many rules. Those in it find each other without linking."""

    def add_linking_library(self, library: Any) -> None:
        """Link another library into this one."""
        if library is not self:
            super().add_linking_library(library)


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerTogether(LoweringPass):
    """What NativeLowering does, but into the library that is open, and without making it executable."""

    _name = "lower_together"
    library: Any = None

    def __init__(self) -> None:
        LoweringPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Lower one function. The name it is known by among Numba's functions is an object nobody calls."""
        context = state.targetctx
        if LowerTogether.library is None or LowerTogether.library._finalized:
            LowerTogether.library = Library(context.codegen(), "rules")
        library = state.library = LowerTogether.library
        tags = [state.flags.get_mangle_string()]
        parts = (state.func_ir, state.typemap, state.return_type, state.calltypes, context.mangler, bool(state.flags.forceinline), False)
        function = PythonFunctionDescriptor.from_specialized_function(*parts, abi_tags=tags)
        with context.push_code_library(library):
            lower = Lower(context, library, function, state.func_ir, metadata=state.metadata)
            lower.lower()
        key = object().__reduce__  # the dispatcher keeps built-in functions only
        context.insert_user_function(key, function, [library])
        state["cr"] = _LowerResult(function, lower.call_helper, cfunc=key, env=lower.env)
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class CountFromTheStart(FunctionPass):
    """No rule counts an index from the end, so none is asked whether it is negative."""

    _name = "count_from_the_start"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Make the type of every index unsigned."""
        state.calltypes = {node: never_negative(node, signature) for node, signature in state.calltypes.items()}
        return True


def never_negative(node: Any, signature: Any) -> Any:
    """The signature of a call; its second argument has no sign if it is the index of an array."""
    if not isinstance(node, numba_ir.SetItem) and not (isinstance(node, numba_ir.Expr) and node.op == "getitem"):
        return signature
    array, index, *value = signature.args
    unsigned = types.UniTuple(types.uintp, len(index)) if isinstance(index, types.BaseTuple) else types.uintp
    return signature.replace(args=(array, unsigned, *value))


class Compiler(CompilerBase):
    """Numba's own passes but for the last, and for those that look for what no rule has: closures, array expressions, literal arguments."""

    def define_pipelines(self) -> list[Any]:
        """The one pipeline."""
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes = [(one, words) for one, words in pipeline.passes if one not in UNNEEDED]
        at = next(number for number, (one, _) in enumerate(passes) if one is typed_passes.NopythonTypeInference)
        passes.insert(at + 1, (CountFromTheStart, "count from the start"))
        pipeline.passes = [(LowerTogether if one is NativeLowering else one, words) for one, words in passes]
        pipeline.finalize()
        return [pipeline]


def rule(signature: Any, inline: bool = False) -> Callable[[Any], Any]:
    """Compile the function below when another first calls it, for `signature` alone. It cannot be called from Python. inline: it goes whole
    into those that call it."""

    def decorate(function: Any) -> Any:
        dispatcher = njit(pipeline_class=Compiler, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False, forceinline=inline)(function)
        ask = dispatcher.get_call_template

        def get_call_template(args: Any, kws: Any) -> Any:
            if not dispatcher.signatures:
                dispatcher.compile(signature)
                dispatcher.disable_compile()  # for whatever integers it is called with
            return ask(args, kws)

        dispatcher.get_call_template = get_call_template
        return dispatcher

    return decorate


@intrinsic
def compare_and_swap(_context: Any, array: Any, _index: Any, _value: Any) -> Any:
    """compare_and_swap(array, index, value): put `value` where `array[index]` is 0, in one piece; what was there."""

    def build(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        view = context.make_array(array)(context, builder, args[0])
        slot = builder.gep(view.data, [args[1]])
        pair = builder.cmpxchg(slot, ir.Constant(ir.IntType(64), 0), args[2], "monotonic", "monotonic")
        return builder.extract_value(pair, 0)

    return types.int64(array, types.int64, types.int64), build


@intrinsic
def copy_words(_context: Any, array: Any, _source: Any, _target: Any, _count: Any) -> Any:
    """copy_words(array, i, k, count): the first `count` words of row `i` become those of row `k`, another one."""

    def build(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        view = context.make_array(array)(context, builder, args[0])
        width = builder.extract_value(view.shape, 1)
        source, target = (builder.gep(view.data, [builder.mul(row, width)]) for row in args[1:3])
        cgutils.raw_memcpy(builder, target, source, args[3], 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, types.int64), build


def _instruction(name: str) -> Any:
    """An instruction of the processor that takes two words and gives one, by LLVM's name."""

    @intrinsic
    def call(_context: Any, _word: Any, _kept: Any) -> Any:
        def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            word = ir.IntType(64)
            return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(word, [word, word]), name), args)

        return types.int64(types.int64, types.int64), build

    return call


pext = _instruction("llvm.x86.bmi.pext.64")  # bits.gather()
pdep = _instruction("llvm.x86.bmi.pdep.64")  # bits.scatter()


def has_bmi2() -> bool:
    """Whether Numba compiles for a processor with these two."""
    return "+bmi2" in cpu_target.target_context.codegen()._tm_features


@intrinsic
def fold_product(_context: Any, _a: Any, _b: Any) -> Any:
    """fold_product(a, b): the upper half of the 128-bit product of two words without sign, xor the lower."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(word, wide) for word in args))
        halves = builder.xor(product, builder.lshr(product, ir.Constant(wide, 64)))
        return builder.trunc(halves, ir.IntType(64))

    return types.int64(types.int64, types.int64), build
