"""ADD, SUB, MUL, MAXIMUM and MINIMUM of codes, with broadcasting and constants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray
from fxsim.load.tflite.activations import ALL
from fxsim.load.tflite.clip import fused
from fxsim.load.tflite.flatfile import FileOp
from fxsim.load.tflite.gemmlowp import multiply, quantize_multiplier
from fxsim.load.tflite.loader import Loader, handles
from fxsim.load.tflite.rescale import rescale
from fxsim.load.tflite.rounding import Multiplier
from fxsim.load.tflite.symbols import CODES, Codes, Fixed, Quant, Symbol
from fxsim.trace import Tensor, maximum, minimum

LEFT = 20  # bits by which the runtime raises both operands before it scales them


@handles("ADD", "SUB")
def add(loader: Loader, op: FileOp) -> Symbol:
    """Both operands to half the greater scale with 20 bits more, then one sum and one rescale.

    The first step is a function of one code: a table, or constants.
    """
    if folded(loader, op):
        a, b = (loader.fixed(op, i, "operand") for i in (0, 1))
        return Fixed(a + b if op.op == "ADD" else a - b)
    q = [loader.quant(loader.tensor(op, i).index, str(op)) for i in (0, 1)]
    out, twice = loader.result(op), 2 * max(q[0].real, q[1].real)
    real = twice / ((1 << LEFT) * out.real)
    m, e = quantize_multiplier(real)
    if not m or e > 7:
        raise loader.error(op, f"has an output factor of {real:.6g}", "calibrate its scales again")
    factors = [quantize_multiplier(k.real / twice) for k in q]

    def raised(i: int) -> Callable[[Array], Array]:
        return lambda v: multiply((v - q[i].zero) << LEFT, *factors[i])

    tensors, lead = pair(loader, op)
    with loader.builder.block(op.op.lower(), loader.block_name(op.short), varying(tensors)) as outputs:
        first, second = (mapped(loader, t, raised(i), "raise") for i, t in enumerate(tensors))
        outputs.append(first + second if op.op == "ADD" else first - second)
    return finished(loader, op, Codes(outputs[0], lead), Multiplier(m, e), out)


@handles("MUL")
def mul(loader: Loader, op: FileOp) -> Symbol:
    """The product of the codes without their zero points, then one rescale."""
    if folded(loader, op):
        return Fixed(loader.fixed(op, 0, "operand") * loader.fixed(op, 1, "operand"))
    q = [loader.quant(loader.tensor(op, i).index, str(op)) for i in (0, 1)]
    out = loader.result(op)
    rule = Multiplier.of(float(q[0].scale * q[1].scale / out.scale))
    tensors, lead = pair(loader, op)
    with loader.builder.block("mul", loader.block_name(op.short), varying(tensors)) as outputs:
        a, b = (
            loader.builder.apply(ops.Const(IntArray(t - k.zero))) if isinstance(t, np.ndarray)
            else t - k.zero if k.zero else t
            for t, k in zip(tensors, q, strict=True)
        )  # fmt: skip
        outputs.append(a * b)
    return finished(loader, op, Codes(outputs[0], lead), rule, out)


@handles("MAXIMUM", "MINIMUM")
def extremum(loader: Loader, op: FileOp) -> Symbol:
    """Of the codes as they are: the runtime assumes one scale and zero point."""
    q = [loader.quant(loader.tensor(op, i).index, str(op)) for i in (0, 1)]
    if q[0] != q[1]:
        raise loader.error(
            op,
            f"compares codes of scales {q[0].real:.6g} and {q[1].real:.6g}",
            "quantize both operands alike",
        )
    tensors, lead = pair(loader, op)
    join = maximum if op.op == "MAXIMUM" else minimum
    with loader.builder.block(op.op.lower(), loader.block_name(op.short), varying(tensors)) as outputs:
        a, b = (
            loader.builder.apply(ops.Const(IntArray(t))) if isinstance(t, np.ndarray) else t for t in tensors
        )
        outputs.append(join(a, b))
    return Codes(outputs[0], lead)


def folded(loader: Loader, op: FileOp) -> bool:
    """Are both operands constants (shape arithmetic)?"""
    both = [loader.symbols[loader.tensor(op, i).index] for i in (0, 1)]
    return all(isinstance(s, Fixed) and s.values.dtype in (np.int32, np.int64) for s in both)


def pair(loader: Loader, op: FileOp) -> tuple[list[Tensor | Array], bool]:
    """Both operands without the batch axis, constants as arrays, and whether the result has one.

    Axis 0 of the result is the batch where every operand of the greatest rank has the batch (or, in a
    constant, one row for all samples) there.
    """
    symbols = [loader.symbols[loader.tensor(op, i).index] for i in (0, 1)]
    operands = [s.values if isinstance(s, Fixed) else loader.codes(op, i) for i, s in enumerate(symbols)]
    known = [c for c in operands if isinstance(c, Codes)]
    if not known:
        raise loader.error(op, "has constants only", "fold it before conversion")
    shapes = [loader.shape(c) if isinstance(c, Codes) else c.shape for c in operands]
    rank = max(len(s) for s in shapes)
    top = [c for c, s in zip(operands, shapes, strict=True) if len(s) == rank]
    lead = all(c.lead if isinstance(c, Codes) else c.shape[0] == 1 for c in top) and any(
        c.lead for c in known
    )
    if loader.batch > 1 and not (lead and all(len(loader.shape(c)) == rank for c in known)):
        raise loader.error(
            op, f"joins shapes {shapes[0]} and {shapes[1]} over the batch axis", "give them equal ranks"
        )
    out: list[Tensor | Array] = []
    for c, s in zip(operands, shapes, strict=True):
        if isinstance(c, Codes):
            out.append(c.tensor)
        else:
            values = c.astype(np.int64)
            out.append(values[0] if lead and len(s) == rank else values)
    try:
        joined = np.broadcast_shapes(*(t.shape for t in out))
    except ValueError:
        raise loader.error(op, f"joins shapes {shapes[0]} and {shapes[1]}", "they must broadcast") from None
    loader.room(op, *joined)
    return out, lead


def varying(tensors: list[Tensor | Array]) -> list[Tensor]:
    """The operands that are no constants."""
    return [t for t in tensors if isinstance(t, Tensor)]


def mapped(loader: Loader, t: Tensor | Array, f: Callable[[Array], Array], name: str) -> Tensor:
    """f of codes: a table, or the constants that it gives."""
    if isinstance(t, Tensor):
        return loader.builder.apply(ops.Table(IntArray(f(ALL)), CODES[0], function=name), t)
    return loader.builder.apply(ops.Const(IntArray(f(t))))


def finished(loader: Loader, op: FileOp, acc: Codes, rule: Multiplier, out: Quant) -> Codes:
    """The codes of the result, clamped by the fused activation."""
    y = rescale(
        loader.builder, loader.block_name(f"{op.short}_rescale"), acc.tensor, [rule], None, out.zero,
        fused(loader, op), loader.rescale,
    )  # fmt: skip
    return Codes(y, acc.lead)
