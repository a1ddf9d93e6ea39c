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
    """Both operands without the batch axis, constants as arrays, and whether the result has one."""
    symbols = [loader.symbols[loader.tensor(op, i).index] for i in (0, 1)]
    codes = [loader.codes(op, i) if not isinstance(s, Fixed) else None for i, s in enumerate(symbols)]
    known = [c for c in codes if c is not None]
    if not known:
        raise loader.error(op, "has constants only", "fold it before conversion")
    lead = any(c.lead for c in known)
    rank = max(len(loader.shape(c)) for c in known)
    if loader.batch > 1 and any(len(loader.shape(c)) != rank for c in known):
        raise loader.error(op, "broadcasts over the batch axis", "give its operands equal ranks")
    out: list[Tensor | Array] = []
    for s, c in zip(symbols, codes, strict=True):
        if c is not None:
            out.append(c.tensor)
            continue
        assert isinstance(s, Fixed)
        values = s.values.astype(np.int64)
        if lead and values.ndim == rank:
            if values.shape[0] != 1:
                raise loader.error(op, f"has a constant {values.shape} per sample", "use one for all samples")
            values = values[0]
        if values.ndim > rank - lead:
            raise loader.error(
                op, f"has a constant of shape {values.shape}", f"it must have {rank} axes at most"
            )
        out.append(values)
    shape = np.broadcast_shapes(*(t.shape for t in out))
    if known[0].lead != lead or shape[: len(shape)] != np.broadcast_shapes(shape, known[0].tensor.shape):
        raise loader.error(op, f"has operands of shapes {[t.shape for t in out]}", "give them equal ranks")
    loader.room(op, *shape)
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
