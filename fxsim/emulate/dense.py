"""Products with a constant matrix as one BLAS call per chunk, by a strict bound on the absolute terms."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.emulate import carriers as c
from fxsim.emulate import lossy
from fxsim.emulate.plan import Call, Loc, View
from fxsim.emulate.planner import Planner
from fxsim.emulate.table import numpy_rules
from fxsim.graph import Node, Value
from fxsim.integers import Array, exact
from fxsim.integers import matmul as int_matmul

# Splitting the inner size keeps float32's speed if the parts are at least this long.
LEAST_PART = 64
LEAST_LIMB = 4


def joins_bias(p: Planner, v: Value) -> bool:
    """Is v a product with a constant matrix that only the addition of a constant reads, row-independent?"""
    reader = p.only_reader(v)
    if not isinstance(v.op, ops.MatMul) or reader is None or _matrix(p, v) is None or c.is_wide(reader.type):
        return False
    return _bias(p, reader, v) is not None


def _bias(p: Planner, v: Value, product: Value) -> Array | None:
    """The constant, one per column, that Add or Sub adds to `product`; None for anything else."""
    if not (isinstance(v.op, ops.Add) or (isinstance(v.op, ops.Sub) and v.args[0] is product)):
        return None
    other = v.args[1] if v.args[0] is product else v.args[0]
    found = _matrix(p, product)
    if found is None or other not in p.constants or v.type.shape != product.type.shape:
        return None
    raw = p.constants[other]
    if raw.dtype == object:
        return None
    rows = np.broadcast_to(raw if isinstance(v.op, ops.Add) else -raw, v.type.shape).reshape(
        -1, found[1].shape[1]
    )
    return rows[0] if bool(np.all(rows == rows[:1])) else None


def _matrix(p: Planner, v: Value) -> tuple[Node, Array] | None:
    """(varying operand x (..., K), constant W (K, N)) of a product that is x @ W; None for other products."""
    a, b = v.args
    if b not in p.constants or a in p.constants or c.is_wide(v.type):
        return None
    w = p.constants[b]
    if w.dtype == object or w.ndim > 2 or c.is_wide(a.type):
        return None
    return a, w.reshape(len(w), -1)


def add(p: Planner, v: Value) -> bool:
    """The product and the constant added to it in one call."""
    product = next(
        (a for a in v.args if a in p.deferred and isinstance(a, Value) and isinstance(a.op, ops.MatMul)), None
    )
    if product is None:
        return False
    bias = _bias(p, v, product)
    assert bias is not None
    return _product(p, v, product, bias)


def matmul(p: Planner, v: Value) -> bool:
    """x @ W by BLAS; a product of two varying operands by BLAS with the batch first."""
    return _product(p, v, v, None) if _matrix(p, v) is not None else _batched(p, v)


def _product(p: Planner, v: Value, product: Value, bias: Array | None) -> bool:
    found = _matrix(p, product)
    assert found is not None
    x, w = found
    k, n = w.shape
    m = x.type.size // k
    plain = np.zeros(n, np.int64) if bias is None else bias
    source = p.locs[x]
    point_in = _row_points(source, x, k)
    most_x = np.asarray(c.magnitude(x.type)).reshape(m, k).max(axis=0)
    total = int_matmul(most_x[None], np.abs(w))[0]
    units = int(c.unit(x.type).min()) + c.constant_unit(w)
    if bias is not None:
        total, units = exact(total + np.abs(plain)), min(units, c.constant_unit(plain))
    wanted = lossy.want(p, v, n)
    point, half = (wanted.point, wanted.half) if wanted else (np.zeros(n, np.int64), np.zeros(n, np.int64))
    offset = wanted.offset if wanted else 0
    used = half[half > 0]
    step = min(units, int(np.log2(used.min())) if used.size else units)
    dtype = c.least_float(exact(total + half), step)
    if dtype is None and offset:  # without the half, the cast that follows will round by integers or in parts
        point, half, offset, step = np.zeros(n, np.int64), np.zeros(n, np.int64), 0, units
        dtype = c.least_float(total, units)
    if source.dtype not in c.FLOATS:
        dtype = None
    if dtype is None:
        return _limbs(p, v, product, x, w, plain, most_x)
    dtype = c.widest(dtype, source.dtype)
    add_half = half * offset
    biased = bool(np.any(plain != 0) or np.any(add_half))
    # Powers of two move the operand's points to the wanted one: exact, and the sum's proof is unchanged.
    weights = np.ldexp(w.astype(np.float64), np.subtract.outer(point_in, point)).T
    constants = (plain.astype(np.float64) + add_half) * c.power(-point)
    out = p.buffer(n * m, dtype)
    parts = _parts(most_x, w, units) if dtype == c.F64 and source.dtype == c.F32 else None
    if parts is None:
        a = _rows(p, x, m, k, dtype, point_in, biased)
        matrix = np.concatenate([weights, constants[:, None]], 1) if biased else weights
        matrix = np.ascontiguousarray(matrix, dtype)
        p.emit(lambda a, o: [partial(np.matmul, matrix, _wide(a, matrix.shape[1]), out=_wide(o, n))], a, out)
    else:
        a = _rows(p, x, m, k, c.F32, point_in, False)
        _in_parts(
            p, a, out, weights.astype(np.float32), parts, constants.astype(dtype)[:, None] if biased else None
        )
    p.done(x)
    rows = np.arange(n * m).reshape(n, m).T.reshape(-1)
    spread = c.simplify(np.broadcast_to(point, (m, n)).reshape(v.type.shape))
    p.put(v, Loc(out.buffer, rows, spread, offset))
    return True


def _wide(a: Array, rows: int) -> Array:
    return a.reshape(rows, -1)


def _row_points(loc: Loc, x: Node, k: int) -> Array:
    """The operand's point per inner index, or zeros where it differs between rows (then read at point 0)."""
    points = np.broadcast_to(loc.point, x.type.shape).reshape(-1, k)
    return points[0].astype(np.int64) if np.all(points == points[:1]) else np.zeros(k, np.int64)


def _rows(p: Planner, x: Node, m: int, k: int, dtype: np.dtype[Any], points: Array, ones: bool) -> View:
    """x with the inner index first, (k, m) rows, followed by m rows of ones where a bias is folded in."""
    loc = p.locs[x]
    inner = np.arange(m * k).reshape(m, k).T.reshape(-1)
    if np.all(np.broadcast_to(loc.point, x.type.shape).reshape(-1, k) == points):
        view = p.flat(Loc(loc.buffer, loc.rows[inner]), dtype)
    else:
        ordered = p.read(x, dtype)
        view = p.flat(Loc(ordered.buffer, np.arange(ordered.start, ordered.stop)[inner]), dtype)
    if not ones:
        return view
    if view.stop != view.buffer.rows:  # the rows of ones follow the buffer's last row
        copy = p.buffer(view.stop - view.start, dtype)
        p.emit(lambda a, o: [partial(np.copyto, o, a)], view, copy)
        view = copy
    view.buffer.ones = max(view.buffer.ones, m)
    return View(view.buffer, view.start, view.stop, m)


def _parts(most_x: Array, w: Array, units: int) -> list[slice] | None:
    """Slices of the inner index, each exact in float32; None where that would cut it too fine."""
    k = len(w)
    limit = 1 << (c.BITS[c.F32] + max(units, 0))
    terms = most_x.astype(object)[:, None] * np.abs(w).astype(object)
    parts, start, total = [], 0, terms[0] * 0
    for i in range(k):
        if np.any(total + terms[i] > limit):
            parts.append(slice(start, i))
            start, total = i, terms[0] * 0
        total = total + terms[i]
    parts.append(slice(start, k))
    if len(parts) * LEAST_PART > k or any(np.any(terms[i] > limit) for i in range(k)):
        return None
    return parts


def _in_parts(
    p: Planner, a: View, out: View, weights: Array, parts: list[slice], constants: Array | None
) -> None:
    part = p.buffer(out.stop - out.start, c.F32)
    n, k = weights.shape
    matrices = [np.ascontiguousarray(weights[:, s]) for s in parts]

    def bind(a: Array, o: Array, t: Array) -> list[Call]:
        a, o, t = _wide(a, k), _wide(o, n), _wide(t, n)
        calls: list[Call] = []
        for i, (s, w) in enumerate(zip(parts, matrices, strict=True)):
            calls.append(partial(np.matmul, w, a[s], out=t))
            calls.append(partial(np.add, o, t, out=o) if i else partial(np.copyto, o, t))
        if constants is not None:
            calls.append(partial(np.add, o, constants, out=o))
        return calls

    p.emit(bind, a, out, part)


def _limbs(p: Planner, v: Value, product: Value, x: Node, w: Array, bias: Array, most_x: Array) -> bool:
    """Beyond float64: the weights in limbs, each product exact in float64, summed in int64."""
    k, n = w.shape
    m = x.type.size // k
    room = (1 << c.BITS[c.F64]) // max(int(most_x.astype(object).sum()), 1)
    bits = room.bit_length() - 1  # a limb's magnitude stays below 2**bits
    width = int(np.abs(w).max()).bit_length() + 1
    if p.locs[x].dtype in c.FLOATS and (bits >= LEAST_LIMB or bits >= width):
        views = [_rows(p, x, m, k, c.F64, np.zeros(k, np.int64), False)]
        shifts = list(range(0, width, bits))
        limbs = [
            (w >> s) if s == shifts[-1] else (w >> s) & ((1 << bits) - 1) for s in shifts
        ]  # only the highest limb carries the sign
        matrices = [np.ascontiguousarray(limb.T, np.float64) for limb in limbs]
    else:
        views = [_rows(p, x, m, k, c.I64, np.zeros(k, np.int64), False)]
        shifts, matrices = [0], [np.ascontiguousarray(w.T)]
    out, whole = p.buffer(n * m, c.I64), p.buffer(n * m, c.I64)
    part = p.buffer(n * m, matrices[0].dtype)
    constants = bias[:, None]

    def bind(a: Array, o: Array, whole: Array, part: Array) -> list[Call]:
        a, o, whole, part = _wide(a, k), _wide(o, n), _wide(whole, n), _wide(part, n)
        calls: list[Call] = [partial(np.copyto, o, constants)]
        for s, matrix in zip(shifts, matrices, strict=True):
            calls += [
                partial(np.matmul, matrix, a, out=part),
                partial(np.copyto, whole, part, casting="unsafe"),
                partial(np.left_shift, whole, s, out=whole),
                partial(np.add, o, whole, out=o),  # may wrap on the way, but the sum fits
            ]
        return calls

    p.emit(bind, *views, out, whole, part)
    p.done(x)
    p.put(v, Loc(out.buffer, np.arange(n * m).reshape(n, m).T.reshape(-1)))
    return True


def _batched(p: Planner, v: Value) -> bool:
    """Two varying operands (or a constant on the left): the table's own rule on floats, batch first."""
    a, b = v.args
    if c.is_wide(v.type) or any(c.is_wide(t.type) for t in v.args):
        return False
    left = c.magnitude(a.type).reshape(1, -1) if a.type.ndim == 1 else c.magnitude(a.type)
    right = c.magnitude(b.type).reshape(-1, 1) if b.type.ndim == 1 else c.magnitude(b.type)
    units = int(c.unit(a.type).min()) + int(c.unit(b.type).min())
    dtype = c.least_float(int_matmul(left, right), units)
    held = [p.locs[t].dtype if t in p.locs else c.carrier(t.type) for t in v.args]
    if dtype is None or any(d not in c.FLOATS for d in held):
        return False
    dtype = c.widest(dtype, *held)
    varying = [t for t in v.args if t not in p.constants]
    views = [p.read(t, dtype) for t in varying]
    fixed = [p.constants[t][None].astype(dtype) if t in p.constants else None for t in v.args]
    out = p.buffer(v.type.size, dtype)
    p.done(*varying)
    rule = numpy_rules.lookup(ops.MatMul)

    def bind(*arrays: Array) -> list[Call]:
        o = np.moveaxis(arrays[-1].reshape(*v.type.shape, -1), -1, 0)
        given = iter(arrays[:-1])
        sources = [
            np.moveaxis(next(given).reshape(*t.type.shape, -1), -1, 0) if f is None else f
            for t, f in zip(v.args, fixed, strict=True)
        ]
        operands = [np.empty(s.shape, dtype) for s in sources]

        def call() -> None:
            for target, source in zip(operands, sources, strict=True):
                np.copyto(target, source)
            np.copyto(o, rule(None, v, *operands))

        return [call]

    p.emit(bind, *views, out)
    p.store(v, out)
    return True


__all__ = ["add", "joins_bias", "matmul"]
