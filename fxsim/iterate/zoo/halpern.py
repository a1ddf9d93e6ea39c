"""Wrappers that make any non-expansive map converge: Halpern's anchor and Krasnoselskii and Mann's damping.

halpern             x <- l_k x0 + (1 - l_k) T(x), l_k = 1 / (k + 2): ||x - T(x)|| <= 2 R / (k + 1) for
                    R = ||x0 - x*||, to the fixed point nearest to x0 where T is affine
krasnoselskii_mann  x <- x + 2**-s (T(x) - x), slower and without a memory of x0

With a Lipschitz constant of 1 rounding errors add up: e_k <= delta k (k + 3) / (2 (k + 1)), so that the
residual is at most 2 R / (k + 1) + delta (k + 2), which falls until k = sqrt(2 R / delta) and to
2 sqrt(2 R delta) only: half the bits are lost. Give the state twice the fraction bits of the answer, or
restart from it. There is no theorem by which a change of nothing must come; the stop is a count.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np

from fxsim.formats import SQ, Format
from fxsim.integers import Array, exact
from fxsim.iterate.ends import ends
from fxsim.iterate.example import Example
from fxsim.iterate.loop import Step
from fxsim.iterate.norms import root_above
from fxsim.iterate.references import rational
from fxsim.iterate.references.elementary import arctangent, rotated
from fxsim.iterate.stops import count, cycle, unchanged
from fxsim.iterate.theorems import steps_to
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import Anchor, anchor, assign, damped
from fxsim.trace import Tensor

__all__ = ["averaging", "halpern", "krasnoselskii_mann", "rotation"]

States = Mapping[str, tuple[Format, Any]]
Parameters = Mapping[str, tuple[Any, Any]]
MOST_BITS = 30  # of lambda


def halpern(
    step: Step, state: States, parameters: Parameters | None = None,
    *, R: Any = 1, steps: int | None = None, lambda_frac: int | None = None, frozen: int | None = None,
    **options: Any,
) -> Unit:  # fmt: skip
    """x <- l_k x0 + (1 - l_k) T(x) for a T that is non-expansive in the 2-norm; x0 is each solve's start.

    step, state, parameters  as of `unit`, several state tensors too
    R            bound of ||x0 - x*||_2 in value units, from which the number of steps follows
    steps        None: those of the least bound, `best_steps`
    lambda_frac  fraction bits of l_k, by default so many that their rounding adds less than an LSB's eighth
    frozen       l = 2**-frozen for ever instead: then the map contracts by 1 - l and comes within
                 2 R l + 2 delta / l of a fixed point, and the certificate knows its ball
    options      as of `unit`; nearest rounding by default

    Neither R nor that T is non-expansive is checked here. ValueError for R or frozen that are not positive.
    """
    frac = max(f.frac for f, _ in state.values())
    size = sum(int(np.prod(np.atleast_1d(shape))) if shape != () else 1 for _, shape in state.values())
    R = Fraction(R)
    if R <= 0:
        raise ValueError(f"R must be positive, not {R}")
    lsb = max(f.lsb for f, _ in state.values())
    if frozen is not None:
        if isinstance(frozen, bool) or not isinstance(frozen, int) or frozen < 1:
            raise ValueError(f"frozen must be an integer of at least 1, not {frozen!r}")
        box = root_above(sum((_area(f, shape) for f, shape in state.values()), Fraction(0)))
        number = max(steps_to(1 - Fraction(1, 1 << frozen), box, lsb), 1) if steps is None else steps
        given: dict[str, Any] = {"update": anchor([Fraction(1, 1 << frozen)], assign("RND"))}
        given |= {"stop": (unchanged(), count(number)), "cap": number, "name": "halpern_frozen", **options}
        return unit(step, state, parameters, **given)
    number = best_steps(R, rounding(size, lsb)) if steps is None else steps
    if lambda_frac is None:
        lambda_frac = min(frac + 3 + max(int(2 * R).bit_length(), 0), MOST_BITS)
    given = {"update": anchor(lambdas(number, lambda_frac), assign("RND")), "stop": count(number)}
    given |= {"cap": number, "name": "halpern", **options}
    return unit(step, state, parameters, **given)


def krasnoselskii_mann(
    step: Step, state: States, parameters: Parameters | None = None,
    *, s: int = 1, steps: int = 1000, **options: Any,
) -> Unit:  # fmt: skip
    """x <- x + 2**-s (T(x) - x), rounded to nearest, until a state repeats or `steps` sweeps are done.

    The rest as of `unit`. A cycle is possible, as T need not contract; its states are all as near as rounding
    lets them be.
    """
    given = {
        "update": damped(s, assign("RND")), "stop": (cycle(), count(steps)), "cap": steps,
        "name": "krasnoselskii_mann", **options,
    }  # fmt: skip
    return unit(step, state, parameters, **given)


def lambdas(steps: int, frac: int) -> list[Fraction]:
    """1 / (k + 2) for k = 0 .. steps - 1 to the nearest 2**-frac."""
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be an integer of at least 1, not {steps!r}")
    return [Fraction(round(Fraction(1 << frac, k + 2)), 1 << frac) for k in range(steps)]


def rounding(size: int, lsb: Any, lambda_error: Any = 0, R: Any = 0) -> Fraction:
    """delta in value units: half an LSB per component in the 2-norm, and |l' - l| 2 R for rounded lambdas."""
    return root_above(Fraction(size, 4)) * Fraction(lsb) + 2 * Fraction(R) * Fraction(lambda_error)


def best_steps(R: Any, delta: Any) -> int:
    """sqrt(2 R / delta), where the bound of the residual is least."""
    return max(isqrt(int(2 * Fraction(R) / Fraction(delta))), 1)


def residual_bound(k: int, R: Any, delta: Any) -> Fraction:
    """Of ||x_k - T(x_k)|| after k >= 1 sweeps: 2 R / (k + 1) + delta (k + 2)."""
    return 2 * Fraction(R) / (k + 1) + Fraction(delta) * (k + 2)


def rotation(degrees: float = 60, frac: int = 20, coefficient_frac: int = 28, **options: Any) -> Unit:
    """Halpern on the rotation of the plane, of which x <- T(x) itself never converges; x* = 0.

    Sine and cosine are stored at `coefficient_frac` bits, cut toward zero, so that the map stays
    non-expansive. R is 1: for starts on the unit circle.
    """
    made = turn(degrees, coefficient_frac)
    given = {"name": "rotation", **options}
    return halpern(made, {"x": (SQ(3, frac, overflow="SAT"), (2,))}, **given)


def turn(degrees: float, coefficient_frac: int = 28) -> Step:
    """x -> R x for the plane's rotation, coefficients cut toward zero."""
    one = 1 << coefficient_frac
    c, s = (int(np.trunc(f(np.deg2rad(degrees)) * one)) for f in (np.cos, np.sin))
    if c * c + s * s > one * one:  # the float sine or cosine was rounded up onto the grid
        s -= int(np.sign(s))
    matrix = np.array([[c, -s], [s, c]])

    def step(x: Tensor) -> Tensor:
        turned: Tensor = x @ matrix.T
        return turned >> coefficient_frac

    return step


def averaging(n: int = 8, frac: int = 16, *, steps: int | None = None, **options: Any) -> Unit:
    """The mean of n >= 2 numbers in -1..1 by a ring that only passes them on: T is a cyclic shift.

    Its fixed points are the constants, and the one nearest to x0 is the mean, within 2 R / (k + 1) times the
    inverse of the ring's slowest turn, 2 sin(pi / n).
    """
    order = [(i + 1) % n for i in range(n)]
    fmt = SQ(2, frac, overflow="SAT")
    given = {"name": "averaging", "R": root_above(Fraction(n)), "steps": steps, **options}
    made = halpern(lambda x: x.take(order), {"x": (fmt, (n,))}, **given)
    if {"update", "stop", "schedule", "frozen"} & set(options):
        return made
    # Any start of the format is within 2 sqrt n of its mean.
    assert isinstance(made.update, Anchor)
    R = 2 * root_above(Fraction(n))
    delta = rounding(n, fmt.lsb, Fraction(1, 2 << made.update.frac), R)
    sine = rotated(4 * arctangent(Fraction(1)) / n, 1)[1]
    bound = residual_bound(made.cap, R, delta) / (2 * sine) / fmt.lsb
    return ends(made, {count(made.cap): (bound,) * n}, "the radius is around the mean of the start")


def reference(x0: Any, frac: int) -> Array:
    """The means of the rows of raw x0 (rows, n), in every component, as Fractions."""
    values = rational.fractions(np.asarray(x0), frac)
    means = values.sum(axis=1) / Fraction(values.shape[1])
    found: Array = np.repeat(means[:, None], values.shape[1], axis=1)
    return found


def example() -> Example:
    """The mean brightness of rows of a digit image, by a ring of 8 places."""
    from fxsim.data import digits_samples

    frac = 16
    rows = np.round(digits_samples()[0][:4].reshape(32, 8) * (1 << frac)).astype(np.int64)
    return Example(
        averaging(8, frac), {}, exact(rows), lambda: reference(rows, frac),
        "32 rows of 4 digit images (UCI digits), each averaged by a ring",
    )  # fmt: skip


def _area(fmt: Format, shape: Any) -> Fraction:
    """Sum of the squares of the components' ranges."""
    size = int(np.prod(np.atleast_1d(shape))) if shape != () else 1
    return ((fmt.hi - fmt.lo) * fmt.lsb) ** 2 * size
