"""Eight endpoints at once: the innermost step of a decision, as LLVM code for numba.

A leaf's number is found without counting bits: the lowest bit, as a real number, has it in its exponent. A tree's 32
leaves fill four registers of eight, and a permutation picks from each without touching memory, three times as fast as
loading leaf by leaf. Where a processor has no such permutation, or masks have 64 bits, the same is done one by one.
"""

from __future__ import annotations

import platform
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, codegen, config, types
from numba.extending import intrinsic
from numba.np import arrayobj

__all__ = ["ROTATED", "add_eight", "fetch", "first_bit"]

# Numba's own helpers for who writes code by hand; they carry no types.
_host_features: Any = codegen.get_host_cpu_features
_array: Any = arrayobj.make_array
_function: Any = cgutils.get_or_insert_function

_INT: Final = ir.IntType(32)
_EIGHT: Final = ir.VectorType(_INT, 8)
_REAL: Final = ir.VectorType(ir.FloatType(), 8)
ROTATED: Final = 31  # the exponent of bit b is b + 127 = b + 31 modulo 32: there leaf b of a tree of 32 lies


def _has_permutation() -> bool:
    chosen: Any = getattr(config, "CPU_FEATURES", None)
    features = _host_features() if chosen is None else chosen
    return platform.machine() in {"x86_64", "AMD64"} and "+avx2" in features


def _count(builder: Any, mask: Any) -> Any:
    found = builder.cttz(mask, ir.Constant(ir.IntType(1), 1))
    return found if mask.type.width == 64 else builder.zext(found, ir.IntType(64))


def _first_bit(_typing: Any, mask: Any) -> Any:
    """Give the place of a mask's lowest bit as int64: one operation of LLVM that numba does not offer."""
    return types.int64(mask), lambda _context, builder, _signature, arguments: _count(builder, arguments[0])


def _add_eight(_typing: Any, mine: Any, masks: Any, at: Any, leaves: Any, tree: Any, part: Any, endpoint: Any) -> Any:
    """Add to `part[endpoint:endpoint + 8]` the leaves that `mine & masks[at:at + 8]` ends in.

    `masks`, `leaves` and `part` are flat; the tree's leaves begin at `leaves[tree]`.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def pointer(array: int, place: int) -> Any:
            data = _array(signature.args[array])(context, builder, arguments[array]).data
            return builder.gep(data, [arguments[place]])

        flat = (pointer(1, 2), pointer(3, 4), pointer(5, 6))
        step = _permuted if mine.bitwidth == 32 and _has_permutation() else _one_by_one
        step(builder, arguments[0], *flat)
        return context.get_dummy_value()

    return types.void(mine, masks, types.int64, leaves, types.int64, part, types.int64), build


def _fetch(_typing: Any, array: Any, _at: Any) -> Any:
    """Have the processor fetch `array[at]` from memory while it does something else."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, _INT, _INT, _INT])
        hint = _function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(hint, [place, *(ir.Constant(_INT, number) for number in (0, 3, 1))])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), build


def _one_by_one(builder: Any, mine: Any, masks: Any, leaves: Any, part: Any) -> None:
    narrow = mine.type.width == 32
    for lane in range(8):
        here = ir.Constant(_INT, lane)
        bit = _count(builder, builder.and_(mine, builder.load(builder.gep(masks, [here]))))
        if narrow:
            bit = builder.and_(builder.add(bit, ir.Constant(bit.type, ROTATED)), ir.Constant(bit.type, 31))
        total = builder.gep(part, [here])
        builder.store(builder.add(builder.load(total), builder.load(builder.gep(leaves, [bit]))), total)


def _permuted(builder: Any, mine: Any, masks: Any, leaves: Any, part: Any) -> None:
    def eight(pointer: Any, block: int = 0) -> Any:
        return builder.gep(builder.bitcast(pointer, _EIGHT.as_pointer()), [ir.Constant(_INT, block)])

    def every(number: int) -> Any:
        return ir.Constant(_EIGHT, [number] * 8)

    nothing = ir.Constant(_EIGHT, ir.Undefined)
    same = builder.insert_element(nothing, mine, ir.Constant(_INT, 0))
    same = builder.shuffle_vector(same, nothing, every(0))
    left = builder.and_(builder.load(eight(masks), align=4), same)
    lowest = builder.and_(left, builder.neg(left))
    number = builder.lshr(builder.bitcast(builder.sitofp(lowest, _REAL), _EIGHT), every(23))
    kind = ir.FunctionType(_EIGHT, [_EIGHT, _EIGHT])
    permute = _function(builder.module, kind, "llvm.x86.avx2.permd")
    picked = [builder.call(permute, [builder.load(eight(leaves, block), align=4), number]) for block in range(4)]
    # Bits 3 and 4 of the number say which of the four registers it was.
    third = builder.icmp_signed("<", builder.shl(number, every(28)), every(0))
    fourth = builder.icmp_signed("<", builder.shl(number, every(27)), every(0))
    upper, lower = builder.select(third, picked[3], picked[2]), builder.select(third, picked[1], picked[0])
    total = eight(part)
    added = builder.add(builder.load(total, align=4), builder.select(fourth, upper, lower))
    builder.store(added, total, align=4)


first_bit: Any = intrinsic(_first_bit)
add_eight: Any = intrinsic(_add_eight)
fetch: Any = intrinsic(_fetch)
