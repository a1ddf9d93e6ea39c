"""Handlers that join tensors: sums, products, extremes, averages, dot products, and operators."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from math import log2
from typing import Any

import numpy as np

from fxsim.host import HostStep
from fxsim.load.affine import Activation, Line
from fxsim.load.keras.layers.dense import entered, float32_products, is_quantized, left
from fxsim.load.keras.layers.einsum import Equation, einsum
from fxsim.load.keras.layers.pool import averaged
from fxsim.load.keras.loader import Arguments, Loader, handles
from fxsim.load.keras.network import Layer
from fxsim.load.keras.quantize import quantized, shifted
from fxsim.load.keras.symbols import HostInput, Symbol
from fxsim.trace import Tensor, concat, maximum, minimum

JOINS: dict[str, Callable[[Any, Any], Tensor]] = {
    "Add": lambda a, b: a + b,
    "Subtract": lambda a, b: a - b,
    "Multiply": lambda a, b: a * b,
    "Maximum": maximum,
    "Minimum": minimum,
    "Average": lambda a, b: a + b,
    "AveragePow2": lambda a, b: a + b,
}
KINDS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")


@handles(*KINDS, "Average", *(f"Q{k}" for k in KINDS), "QAveragePow2")
def join(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """The operands behind their quantizers, joined exactly from left to right; averages divide at the end."""
    tensors = _operands(loader, layer, arguments)
    kind = layer.kind.removeprefix("Q") if is_quantized(layer) else layer.kind
    if len(tensors) < 2 or (kind == "Subtract" and len(tensors) != 2):
        raise loader.error(layer, f"joins {len(tensors)} tensors", "give it two or more (Subtract two)")
    params = {"float32_exact": float32_products(tensors, 1)} if kind == "Multiply" else {}
    with loader.builder.block(kind.lower(), loader.block_name(layer.name), tensors, params) as outputs:
        out = Activation(reduce(JOINS[kind], _level(tensors)))
        if kind == "AveragePow2":
            out = Activation(out.tensor << round(log2(1 / len(tensors))))
        elif kind == "Average":
            out = averaged(out, len(tensors))
        outputs.append(out.tensor)
    return left(loader, layer, out)


def _operands(loader: Loader, layer: Layer, arguments: Arguments) -> list[Tensor]:
    """The operands as tensors, each behind its own input quantizer."""
    symbols = arguments.tensors()
    if is_quantized(layer) and layer.config.get("enable_iq", True):
        confs = layer.config.get("iq_confs")
        confs = confs if isinstance(confs, list) else [confs] * len(symbols)
        if len(confs) != len(symbols):
            raise loader.error(
                layer, f"has {len(confs)} input quantizers for {len(symbols)} tensors", "save it again"
            )
        behind = []
        for i, (s, conf) in enumerate(zip(symbols, confs, strict=True)):
            place = "quantizer" if not i else f"quantizer_{i}"
            behind.append(
                quantized(loader, s, loader.quantizer(layer, f"iq_{i}", conf, "iq", "quantizers", place))
            )
        symbols = behind
    return [loader.plain(layer, s) for s in symbols]


def _level(tensors: list[Tensor]) -> list[Tensor]:
    """Tensors of one rank: new axes come after the batch, as Keras broadcasts."""
    rank = max(t.ndim for t in tensors)
    return [t if t.ndim == rank else t.reshape((1,) * (rank - t.ndim) + t.shape) for t in tensors]


@handles("Concatenate")
def concatenate(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """Tensors one after another; their grids are aligned."""
    symbols = arguments.tensors()
    axis = int(layer.config.get("axis", -1))
    rank = len(symbols[0].shape) + 1
    if axis % rank == 0 or not -rank <= axis < rank:
        raise loader.error(layer, f"joins along axis {axis}", f"join along one of 1..{rank - 1}")
    if all(isinstance(s, HostInput) for s in symbols) and len(symbols) == 1:
        return symbols[0]
    tensors = [loader.plain(layer, s) for s in symbols]
    with loader.builder.block("concat", loader.block_name(layer.name), tensors) as outputs:
        outputs.append(concat(tensors, axis % rank - 1))
    return Activation(outputs[0])


@handles("QEinsum")
def q_einsum(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """einsum of two quantized tensors, exact."""
    tensors = _operands(loader, layer, arguments)
    if len(tensors) != 2:
        raise loader.error(layer, f"multiplies {len(tensors)} tensors", "give it two")
    x, y = tensors
    equation = Equation.of(str(layer.config["equation"]), x.ndim + 1, y.ndim + 1)
    terms = int(
        np.prod([n for c, n in zip(equation.first, x.shape, strict=True) if c not in equation.result])
    )
    params = {"equation": str(layer.config["equation"]), "float32_exact": float32_products(tensors, terms)}
    with loader.builder.block("einsum", loader.block_name(layer.name), tensors, params) as outputs:
        outputs.append(einsum(equation, x, y))
    return left(loader, layer, Activation(outputs[0]))


@handles("QDot", "Dot")
def dot(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """Sum of products along one axis of each of two tensors, exact."""
    tensors = _operands(loader, layer, arguments)
    if len(tensors) != 2 or layer.config.get("normalize"):
        raise loader.error(
            layer, "normalizes, or joins other than two tensors", "use it on two, normalize=False"
        )
    axes = layer.config.get("axes", -1)
    pair = [axes, axes] if isinstance(axes, int) else list(axes)
    x, y = tensors
    places = [a % (t.ndim + 1) - 1 for a, t in zip(pair, tensors, strict=True)]
    if min(places) < 0:
        raise loader.error(layer, f"sums over the axes {axes}, the batch among them", "use axes from 1 on")
    a, b = "abcdef"[: x.ndim], "uvwxyz"[: y.ndim]
    b = b[: places[1]] + a[places[0]] + b[places[1] + 1 :]
    result = (a + b).replace(a[places[0]], "")
    params = {"float32_exact": float32_products(tensors, x.shape[places[0]])}
    with loader.builder.block("dot", loader.block_name(layer.name), tensors, params) as outputs:
        z = einsum(Equation(a, b, result), x, y)
        outputs.append(z if z.ndim else z.reshape(1))
    return left(loader, layer, Activation(outputs[0]))


@handles("QSum", "QMeanPow2")
def q_sum(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """Exact sum over axes, times a power of two: the given one, or that nearest to 1 / elements."""
    t = loader.plain(layer, entered(loader, layer, arguments.one()))
    axes = layer.config.get("axes", -1)
    axes = [axes] if isinstance(axes, int) else list(axes)
    places = sorted({a % (t.ndim + 1) - 1 for a in axes})
    if places[0] < 0:
        raise loader.error(layer, f"sums over the axes {axes}, the batch among them", "use axes from 1 on")
    elements = int(np.prod([t.shape[p] for p in places]))
    scale = (
        Fraction(2) ** round(log2(1 / elements))
        if layer.kind == "QMeanPow2"
        else Fraction(float(layer.config.get("scale", 1.0)))
    )
    with loader.builder.block("sum", loader.block_name(layer.name), [t]) as outputs:
        y = t.sum(axis=tuple(places))
        if layer.config.get("keepdims"):
            y = y.reshape(*(1 if i in places else n for i, n in enumerate(t.shape)))
        out = shifted(Activation(y, (Line(scale),)))
        outputs.append(out.tensor)
    return left(loader, layer, out)


@handles("Add", "Subtract", "Multiply", "Maximum", "Minimum", "TrueDivide", "Divide", operation=True)
def operator(loader: Loader, layer: Layer, arguments: Arguments) -> Symbol:
    """a + b and its kin of two tensors, or of a tensor and a number."""
    a, b = (*arguments.positional, *arguments.keywords.values())
    kind = "Divide" if layer.kind == "TrueDivide" else layer.kind
    numbers = [v for v in (a, b) if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if not numbers:
        if kind == "Divide":
            raise loader.error(
                layer, "divides two tensors", "multiply by a table of 1 / x (QUnaryFunctionLUT)"
            )
        tensors = _level([loader.plain(layer, v) for v in (a, b)])
        with loader.builder.block(kind.lower(), loader.block_name(layer.name), tensors) as outputs:
            outputs.append(JOINS[kind](*tensors))
        return Activation(outputs[0])
    if len(numbers) > 1 or not np.isfinite(numbers[0]):
        raise loader.error(layer, f"computes with {numbers}", "give it one finite number")
    x, first, value = (b, True, float(np.float32(a))) if a is numbers[0] else (a, False, float(np.float32(b)))
    if isinstance(x, HostInput):
        return _on_host(loader, layer, x, kind, first, value)
    act = loader.activation(layer, x)
    if kind in ("Maximum", "Minimum"):
        from fxsim.load.keras.layers.activation import clipped

        ends = (Fraction(value), None) if kind == "Maximum" else (None, Fraction(value))
        return clipped(loader, layer, act, *ends)
    if kind == "Divide" and (first or value == 0):
        raise loader.error(layer, "divides by a tensor, or by 0", "multiply by a table of 1 / x")
    number = Fraction(value)
    scale, offset = {
        "Add": (Fraction(1), number),
        "Subtract": (Fraction(-1), number) if first else (Fraction(1), -number),
        "Multiply": (number, Fraction(0)),
        "Divide": (1 / number if number else number, Fraction(0)),
    }[kind]
    return shifted(act.map(lambda line: line.then(scale, offset)))


def _on_host(loader: Loader, layer: Layer, x: HostInput, kind: str, first: bool, value: float) -> Symbol:
    """The host's float32 step."""
    if kind == "Subtract":
        return x.then(HostStep("SubFrom", (value,))) if first else x.then(HostStep("Sub", (value,)))
    if kind == "Divide" and not first and value:
        return x.then(HostStep("Div", (value,)))
    if kind in ("Add", "Multiply"):
        return x.then(HostStep("Add" if kind == "Add" else "Mul", (value,)))
    raise loader.error(
        layer, "computes on the real input", "put a Quantizer layer first, or pass input=Format"
    )
