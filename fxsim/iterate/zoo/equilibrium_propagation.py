"""Equilibrium propagation: a net that descends an energy, free and nudged, and the gradient of both."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import data
from fxsim.constants import to_raw
from fxsim.formats import UQ, Format, Overflow
from fxsim.integers import Array, exact
from fxsim.iterate.example import Exact, Example
from fxsim.iterate.norms import positive_definite
from fxsim.iterate.proofs import Descent
from fxsim.iterate.references import rational
from fxsim.iterate.unit import Unit, unit
from fxsim.trace import Tensor, concat, maximum, minimum

__all__ = ["equilibrium_propagation"]


def equilibrium_propagation(
    W: Any, U: Any, b: Any = 0, *, beta: Any = 0, outputs: int = 1, x: Format | None = None,
    y: Format | None = None, frac: int = 12, dt: int = 2, **options: Any,
) -> Unit:  # fmt: skip
    """The unit s <- clip(s + dt (W s + U x + b - s [+ beta (y - s)_out]), 0, 1), increments truncated.

    It descends the energy s^T (I - W) s / 2 - s^T (U x + b) [+ beta |y - s_out|^2 / 2] over the unit cube.
    The free phase has beta = 0 and no y; a nudged one starts where the free one ended.

    W        (n, n), dyadic, symmetric; U (n, inputs) and b (n,), dyadic
    beta     dyadic, of either sign; outputs, how many of the last components of s are nudged toward y
    x, y     formats of the parameters, UQ(1, 8) both
    frac     of s in 0..1;  dt, the step is 2**-dt
    options  as of `unit`: schedule, stop, cap, proofs, name

    It stops for dt < 2 / lambda_max(I - W + max(beta, 0)), as the energy falls with every move. It rests
    where every force is below 2**dt LSB, so that dt costs as many bits of the state. Lost: increments below
    one LSB.
    Source: Scellier and Bengio, arXiv 1602.05179; symmetric nudge of Laborieux et al., arXiv 2006.03824.
    """
    weights, inputs, bias, nudge = _checked(W, U, b, beta, outputs)
    n = len(weights)
    if isinstance(dt, bool) or not isinstance(dt, (int, np.integer)) or dt < 0:
        raise ValueError(f"dt must be an integer of at least 0, the step being 2**-dt, not {dt!r}")
    x, y = UQ(1, 8) if x is None else x, UQ(1, 8) if y is None else y

    def relaxed(s: Tensor, force: Tensor) -> Tensor:
        return minimum(maximum(s + ((force - s) >> int(dt)), 0), 1)

    def free(s: Tensor, x: Tensor) -> Tensor:
        return relaxed(s, weights @ s + (inputs @ x + bias))

    def nudged(s: Tensor, x: Tensor, y: Tensor) -> Tensor:
        toward = (y - s[n - outputs :]) * nudge
        if n > outputs:
            toward = concat([s.builder.constant(np.zeros(n - outputs, np.int64)), toward])
        return relaxed(s, weights @ s + (inputs @ x + bias) + toward)

    parameters = {"x": (x, (inputs.shape[1],))}
    if nudge:
        parameters["y"] = (y, (outputs,))
    state = {"s": (Format(frac + 1, 1, False, overflow=Overflow.SAT), (n,))}
    common: dict[str, Any] = {"name": "equilibrium_propagation"}
    if "update" not in options:
        common["proofs"] = _descent(weights, nudge, outputs, int(dt))
    return unit(nudged if nudge else free, state, parameters, **{**common, **options})


def gradient(plus: Any, minus: Any, beta: Any, frac: int) -> Exact:
    """d (|y - s_out|^2 / 2) / d W_ij of tied weights W_ij = W_ji, estimated from two nudged states:

        -(s+ s+^T - s- s-^T) / (2 beta),   s+ and s- raw with `frac` bits, at +beta and -beta

    Its diagonal is that of a self-connection. The estimate errs by O(beta**2), and by O(LSB / beta) as the
    states are rounded: least for beta about LSB**(1/3).
    """
    scale = Fraction(1, 1 << 2 * frac) / (2 * Fraction(beta))
    p, m = (np.asarray(v).astype(object) for v in (plus, minus))
    found: Exact = (m[..., :, None] * m[..., None, :] - p[..., :, None] * p[..., None, :]) * scale
    return found


def reference(
    W: Any, U: Any, b: Any, x: Any, *, beta: Any = 0, outputs: int = 1, y: Any = None
) -> Exact:  # fmt: skip
    """The exact s, as Fractions (rows, n), for real dyadic x (rows, inputs) and y (rows, outputs).

    Which components lie at 0 and 1 is guessed by floating point; the others solve a linear system exactly.
    That all forces at the ends point outward proves the point where the energy is convex.
    ArithmeticError where the guess fails.
    """
    A = np.eye(len(W)) - np.asarray(W, float)
    n = len(A)
    exactly = rational.fractions(np.eye(n, dtype=np.int64)) - rational.fractions(W)
    out = np.arange(n) >= n - outputs
    A[out, out] += float(beta)
    exactly[out, out] = exactly[out, out] + Fraction(beta)
    found = []
    for k, row in enumerate(np.atleast_2d(np.asarray(x))):
        drive = rational.fractions(U) @ rational.fractions(row) + rational.fractions(np.broadcast_to(b, n))
        if beta:
            drive[out] = drive[out] + Fraction(beta) * rational.fractions(np.atleast_2d(y)[k])
        found.append(_least(A, exactly, drive))
    return np.array(found, object)


def example() -> Example:
    """Ten outputs that inhibit each other see 40 digits: the images of the digits' means as weights."""
    W, U, b, x = digit_net()
    wanted = x[:40]
    return Example(
        equilibrium_propagation(W, U, b, outputs=10, x=UQ(1, 6)), {"x": wanted}, None,
        lambda: reference(W, U, b, wanted / 64),
        "40 of the shipped digit images, 2 x 2 pixels made one, against the digits' mean images.",
    )  # fmt: skip


def digit_net() -> tuple[Array, Array, Array, Array]:
    """(W, U, b, x): a matched filter per digit, inhibition 1/16 between them; x raw, 6 fraction bits.

    The filter of class c is its mean image m_c less the mean of all, b its -|m_c|^2 / 2 + 1/2: what a linear
    classifier of equal spread would have.
    """
    images, labels = data.digits_samples()
    pixels = images.reshape(-1, 4, 2, 4, 2).sum((2, 4)).reshape(-1, 16) * 16  # 0..64, whole
    raw = pixels.astype(np.int64)
    means = np.array([np.rint(raw[labels == d].mean(0) / 4) / 16 for d in range(10)])
    centre = np.rint(means.mean(0) * 16) / 16
    U = means - centre
    b = np.rint((0.5 - U @ centre - np.sum(U * U, 1) / 2) * 64) / 64
    W = (np.eye(10) - 1) / 16
    return W, U, b, raw


def _descent(W: Array, beta: Any, outputs: int, dt: int) -> tuple[Descent, ...]:
    """The proof that the energy falls, where dt is small enough for it: dt < 2 / lambda_max."""
    A = np.eye(len(W)) - W
    A[-outputs:, -outputs:] += np.eye(outputs) * float(beta)
    raw, frac = to_raw(A)
    room = np.eye(len(W), dtype=np.int64) * (2 << dt + frac) - raw
    return (Descent.of(A, 2.0**-dt),) if positive_definite(exact(room)) else ()


def _least(A: Array, exactly: Array, drive: Array) -> list[Fraction]:
    b = drive.astype(float)
    s = np.full(len(A), 0.5)
    step = 1 / np.linalg.norm(A, 2)
    for _ in range(20000):
        new = np.clip(s + step * (b - A @ s), 0, 1)
        moved, s = np.max(np.abs(new - s)), new
        if moved < 1e-15:
            break
    low, high = s <= 1e-12, s >= 1 - 1e-12
    free = ~low & ~high
    x = rational.fractions(high.astype(np.int64))
    if np.any(free):
        x[free] = rational.solve(exactly[np.ix_(free, free)], (drive - exactly @ x)[free])
    force = drive - exactly @ x
    inside = all(0 <= v <= 1 for v in x)
    if not inside or np.any(force[low] > 0) or np.any(force[high] < 0):
        raise ArithmeticError("the components at 0 and 1 must be told by floating point, and are not")
    return list(x)


def _checked(W: Any, U: Any, b: Any, beta: Any, outputs: int) -> tuple[Array, Array, Array, Any]:
    """The coefficients as floats that hold them exactly."""
    raw = to_raw(W, "W")[0]
    if raw.ndim != 2 or raw.shape[0] != raw.shape[1] or not raw.size or np.any(raw != raw.T):
        raise ValueError(f"W must be a symmetric matrix, not {W!r}")
    n = len(raw)
    inputs = to_raw(U, "U")[0]
    if inputs.ndim != 2 or len(inputs) != n or not inputs.size:
        raise ValueError(f"U must have {n} rows, not shape {np.shape(U)}")
    if np.shape(b) not in ((), (n,)):
        raise ValueError(f"b must be one number or {n}, not shape {np.shape(b)}")
    to_raw(b, "b")
    if isinstance(outputs, bool) or not isinstance(outputs, (int, np.integer)) or not 1 <= outputs <= n:
        raise ValueError(f"outputs must be an integer in 1..{n}, not {outputs!r}")
    if to_raw(beta, "beta")[0].ndim:
        raise ValueError(f"beta must be one number, not {beta!r}")
    return np.asarray(W), np.asarray(U), np.broadcast_to(np.asarray(b), n), beta
