"""Functions of vectors, lane by lane or across them, and their plain-Python twins; `simd.py` has the vectors, and +, - and *."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastspec.kernels.simd import FLAGS, Vector, VectorType, compiled_as

_F32, _I32 = ir.FloatType(), ir.IntType(32)


def maximum(x: Vector, y: Vector) -> Vector:
    """The larger of two vectors, lane by lane; y where x is NaN."""
    return np.where(x > y, x, y)


@compiled_as(maximum)
def _lower_maximum(_context: Any, x: VectorType, y: VectorType) -> Any:
    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return x(x, y), codegen


def minimum(x: Vector, y: Vector) -> Vector:
    """The smaller of two vectors, lane by lane; y where x is NaN."""
    return np.where(x < y, x, y)


@compiled_as(minimum)
def _lower_minimum(_context: Any, x: VectorType, y: VectorType) -> Any:
    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[0], args[1])

    return x(x, y), codegen


def lane_sum(x: Vector) -> np.float32:
    """The sum of all lanes."""
    return np.float32(x.sum())


@compiled_as(lane_sum)
def _lower_lane_sum(_context: Any, x: VectorType) -> Any:
    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        lanes = [builder.extract_element(args[0], ir.Constant(_I32, lane)) for lane in range(x.width)]
        while len(lanes) > 1:
            lanes = [builder.fadd(a, b) for a, b in zip(lanes[::2], lanes[1::2], strict=True)]
        return lanes[0]

    return types.float32(x), codegen


def square_root(x: Vector) -> Vector:
    """The correctly rounded square root of each lane."""
    return np.sqrt(x)


@compiled_as(square_root)
def _lower_square_root(_context: Any, x: VectorType) -> Any:
    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        vector = ir.VectorType(_F32, x.width)
        sqrt = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector]), f"llvm.sqrt.v{x.width}f32")
        return builder.call(sqrt, args)  # no `afn` here: the estimate that it allows is wrong in the last places

    return x(x), codegen


def _floats(width: int, value: float) -> Any:
    return ir.Constant(ir.VectorType(_F32, width), [float(np.float32(value))] * width)


def _ints(width: int, value: int) -> Any:
    return ir.Constant(ir.VectorType(_I32, width), [value] * width)


# log2(1 + t) = t * p(t) on [sqrt(1/2) - 1, sqrt(2) - 1]: p of degree 8, highest power first, fitted by least squares at 400 Chebyshev
# nodes. Literals, because a fit differs in its last bits from one LAPACK to the next.
_LOG2 = (
    0.126148462,
    -0.207421035,
    0.215669855,
    -0.238920346,
    0.287918329,
    -0.360704839,
    0.480910599,
    -0.721347332,
    1.44269502,
)
_SQRT_HALF_BITS = 0x3F3504F3  # the float32 sqrt(1/2): subtracting it first puts the mantissa in [sqrt(1/2), sqrt(2))


def log2(x: Vector) -> Vector:
    """The base-2 logarithm of each lane, for finite normal positive numbers: within 2 units in the last place or 2e-7."""
    bits = x.view(np.int32)
    exponent = (bits - np.int32(_SQRT_HALF_BITS)) >> 23
    t = (bits - (exponent << 23)).view(np.float32) - np.float32(1)
    polynomial: Vector = np.polyval(np.array(_LOG2, np.float32), t)
    return polynomial * t + exponent.astype(np.float32)


@compiled_as(log2)
def _lower_log2(_context: Any, x: VectorType) -> Any:
    width = x.width

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], ir.VectorType(_I32, width))
        exponent = builder.ashr(builder.sub(bits, _ints(width, _SQRT_HALF_BITS)), _ints(width, 23))
        mantissa = builder.sub(bits, builder.shl(exponent, _ints(width, 23)))
        t = builder.fsub(builder.bitcast(mantissa, ir.VectorType(_F32, width)), _floats(width, 1), flags=FLAGS)
        p = _floats(width, _LOG2[0])
        for c in _LOG2[1:]:
            p = builder.fadd(builder.fmul(p, t, flags=FLAGS), _floats(width, c), flags=FLAGS)
        return builder.fadd(builder.fmul(p, t, flags=FLAGS), builder.sitofp(exponent, x_type), flags=FLAGS)

    x_type = ir.VectorType(_F32, width)
    return x(x), codegen
