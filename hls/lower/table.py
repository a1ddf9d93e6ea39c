"""The HLS C++ reading: one rule per op, as a loop over arrays of ap_int codes with one width per tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.graph import Interpreter, Op, Value
from fxsim.integers import Array
from hls.lower.casts import cast_code
from hls.lower.code import Code, Elements, Function, positions, signed_for

cpp_rules: Interpreter[Elements] = Interpreter("cpp_rules")

Rule = Callable[..., Elements]


def rule(*keys: type[Op]) -> Callable[[Rule], Rule]:
    """Register a rule; a value proven constant is a literal whatever its op."""

    def add(fn: Rule) -> Rule:
        def checked(f: Function, v: Value, *operands: Elements) -> Elements:
            if np.all(v.type.is_constant):
                return f.constant(v.type.lo, Code.of(v.type))
            return fn(f, v, *operands)

        return cpp_rules.rule(*keys)(checked)

    return add


def elementwise(f: Function, v: Value, text: Callable[..., str], *operands: Elements) -> Elements:
    """y[i] = text(operands' elements), broadcast."""
    y = f.declare(v)
    elements = [f.read(e, v.type.shape) for e in operands]
    f.loop({"i": v.type.size}, f"{y.array}[i] = {text(*elements)};")
    return y


@rule(ops.Const)
def _const(f: Function, v: Value) -> Elements:
    raise AssertionError("a Const is proven constant")


@rule(ops.Add)
def _add(f: Function, v: Value, a: Elements, b: Elements) -> Elements:
    return elementwise(f, v, lambda x, y: f"{x} + {y}", a, b)


@rule(ops.Sub)
def _sub(f: Function, v: Value, a: Elements, b: Elements) -> Elements:
    return elementwise(f, v, lambda x, y: f"{x} - {y}", a, b)


@rule(ops.Neg)
def _neg(f: Function, v: Value, a: Elements) -> Elements:
    return elementwise(f, v, lambda x: f"-{x}", a)


@rule(ops.Shift)
def _shift(f: Function, v: Value, a: Elements) -> Elements:
    k = v.op.bits  # type: ignore[attr-defined]
    if k == 0:
        return a
    if k < 0:
        return elementwise(f, v, lambda x: f"{x} >> {-k}", a)
    # A shift keeps the type of its left operand, so widen first.
    return elementwise(f, v, lambda x: f"{Code.of(v.type)}({x}) << {k}", a)


@rule(ops.Scale)
def _scale(f: Function, v: Value, a: Elements) -> Elements:
    return a


@rule(ops.Mul)
def _mul(f: Function, v: Value, a: Elements, b: Elements) -> Elements:
    return elementwise(f, v, lambda x, y: f"{x} * {y}", a, b)


@rule(ops.MatMul)
def _matmul(f: Function, v: Value, a: Elements, b: Elements) -> Elements:
    # Partial sums may wrap in the result's width, but the sum itself fits, so it comes out right.
    left, right = (e.at for e in (a, b))
    left = left[None, :] if left.ndim == 1 else left
    right = right[:, None] if right.ndim == 1 else right
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    rows, inner, columns = left.shape[-2], left.shape[-1], right.shape[-1]
    left = np.broadcast_to(left, (*batch, rows, inner)).reshape(-1, inner)
    right = np.broadcast_to(right[..., None, :, :], (*batch, rows, inner, columns)).reshape(
        -1, inner, columns
    )
    x = f.read(Elements(a.code, left, a.array, a.values), None, "ik")
    w = f.read(Elements(b.code, right, b.array, b.values), None, "ikn")
    y = f.declare(v)
    to = f"{y.array}[{f.index(positions((len(left), columns)), 'in')}]"
    f.loop(
        {"i": len(left), "n": columns},
        f"{to} = 0;",
        f"for (int k = 0; k < {inner}; k++)",
        f"    {to} += {x} * {w};",
    )
    return y


def reduced(f: Function, v: Value, a: Elements, axes: tuple[int, ...]) -> tuple[Elements, int, int, str]:
    """(operand as (outer, inner), outer, inner, C++ of its element [o][k]) for a reduction over `axes`."""
    axes = tuple(x % a.at.ndim for x in axes)
    at = np.moveaxis(a.at, axes, range(-len(axes), 0)) if axes else a.at[..., None]
    at = at.reshape(v.type.size, -1)
    e = Elements(a.code, at, a.array, a.values)
    return e, at.shape[0], at.shape[1], f.read(e, None, "ok")


@rule(ops.Sum)
def _sum(f: Function, v: Value, a: Elements) -> Elements:
    _, outer, inner, x = reduced(f, v, a, v.op.axes)  # type: ignore[attr-defined]
    y = f.declare(v)
    f.loop(
        {"o": outer}, f"{y.array}[o] = 0;", f"for (int k = 0; k < {inner}; k++)", f"    {y.array}[o] += {x};"
    )
    return y


@rule(ops.ReduceMin, ops.ReduceMax)
def _reduce(f: Function, v: Value, a: Elements) -> Elements:
    sign = "<" if isinstance(v.op, ops.ReduceMin) else ">"
    e, outer, inner, x = reduced(f, v, a, (v.op.axis,))  # type: ignore[attr-defined]
    first = f.read(Elements(e.code, e.at[:, :1], e.array, e.values), None, "ok")
    y = f.declare(v)
    f.loop(
        {"o": outer},
        "{",
        f"    {e.code} best = {first};",
        f"    for (int k = 1; k < {inner}; k++)",
        f"        if ({x} {sign} best)",
        f"            best = {x};",
        f"    {y.array}[o] = best;",
        "}",
    )
    return y


@rule(ops.ArgMax)
def _argmax(f: Function, v: Value, a: Elements) -> Elements:
    e, outer, inner, x = reduced(f, v, a, (v.op.axis,))  # type: ignore[attr-defined]
    first = f.read(Elements(e.code, e.at[:, :1], e.array, e.values), None, "ok")
    y = f.declare(v)
    f.loop(
        {"o": outer},
        "{",
        f"    {e.code} best = {first};",
        f"    {y.array}[o] = 0;",
        f"    for (int k = 1; k < {inner}; k++)",
        f"        if ({x} > best) {{",
        f"            best = {x};",
        f"            {y.array}[o] = k;",
        "        }",
        "}",
    )
    return y


@rule(ops.ShiftLeft)
def _shift_left(f: Function, v: Value, a: Elements, n: Elements) -> Elements:
    code = Code.of(v.type)
    return elementwise(f, v, lambda x, k: f"fx::shift_left<{code}, {code.width}>({x}, {k}.to_int())", a, n)


@rule(ops.Div)
def _div(f: Function, v: Value, a: Elements, b: Elements) -> Elements:
    wide = signed_for(a.code, b.code, Code.of(v.type), spare=1)
    return elementwise(f, v, lambda x, y: f"fx::divide<{wide}>({x}, {y})", a, b)


def common(*operands: Elements) -> Callable[[str], str]:
    """Operands brought to one type, so that no rule for mixed signs is needed."""
    codes = {e.code for e in operands}
    wide = signed_for(*codes)
    return lambda x: x if len(codes) == 1 else f"{wide}({x})"


@rule(ops.Min, ops.Max)
def _extreme(f: Function, v: Value, a: Elements, b: Elements) -> Elements:
    sign = "<" if isinstance(v.op, ops.Min) else ">"
    to, code = common(a, b), Code.of(v.type)
    # Both arms of ?: get the result's type; the arm not taken may wrap in it, the taken one fits.
    return elementwise(f, v, lambda x, y: f"{to(x)} {sign} {to(y)} ? {code}({x}) : {code}({y})", a, b)


_COMPARE = {"lt": "<", "le": "<=", "eq": "==", "ne": "!="}


@rule(ops.Compare)
def _compare(f: Function, v: Value, a: Elements, b: Elements) -> Elements:
    to, sign = common(a, b), _COMPARE[v.op.kind]  # type: ignore[attr-defined]
    return elementwise(f, v, lambda x, y: f"{to(x)} {sign} {to(y)} ? 1 : 0", a, b)


@rule(ops.Select)
def _select(f: Function, v: Value, c: Elements, a: Elements, b: Elements) -> Elements:
    code = Code.of(v.type)
    return elementwise(f, v, lambda s, x, y: f"{s} != 0 ? {code}({x}) : {code}({y})", c, a, b)


def channels(v: Value, axis: int | None) -> Array:
    """Per element of the operand, the row of the op's parameters that it uses."""
    shape = v.args[0].type.shape
    if axis is None:
        return np.zeros(shape, np.int64)
    axis %= len(shape)
    return np.broadcast_to(np.arange(shape[axis]).reshape((-1,) + (1,) * (len(shape) - 1 - axis)), shape)


@rule(ops.Table)
def _table(f: Function, v: Value, a: Elements) -> Elements:
    op: Any = v.op
    lo, hi = v.args[0].type.bounds
    rows = op.entries.array.reshape(-1, op.entries.shape[-1])[:, lo - op.base : hi - op.base + 1]
    entries = Code.holding(int(rows.min()), int(rows.max()))
    table = f.table(entries, rows.reshape(-1), "table")
    row = f.index((channels(v, op.axis) * rows.shape[1]).reshape(-1), "i")
    head = "" if row == "0" else f"{row} + "
    offset = "" if lo == 0 else f" - {Code.holding(lo, lo).literal(lo)}"

    def text(x: str) -> str:
        return f"{table}[{head}({x}{offset}).to_int()]" if offset else f"{table}[{head}{x}.to_int()]"

    return elementwise(f, v, text, a)


@rule(ops.Threshold)
def _threshold(f: Function, v: Value, a: Elements) -> Elements:
    op: Any = v.op
    lo, hi = v.args[0].type.bounds
    falling = op.falling.array.tolist()
    # Levels beyond the operand's range are met always or never: at its edges they are as narrow as it.
    levels = np.array(
        [
            [min(max(t, lo - f), hi + 1 - f) for t in row]
            for row, f in zip(op.levels.array.tolist(), falling, strict=True)
        ],
        object,
    )
    code = Code.holding(levels.min(), levels.max())
    table = f.table(code, levels.reshape(-1), "levels")
    rows, n = channels(v, op.axis).reshape(-1), levels.shape[1]
    row = f.index(rows * n, "i")
    level = f"{table}[k]" if row == "0" else f"{table}[{row} + k]"
    to = common(a, Elements(code, rows))
    x = to(f.read(a))
    if all(falling) or not any(falling):
        met = f"{x} {'<=' if any(falling) else '>='} {to(level)}"
    else:
        flag = f.read(f.constant(op.falling.array[rows], Code(1, False)))
        met = f"{flag} ? {x} <= {to(level)} : {x} >= {to(level)}"
    y = f.declare(v)
    f.loop(
        {"i": v.type.size},
        f"{y.array}[i] = 0;",
        f"for (int k = 0; k < {n}; k++)",
        f"    {y.array}[i] += ({met}) ? 1 : 0;",
    )
    return y


@rule(ops.LeadingOne)
def _leading_one(f: Function, v: Value, a: Elements) -> Elements:
    return elementwise(f, v, lambda x: f"fx::leading_one<{a.code.width}>({x})", a)


@rule(ops.And, ops.Or, ops.Xor)
def _bitwise(f: Function, v: Value, a: Elements, b: Elements) -> Elements:
    sign = {ops.And: "&", ops.Or: "|", ops.Xor: "^"}[type(v.op)]  # type: ignore[index]
    to = common(a, b)
    return elementwise(f, v, lambda x, y: f"{to(x)} {sign} {to(y)}", a, b)


@rule(ops.Not)
def _not(f: Function, v: Value, a: Elements) -> Elements:
    wide = signed_for(a.code)
    return elementwise(f, v, lambda x: f"~{x}" if a.code.signed else f"~{wide}({x})", a)


@rule(ops.Cast)
def _cast(f: Function, v: Value, a: Elements) -> Elements:
    """One loop per distinct (frac, width, sign): ap_fixed carries them in its type."""
    op: Any = v.op
    frac, width, signed = (p.reshape(-1) for p in op.parameters(v.type.shape))
    y, code = f.declare(v), Code.of(v.type)
    at = a.at.reshape(-1)
    kinds = sorted({t for t in zip(frac.tolist(), width.tolist(), signed.tolist(), strict=True)})
    for kind in kinds:
        to = np.flatnonzero((frac == kind[0]) & (width == kind[1]) & (signed == kind[2]))
        target = f"{y.array}[{f.index(to, 'i')}]"
        spread = op.result_frac - kind[0]
        text = cast_code(op, v.args[0].type.frac, a.code, *kind)(
            f.read(Elements(a.code, at[to], a.array, a.values))
        )
        if spread and kind[1]:
            text = f"{code}({text}) << {spread}"
        f.loop({"i": len(to)}, f"{target} = {text};")
    return y


@rule(ops.Accumulate)
def _accumulate(f: Function, v: Value, a: Elements) -> Elements:
    op: Any = v.op
    frac, fmt = v.args[0].type.frac, op.format
    _, outer, inner, x = reduced(f, v, a, (op.axis,))
    step, sum_frac = op.step(frac)
    terms = Code(a.code.width + sum_frac - frac, a.code.signed)
    carried = Code(fmt.width + sum_frac - fmt.frac, fmt.signed)
    total = Code(max(signed_for(terms).width, signed_for(carried).width) + 1, True)
    spread = sum_frac - fmt.frac

    def shifted(text: str, by: int) -> str:
        return f"({total}({text}) << {by})" if by else text

    acc = Code(fmt.width, fmt.signed)
    text = cast_code(step, sum_frac, total, fmt.frac, fmt.width, int(fmt.signed))
    y = f.declare(v)
    f.loop(
        {"o": outer},
        "{",
        f"    {acc} acc = 0;",
        f"    for (int k = 0; k < {inner}; k++) {{",
        f"        {total} sum = {shifted('acc', spread)} + {shifted(x, sum_frac - frac)};",
        f"        acc = {text('sum')};",
        "    }",
        f"    {y.array}[o] = acc;",
        "}",
    )
    return y


@rule(ops.Window, ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Pad)
def _place(f: Function, v: Value, a: Elements) -> Elements:
    """Wiring moves the index map; only padding needs a copy, with the fill code as one more element."""
    op: Any = v.op
    source = positions(a.at.shape)
    placed = np.asarray(op.place(source, a.at.ndim, -1))
    if not np.any(placed < 0):
        return Elements(a.code, a.at.reshape(-1)[placed], a.array, a.values)
    n = source.size
    lo, hi = v.args[0].type.bounds if n else (op.padding(), op.padding())
    code = Code.holding(min(lo, op.padding()), max(hi, op.padding()))
    y = f.declare(v, code, n + 1)
    if n:
        f.loop({"i": n}, f"{y.array}[i] = {f.read(a)};")
    f.line(f"{y.array}[{n}] = {op.padding()};")
    return Elements(code, np.where(placed < 0, n, placed), y.array)


@rule(ops.Concat)
def _concat(f: Function, v: Value, *parts: Elements) -> Elements:
    y = f.declare(v)
    axis = v.op.axis % v.type.ndim  # type: ignore[attr-defined]
    where = np.split(y.at, np.cumsum([p.at.shape[axis] for p in parts])[:-1], axis)
    for p, to in zip(parts, where, strict=True):
        if to.size:
            f.loop({"i": to.size}, f"{y.array}[{f.index(to.reshape(-1), 'i')}] = {f.read(p)};")
    return y
