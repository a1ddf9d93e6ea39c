"""Handlers that join tensors: sums of two branches on a common grid, Concat, and Pad with a code."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray, to_object
from fxsim.load.affine import Activation, Channels, Constant, Line, RealInput, Symbol, log2
from fxsim.load.limits import MAX_ACTIVATIONS, check_elements
from fxsim.load.loader import Loader, handles, static
from fxsim.load.model import FileNode
from fxsim.load.nodes.curved import combined
from fxsim.load.nodes.dense import biased, scaled
from fxsim.load.nodes.elements import per_element
from fxsim.load.sums import Sum
from fxsim.trace import Tensor, concat

# Branches of unequal scales are aligned by integer factors of at most this many bits: exact whatever comes
# behind, and dead hardware where a quantizer does, which is certified on the branches themselves.
ALIGN_BITS = 256
PAD_MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


@handles("Add", "Sub")
def add(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Sum or difference with a constant, or of two activations on a grid that holds both."""
    curve = combined(loader, node, node.op.lower(), *operands)
    if curve is not None:
        return curve
    return summed(loader, node, Fraction(1 if node.op == "Add" else -1), *operands)


def summed(loader: Loader, node: FileNode, sign: Fraction, a: Symbol | None, b: Symbol | None) -> Activation:
    """a + sign * b; one of them may be a constant."""
    a, b = per_element(loader, node, a, b), per_element(loader, node, b, a)
    if isinstance(b, Constant):
        return biased(loader.activation(node, a), b, sign)
    if isinstance(a, Constant):
        return biased(scaled(loader.activation(node, b), Channels((sign,))), a, Fraction(1))
    x, y = (loader.materialised(node, loader.activation(node, v)) for v in (a, b))
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        shape = ()
    if shape not in (x.shape, y.shape):
        raise loader.error(node, f"broadcasts {x.shape} with {y.shape}", "give both branches one shape")
    x, y = (lifted(v, len(shape)) for v in (x, y))
    axes = {v.axis for v in (x, y)} - {None}
    if len(axes) > 1:
        raise loader.error(
            node, "adds branches whose scales vary along different axes", "use one scale per tensor"
        )
    axis = axes.pop() if axes else None
    if any(v.axis is not None and v.shape[v.axis] != shape[v.axis] for v in (x, y)):
        raise loader.error(node, "broadcasts along its channels", "give both branches one shape")
    n = 1 if axis is None else shape[axis]
    pairs = list(zip(x.lines * (n // len(x.lines)), y.lines * (n // len(y.lines)), strict=True))
    grids = [grid(p.scale, q.scale) for p, q in pairs]
    if any(max(abs(f).bit_length() for f in row[1:]) > ALIGN_BITS for row in grids):
        raise loader.error(
            node, f"adds codes of unequal scales, whose common grid is finer than 2**-{ALIGN_BITS} of them",
            "share one quantizer, or use power-of-two scales, on both branches",
        )  # fmt: skip
    s = times(x.tensor, [row[1] for row in grids], axis)
    t = times(y.tensor, [row[2] for row in grids], axis)
    lines = tuple(Line(row[0], p.offset + sign * q.offset) for row, (p, q) in zip(grids, pairs, strict=True))
    result = Activation(s + t if sign > 0 else s - t, lines, axis)
    # A unit that is a power of two stays a scale if the factors are none, so that a ReLU stays a clamp and
    # the quantizer behind it finds the branches.
    if all(log2(Fraction(abs(f))) is not None for row in grids for f in row[1:]):
        result = result.settled()
    recorded(loader, result, (x, y), sign)
    return result


def recorded(
    loader: Loader, result: Activation, parts: tuple[Activation, Activation], sign: Fraction
) -> None:
    """Note for a quantizer that the tensor is a sum, and of what; sums of sums are one."""
    n = max(len(v.lines) for v in (result, *parts))
    units = [li.scale for li in result.lines] * (n // len(result.lines))
    if not all(units):
        return
    terms: list[tuple[Tensor, tuple[Fraction, ...]]] = []
    for part, s in zip(parts, (Fraction(1), sign), strict=True):
        slopes = [s * li.scale / u for li, u in zip(part.lines * (n // len(part.lines)), units, strict=True)]
        known = loader.sums.get(part.tensor.node)
        inner = (
            [(part.tensor, (Fraction(1),))]
            if known is None
            else list(zip(known.terms, known.coefficients, strict=True))
        )
        for tensor, own in inner:
            wide = own * (n // len(own)) if len(own) in (1, n) else ()
            if not wide:
                return
            terms.append((tensor, tuple(a * b for a, b in zip(slopes, wide, strict=True))))
    axis = next((v.axis for v in (result, *parts) if v.axis is not None), None)
    loader.sums[result.tensor.node] = Sum(tuple(t for t, _ in terms), tuple(c for _, c in terms), axis)


def lifted(x: Activation, rank: int) -> Activation:
    """x with leading axes of size 1, as NumPy broadcasts."""
    more = rank - len(x.shape)
    if not more:
        return x
    axis = None if x.axis is None else x.axis + more
    return Activation(x.tensor.reshape((1,) * more + x.shape), x.lines, axis)


def grid(a: Fraction, b: Fraction) -> tuple[Fraction, int, int]:
    """(u, m, n) with a = m * u, b = n * u: the coarsest unit of which both are multiples."""
    if a == b:
        return a, 1, 1
    common = lcm(a.denominator, b.denominator)
    m, n = int(a * common), int(b * common)
    unit = gcd(m, n)
    return Fraction(unit, common), m // unit, n // unit


def times(x: Tensor, factors: list[int], axis: int | None) -> Tensor:
    """x times an integer per index of `axis`; one power of two for all moves the point."""
    if len(set(factors)) == 1:
        power = log2(Fraction(factors[0]))
        if power is not None:
            return x << power
        factors, axis = factors[:1], None
    return x * x.builder.apply(ops.Const(IntArray(column(factors, len(x.shape), axis))))


def column(values: list[int], rank: int, axis: int | None) -> Array:
    """One integer per channel, shaped to broadcast."""
    a = to_object(np.array(values, object))
    return a.reshape(()) if axis is None else a.reshape((-1,) + (1,) * (rank - 1 - axis))


@handles("Concat")
def concatenated(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Activations one after another; their scales may differ if each has one, and become scales along the
    axis."""
    parts = [loader.activation(node, o, f"operand {i}") for i, o in enumerate(operands)]
    return concatenated_parts(loader, node, parts)


def concatenated_parts(loader: Loader, node: FileNode, parts: list[Activation]) -> Activation:
    """The parts along the node's axis."""
    rank = len(parts[0].shape) + 1
    axis = int(node.get("axis", 1)) % rank - 1
    if axis < 0:
        raise loader.error(node, "joins along the batch axis", "join along another axis")
    for p in parts:
        ok = len(p.shape) == rank - 1 and all(
            p.shape[i] == n for i, n in enumerate(parts[0].shape) if i != axis
        )
        if not ok:
            raise loader.error(node, f"joins shapes {[p.shape for p in parts]}", "make them equal elsewhere")
    with loader.builder.block("concat", loader.block_name(node), [p.tensor for p in parts]) as outputs:
        outputs.append(concat([p.tensor for p in parts], axis))
    if all((p.lines, p.axis) == (parts[0].lines, parts[0].axis) and p.axis != axis for p in parts):
        return Activation(outputs[0], parts[0].lines, parts[0].axis)
    if any(p.axis not in (None, axis) for p in parts):
        raise loader.error(
            node, "joins tensors whose scales vary along another axis than the joined one",
            "use one scale per tensor",
        )  # fmt: skip
    lines = tuple(li for p in parts for li in p.lines * (1 if p.axis == axis else p.shape[axis]))
    return Activation(outputs[0], lines, axis)


@handles("Pad")
def pad(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Modes constant, edge, reflect and wrap with constant pads; the constant must be a code."""
    if isinstance(operands[0], RealInput):
        raise loader.error(
            node, "pads the real input before its quantizer", "pad behind the quantizer, or pass input=Format"
        )
    x = loader.activation(node, operands[0])
    before, after = amounts(loader, node, operands, len(x.shape) + 1)
    mode = str(node.get("mode", "constant"))
    if mode not in PAD_MODES:
        raise loader.error(node, f"has the mode {mode!r}", f"use one of {', '.join(PAD_MODES)}")
    if mode != "constant":
        out: Symbol = x
        for axis, (b, e) in enumerate(zip(before, after, strict=True)):
            if b or e:
                index = np.pad(np.arange(x.shape[axis]), (b, e), mode=PAD_MODES[mode])  # type: ignore[call-overload]
                out = loader.wired(node, out, ops.Gather(IntArray(index), axis))
        return out
    value = Fraction(0)
    if len(operands) > 2 and operands[2] is not None:
        value = loader.constant(node, operands[2], "padding value").fractions().ravel()[0]
    elif node.get("value"):
        value = Fraction(float(node.get("value")))
    x, fill = with_code(loader, node, loader.materialised(node, x), value)
    if x.axis is not None and (before[x.axis] or after[x.axis]):
        raise loader.error(
            node, "pads the axis along which its scales vary", "use one scale per tensor before it"
        )
    op = ops.Pad(before, after, fill)
    return Activation(loader.builder.apply(op, x.tensor), x.lines, x.axis)


def amounts(
    loader: Loader, node: FileNode, operands: list[Any], rank: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(before, after) without the batch axis, from the attribute (opset < 11) or the inputs."""
    both = node.get("pads")
    if len(operands) > 1 and operands[1] is not None:
        both = static(loader.constant(node, operands[1], "list of pads").values)
    axes = list(range(rank))
    if len(operands) > 3 and operands[3] is not None:
        axes = [a % rank for a in static(loader.constant(node, operands[3], "list of axes").values)]
    if both is None or len(both) != 2 * len(axes) or any(p < 0 for p in both):
        raise loader.error(
            node, f"has pads {both}", f"give {2 * len(axes)} integers that are not negative; Slice crops"
        )
    check_elements(f"the padding of {node}", [p + 1 for p in both], MAX_ACTIVATIONS)
    before, after = [0] * rank, [0] * rank
    for i, a in enumerate(axes):
        before[a], after[a] = both[i], both[i + len(axes)]
    if before[0] or after[0]:
        raise loader.error(node, "pads the batch axis", "pad the other axes only")
    return tuple(before[1:]), tuple(after[1:])


def with_code(loader: Loader, node: FileNode, x: Activation, value: Fraction) -> tuple[Activation, int]:
    """(x, raw code of the real `value`); where channels have different ones, they are shifted to code 0.

    ValueError where the value is no code of some channel, so that padding with it is not defined exactly.
    """
    unit = Fraction(2) ** x.tensor.frac
    found = []
    for line in x.lines:
        code = (value - line.offset) / line.scale * unit if line.scale else None
        if code is None and line.offset == value:
            code = Fraction(0)
        if code is None or code.denominator != 1:
            raise loader.error(
                node, f"pads with {float(value):g}, which is no code of its input",
                "put a Quant node that has this value right before it",
            )  # fmt: skip
        found.append(int(code))
    if len(set(found)) == 1:
        return x, found[0]
    shift = ops.Const(IntArray(column(found, len(x.shape), x.axis)), x.tensor.frac)
    lines = tuple(Line(li.scale, value) for li in x.lines)
    return Activation(x.tensor - x.tensor.builder.apply(shift), lines, x.axis), 0
