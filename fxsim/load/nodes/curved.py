"""Functions of one code during loading: how they grow by arithmetic, and the quantizer that ends them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from fxsim import ops
from fxsim.graph import Node, Value
from fxsim.load.affine import Activation, Channels, Constant, Line, Symbol, channels, log2
from fxsim.load.curves import Rounding, quantized
from fxsim.load.loader import Loader
from fxsim.load.model import FileNode
from fxsim.load.steps import BIPOLAR
from fxsim.load.terms import Affine, Both, Curve, Number, Term, scaled
from fxsim.trace import Tensor

if TYPE_CHECKING:
    from fxsim.load.nodes.quant import Quantizer


def curve_of(x: Activation | Curve) -> Curve:
    """An activation as the simplest function of its own codes."""
    return x if isinstance(x, Curve) else Curve(x.tensor, tuple(Affine(li) for li in x.lines), x.axis)


def mapped(x: Curve, fn: Callable[..., Term], *parameters: Channels) -> Curve:
    """fn(term, *parameters) per channel; ValueError where parameters vary along different axes."""
    parameters = tuple(Channels(p.values[:1]) if len(set(p.values)) == 1 else p for p in parameters)
    axes = {a for a in (x.axis, *(p.axis for p in parameters)) if a is not None}
    if len(axes) > 1:
        raise ValueError(f"scales must vary along one axis, not along axes {sorted(axes)} at once")
    axis = axes.pop() if axes else None
    n = 1 if axis is None else x.shape[axis]
    columns = [v if len(v) == n else v * n for v in (x.terms, *(p.values for p in parameters))]
    return Curve(x.tensor, tuple(fn(*row) for row in zip(*columns, strict=True)), axis)


def combined(loader: Loader, node: FileNode, kind: str, a: Symbol | None, b: Symbol | None) -> Curve | None:
    """`a kind b` (add, sub, mul, div, max or min) as a function of one code, or None where it is none.

    It is one if an operand is a function already and the other a constant, or if both are functions of the
    same integers and one of them is no plain line: x * sigmoid(x), x * clip(x / 6 + 1/2, 0, 1).
    """
    if isinstance(a, Constant) and isinstance(b, Curve):
        return _with_constant(loader, node, kind, b, a, swapped=True)
    if isinstance(a, Curve) and isinstance(b, Constant):
        return _with_constant(loader, node, kind, a, b)
    if not isinstance(a, (Activation, Curve)) or not isinstance(b, (Activation, Curve)):
        return None
    if not any(isinstance(v, Curve) or v.clamped for v in (a, b)) and kind in ("add", "sub", "mul"):
        return None
    if a.shape != b.shape:
        return None
    pair = rooted(curve_of(a), curve_of(b))
    if pair is None:
        return None
    x, y = pair
    axes = {v.axis for v in (x, y)} - {None}
    if len(axes) > 1:
        return None
    axis = axes.pop() if axes else None
    n = max(len(x.terms), len(y.terms))
    rows = zip(x.terms * (n // len(x.terms)), y.terms * (n // len(y.terms)), strict=True)
    return Curve(x.tensor, tuple(_joined(kind, p, q) for p, q in rows), axis)


def _with_constant(
    loader: Loader, node: FileNode, kind: str, x: Curve, constant: Constant, swapped: bool = False
) -> Curve:
    values = channels(constant.fractions(), x.shape)

    def join(term: Term, value: Fraction) -> Term:
        if kind == "mul" or (kind == "div" and not swapped):
            if kind == "div" and value == 0:
                raise loader.error(node, "divides by 0", "correct the constant")
            return scaled(term, value if kind == "mul" else 1 / value)
        if kind in ("add", "sub"):
            sign = -1 if kind == "sub" else 1
            return scaled(term, Fraction(sign), value) if swapped else scaled(term, Fraction(1), sign * value)
        number = Number.of(value)
        return _joined(kind, number, term) if swapped else _joined(kind, term, number)

    return mapped(x, join, values)


def _joined(kind: str, a: Term, b: Term) -> Term:
    from fxsim.load.functions import Apply

    if kind == "sub":
        return Both("add", a, scaled(b, Fraction(-1)))
    if kind == "div":
        return Both("mul", a, Apply("reciprocal", b))
    return Both(kind, a, b)


def rooted(a: Curve, b: Curve) -> tuple[Curve, Curve] | None:
    """Both as functions of one tensor: their own, or one from which lines and clamps lead to theirs."""
    chains = [_roots(v.tensor) for v in (a, b)]
    for node, (tensor, to_a) in chains[0].items():
        if node in chains[1]:
            to_b = chains[1][node][1]
            return _rebased(a, tensor, to_a), _rebased(b, tensor, to_b)
    return None


def _rebased(x: Curve, tensor: Tensor, line: Line) -> Curve:
    return x if x.tensor.node is tensor.node else Curve(tensor, tuple(t.after(line) for t in x.terms), x.axis)


def _roots(x: Tensor) -> dict[Node, tuple[Tensor, Line]]:
    """{node: (its tensor, the line over its value that x is)}: x itself, and what is before its lines."""
    line, found = Line(), {x.node: (x, Line())}
    node = x.node
    while isinstance(node, Value):
        step = _step(node)
        if step is None:
            break
        node, own = step
        # x = line(own(value of node)): the clamps of `line` are on the result of `own`.
        line = own.clip(line.low, line.high).then(line.scale, line.offset)
        found[node] = (Tensor(x.builder, node), line)
    return found


def _step(node: Value) -> tuple[Node, Line] | None:
    """(operand, line) of an op that is a line or a clamp by one number of its operand's value."""
    op = node.op
    if isinstance(op, ops.Shift):
        return node.args[0], Line()
    if isinstance(op, ops.Scale):
        return node.args[0], Line(Fraction(2) ** op.power)
    if isinstance(op, ops.Neg):
        return node.args[0], Line(Fraction(-1))
    if isinstance(op, (ops.Add, ops.Sub, ops.Max, ops.Min)) and node.type.shape == node.args[0].type.shape:
        t = node.args[1].type
        lo, hi = t.bounds
        if lo == hi and t.size:
            value = lo * Fraction(2) ** -t.frac
            if isinstance(op, ops.Max):
                return node.args[0], Line().clip(value, None)
            if isinstance(op, ops.Min):
                return node.args[0], Line().clip(None, value)
            return node.args[0], Line(Fraction(1), value if isinstance(op, ops.Add) else -value)
    return None


def curve_codes(loader: Loader, node: FileNode, x: Curve, q: Quantizer) -> Activation:
    """The quantizer's codes of every reachable integer; real = (code - zero) * scale."""
    scale, zero, low, high = (channels(a, x.shape) for a in (q.scale, q.zero, q.lo, q.hi))
    axes = {a for a in (x.axis, scale.axis, zero.axis, low.axis, high.axis) if a is not None}
    if len(axes) > 1:
        raise loader.error(node, "has scales and bit widths along different axes", "use one axis")
    y = mapped(x, lambda term, s, z: scaled(term, 1 / s, z), scale, zero)
    if q.ends[1] - q.ends[0] >= 1 << 16:
        raise loader.error(node, "has more than 16 bits behind a function", "use at most 16 bits")
    axis = axes.pop() if axes else None
    n = 1 if axis is None else x.shape[axis]
    terms = y.terms * (n // len(y.terms))
    ends = zip(*(v.values * (n // len(v.values)) for v in (low, high)), strict=True)
    mode = BIPOLAR if q.bipolar else q.rounding
    roundings = [Rounding(*((0, 1) if q.bipolar else (int(lo), int(hi))), mode) for lo, hi in ends]
    power = log2(scale.values[0]) if scale.axis is None and all(v == 0 for v in zero.values) else None
    name = loader.block_name(node)
    tensor = quantized(loader.builder, name, x.tensor, terms, axis, roundings, power or 0)
    if power is not None:
        return Activation(tensor)
    return Activation(tensor).map(lambda line, s, z: line.then(s, -z * s), scale, zero)
