"""The cost reading: an estimate of LUTs, adders and depth per value, block and graph, without synthesis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Overflow, Rounding
from fxsim.graph import Block, Graph, Interpreter, Node, Value
from fxsim.integers import Array, to_object
from fxsim.ranges import ZERO_STRIDE, Range
from fxsim.types import TensorType

# Depth in adders of what is not an adder.
COMPARE, CHOOSE, GATE = 1.0, 0.5, 0.25


@dataclass(frozen=True)
class Cost:
    """6-input LUTs and two-input adders of a value alone; depth, in adders, of its path from the inputs.

    A comparison is 1 deep, a 2:1 choice 1/2, a gate 1/4. Registers are not counted.
    """

    luts: int = 0
    adders: int = 0
    depth: float = 0.0

    def __str__(self) -> str:
        return f"{self.luts} LUT, {self.adders} adders, depth {self.depth:g}"


@dataclass(frozen=True)
class BlockCost:
    """What all values inside one outermost block cost (kind and name "" for those in none)."""

    kind: str
    name: str
    cost: Cost


@dataclass(frozen=True)
class Summary:
    """The cost of a graph: one row per outermost block, and all of it."""

    blocks: tuple[BlockCost, ...]
    total: Cost

    def __str__(self) -> str:
        rows = [("block", "LUT", "adders", "depth")]
        for b in self.blocks:
            rows.append((f"{b.kind} {b.name}".strip() or "(outside)", *_cells(b.cost)))
        rows.append(("total", *_cells(self.total)))
        widths = [max(len(r[i]) for r in rows) for i in range(4)]
        lines = [
            "  ".join([r[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(r[1:], widths[1:], strict=True))])
            for r in rows
        ]
        return "\n".join(lines)


def _cells(c: Cost) -> tuple[str, str, str]:
    return str(c.luts), str(c.adders), f"{c.depth:g}"


# rule(None, node, *operand costs) -> Cost of the node alone, with the depth of its path.
cost_rules: Interpreter[Cost] = Interpreter("cost_rules")


def cost(graph: Graph) -> Summary:
    """Estimated cost of the unrolled hardware, from types and parameters alone.

    Constant matrix products are counted by their signed digits, with nothing shared between results: a
    shift-add graph needs about half of that.
    """
    env = cost_rules.fold(graph, [Cost()] * len(graph.inputs))
    rows: dict[int, list[Node]] = {}
    outer = [(i, b) for i, b in enumerate(graph.blocks) if b.parent is None]
    for i, v in enumerate(graph.values):
        home = next((k for k, b in outer if b.start <= i < b.stop), -1)
        if v in env and isinstance(v, Value):
            rows.setdefault(home, []).append(v)
    blocks = []
    for k, members in rows.items():
        block: Block | None = graph.blocks[k] if k >= 0 else None
        kind, name = (block.kind, block.name) if block else ("", "")
        blocks.append(BlockCost(kind, name, _total([env[v] for v in members])))
    total = _total([c for v, c in env.items() if isinstance(v, Value)])
    depth = max((env[o].depth for o in graph.outputs), default=0.0)
    return Summary(tuple(blocks), Cost(total.luts, total.adders, depth))


def _total(costs: list[Cost]) -> Cost:
    return Cost(
        sum(c.luts for c in costs), sum(c.adders for c in costs), max((c.depth for c in costs), default=0.0)
    )


def _after(operands: tuple[Cost, ...], luts: Any, adders: Any, depth: float) -> Cost:
    """The node's own cost, summed over its elements, `depth` behind its latest operand."""
    start = max((c.depth for c in operands), default=0.0)
    return Cost(int(np.ceil(np.sum(luts))), int(np.sum(adders)), start + depth)


def _live(t: TensorType) -> Array:
    """1 where an element varies; constants are literals and cost nothing."""
    return (~t.is_constant).astype(np.int64)


def _bits(t: TensorType) -> Array:
    """Per element: the wires that vary, without the low zero bits that the stride proves."""
    return np.where(t.is_constant, 0, t.width - np.where(t.stride == ZERO_STRIDE, 0, t.stride))


def _free(operands: tuple[Cost, ...]) -> Cost:
    return _after(operands, 0, 0, 0.0)


@cost_rules.rule(
    ops.Const, ops.Shift, ops.Scale, ops.Window, ops.Reshape, ops.Transpose, ops.Slice, ops.Concat,
    ops.Gather, ops.Pad,
)  # fmt: skip
def _wires(_: Any, v: Value, *operands: Cost) -> Cost:
    """Wiring and literals."""
    return _free(operands)


@cost_rules.rule(ops.Not)
def _not(_: Any, v: Value, a: Cost) -> Cost:
    """Inverters are absorbed by the LUTs that read them."""
    return _free((a,))


@cost_rules.rule(ops.Add, ops.Sub)
def _add(_: Any, v: Value, a: Cost, b: Cost) -> Cost:
    """One LUT per result bit above the coarser operand's zero bits, where the other's bits just pass."""
    x, y = (
        np.broadcast_to(np.minimum(t.stride, 1 << 12), v.type.shape) for t in (v.args[0].type, v.args[1].type)
    )
    zero = [
        np.broadcast_to(t.is_constant & (t.lo == 0), v.type.shape) for t in (v.args[0].type, v.args[1].type)
    ]
    # -b has all its bits from b's own lowest up, so in a - b only b's zero bits pass a through.
    is_sub = isinstance(v.op, ops.Sub)
    passed = y if is_sub else np.maximum(x, y)
    trivial = zero[1] if is_sub else zero[0] | zero[1]
    live = _live(v.type) * ~trivial
    return _after((a, b), live * np.maximum(v.type.width - passed, 1), live, float(live.any()))


@cost_rules.rule(ops.Neg)
def _neg(_: Any, v: Value, a: Cost) -> Cost:
    """0 - a."""
    return _after((a,), _bits(v.type), _live(v.type), float(_live(v.type).any()))


def signed_digits(raw: Array) -> Array:
    """Per integer, its nonzero digits in the sparsest form with digits -1, 0, 1 (canonical signed digits)."""
    flat = [((3 * abs(int(n))) ^ abs(int(n))).bit_count() for n in to_object(raw).ravel()]
    return np.array(flat, np.int64).reshape(np.shape(raw))


def _log2(n: int) -> int:
    return max(int(n) - 1, 0).bit_length()


@cost_rules.rule(ops.Mul)
def _mul(_: Any, v: Value, a: Cost, b: Cost) -> Cost:
    """By a constant of d signed digits: d - 1 adders of the operand's width + 1; else 9/4 LUT per bit pair.

    7-series synthesis: 119 * 8 bits 19 LUT (18 here), 8 x 8 bits 134 (144), 16 x 16 bits 614 (576).
    """
    shape = v.type.shape
    ra, rb = (n.type.range.broadcast(shape) for n in v.args)
    luts, adders, depth = _products(ra, rb, _wide(v.args[0], shape), _wide(v.args[1], shape))
    return _after((a, b), luts, adders, depth)


def _wide(n: Node, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(n.type.width, shape)


def _products(a: Range, b: Range, wa: Array, wb: Array) -> tuple[Array, Array, float]:
    """LUTs and adders of elementwise products, and the depth of the deepest."""
    known_a, known_b = a.lo == a.hi, b.lo == b.hi
    constant = np.where(known_a, signed_digits(a.lo), signed_digits(b.lo))
    negative = np.where(known_a, a.lo, b.lo) < 0
    # A constant of one negative digit still takes a negation.
    one = np.maximum(constant - 1, (constant == 1) & negative)
    varying = ~(known_a | known_b)
    least = np.minimum(wa, wb)
    adders = np.where(varying, np.maximum(least - 1, 0), np.where(known_a & known_b, 0, one))
    luts = np.where(varying, (9 * wa * wb + 3) // 4, adders * (np.where(known_a, wb, wa) + 1))
    terms = np.where(varying, least, np.maximum(constant, 1 + (adders > 0)))
    deepest = int(np.max(np.where(adders > 0, terms, 1), initial=1))
    return luts, adders, float(_log2(deepest))


@cost_rules.rule(ops.MatMul)
def _matmul(_: Any, v: Value, a: Cost, b: Cost) -> Cost:
    """Constant: per result, signed digits - 1 adders of the mean of operand and result width.

    Nothing is shared between results, so this bounds what a shift-add graph needs.
    """
    x, y = (n.type for n in v.args)
    left, right = (x.shape if x.ndim > 1 else (1, *x.shape)), (y.shape if y.ndim > 1 else (*y.shape, 1))
    lead = np.broadcast_shapes(left[:-2], right[:-2])
    shape = (*lead, left[-2], left[-1], right[-1])
    ra = Range(*(e.reshape(left)[..., :, :, None] for e in x.range)).broadcast(shape)
    rb = Range(*(e.reshape(right)[..., None, :, :] for e in y.range)).broadcast(shape)
    wa = np.broadcast_to(x.width.reshape(left)[..., :, :, None], shape)
    wb = np.broadcast_to(y.width.reshape(right)[..., None, :, :], shape)
    varying = ~((ra.lo == ra.hi) | (rb.lo == rb.hi))
    out = np.asarray(v.type.width).reshape(*lead, left[-2], right[-1])
    digits = np.where(ra.lo == ra.hi, signed_digits(ra.lo), signed_digits(rb.lo))
    both = (ra.lo == ra.hi) & (rb.lo == rb.hi)
    terms = np.where(varying, 1, np.where(both, 0, digits)).sum(axis=-2)
    sums = np.maximum(terms - 1, 0)
    width = (np.max(np.where(ra.lo == ra.hi, wb, wa), axis=-2, initial=0) + out + 1) // 2
    luts, adders, depth = _products(ra, rb, wa, wb)
    luts, adders = np.where(varying, luts, 0), np.where(varying, adders, 0)
    inner = depth if varying.any() else 0.0
    return _after(
        (a, b), luts.sum() + (sums * width).sum(), adders.sum() + sums.sum(),
        inner + _log2(int(np.max(terms, initial=1))),
    )  # fmt: skip


@cost_rules.rule(ops.Sum)
def _sum(_: Any, v: Value, a: Cost) -> Cost:
    """A balanced tree of n - 1 adders per result, of the mean width of operand and result."""
    n = (~v.args[0].type.is_constant).sum(axis=v.op.axes)  # type: ignore[attr-defined]
    adders = np.maximum(n - 1, 0)
    width = (v.args[0].type.max_width + v.type.width + 1) // 2
    return _after((a,), adders * width, adders, float(_log2(int(np.max(n, initial=1)))))


@cost_rules.rule(ops.ShiftLeft)
def _shift_left(_: Any, v: Value, a: Cost, n: Cost) -> Cost:
    """A 4:1 choice, one LUT, per result bit and two bits of the count."""
    count = v.args[1].type
    bits = np.where(count.is_constant, 0, count.width)
    return _after((a, n), v.type.width * ((bits + 1) // 2), 0, CHOOSE * int(np.max(bits, initial=0)))


@cost_rules.rule(ops.Div)
def _div(_: Any, v: Value, a: Cost, b: Cost) -> Cost:
    """Restoring: per quotient bit a subtraction of the divisor and a choice; signs by negations around it."""
    divisor = np.broadcast_to(v.args[1].type.width, v.type.shape)
    live, width = _live(v.type), v.type.width
    signs = np.broadcast_to(v.args[0].type.signed, v.type.shape).astype(np.int64)
    signs = signs + np.broadcast_to(v.args[1].type.signed, v.type.shape) + v.type.signed
    luts = live * (width * (divisor + 1) * 3 // 2 + signs * width)
    depth = (1 + CHOOSE) * int(np.max(live * width, initial=0)) + 2 * float((live * signs).any())
    return _after((a, b), luts, live * (width + signs), depth)


def _comparison(a: TensorType, b: TensorType, shape: tuple[int, ...]) -> Array:
    """LUTs of an order test: two bits of both operands per LUT; against 0 the sign bit tells."""
    width = np.maximum(np.broadcast_to(a.width, shape), np.broadcast_to(b.width, shape))
    zero = [np.broadcast_to(t.is_constant & (t.lo == 0), shape) for t in (a, b)]
    return np.where(zero[0] | zero[1], 0, (width + 1) // 2)


@cost_rules.rule(ops.Min, ops.Max)
def _lesser(_: Any, v: Value, a: Cost, b: Cost) -> Cost:
    """An order test and a 2:1 choice, two bits per LUT; against the constant 0 a gate per bit."""
    test = _comparison(v.args[0].type, v.args[1].type, v.type.shape)
    live = _live(v.type)
    depth = COMPARE + CHOOSE if test.any() else GATE
    return _after((a, b), live * (test + (v.type.width + 1) // 2), 0, depth * float(live.any()))


@cost_rules.rule(ops.ReduceMin, ops.ReduceMax)
def _reduce(_: Any, v: Value, a: Cost) -> Cost:
    """A balanced tree of n - 1 order tests and choices."""
    x = v.args[0].type
    n = x.shape[v.op.axis]  # type: ignore[attr-defined]
    pair = 2 * ((x.max_width + 1) // 2)
    return _after((a,), _live(v.type) * (n - 1) * pair, 0, (COMPARE + CHOOSE) * _log2(n))


@cost_rules.rule(ops.ArgMax)
def _argmax(_: Any, v: Value, a: Cost) -> Cost:
    """As ReduceMax, with a choice of the index beside that of the value."""
    x = v.args[0].type
    n = x.shape[v.op.axis]  # type: ignore[attr-defined]
    pair = 2 * ((x.max_width + 1) // 2) + (_log2(n) + 1) // 2
    return _after((a,), _live(v.type) * (n - 1) * pair, 0, (COMPARE + CHOOSE) * _log2(n))


@cost_rules.rule(ops.Compare)
def _compare(_: Any, v: Value, a: Cost, b: Cost) -> Cost:
    """Order: two bits of both operands per LUT. Equality: three."""
    luts = _comparison(v.args[0].type, v.args[1].type, v.type.shape)
    if v.op.kind in ("eq", "ne"):  # type: ignore[attr-defined]
        width = np.maximum(*(np.broadcast_to(n.type.width, v.type.shape) for n in v.args))
        luts = (width + 2) // 3
    return _after((a, b), _live(v.type) * luts, 0, COMPARE * float(_live(v.type).any()))


@cost_rules.rule(ops.Select)
def _select(_: Any, v: Value, c: Cost, a: Cost, b: Cost) -> Cost:
    """Two bits per LUT, nothing where the condition is known."""
    decided = np.broadcast_to(v.args[0].type.is_constant, v.type.shape)
    live = _live(v.type) * ~decided
    return _after((c, a, b), live * ((v.type.width + 1) // 2), 0, CHOOSE * float(live.any()))


def _rom(entries: int, width: Any) -> Any:
    """LUTs of a table: one output bit of 64 entries per LUT, two of 32."""
    bits = _log2(entries)
    return width * (1 << (bits - 6)) if bits >= 6 else (width + 1) // 2


@cost_rules.rule(ops.Table)
def _table(_: Any, v: Value, a: Cost) -> Cost:
    """One LUT per result bit and 64 reachable codes."""
    x = v.args[0].type
    lo, hi = x.bounds
    entries = hi - lo + 1
    live = _live(v.type)
    return _after(
        (a,), live * _rom(entries, v.type.width), 0, GATE * max(1, _log2(entries) - 5) * float(live.any())
    )


@cost_rules.rule(ops.Threshold)
def _threshold(_: Any, v: Value, a: Cost) -> Cost:
    """The cheaper of n comparators with a count, and a binary search with a ROM of levels."""
    op: Any = v.op
    width, n = np.asarray(v.args[0].type.width), int(op.levels.shape[1])
    bits = n.bit_length()
    flash = n * ((width + 1) // 2) + n
    search = sum(((width + 1) // 2) + (_rom(1 << k, width) if k else 0) for k in range(bits))
    live = _live(v.type)
    is_flash = bool(np.sum(live * flash) <= np.sum(live * search))
    depth = COMPARE + GATE * bits if is_flash else (COMPARE + GATE) * bits
    return _after((a,), live * (flash if is_flash else search), 0, depth * float(live.any()))


@cost_rules.rule(ops.LeadingOne)
def _leading_one(_: Any, v: Value, a: Cost) -> Cost:
    """About one LUT per operand bit, in a tree."""
    width = v.args[0].type.width
    return _after((a,), _live(v.type) * width, 0, GATE * _log2(int(np.max(width, initial=1))))


@cost_rules.rule(ops.And, ops.Or, ops.Xor)
def _gates(_: Any, v: Value, a: Cost, b: Cost) -> Cost:
    """Two gates per LUT; a constant operand is absorbed."""
    known = [np.broadcast_to(n.type.is_constant, v.type.shape) for n in v.args]
    live = _live(v.type) * ~(known[0] | known[1])
    return _after((a, b), live * ((v.type.width + 1) // 2), 0, GATE * float(live.any()))


@cost_rules.rule(ops.Cast)
def _cast(_: Any, v: Value, a: Cost) -> Cost:
    """Rounding: an incrementer of the result's width; saturation: a LUT per result bit and per 5 bits tested.

    32 bits, 8 of them rounded off, saturated to 8: 20 LUT (19 in 7-series synthesis).
    """
    luts, adders, depth = cast_parts(v.op, v.args[0].type)  # type: ignore[arg-type]
    return _after((a,), luts, adders, depth)


def cast_parts(op: ops.Cast, a: TensorType) -> tuple[Array, Array, float]:
    """LUTs and adders per element, and the depth of the deepest, of a cast of `a`."""
    frac, width, signed = op.parameters(a.shape)
    dropped = np.maximum(a.frac - frac, 0)
    rest = np.where(a.is_constant | (a.stride >= dropped), 0, dropped)  # bits that are not known to be 0
    rounds = (rest > 0) & (op.rounding is not Rounding.TRN) & (width > 0)
    left = np.maximum(a.width - dropped, 1) + rounds
    kept = np.minimum(left, width)
    adders = rounds.astype(np.int64)
    # A tie or a sign decides the last bit: 6 of the dropped bits per LUT.
    tie = 0 if op.rounding is Rounding.RND else (rest + 5) // 6
    luts = np.where(rounds, kept + tie, 0)
    spare = left - width + np.where(signed == a.signed, 0, 1)
    tests = (spare > 0) & (width > 0) & ~a.is_constant
    tested = op.overflow is not Overflow.WRAP or op.n > 0
    luts = luts + np.where(tests & tested, width + (spare + 5) // 5, 0)
    depth = float(rounds.any()) + (CHOOSE if tested and tests.any() else 0.0)
    return luts, adders, depth


@cost_rules.rule(ops.Accumulate)
def _accumulate(_: Any, v: Value, a: Cost) -> Cost:
    """Per term an adder and a cast, one after another."""
    op: Any = v.op
    x = v.args[0].type
    n = x.shape[op.axis]
    step, sum_frac = op.step(x.frac)
    total = TensorType.of(op.format, v.type.shape)
    wide = max(op.format.width + sum_frac - op.format.frac, x.max_width + sum_frac - x.frac) + 1
    ends = to_object(np.full(v.type.shape, 1 << (wide - 1), object))
    luts, adders, depth = cast_parts(step, TensorType(total.shape, sum_frac, -ends, ends - 1))
    return _after((a,), n * (luts + wide), n * (adders + 1), n * (1 + depth))


__all__ = ["BlockCost", "Cost", "Summary", "cost", "cost_rules", "signed_digits"]
