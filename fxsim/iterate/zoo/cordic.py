"""CORDIC: rotations by shifts and adds, circular (cos, sin, atan, norm) and hyperbolic (cosh, sinh, atanh).

x <- x - m d 2**-s y,  y <- y + d 2**-s x,  z <- z - d a(s),  m = 1: a = atan 2**-s, m = -1: a = atanh 2**-s.

Rotation takes d = sign z and turns (x, y) by the start's z; vectoring takes d = -sign y and turns it onto the
x-axis, so that z gains its angle. s is 0, 1, 2, ... (circular), or 1, 2, 3, 4, 4, 5, ... with 4, 13, 40, ...
twice (hyperbolic, else the angles do not converge). With N steps the length grows by the gain, a constant.

Error: at most 2**-(N-1) of the last angle and less than an LSB of the state per step, which is why the state
has ceil(log2 N) + 1 guard bits. The shift depends on the step: `circular` and `hyperbolic` keep its number in
a state of its own; `circular_pipeline` and `hyperbolic_pipeline`, the usual hardware, have every step in
space, where shifts are wires.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import isqrt
from typing import Any

import numpy as np

from fxsim.formats import SQ, UQ, Format
from fxsim.graph import Graph
from fxsim.integers import Array, IntArray, exact, shift_left
from fxsim.iterate.ends import ends
from fxsim.iterate.example import Example
from fxsim.iterate.references.elementary import BITS, arctangent, artanh, rotated
from fxsim.iterate.stops import count
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import assign
from fxsim.ops import Table
from fxsim.trace import Tensor, select, trace

__all__ = ["circular", "hyperbolic"]

XY_BITS, Z_BITS = 3, 2  # integer bits: 1.647 * sqrt 2 < 4, and the angles' sum 1.744 < 2


def circular(
    frac: int = 12, steps: int | None = None, guard: int | None = None, *, vectoring: bool = False,
    rounding: str = "RND", lanes: int = 1,
) -> Unit:  # fmt: skip
    """The unit that turns (x, y) by z, |z| <= 1.743, or with `vectoring` onto the x-axis, for x > 0.

    frac      fraction bits that are wanted; x, y, z: (lanes,), of `guard` bits more
    steps     N, by default frac + 2
    guard     by default ceil(log2 N) + 1
    rounding  of the shifted operands: "RND", or "TRN" for no adder more and twice the error

    Starts: `rotation_start`, `vectoring_start`.
    """
    return _unit(1, frac, steps, guard, vectoring, rounding, lanes)


def hyperbolic(
    frac: int = 12, steps: int | None = None, guard: int | None = None, *, vectoring: bool = False,
    rounding: str = "RND", lanes: int = 1,
) -> Unit:  # fmt: skip
    """As `circular` in the hyperbolic plane: |z| <= 1.118, or with `vectoring` |y / x| <= 0.806."""
    return _unit(-1, frac, steps, guard, vectoring, rounding, lanes)


def circular_pipeline(
    frac: int = 12, steps: int | None = None, guard: int | None = None, *, vectoring: bool = False,
    rounding: str = "RND", lanes: int = 1,
) -> Graph:  # fmt: skip
    """z -> (cos z, sin z), or (x, y) -> (sqrt(x**2 + y**2), atan(y / x)), rounded to `frac` bits.

    z is SQ(2, frac) of at most 1.743; x, y are SQ(1, frac), x > 0. The length is divided by the gain.
    """
    return _pipeline(1, frac, steps, guard, vectoring, rounding, lanes)


def hyperbolic_pipeline(
    frac: int = 12, steps: int | None = None, guard: int | None = None, *, vectoring: bool = False,
    rounding: str = "RND", lanes: int = 1,
) -> Graph:  # fmt: skip
    """As `circular_pipeline`: cosh z, sinh z for |z| <= 1.118, or sqrt(x**2 - y**2), atanh(y / x) for
    |y / x| <= 0.806."""
    return _pipeline(-1, frac, steps, guard, vectoring, rounding, lanes)


def shifts(m: int, steps: int) -> list[int]:
    """s of every step: circular for m = 1, hyperbolic for m = -1."""
    if m == 1:
        return list(range(steps))
    found: list[int] = []
    s, again = 1, 4
    while len(found) < steps:
        found += [s, s] if s == again else [s]
        again = 3 * again + 1 if s == again else again
        s += 1
    return found[:steps]


def gain(m: int, steps: int) -> Fraction:
    """The product of sqrt(1 + m 4**-s), to 2**-128."""
    square = Fraction(1)
    for s in shifts(m, steps):
        square *= 1 + m * Fraction(1, 4**s)
    scale = 1 << (2 * BITS)
    return Fraction(isqrt(square.numerator * scale // square.denominator), 1 << BITS)


def angles(m: int, steps: int, frac: int) -> list[int]:
    """a(s) of every step, raw, to nearest."""
    arc = arctangent if m == 1 else artanh
    return [round(arc(Fraction(1, 1 << s)) * (1 << frac)) for s in shifts(m, steps)]


def rotation_start(made: Unit, z: Any, frac: int = 12, m: int = 1) -> dict[str, Array]:
    """Raw starts for raw angles z at `frac` fraction bits: x = 1 / gain, y = 0."""
    z = shift_left(exact(z), made.formats[0].frac - frac)
    first = round((1 / gain(m, made.cap)) * (1 << made.formats[0].frac))
    return {"x": exact(np.full_like(z, first)), "y": exact(np.zeros_like(z)), "z": z}


def vectoring_start(made: Unit, x: Any, y: Any, frac: int = 12) -> dict[str, Array]:
    """Raw starts for raw vectors at `frac` fraction bits."""
    x, y = (shift_left(exact(v), made.formats[0].frac - frac) for v in (x, y))
    return {"x": x, "y": y, "z": exact(np.zeros_like(x))}


def rotation_bound(
    frac: int, steps: int | None = None, guard: int | None = None, *, m: int = 1, rounding: str = "RND"
) -> Fraction:
    """A bound of the error of cos and sin (cosh and sinh), in LSB of `frac`, the last rounding included."""
    steps, guard = _sizes(frac, steps, guard)
    return _rotation_bounds(m, frac, steps, guard, rounding)[0] * (1 << frac) + Fraction(1, 2)


def vectoring_bound(
    frac: int, steps: int | None = None, guard: int | None = None, *, shortest: Any = Fraction(1, 2),
    rounding: str = "RND",
) -> Fraction:  # fmt: skip
    """A bound of the error of atan(y / x) in LSB of `frac`, the last rounding included, for vectors of a
    length of at least `shortest`."""
    steps, guard = _sizes(frac, steps, guard)
    return _vectoring_bounds(frac, steps, guard, rounding, Fraction(shortest))[2] * (1 << frac) + Fraction(
        1, 2
    )


def _rotation_bounds(m: int, frac: int, steps: int, guard: int, rounding: str) -> tuple[Fraction, Fraction]:
    """Of x and y, and of the angle that is not turned by, before the last rounding, in value units.

    The angle that is turned by misses z by what `_left` leaves and, with h half an LSB, by N roundings h of
    the table.
    Roundings of (x, y) of sqrt 2 < 3/2 times a component's grow by the norms of the later steps: the gain
    where m = 1, the product of 1 + 2**-s where m = -1.
    """
    h = Fraction(1, 2 << (frac + guard))
    lost = h if rounding == "RND" else 2 * h
    grown = gain(1, steps) + h if m == 1 else Fraction(1)
    for s in shifts(m, steps) if m == -1 else ():
        grown *= 1 + Fraction(1, 1 << s)
    length = 1 if m == 1 else 2  # of (sinh, cosh) in any component, up to 1.118 and what is left
    left = _left(m, steps, frac + guard, Fraction(1743 if m == 1 else 1118, 1000)) + steps * h
    return left * length + grown * (steps * lost * 3 / 2 + h), left


def _left(m: int, steps: int, fine: int, most: Fraction) -> Fraction:
    """A bound of |z| behind all steps from |z| <= most, exact for the stored angles a_k: a step takes |z| to
    at most max(|z| - a_k, a_k), so that some a_k less all later ones is left, or `most` less all of them."""
    later, worst = 0, 0
    for a in reversed(angles(m, steps, fine)):
        worst, later = max(worst, a - later), later + a
    return max(Fraction(worst, 1 << fine), most - Fraction(later, 1 << fine))


def _vectoring_bounds(
    frac: int, steps: int, guard: int, rounding: str, shortest: Fraction
) -> tuple[Fraction, Fraction, Fraction]:
    """Of x, y and z of circular vectoring, in value units.

    A rounding of sqrt 2 times a component's turns the vector by at most 3/2 of that over its length, which
    never falls but by roundings; the angle ends within what `_left` leaves and the sum of these turns, and z
    misses both and N roundings of the table.
    """
    h = Fraction(1, 2 << (frac + guard))
    lost = h if rounding == "RND" else 2 * h
    least = shortest - steps * lost * 3 / 2
    if least <= 8 * lost:
        raise ValueError(
            f"shortest must be more than {float(steps * lost * 2 + 8 * lost):.3g}, not {shortest}"
        )
    turns = steps * lost * 3 / 2 / least
    left = _left(1, steps, frac + guard, Fraction(1571, 1000)) + turns + steps * h
    longest = Fraction(7, 3) + steps * lost * 3  # sqrt 2 times the gain, and roundings
    return longest * left**2 / 2 + steps * lost * 3, longest * left, left + turns + steps * h


def reference(z: Any, frac: int, m: int = 1) -> Array:
    """(..., 2): cos and sin, or cosh and sinh, of raw angles z, right to 2**-128, as Fractions."""
    z = np.asarray(z).astype(object)
    found = np.empty((*z.shape, 2), object)
    for i in np.ndindex(z.shape):
        found[i] = rotated(Fraction(int(z[i]), 1 << frac), m)
    return found


def example() -> Example:
    """The twiddle factors of a Fourier transform of 64 points."""
    made = circular()
    frac, half_turn = 12, 4 * arctangent(Fraction(1))
    z = np.array([round(-half_turn * k / 32 * (1 << frac)) for k in range(-16, 17)])[:, None]
    return Example(
        made, {}, rotation_start(made, z, frac), lambda: reference(z, frac)[..., 0],
        "cosines of the 33 angles of a 64-point Fourier transform in -pi/2..pi/2, the state x",
    )  # fmt: skip


def _sizes(frac: int, steps: int | None, guard: int | None) -> tuple[int, int]:
    steps = frac + 2 if steps is None else steps
    for name, v, low in (("frac", frac, 1), ("steps", steps, 2)):
        if isinstance(v, bool) or not isinstance(v, int) or v < low:
            raise ValueError(f"{name} must be an integer of at least {low}, not {v!r}")
    guard = (steps - 1).bit_length() + 1 if guard is None else guard
    if isinstance(guard, bool) or not isinstance(guard, int) or guard < 0:
        raise ValueError(f"guard must be an integer of at least 0, not {guard!r}")
    return steps, guard


def _turn(
    m: int, vectoring: bool, xyz: tuple[Tensor, ...], smaller: Callable[[Tensor], Tensor], angle: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """One step; `smaller` is the rounded product with 2**-s. d = -1 where `negative`."""
    x, y, z = xyz
    negative = y >= 0 if vectoring else z < 0
    across, up = smaller(y), smaller(x)
    turn = x.builder.constant(angle) if not isinstance(angle, Tensor) else angle
    along = select(negative, across, -across) if m == 1 else select(negative, -across, across)
    return x + along, y + select(negative, -up, up), z + select(negative, turn, -turn)


def _shifted(t: Tensor, s: int, fmt: Format) -> Tensor:
    return (t >> s).cast(fmt)


def _formats(frac: int, rounding: str, overflow: str) -> tuple[Format, Format]:
    return (
        SQ(XY_BITS, frac, rounding=rounding, overflow=overflow),
        SQ(Z_BITS, frac, rounding=rounding, overflow=overflow),
    )


def _unit(
    m: int, frac: int, steps: int | None, guard: int | None, vectoring: bool, rounding: str, lanes: int
) -> Unit:
    steps, guard = _sizes(frac, steps, guard)
    fine = frac + guard
    xy, z_format = _formats(fine, rounding, "SAT")
    listed, most = shifts(m, steps), shifts(m, steps)[-1]
    number = UQ((steps - 1).bit_length(), 0, overflow="SAT")
    last = [*range(steps), *[steps - 1] * (number.hi + 1 - steps)]
    back = Table(IntArray([most - listed[k] for k in last]), 0, 0, function="shift")
    raw = angles(m, steps, fine)
    turn = Table(IntArray([raw[k] for k in last]), 0, fine, function="angle")

    def step(x: Tensor, y: Tensor, z: Tensor, k: Tensor) -> tuple[Tensor, ...]:
        left, a = k.builder.apply(back, k), k.builder.apply(turn, k)
        new = _turn(m, vectoring, (x, y, z), lambda t: ((t << left) >> most).cast(xy), a)
        return *new, k + 1

    state = {"x": (xy, (lanes,)), "y": (xy, (lanes,)), "z": (z_format, (lanes,)), "k": (number, (1,))}
    made = unit(step, state, update=assign(), stop=count(steps), cap=steps, name=_name(m, vectoring))
    if vectoring and m == 1:
        x, y, turned = _vectoring_bounds(frac, steps, guard, rounding, Fraction(1, 2))
        note = "the radius is that of vectors of length 1/2 or more from `vectoring_start`"
    elif vectoring:
        return made
    else:
        x, turned = _rotation_bounds(m, frac, steps, guard, rounding)
        y, note = x, "the radius is that of starts from `rotation_start`"
    radius = tuple(v * (1 << fine) for v in (x, y, turned) for _ in range(lanes))
    return ends(made, {count(steps): (*radius, Fraction(0))}, note)


def _name(m: int, vectoring: bool) -> str:
    return f"{'circular' if m == 1 else 'hyperbolic'}_{'vectoring' if vectoring else 'rotation'}"


def _pipeline(
    m: int, frac: int, steps: int | None, guard: int | None, vectoring: bool, rounding: str, lanes: int
) -> Graph:
    steps, guard = _sizes(frac, steps, guard)
    fine = frac + guard
    # No step can leave these formats (see XY_BITS), which the intervals alone do not show: the wrap is free.
    xy, z_format = _formats(fine, rounding, "WRAP")
    raw, listed = angles(m, steps, fine), shifts(m, steps)
    k = gain(m, steps)
    out_xy, out_z = (f.replace(rounding="RND", overflow="SAT") for f in _formats(frac, "RND", "SAT"))

    def whole(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        for s, a in zip(listed, raw, strict=True):
            turn = Fraction(a, 1 << fine)
            new = _turn(m, vectoring, (x, y, z), partial(_shifted, s=s, fmt=xy), turn)
            x, y, z = new[0].cast(xy), new[1].cast(xy), new[2].cast(z_format)
        return x, y, z

    def rotation(z: Tensor) -> tuple[Tensor, ...]:
        first = z.builder.constant(np.full(lanes, round((1 << fine) / k))) >> fine
        zero = z.builder.constant(np.zeros(lanes, np.int64))
        x, y, _ = whole(first, zero, z)
        return x.cast(out_xy), y.cast(out_xy)

    def vector(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        zero = x.builder.constant(np.zeros(lanes, np.int64))
        x, _, z = whole(x, y, zero)
        bits = min(frac + 4, 30)
        scale = Fraction(round((1 << bits) / k), 1 << bits)
        return (x * scale).cast(out_xy), z.cast(out_z)

    if not vectoring:
        return trace(rotation, SQ(Z_BITS, frac), shape=(lanes,), name=_name(m, False))
    return trace(vector, SQ(1, frac), SQ(1, frac), shape=(lanes,), name=_name(m, True))
