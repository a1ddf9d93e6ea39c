"""The ideal real map of a graph in Fractions, one state at a time: what the slope reading must bound."""

from fractions import Fraction

import numpy as np

from fxsim import ops
from fxsim.graph import Interpreter
from fxsim.iterate.slopes.lossy import overflows
from fxsim.ops.lookup import count_levels
from fxsim.ops.lossy import _shifted, cast_range
from fxsim.ops.lossy import _sum as _sum_ranges
from fxsim.ranges import Range, constant

ideal = Interpreter("ideal")


def values(t, raw):
    unit = Fraction(2) ** -t.frac
    return np.array([int(v) * unit for v in np.ravel(raw)], object).reshape(np.shape(raw))


def evaluate(graph, *inputs):
    """The ideal outputs at real inputs (object arrays of Fractions)."""
    return [np.asarray(o, object) for o in ideal(graph, [np.asarray(i, object) for i in inputs])]


@ideal.rule(ops.Const)
def _const(_, v):
    return values(v.type, v.type.lo)


@ideal.rule(ops.Add)
def _add(_, v, a, b):
    return a + b


@ideal.rule(ops.Sub)
def _sub(_, v, a, b):
    return a - b


@ideal.rule(ops.Neg)
def _neg(_, v, a):
    return -a


@ideal.rule(ops.Shift)
def _shift(_, v, a):
    return a


@ideal.rule(ops.Scale)
def _scale(_, v, a):
    return a * Fraction(2) ** v.op.power


@ideal.rule(ops.Mul)
def _mul(_, v, a, b):
    return a * b


@ideal.rule(ops.MatMul)
def _matmul(_, v, a, b):
    return np.asarray(a @ b, object)


@ideal.rule(ops.Sum)
def _sum(_, v, a):
    return np.asarray(a.sum(axis=v.op.axes), object)


@ideal.rule(ops.Max)
def _max(_, v, a, b):
    return np.asarray(np.maximum(a, b), object)


@ideal.rule(ops.Min)
def _min(_, v, a, b):
    return np.asarray(np.minimum(a, b), object)


@ideal.rule(ops.ReduceMax)
def _rmax(_, v, a):
    return np.asarray(a.max(axis=v.op.axis), object)


@ideal.rule(ops.ReduceMin)
def _rmin(_, v, a):
    return np.asarray(a.min(axis=v.op.axis), object)


@ideal.rule(ops.Compare)
def _compare(_, v, a, b):
    return np.asarray({"lt": a < b, "le": a <= b, "eq": a == b, "ne": a != b}[v.op.kind], bool)


@ideal.rule(ops.Select)
def _select(_, v, c, a, b):
    return np.where(np.asarray(c, bool), a, b)


@ideal.rule(ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Pad, ops.Window)
def _wiring(_, v, a):
    return v.op.place(a, a.ndim, Fraction(v.op.padding()) * Fraction(2) ** -v.type.frac)


@ideal.rule(ops.Concat)
def _concat(_, v, *xs):
    return np.concatenate(xs, v.op.axis)


@ideal.rule(ops.Cast)
def _cast(_, v, a):
    t = v.args[0].type
    return clipped(v.op, t.range, t.frac, a)


@ideal.rule(ops.Accumulate)
def _accumulate(_, v, a):
    op, t = v.op, v.args[0].type
    cast, frac = op.step(t.frac)
    axis = op.axis % t.ndim
    codes, acc = constant(np.zeros(v.type.shape, np.int64)), np.full(v.type.shape, Fraction(0), object)
    for k in range(t.shape[axis]):
        term = Range(*(np.take(e, k, axis) for e in t.range))
        both = _sum_ranges(_shifted(codes, frac - op.format.frac), _shifted(term, frac - t.frac))
        acc = clipped(cast, both, frac, acc + np.take(a, k, axis))
        codes = cast_range(cast, both, frac)
    return acc


def clipped(op, r, src_frac, a):
    """The identity, or a clip onto the format's ends where the proven codes may leave it."""
    frac, width, signed = op.parameters(r.shape)
    beyond = np.broadcast_to(overflows(op, r, src_frac), r.shape)
    out = np.array(a, object)
    for i in np.ndindex(r.shape):
        if beyond[i]:
            top = (1 << int(width[i] - signed[i])) - 1
            low = -(top if op.overflow == "SAT_SYM" else top + 1) if signed[i] else 0
            unit = Fraction(2) ** -int(frac[i])
            out[i] = min(max(out[i], low * unit), top * unit)
    return out


def polygon(v, a, code):
    """Through the values at the proven codes, constant beyond them."""
    t = v.args[0].type
    out = np.empty(t.shape, object)
    for i in np.ndindex(t.shape):
        step = 1 if t.is_constant[i] else 1 << int(t.stride[i])
        x = min(max(a[i] * Fraction(2) ** t.frac, int(t.lo[i])), int(t.hi[i]))
        left = int(t.lo[i]) + int((x - int(t.lo[i])) // step) * step
        right = min(left + step, int(t.hi[i]))
        y0, y1 = code(left), code(right)
        out[i] = (y0 + (y1 - y0) * (x - left) / step) * Fraction(2) ** -v.type.frac
    return out


@ideal.rule(ops.Table)
def _table(_, v, a):
    return polygon(v, a, lambda c: int(v.op.entries.array[c - v.op.base]))


@ideal.rule(ops.Threshold)
def _threshold(_, v, a):
    return polygon(v, a, lambda c: int(count_levels(np.array([c]), np.array([0]), v.op)[0]))
