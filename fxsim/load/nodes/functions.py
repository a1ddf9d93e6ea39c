"""Handlers of elementwise functions: they wait for a quantizer, which enumerates the codes before them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.load.affine import Activation, Channels, Line, Symbol, channels
from fxsim.load.curves import TABLE_BITS
from fxsim.load.functions import DECIMAL, PI, TWO, Apply, around
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.curved import curve_of, mapped
from fxsim.load.nodes.dense import clamped
from fxsim.load.nodes.product import product
from fxsim.load.terms import Both, Curve, Number, Term
from fxsim.load.terms import scaled as times

ZERO, ONE = Number.of(0), Number.of(1)
HALF = Fraction(1, 2)
MAX_POWER = 16
# At the very end of a network these rise strictly, so that the order of the outputs is that of the operands.
RISING = frozenset({"Sigmoid", "Tanh", "Softplus", "Softsign", "Exp", "Erf"})
HOST = "{} at the end is left to the host: the output is its operand, which orders the same"


def one(value: Fraction | int) -> Channels:
    """A parameter that is the same for all channels."""
    return Channels((Fraction(value),))


def real(node: FileNode, name: str, default: float) -> Fraction:
    """A float attribute, exactly the float32 that the file means. ValueError unless it is finite."""
    value = float(np.float32(node.get(name, default)))
    if not np.isfinite(value):
        raise ValueError(f"{node} has {name} {value}, which is not finite; train or export the model again")
    return Fraction(value)


def divisor(node: FileNode, name: str, default: float) -> Fraction:
    """A float attribute that divides."""
    value = real(node, name, default)
    if not value:
        raise ValueError(f"{node} has {name} 0, by which it divides; correct it, or leave the node out")
    return value


def positive_part(x: Term) -> Term:
    return Both("max", x, ZERO)


def negative_part(x: Term) -> Term:
    return Both("min", x, ZERO)


def minus(x: Term) -> Term:
    return times(x, Fraction(-1))


def less_one(x: Term) -> Term:
    return times(x, Fraction(1), Fraction(-1))


def elu(x: Term, alpha: Fraction, gamma: Fraction = Fraction(1), inner: Fraction = Fraction(1)) -> Term:
    """gamma * (x where x > 0, else alpha * (e**(x / inner) - 1))."""
    below = less_one(Apply("exp", times(negative_part(x), 1 / inner)))
    return times(Both("add", positive_part(x), times(below, alpha)), gamma)


def gelu_tanh(x: Term) -> Term:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x**3)))."""
    cube = Both("mul", x, Both("mul", x, x))
    root = Number(*around(DECIMAL.sqrt(DECIMAL.divide(TWO, PI))))
    inner = Both("add", x, times(cube, Fraction(44715, 1_000_000)))
    return Both(
        "mul", times(x, HALF), times(Apply("tanh", Both("mul", root, inner)), Fraction(1), Fraction(1))
    )


def swish(x: Term, alpha: Fraction) -> Term:
    """x * sigmoid(alpha x)."""
    return Both("mul", x, Apply("sigmoid", times(x, alpha)))


UNARY: dict[str, Callable[[FileNode, Term], Term]] = {
    "Sigmoid": lambda node, x: Apply("sigmoid", x),
    "Tanh": lambda node, x: Apply("tanh", x),
    "Exp": lambda node, x: Apply("exp", x),
    "Log": lambda node, x: Apply("log", x),
    "Sqrt": lambda node, x: Apply("sqrt", x),
    "Erf": lambda node, x: Apply("erf", x),
    "Reciprocal": lambda node, x: Apply("reciprocal", x),
    "Softplus": lambda node, x: Apply("softplus", x),
    "Floor": lambda node, x: Apply("floor", x),
    "Ceil": lambda node, x: Apply("ceil", x),
    "Round": lambda node, x: Apply("round", x),
    "Sign": lambda node, x: Apply("sign", x),
    "Softsign": lambda node, x: Both(
        "mul", x, Apply("reciprocal", times(Both("max", x, minus(x)), Fraction(1), Fraction(1)))
    ),
    "HardSwish": lambda node, x: Both(
        "mul", x, Both("min", positive_part(times(x, Fraction(1, 6), HALF)), ONE)
    ),
    "Elu": lambda node, x: elu(x, real(node, "alpha", 1)),
    "Selu": lambda node, x: elu(
        x, real(node, "alpha", 1.67326319217681884765625), real(node, "gamma", 1.05070102214813232421875)
    ),
    "Celu": lambda node, x: elu(x, real(node, "alpha", 1), Fraction(1), divisor(node, "alpha", 1)),
    "Mish": lambda node, x: Both("mul", x, Apply("tanh", Apply("softplus", x))),
    "Swish": lambda node, x: swish(x, real(node, "alpha", 1)),
    "ThresholdedRelu": lambda node, x: Both(
        "mul", x, Apply("positive", times(x, Fraction(1), -real(node, "alpha", 1)))
    ),
}
"""The function of each op of one operand, by its node's attributes, in the reals."""


@handles(*UNARY)
def unary(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """One of UNARY, for the quantizer behind it; at the very end of a network, one of RISING is dropped."""
    x = loader.real(node, operands[0])
    if node.op in RISING and isinstance(x, Activation) and ends(loader, node):
        loader.reasons[node.outputs[0]] = HOST.format(node.op)
        return x
    return mapped(curve_of(x), lambda term: UNARY[node.op](node, term))


def ends(loader: Loader, node: FileNode) -> bool:
    """Is the node's result an output of the file that no node reads?"""
    name = node.outputs[0]
    return name in loader.model.outputs and not any(name in n.inputs for n in loader.model.nodes)


@handles("Gelu")
def gelu(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """x times the normal distribution at x, or its tanh form."""
    how = str(node.get("approximate", "none"))
    if how not in ("none", "tanh"):
        raise loader.error(node, f"has approximate {how!r}", "use none or tanh")
    x = curve_of(loader.real(node, operands[0]))
    if how == "tanh":
        return mapped(x, gelu_tanh)
    return mapped(x, lambda term: Both("mul", term, Apply("normal", term)))


@handles("Gelu", "BiasGelu", "FastGelu", "QuickGelu", domain="com.microsoft")
def microsoft_gelu(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Of onnxruntime's optimizer: Gelu(x + bias), FastGelu its tanh form, QuickGelu x * sigmoid(alpha x)."""
    x = curve_of(loader.real(node, operands[0]))
    if len(operands) > 1 and operands[1] is not None:
        bias = channels(loader.constant(node, operands[1], "bias").fractions(), x.shape)
        x = mapped(x, lambda term, b: times(term, Fraction(1), b), bias)
    if node.op == "QuickGelu":
        return mapped(x, lambda term: swish(term, real(node, "alpha", 1.702)))
    if node.op == "FastGelu":
        return mapped(x, gelu_tanh)
    return mapped(x, lambda term: Both("mul", term, Apply("normal", term)))


@handles("Abs")
def absolute(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """A function of codes; of wide accumulators without offset |s v| = |s| |v| on the integers."""
    x = loader.real(node, operands[0])
    wide = x.tensor.type.max_width > TABLE_BITS
    if isinstance(x, Activation) and wide and not x.clamped and all(li.offset == 0 for li in x.lines):
        with loader.builder.block("abs", loader.block_name(node), [x.tensor]) as outputs:
            outputs.append(abs(x.tensor))
        return Activation(outputs[0], tuple(Line(abs(li.scale)) for li in x.lines), x.axis)
    return mapped(curve_of(x), lambda term: Both("max", term, minus(term)))


@handles("LeakyRelu")
def leaky_relu(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """x, or alpha x below 0: the greater of both lines, or the lesser where alpha > 1."""
    return leaky(loader, node, operands[0], one(real(node, "alpha", 0.01)))


@handles("PRelu")
def prelu(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """LeakyRelu with a constant slope per tensor or per channel."""
    x = loader.real(node, operands[0])
    slope = channels(loader.constant(node, operands[1], "slope").fractions(), x.shape)
    return leaky(loader, node, x, slope)


def leaky(loader: Loader, node: FileNode, symbol: Any, slope: Channels) -> Symbol:
    """max(x, a x) for a <= 1, min(x, a x) above."""
    x = curve_of(loader.real(node, symbol))

    def parts(term: Term, a: Fraction) -> Term:
        return Both("max" if a <= 1 else "min", term, times(term, a))

    return mapped(x, parts, slope)


@handles("HardSigmoid")
def hard_sigmoid(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """max(0, min(1, alpha x + beta)): a line with clamps."""
    alpha, beta = real(node, "alpha", 0.2), real(node, "beta", 0.5)
    x = loader.real(node, operands[0])
    if isinstance(x, Curve):
        y: Activation | Curve = mapped(x, lambda term: times(term, alpha, beta))
    else:
        y = x.map(lambda line: line.then(alpha, beta))
    return clamped(y, one(0), one(1))


@handles("Pow")
def power(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """x**n for a constant n of -1, 1/2, -1/2, or an integer in 0..16, the same for all elements.

    The square of a wide accumulator is an exact product, all else a function of codes.
    """
    symbol = loader.real(node, operands[0])
    x = curve_of(symbol)
    exponents = set(loader.constant(node, operands[1], "exponent").fractions().ravel().tolist())
    n = exponents.pop() if len(exponents) == 1 else None
    if n == -1:
        return mapped(x, lambda term: Apply("reciprocal", term))
    if n == HALF:
        return mapped(x, lambda term: Apply("sqrt", term))
    if n == -HALF:
        return mapped(x, lambda term: Apply("reciprocal", Apply("sqrt", term)))
    if n == 2 and isinstance(symbol, Activation) and symbol.tensor.type.max_width > TABLE_BITS:
        return product(loader, node, symbol, symbol)
    if n is None or n.denominator != 1 or not 0 <= n <= MAX_POWER:
        raise loader.error(
            node, f"has the exponent {'that varies' if n is None else float(n)}",
            f"use one of -1, -0.5, 0.5 or a whole number in 0..{MAX_POWER} for the tensor",
        )  # fmt: skip

    def raised(term: Term) -> Term:
        out: Term = ONE
        for _ in range(int(n)):
            out = term if out is ONE else Both("mul", out, term)
        return out

    return mapped(x, raised)
