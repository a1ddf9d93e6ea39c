"""Real functions of one integer code as expressions: bounds in float64 of whole ranges, proven enclosures."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fxsim.integers import Array
from fxsim.load.affine import Line
from fxsim.trace import Tensor

# A float32 reference may be off by this much of each result; float64, whose functions err by a few 2**-53, by
# far less than the second.
NEAR = 2.0**-18
TIGHT = 2.0**-40
Enclosure = tuple[Fraction, Fraction]
Bounds = tuple[Array, Array]


class Term:
    """A real function of the tensor's value.

    `bounds(lo, hi, near)` are float64 arrays that hold every result over each lo..hi, and every result of an
    evaluation whose steps err by `near` of their result. `enclose(lo, hi)` holds every exact result; both
    ends are equal where it is rational and the operand one point. ValueError where the function has no value
    at a point.
    """

    def bounds(self, lo: Array, hi: Array, near: float = NEAR) -> Bounds:
        raise NotImplementedError(f"{type(self).__name__} has no bounds")

    def enclose(self, lo: Fraction, hi: Fraction) -> Enclosure:
        raise NotImplementedError(f"{type(self).__name__} has no enclosure")

    def after(self, line: Line) -> Term:
        """The same function of line(value)."""
        raise NotImplementedError(f"{type(self).__name__} has no composition")


def widened(lo: Array, hi: Array, near: float, floor: float = 0.0) -> Bounds:
    """Both ends moved outward by `near` of them, or of `floor`; no number becomes an unbounded interval."""
    margin = near * np.maximum(np.maximum(np.abs(lo), np.abs(hi)), floor)
    margin = np.where(np.isfinite(margin), margin, 0.0)
    low, high = np.asarray(lo - margin), np.asarray(hi + margin)
    unknown = np.isnan(low) | np.isnan(high)
    return np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)


@dataclass(frozen=True)
class Affine(Term):
    """A line over the value, with its clamps."""

    line: Line

    def __str__(self) -> str:
        text = f"{float(self.line.scale):g} x"
        if self.line.clamped:
            low, high = ("" if v is None else f"{float(v):g}" for v in (self.line.low, self.line.high))
            text = f"{float(self.line.scale):g} clip(x, {low}, {high})"
        return text + (f" + {float(self.line.offset):g}" if self.line.offset else "")

    def bounds(self, lo: Array, hi: Array, near: float = NEAR) -> Bounds:
        line = self.line
        scale, offset = float(line.scale), float(line.offset)
        low = -np.inf if line.low is None else float(line.low)
        high = np.inf if line.high is None else float(line.high)
        ends = [np.clip(v, low, high) * scale for v in (lo, hi)]
        ends = ends if scale >= 0 else ends[::-1]
        margin = near * (np.maximum(np.abs(ends[0]), np.abs(ends[1])) + abs(offset))
        return ends[0] + offset - margin, ends[1] + offset + margin

    def enclose(self, lo: Fraction, hi: Fraction) -> Enclosure:
        line = self.line
        ends = []
        for v in (lo, hi):
            v = v if line.low is None else max(v, line.low)
            v = v if line.high is None else min(v, line.high)
            ends.append(line.scale * v + line.offset)
        return min(ends), max(ends)

    def after(self, line: Line) -> Term:
        own = self.line
        return Affine(line.clip(own.low, own.high).then(own.scale, own.offset))


@dataclass(frozen=True)
class Number(Term):
    """A constant; an irrational one by its enclosure."""

    low: Fraction
    high: Fraction

    @classmethod
    def of(cls, value: Fraction | int) -> Number:
        return cls(Fraction(value), Fraction(value))

    def __str__(self) -> str:
        return f"{float(self.low):g}"

    def bounds(self, lo: Array, hi: Array, near: float = NEAR) -> Bounds:
        low, high = (np.full(np.shape(lo), float(v)) for v in (self.low, self.high))
        return widened(low, high, near)

    def enclose(self, lo: Fraction, hi: Fraction) -> Enclosure:
        return self.low, self.high

    def after(self, line: Line) -> Term:
        return self


@dataclass(frozen=True)
class Both(Term):
    """`a kind b` of two functions of the same value: add, mul, max or min."""

    kind: str
    a: Term
    b: Term

    def __str__(self) -> str:
        if self.kind in ("max", "min"):
            return f"{self.kind}({self.a}, {self.b})"
        return f"({self.a} {'+' if self.kind == 'add' else '*'} {self.b})"

    def bounds(self, lo: Array, hi: Array, near: float = NEAR) -> Bounds:
        (a, b), (c, d) = self.a.bounds(lo, hi, near), self.b.bounds(lo, hi, near)
        with np.errstate(all="ignore"):
            if self.kind == "add":
                return widened(a + c, b + d, near)
            if self.kind == "mul":
                corners = np.array([a * c, a * d, b * c, b * d])
                return widened(corners.min(axis=0), corners.max(axis=0), near)
        join = np.maximum if self.kind == "max" else np.minimum
        return join(a, c), join(b, d)

    def enclose(self, lo: Fraction, hi: Fraction) -> Enclosure:
        (a, b), (c, d) = self.a.enclose(lo, hi), self.b.enclose(lo, hi)
        if self.kind == "add":
            return a + c, b + d
        if self.kind == "mul":
            corners = (a * c, a * d, b * c, b * d)
            return min(corners), max(corners)
        return (max(a, c), max(b, d)) if self.kind == "max" else (min(a, c), min(b, d))

    def after(self, line: Line) -> Term:
        return Both(self.kind, self.a.after(line), self.b.after(line))


def scaled(term: Term, factor: Fraction, offset: Fraction = Fraction(0)) -> Term:
    """factor * term + offset; a line stays one."""
    if isinstance(term, Affine):
        return Affine(term.line.then(factor, offset))
    out = term if factor == 1 else Both("mul", term, Number.of(factor))
    return out if offset == 0 else Both("add", out, Number.of(offset))


@dataclass(frozen=True)
class Curve:
    """A tensor of the file before its quantizer: real = term(value of `tensor`), one term or one per channel.

    A function of single codes other than a line. The quantizer behind it enumerates the codes; no other op
    reads it, unless its values are rationals on one grid.
    """

    tensor: Tensor
    terms: tuple[Term, ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        if self.axis is not None and len(set(self.terms)) == 1:
            object.__setattr__(self, "axis", None)
            object.__setattr__(self, "terms", self.terms[:1])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape
