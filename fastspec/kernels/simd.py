"""A float32 vector of W lanes as a numba type, and its plain-Python twin.

In compiled code a vector is one LLVM `<W x float>`: arithmetic is a single instruction on every lane, loads and stores are contiguous,
and a local variable is a register. Without the JIT the same functions work on `(W,)` NumPy arrays. The lane count is part of the
type of the `lanes` argument, so that a cache cannot confuse two of them.

Indices are in floats into a flat array. Loads go through raw pointers, which numba's bounds checks do not see; they are checked
here when `NUMBA_BOUNDSCHECK` is set.
"""

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template
from numba.extending import models, register_model
from numpy.typing import NDArray

Vector = NDArray[np.float32]

_F32, _I32 = ir.FloatType(), ir.IntType(32)
# Products may fuse into sums, but sums keep their order: some of them are written so that cancellation is exact.
FLAGS = ("arcp", "contract", "nsz")


# W nothings. Their number is part of the tuple's type; numba knows it when it compiles and recognises it fast when it is called (a type
# of our own in its place costs 90 µs a call).
Lanes = tuple[None, ...]


def make_lanes(width: int) -> Lanes:
    """The lanes argument of a vector of 4, 8 or 16 float32."""
    return (None,) * width


def host_lanes() -> Lanes:
    """The natural width of this machine's vectors: 16 with AVX-512, 8 with AVX2, else 4 (SSE, NEON)."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return make_lanes(16)
    return make_lanes(8 if features.get("avx2") else 4)


def host_processor() -> str:
    """LLVM's name of this machine's processor."""
    return str(llvmlite.binding.get_host_cpu_name())


# --- the numba type -----------------------------------------------------------------------------------------------------------


class VectorType(types.Type):  # type: ignore[misc]
    """The numba type of a vector of `width` float32 lanes."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"float32x{width}")


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, vector: VectorType) -> None:
        super().__init__(manager, vector, ir.VectorType(_F32, vector.width))


def compiled_as(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], None]:
    """Decorate what types and lowers calls of `function` in compiled code, as `numba.extending.intrinsic` would a function of its own.

    Tried and lost: `overload` around an intrinsic. Numba compiles each one for itself, a third of all that it compiled.
    """

    def attach(definition: Callable[..., Any]) -> None:
        template = make_intrinsic_template(function, definition, function.__name__)
        infer(template)
        infer_global(function, types.Function(template))

    return attach


# --- pieces of LLVM code -----------------------------------------------------------------------------------------------------------


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, count: int, *, width: int) -> Any:
    """The address of `array[index : index + count]` as a pointer to `<width x float>`, checked when bounds checks are on."""
    view = context.make_array(array_type)(context, builder, array)
    if context.enable_boundscheck:
        last = builder.add(index, ir.Constant(index.type, count - 1))
        for position in (index, last):
            cgutils.do_boundscheck(context, builder, position, view.nitems)
    address = builder.gep(view.data, [index])
    return builder.bitcast(address, ir.VectorType(_F32, width).as_pointer())


def _splat(builder: Any, scalar: Any, width: int) -> Any:
    undefined = ir.Constant(ir.VectorType(_F32, width), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, width), [0] * width))


def _shuffle(builder: Any, a: Any, b: Any, mask: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, len(mask)), mask))


def _concatenate(builder: Any, parts: list[Any]) -> Any:
    """Vectors of equal width, end to end; their number is a power of two."""
    while len(parts) > 1:
        width = parts[0].type.count
        parts = [_shuffle(builder, a, b, list(range(2 * width))) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _transpose_quads(builder: Any, rows: list[Any]) -> list[Any]:
    """Four vectors, seen as 4 x 4 tiles side by side, each tile transposed: two rounds that never cross 128 bits."""
    tiles = range(0, rows[0].type.count, 4)
    width = rows[0].type.count

    def mix(a: Any, b: Any, quad: list[int]) -> Any:
        return _shuffle(builder, a, b, [t + (q if q < 4 else width + q - 4) for t in tiles for q in quad])

    a, b, c, d = rows
    low_ab, high_ab = mix(a, b, [0, 4, 1, 5]), mix(a, b, [2, 6, 3, 7])
    low_cd, high_cd = mix(c, d, [0, 4, 1, 5]), mix(c, d, [2, 6, 3, 7])
    return [
        mix(low_ab, low_cd, [0, 1, 4, 5]),
        mix(low_ab, low_cd, [2, 3, 6, 7]),
        mix(high_ab, high_cd, [0, 1, 4, 5]),
        mix(high_ab, high_cd, [2, 3, 6, 7]),
    ]


# --- loading and storing -----------------------------------------------------------------------------------------------------------


def load(lanes: Lanes, x: NDArray[np.float32], index: int) -> Vector:
    """The vector `x[index : index + W]`."""
    return x[index : index + len(lanes)].copy()


@compiled_as(load)
def _lower_load(_context: Any, lanes: Any, x: Any, index: Any) -> Any:
    vector = VectorType(len(lanes))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[1], args[1], args[2], len(lanes), width=len(lanes))
        return builder.load(pointer, align=4)

    return vector(lanes, x, types.intp), codegen


def store(x: NDArray[np.float32], index: int, value: Vector) -> None:
    """`x[index : index + W] = value`."""
    x[index : index + len(value)] = value


@compiled_as(store)
def _lower_store(_context: Any, x: Any, index: Any, value: VectorType) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1], value.width, width=value.width)
        builder.store(args[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(x, types.intp, value), codegen


def splat(lanes: Lanes, scalar: float | np.float32) -> Vector:
    """A vector with `scalar` in every lane."""
    return np.full(len(lanes), scalar, np.float32)


@compiled_as(splat)
def _lower_splat(_context: Any, lanes: Any, scalar: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _splat(builder, context.cast(builder, args[1], sig.args[1], types.float32), len(lanes))

    return VectorType(len(lanes))(lanes, scalar), codegen


def load_splat(lanes: Lanes, x: NDArray[np.float32], index: int) -> Vector:
    """A vector with `x[index]` in every lane."""
    return np.full(len(lanes), x[index], np.float32)


@compiled_as(load_splat)
def _lower_load_splat(_context: Any, lanes: Any, x: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[1], args[1], args[2], 1, width=1)
        scalar = builder.load(builder.bitcast(pointer, _F32.as_pointer()), align=4)
        return _splat(builder, scalar, len(lanes))

    return VectorType(len(lanes))(lanes, x, types.intp), codegen


def load_tile(lanes: Lanes, x: NDArray[np.float32], first: int, stride: int) -> tuple[Vector, Vector, Vector, Vector]:
    """Four neighbouring samples of each of W frames, transposed: vector c holds `x[first + lane * stride + c]`."""
    rows = np.stack([x[first + lane * stride :][:4] for lane in range(len(lanes))])
    a, b, c, d = np.ascontiguousarray(rows.T)
    return a, b, c, d


@compiled_as(load_tile)
def _lower_load_tile(_context: Any, lanes: Any, x: Any, first: Any, stride: Any) -> Any:
    width = len(lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        index, quads = args[2], []
        for _ in range(width):
            pointer = _pointer(context, builder, sig.args[1], args[1], index, 4, width=4)
            quads.append(builder.load(pointer, align=4))
            index = builder.add(index, args[3])
        # Row i of every fourth frame in one vector: the in-lane transpose then puts the frames in order.
        rows = [_concatenate(builder, quads[i::4]) for i in range(4)]
        columns = _transpose_quads(builder, rows)
        return context.make_tuple(builder, sig.return_type, columns)

    return types.UniTuple(VectorType(width), 4)(lanes, x, types.intp, types.intp), codegen


def store_tile(x: NDArray[np.float32], first: int, stride: int, a: Vector, b: Vector, c: Vector, d: Vector) -> None:
    """The inverse of `load_tile`: `x[first + lane * stride + column]` is set from lane `lane` of each of four columns."""
    for lane in range(len(a)):
        x[first + lane * stride :][:4] = (a[lane], b[lane], c[lane], d[lane])


@compiled_as(store_tile)
def _lower_store_tile(_context: Any, x: Any, first: Any, stride: Any, a: VectorType, b: Any, c: Any, d: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows, index = _transpose_quads(builder, list(args[3:])), args[1]
        for lane in range(a.width):
            start = lane // 4 * 4
            quad = _shuffle(builder, rows[lane % 4], rows[lane % 4], list(range(start, start + 4)))
            builder.store(quad, _pointer(context, builder, sig.args[0], args[0], index, 4, width=4), align=4)
            index = builder.add(index, args[2])
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, a, b, c, d), codegen


def gather(lanes: Lanes, x: NDArray[np.float32], first: int, stride: int) -> Vector:
    """One sample of each of W frames: lane l is `x[first + l * stride]`."""
    return np.array([x[first + lane * stride] for lane in range(len(lanes))], np.float32)


@compiled_as(gather)
def _lower_gather(_context: Any, lanes: Any, x: Any, first: Any, stride: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        index, vector = args[2], ir.Constant(ir.VectorType(_F32, len(lanes)), ir.Undefined)
        for lane in range(len(lanes)):
            pointer = _pointer(context, builder, sig.args[1], args[1], index, 1, width=1)
            scalar = builder.load(builder.bitcast(pointer, _F32.as_pointer()), align=4)
            vector = builder.insert_element(vector, scalar, ir.Constant(_I32, lane))
            index = builder.add(index, args[3])
        return vector

    return VectorType(len(lanes))(lanes, x, types.intp, types.intp), codegen


def scatter(x: NDArray[np.float32], first: int, stride: int, value: Vector) -> None:
    """The inverse of `gather`: `x[first + l * stride]` is set to lane l."""
    for lane in range(len(value)):
        x[first + lane * stride] = value[lane]


@compiled_as(scatter)
def _lower_scatter(_context: Any, x: Any, first: Any, stride: Any, value: VectorType) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        index = args[1]
        for lane in range(value.width):
            pointer = _pointer(context, builder, sig.args[0], args[0], index, 1, width=1)
            scalar = builder.extract_element(args[3], ir.Constant(_I32, lane))
            builder.store(scalar, builder.bitcast(pointer, _F32.as_pointer()), align=4)
            index = builder.add(index, args[2])
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, value), codegen


def announce(x: NDArray[np.float32], index: int) -> None:
    """Say that the memory around `x[index]` is about to be written, so that the processor fetches it meanwhile."""


@compiled_as(announce)
def _lower_announce(_context: Any, x: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = builder.bitcast(_pointer(context, builder, sig.args[0], args[0], args[1], 1, width=1), ir.IntType(8).as_pointer())
        kinds = [pointer.type, _I32, _I32, _I32]
        prefetch = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0i8")
        builder.call(prefetch, [pointer, *(ir.Constant(_I32, number) for number in (1, 3, 1))])  # to write, to keep, data
        return context.get_dummy_value()

    return types.void(x, types.intp), codegen


# --- operators ---------------------------------------------------------------------------------------------------------------------


def _compile_operator(function: Callable[..., Any], instruction: str) -> None:
    @compiled_as(function)
    def _lower(_context: Any, x: Any, y: Any) -> Any:
        def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
            return getattr(builder, instruction)(args[0], args[1], flags=FLAGS)

        return (x(x, y), codegen) if isinstance(x, VectorType) and x == y else None


for _function, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _compile_operator(_function, _instruction)
