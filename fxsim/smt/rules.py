"""The SMT reading: one rule per op on arrays of symbolic integers, written from the definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Overflow, Rounding
from fxsim.graph import Interpreter, Value
from fxsim.integers import Array
from fxsim.smt.algebra import Algebra, Term

# The context is the Algebra; operands and results are object arrays of the tensor's own shape, with no batch.
smt_rules: Interpreter[Array] = Interpreter("smt_rules")


def array(values: Sequence[Term] | Array, shape: tuple[int, ...]) -> Array:
    """An object array of terms (z3 terms must not meet NumPy's own conversions)."""
    out = np.empty(len(values), object)
    for i, v in enumerate(values):
        out[i] = v
    return out.reshape(shape)


def _elementwise(v: Value, fn: Callable[..., Term], *operands: Array) -> Array:
    shape = v.type.shape
    spread = [np.broadcast_to(o, shape).ravel() for o in operands]
    return array([fn(*terms) for terms in zip(*spread, strict=True)], shape)


def _pairwise(method: str) -> Callable[..., Array]:
    def rule(z: Algebra, v: Value, *operands: Array) -> Array:
        return _elementwise(v, getattr(z, method), *operands)

    return rule


for _op, _method in (
    (ops.Add, "add"), (ops.Sub, "sub"), (ops.Neg, "neg"), (ops.Mul, "mul"), (ops.Div, "divide"),
):  # fmt: skip
    smt_rules.rule(_op)(_pairwise(_method))


@smt_rules.rule(ops.Const)
def _const(z: Algebra, v: Value) -> Array:
    op: Any = v.op
    return array([int(c) for c in op.raw.array.ravel()], v.type.shape)


@smt_rules.rule(ops.Shift)
def _shift(z: Algebra, v: Value, a: Array) -> Array:
    k = v.op.bits  # type: ignore[attr-defined]
    return _elementwise(v, lambda x: z.shift_left(x, k) if k >= 0 else z.floor(x, -k), a)


@smt_rules.rule(ops.Scale)
def _scale(z: Algebra, v: Value, a: Array) -> Array:
    return a


@smt_rules.rule(ops.ShiftLeft)
def _shift_left(z: Algebra, v: Value, a: Array, n: Array) -> Array:
    most = np.broadcast_to(v.args[1].type.hi, v.type.shape).ravel()
    shape = v.type.shape
    pairs = zip(np.broadcast_to(a, shape).ravel(), np.broadcast_to(n, shape).ravel(), most, strict=True)

    def shifted(x: Term, count: Term, limit: int) -> Term:
        return _by_halves(z, count, 0, limit, lambda k: z.shift_left(x, k))

    return array([shifted(x, c, int(m)) for x, c, m in pairs], shape)


def _by_halves(z: Algebra, x: Term, lo: int, hi: int, leaf: Callable[[int], Term]) -> Term:
    """leaf(x) for x in lo..hi, as a balanced tree of choices."""
    if lo == hi:
        return leaf(lo)
    middle = (lo + hi + 1) // 2
    below = z.less(x, middle)
    if isinstance(below, bool):
        return _by_halves(z, x, lo, middle - 1, leaf) if below else _by_halves(z, x, middle, hi, leaf)
    return z.choose(below, _by_halves(z, x, lo, middle - 1, leaf), _by_halves(z, x, middle, hi, leaf))


def _total(z: Algebra, terms: Sequence[Term] | Array) -> Term:
    """The sum as a balanced tree, so that words grow by the log of the count."""
    terms = list(terms)
    if not terms:
        return 0
    while len(terms) > 1:
        pairs = [z.add(*terms[i : i + 2]) for i in range(0, len(terms) - 1, 2)]
        terms = pairs + terms[2 * len(pairs) :]
    return terms[0]


@smt_rules.rule(ops.MatMul)
def _matmul(z: Algebra, v: Value, a: Array, b: Array) -> Array:
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, lead + left.shape[-2:])
    right = np.broadcast_to(right, lead + right.shape[-2:])
    shape = (*lead, left.shape[-2], right.shape[-1])
    out = []
    for i in np.ndindex(shape):
        row, column = left[(*i[:-1], slice(None))], right[(*i[:-2], slice(None), i[-1])]
        out.append(_total(z, [z.mul(x, y) for x, y in zip(row, column, strict=True)]))
    return array(out, v.type.shape)


def _along(v: Value, a: Array, axis: int) -> Array:
    """The elements of `axis` last, one row per element of the result."""
    return np.moveaxis(a, axis, -1).reshape(v.type.size, a.shape[axis])


@smt_rules.rule(ops.Sum)
def _sum(z: Algebra, v: Value, a: Array) -> Array:
    axes = sorted(i % a.ndim for i in v.op.axes)  # type: ignore[attr-defined]
    kept = [i for i in range(a.ndim) if i not in axes]
    rows = a.transpose(kept + axes).reshape(v.type.size, -1) if v.type.size else a.reshape(0, 0)
    return array([_total(z, row) for row in rows], v.type.shape)


def _lesser(z: Algebra, a: Term, b: Term) -> Term:
    return z.choose(z.less(b, a), b, a)


def _greater(z: Algebra, a: Term, b: Term) -> Term:
    return z.choose(z.less(a, b), b, a)


@smt_rules.rule(ops.Min)
def _min(z: Algebra, v: Value, a: Array, b: Array) -> Array:
    return _elementwise(v, lambda x, y: _lesser(z, x, y), a, b)


@smt_rules.rule(ops.Max)
def _max(z: Algebra, v: Value, a: Array, b: Array) -> Array:
    return _elementwise(v, lambda x, y: _greater(z, x, y), a, b)


def _reduced(z: Algebra, v: Value, a: Array, pair: Callable[[Algebra, Term, Term], Term]) -> Array:
    out = []
    for row in _along(v, a, v.op.axis):  # type: ignore[attr-defined]
        best = row[0]
        for x in row[1:]:
            best = pair(z, best, x)
        out.append(best)
    return array(out, v.type.shape)


@smt_rules.rule(ops.ReduceMin)
def _reduce_min(z: Algebra, v: Value, a: Array) -> Array:
    return _reduced(z, v, a, _lesser)


@smt_rules.rule(ops.ReduceMax)
def _reduce_max(z: Algebra, v: Value, a: Array) -> Array:
    return _reduced(z, v, a, _greater)


@smt_rules.rule(ops.ArgMax)
def _argmax(z: Algebra, v: Value, a: Array) -> Array:
    out = []
    for row in _along(v, a, v.op.axis):  # type: ignore[attr-defined]
        best, index = row[0], 0
        for i, x in enumerate(row[1:], 1):
            more = z.less(best, x)  # strictly, so that the first of equals stays
            best, index = z.choose(more, x, best), z.choose(more, i, index)
        out.append(index)
    return array(out, v.type.shape)


@smt_rules.rule(ops.Compare)
def _compare(z: Algebra, v: Value, a: Array, b: Array) -> Array:
    tests: dict[str, Callable[[Term, Term], Any]] = {
        "lt": z.less,
        "le": lambda x, y: z.negate(z.less(y, x)),
        "eq": z.equal,
        "ne": lambda x, y: z.negate(z.equal(x, y)),
    }
    test = tests[v.op.kind]  # type: ignore[attr-defined]
    return _elementwise(v, lambda x, y: z.choose(test(x, y), 1, 0), a, b)


@smt_rules.rule(ops.Select)
def _select(z: Algebra, v: Value, c: Array, a: Array, b: Array) -> Array:
    return _elementwise(v, lambda t, x, y: z.choose(z.negate(z.equal(t, 0)), x, y), c, a, b)


def _channels(v: Value, axis: int | None) -> Array:
    t = v.args[0].type
    if axis is None:
        return np.zeros(t.shape, np.int64)
    axis %= t.ndim
    return np.broadcast_to(np.arange(t.shape[axis]).reshape((-1,) + (1,) * (t.ndim - 1 - axis)), t.shape)


@smt_rules.rule(ops.Table)
def _table(z: Algebra, v: Value, a: Array) -> Array:
    op: Any = v.op
    rows = op.entries.array.reshape(-1, op.entries.shape[-1])
    channel, t = _channels(v, op.axis), v.args[0].type
    out = []
    for i in np.ndindex(t.shape):
        row = [int(e) for e in rows[channel[i]]]
        out.append(_by_halves(z, a[i], int(t.lo[i]), int(t.hi[i]), lambda code, row=row: row[code - op.base]))  # type: ignore[misc]
    return array(out, v.type.shape)


@smt_rules.rule(ops.Threshold)
def _threshold(z: Algebra, v: Value, a: Array) -> Array:
    op: Any = v.op
    channel = _channels(v, op.axis)
    out = []
    for i in np.ndindex(v.type.shape):
        levels = [int(e) for e in op.levels.array[channel[i]]]
        if op.falling.array[channel[i]]:
            # x <= level is not (x >= level + 1): count those met, and take the others.
            met = _count(z, a[i], [e + 1 for e in levels])
            out.append(z.sub(len(levels), met))
        else:
            out.append(_count(z, a[i], levels))
    return array(out, v.type.shape)


def _count(z: Algebra, x: Term, levels: list[int], offset: int = 0) -> Term:
    """offset + #{level <= x} for ascending levels, as a balanced tree of choices."""
    if not levels:
        return offset
    middle = len(levels) // 2
    met = z.at_least(x, levels[middle])
    return z.choose(
        met, _count(z, x, levels[middle + 1 :], offset + middle + 1), _count(z, x, levels[:middle], offset)
    )


@smt_rules.rule(ops.LeadingOne)
def _leading_one(z: Algebra, v: Value, a: Array) -> Array:
    most = v.type.bounds[1]
    return _elementwise(v, lambda x: _count(z, x, [1 << k for k in range(most)]), a)


@smt_rules.rule(ops.And)
def _and(z: Algebra, v: Value, a: Array, b: Array) -> Array:
    return _elementwise(v, lambda x, y: z.bitwise("and", x, y), a, b)


@smt_rules.rule(ops.Or)
def _or(z: Algebra, v: Value, a: Array, b: Array) -> Array:
    return _elementwise(v, lambda x, y: z.bitwise("or", x, y), a, b)


@smt_rules.rule(ops.Xor)
def _xor(z: Algebra, v: Value, a: Array, b: Array) -> Array:
    return _elementwise(v, lambda x, y: z.bitwise("xor", x, y), a, b)


@smt_rules.rule(ops.Not)
def _not(z: Algebra, v: Value, a: Array) -> Array:
    return _elementwise(v, lambda x: z.sub(-1, x), a)


@smt_rules.rule(ops.Cast)
def _cast(z: Algebra, v: Value, a: Array) -> Array:
    op: Any = v.op
    parameters = [p.ravel() for p in op.parameters(v.type.shape)]
    terms = zip(a.ravel(), *parameters, strict=True)
    return array([cast(z, op, x, v.args[0].type.frac, *map(int, p)) for x, *p in terms], v.type.shape)


def cast(z: Algebra, op: ops.Cast, x: Term, src_frac: int, frac: int, width: int, signed: int) -> Term:
    """One element's cast, at the result's frac."""
    shift = src_frac - frac
    q = rounded(z, x, shift, op.rounding) if shift > 0 else z.shift_left(x, -shift)
    return z.shift_left(fitted(z, op, q, x, shift, width, signed), op.result_frac - frac)


def rounded(z: Algebra, x: Term, shift: int, rounding: Rounding) -> Term:
    """x / 2**shift to an integer: the floor, plus one where the mode takes the upper neighbour."""
    down, rest = z.floor(x, shift), z.low(x, shift)
    if rounding is Rounding.TRN:
        return down
    half = 1 << (shift - 1)
    negative = z.less(x, 0)
    above, tie = z.less(half, rest), z.equal(rest, half)
    odd = z.equal(z.low(down, 1), 1)
    match rounding:
        case Rounding.TRN_ZERO:
            up = z.both(negative, z.negate(z.equal(rest, 0)))
        case Rounding.RND:
            up = z.either(above, tie)
        case Rounding.RND_MIN_INF:
            up = above
        case Rounding.RND_ZERO:
            up = z.either(above, z.both(tie, negative))
        case Rounding.RND_INF:
            up = z.either(above, z.both(tie, z.negate(negative)))
        case Rounding.RND_CONV:
            up = z.either(above, z.both(tie, odd))
        case _:
            up = z.either(above, z.both(tie, z.negate(odd)))
    return z.choose(up, z.add(down, 1), down)


def fitted(z: Algebra, op: ops.Cast, q: Term, x: Term, shift: int, width: int, signed: int) -> Term:
    """The rounded q in `width` bits by the overflow mode; x is the source and `shift` the bits it lost."""
    if not width:
        return 0
    hi = (1 << (width - signed)) - 1
    lo = -hi - 1 if signed else 0
    outside, negative = z.outside(q, lo, hi), z.less(q, 0)
    low = z.low(q, width)
    wrapped = z.choose(z.less(hi, low), z.sub(low, 1 << width), low) if signed else low
    n = op.n
    match op.overflow:
        case Overflow.SAT:
            return z.choose(outside, z.choose(negative, lo, hi), q)
        case Overflow.SAT_SYM:
            least = -hi if signed and width > 1 else lo
            clipped = z.choose(outside, z.choose(negative, least, hi), q)
            return _greater(z, clipped, least)
        case Overflow.SAT_ZERO:
            return z.choose(outside, 0, q)
        case Overflow.WRAP:
            bent = wrapped if not n else _top_bits(z, wrapped, negative, n, width, signed)
        case _:
            bent = _sign_magnitude(z, op, wrapped, negative, x, shift + width, width)
    return z.choose(outside, bent, q)


def _top_bits(z: Algebra, wrapped: Term, negative: Any, n: int, width: int, signed: int) -> Term:
    """The n top bits forced: unsigned, to ones; signed, to the sign of q and n - 1 of its complement."""
    kept = z.low(wrapped, width - n)
    ones = ((1 << n) - 1) << (width - n)
    if not signed:
        return z.add(kept, ones)
    positive = z.add(kept, ones - (1 << (width - 1)))
    return z.choose(negative, z.add(kept, -(1 << (width - 1))), positive)


def _sign_magnitude(
    z: Algebra, op: ops.Cast, wrapped: Term, negative: Any, x: Term, above: int, width: int
) -> Term:
    inverted = z.sub(-1, wrapped)
    if op.n == 0:
        assert op.source_width is not None
        inside = 0 <= above < op.source_width
        kept = z.equal(z.low(z.floor(x, above), 1), 1) if inside else False
        same = z.choose(kept, z.choose(z.less(wrapped, 0), 1, 0), z.choose(z.less(wrapped, 0), 0, 1))
        return z.choose(z.equal(same, 1), wrapped, inverted)
    sign = z.choose(negative, 1, 0)
    bit = z.low(z.floor(wrapped, width - op.n), 1)
    if op.n == 1:
        flip = z.negate(z.equal(bit, sign))
    else:
        flip = z.equal(bit, sign)
    return _top_bits(z, z.choose(flip, inverted, wrapped), negative, op.n, width, 1)


@smt_rules.rule(ops.Accumulate)
def _accumulate(z: Algebra, v: Value, a: Array) -> Array:
    op: Any = v.op
    frac, fmt = v.args[0].type.frac, op.format
    step, sum_frac = op.step(frac)
    out = []
    for row in _along(v, a, op.axis):
        acc: Term = 0
        for x in row:
            total = z.add(z.shift_left(acc, sum_frac - fmt.frac), z.shift_left(x, sum_frac - frac))
            acc = z.narrow(
                cast(z, step, total, sum_frac, fmt.frac, fmt.width, int(fmt.signed)), fmt.lo, fmt.hi
            )
        out.append(acc)
    return array(out, v.type.shape)


@smt_rules.rule(ops.Window, ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Pad)
def _place(z: Algebra, v: Value, a: Array) -> Array:
    op: Any = v.op
    return array(list(op.place(a, a.ndim, op.padding()).ravel()), v.type.shape)


@smt_rules.rule(ops.Concat)
def _concat(z: Algebra, v: Value, *parts: Array) -> Array:
    return np.concatenate(parts, axis=v.op.axis)  # type: ignore[attr-defined]
