"""Slopes of blocks that approximate a known function: function units, reduced functions, softmax.

The ideal map is the function itself, clipped to the unit's operands and its result format, so that its slopes
are analytic; the error is the proven worst one of the unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from fxsim.formats import Format
from fxsim.graph import Block
from fxsim.integers import exact
from fxsim.iterate.slopes.reading import Context, Slopes, chain, slope_rules, value_range
from fxsim.iterate.slopes.scaled import Scaled, greater, lesser
from fxsim.layers.facts import Facts
from fxsim.layers.function_unit import FunctionUnit
from fxsim.layers.leading_one import Exp2, Log2, Reciprocal, Reduced, Rsqrt
from fxsim.layers.references import FUNCTIONS, UNIT
from fxsim.layers.softmax import Softmax

LN2 = Fraction(6931471805599453095, 10**19)  # rounded up
LOG2_E = Fraction(14426950408889634074, 10**19)  # rounded up
# gelu' = Phi(x) + x phi(x) has its extremes at x = -sqrt 2 and sqrt 2: -0.128904.. and 1.128904..
GELU = Fraction(-33, 256), Fraction(289, 256)


def _above(function: str, x: Fraction) -> Fraction:
    return Fraction(FUNCTIONS[function](x)[1], UNIT)


def _below(function: str, x: Fraction) -> Fraction:
    return Fraction(FUNCTIONS[function](x)[0], UNIT)


def _nearest_zero(a: Fraction, b: Fraction) -> Fraction:
    return max(a, -b, Fraction(0))


def _sigmoid(a: Fraction, b: Fraction) -> tuple[Fraction, Fraction]:
    x = _nearest_zero(a, b)
    return Fraction(0), min(_above("sigmoid", x) * (1 - _below("sigmoid", x)), Fraction(1, 4))


def _tanh(a: Fraction, b: Fraction) -> tuple[Fraction, Fraction]:
    x = _nearest_zero(a, b)
    return Fraction(0), 1 - max(_below("tanh", x), Fraction(0)) ** 2


_Derivative = Callable[[Fraction, Fraction], tuple[Fraction, Fraction]]
# (least, greatest) slope over a..b; all but gelu's have one sign and their extreme at an end or at 0.
DERIVATIVES: dict[str, _Derivative] = {
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "gelu": lambda a, b: GELU,
    "exp": lambda a, b: (Fraction(0), _above("exp", b)),
    "exp2": lambda a, b: (Fraction(0), LN2 * _above("exp2", b)),
    "exp_negative": lambda a, b: (-_above("exp_negative", a), Fraction(0)),
    "exp2_negative": lambda a, b: (-LN2 * _above("exp2_negative", a), Fraction(0)),
    "log2": lambda a, b: (Fraction(0), LOG2_E / a),
    "reciprocal": lambda a, b: (-1 / (a * a), Fraction(0)),
    "rsqrt": lambda a, b: (-(_above("rsqrt", a) ** 3) / 2, Fraction(0)),
    "log2_mantissa": lambda a, b: (Fraction(0), LOG2_E / (1 + a)),
    "reciprocal_mantissa": lambda a, b: (-1 / ((1 + a) * (1 + a)), Fraction(0)),
}

POWERS = {"exp": Fraction(1), "exp_negative": Fraction(1), "exp2": LN2, "exp2_negative": LN2}


def _unclipped(function: str, out: Format) -> Fraction | None:
    """The least operand of log2, reciprocal or rsqrt whose result the format holds, rounded down."""
    most = out.hi * out.lsb
    if function == "reciprocal":
        return 1 / most
    if function == "rsqrt":
        return 1 / (most * most)
    if function == "log2":
        return Fraction(2) ** ((out.lo * out.lsb).__floor__())
    return None


def _function_slopes(
    context: Context, block: Block, x: Slopes, function: str, out: Format, ends: tuple[Fraction, Fraction],
    facts: Facts,
) -> list[Slopes]:  # fmt: skip
    """Slopes of clip(f(clip(x, *ends)), out): 0 is always among them, as the clips are."""
    a, b = value_range(block.inputs[0], x)
    derivative, least = DERIVATIVES[function], _unclipped(function, out)
    low, high = a.fractions(), b.fractions()
    found: dict[tuple[Fraction, Fraction], tuple[Fraction, Fraction]] = {}
    slope_lo, slope_hi = np.empty(a.shape, object), np.empty(a.shape, object)
    for i in np.ndindex(a.shape):
        first: Any = low[i]
        last: Any = high[i]
        key = max(first, ends[0]), min(last, ends[1])
        if key not in found:
            start = key[0] if least is None else max(key[0], least)
            low_slope, high_slope = derivative(start, max(key[1], start))
            if function in POWERS:  # f' is f or -f, at ln b: once f is clipped it stays so
                most = out.hi * out.lsb * POWERS[function]
                low_slope, high_slope = max(low_slope, -most), min(high_slope, most)
            found[key] = low_slope, high_slope
        slope_lo[i], slope_hi[i] = found[key]
    zero = Scaled.zeros(a.shape)
    lo, hi = lesser(zero, _rounded(slope_lo, Scaled.below)), greater(zero, _rounded(slope_hi, Scaled.above))
    made = chain(context, x, lo, hi, Scaled.above(facts.max_error * out.lsb, a.shape))
    return [replace(made, rising=x.rising and facts.monotone == 1)]


def _rounded(values: np.ndarray[Any, Any], one: Callable[[Fraction], Scaled]) -> Scaled:
    """Per element rounded outward, at a common scale."""
    parts = [one(v) for v in values.ravel()]
    scale = max((p.scale for p in parts), default=0)
    raw = np.array([int(p.at(scale)) for p in parts] or [], object)

    return Scaled(exact(raw).reshape(values.shape), scale)


@slope_rules.rule("function")
def _function(context: Context, block: Block, x: Slopes) -> Any:
    p = block.params
    if x.still or x.jumps or p["function"] not in DERIVATIVES or not context.wants(block.outputs[0]):
        return NotImplemented  # its tables speak for themselves
    unit = FunctionUnit(
        p["function"],
        p["lo"],
        p["hi"],
        p["frac"],
        Format.parse(p["out"]),
        p["low_bits"],
        p["guard"],
        p["fit"],
    )
    lsb = Fraction(2) ** -unit.frac
    ends = unit.lo * lsb, unit.hi * lsb
    return _function_slopes(context, block, x, unit.function, unit.out, ends, unit.facts)


_REDUCED: dict[str, type[Reduced]] = {c.name: c for c in (Log2, Reciprocal, Rsqrt, Exp2)}


@slope_rules.rule(*_REDUCED)
def _reduced(context: Context, block: Block, x: Slopes) -> Any:
    if x.still or x.jumps or not context.wants(block.outputs[0]):
        return NotImplemented
    p = block.params
    kind = _REDUCED[block.kind]
    unit = kind(Format.parse(p["source"]), Format.parse(p["out"]), p["low_bits"], p["octave_frac"])
    source = unit.source
    ends = source.lo * source.lsb, source.hi * source.lsb
    return _function_slopes(context, block, x, block.kind, unit.out, ends, unit.facts)


@lru_cache(maxsize=64)
def _softmax_bound(unit: Softmax) -> Fraction:
    return unit.bound


@slope_rules.rule("softmax")
def _softmax(context: Context, block: Block, x: Slopes) -> Any:
    """dp_k = p_k (1 - p_k) (dx_k - a mean of the other dx_j), p_k (1 - p_k) in [0, 1/4]: so an entry of the
    Jacobian is at most a quarter of the spread, and |dp_k| <= max |dx_j| / 2. Its 2-norm is at most 1/2 too.
    Base 2 has ln 2 times the slopes of base e."""
    if x.still or x.jumps or not context.wants(block.outputs[0]):
        return NotImplemented
    p = block.params
    unit = Softmax(
        Format.parse(p["source"]), p["size"], Format.parse(p["out"]), p["base"], p["exp_frac"],
        p["index_frac"], p["low_bits"], p["direct"],
    )  # fmt: skip
    factor = LN2 if unit.base == "2" else Fraction(1)
    shape = x.shape
    noise = Scaled.above(_softmax_bound(unit) * unit.out.lsb, shape)
    if unit.size == 1:
        zero = Scaled.zeros((context.n, *shape))
        return [context.make(zero, zero, noise)]
    quarter, half = Scaled.above(factor / 4), Scaled.above(factor / 2)
    low, high = _others(x.lo, True), _others(x.hi, False)
    zero = Scaled.zeros(x.lo.shape)
    lo, hi = lesser(x.lo - high, zero) * quarter, greater(x.hi - low, zero) * quarter
    worst, gain = (
        s.each(lambda a: np.broadcast_to(a.max(axis=-1, keepdims=True), shape)) for s in (x.error, x.gain)
    )
    return [context.make(lo, hi, worst * half + noise, gain * half, lambda: x.two_norm() * factor / 2)]


def _others(s: Scaled, least: bool) -> Scaled:
    """Per element the least (greatest) of the others of its row: the row's own, or the next one there."""
    a = np.sort(s.raw, axis=-1)
    first, second = (a[..., :1], a[..., 1:2]) if least else (a[..., -1:], a[..., -2:-1])
    return s.each(lambda r: np.where(r == first, second, first))


__all__ = ["DERIVATIVES"]
