"""Monotone operator equilibrium networks (Winston and Kolter 2020): z = relu(W z + b), b = U x + bias.

W = (1 - m) I - A^T A + B - B^T has I - W >= m I, m > 0, so that exactly one z solves it, whatever b is.

forward_backward   z <- relu((1 - a) z + a (W z + b)), a contraction in the 2-norm for a < 2 m / ||I - W||**2
peaceman_rachford  u <- 2 V (|u| + a b) - |u|, V = ((1 + a) I - a W)^-1 stored; z = relu(u); any a > 0. It is
                   the textbook's u' = R_V(R(u)), with R(u) = 2 relu(u) - u = |u|

Both contract in the 2-norm only, where truncated increments may cycle (T4 is false there), and nearest
rounding as well. So the stop is a count K with L**K R <= 1 LSB, whatever the start and b are, or, earlier, a
sweep that changes nothing, which proves as much.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.constants import to_raw
from fxsim.formats import SQ, UQ, Format
from fxsim.integers import Array, exact, matmul, shift_left, to_object
from fxsim.iterate.counted import counted
from fxsim.iterate.example import Example
from fxsim.iterate.norms import positive_definite, root_above, two_norm
from fxsim.iterate.references import rational
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import assign
from fxsim.trace import Tensor

__all__ = ["forward_backward", "peaceman_rachford"]

MARGIN_BITS = 8  # of the monotonicity m that is proven


def weights(A: Any, B: Any, m: Any) -> Array:
    """W = (1 - m) I - A^T A + B - B^T exactly, as Fractions: A, B (n, n) and m dyadic."""
    a, b = (rational.fractions(np.asarray(v)) for v in (A, B))
    found: Array = rational.fractions(np.eye(len(a), dtype=np.int64)) * (1 - Fraction(m)) - a.T @ a + b - b.T
    return found


def monotonicity(W: Any) -> Fraction:
    """m > 0 on a grid of 2**-8 with I - (W + W^T) / 2 > m I, proven exactly; ValueError where there is none.

    It is found by bisection with an exact test of definiteness, not by an eigenvalue.
    """
    raw, frac = to_raw(W, "W")
    if raw.ndim != 2 or raw.shape[0] != raw.shape[1] or not raw.size:
        raise ValueError(f"W must have shape (n, n), not {raw.shape}")
    fine = 1 << MARGIN_BITS
    eye = np.eye(len(raw), dtype=np.int64).astype(object)
    double = (eye * (2 << frac) - to_object(raw) - to_object(raw).T) * fine

    def holds(k: int) -> bool:
        return positive_definite(double - eye * (2 * k << frac))

    if not holds(1):
        raise ValueError(f"W must have I - (W + W^T) / 2 > I / {fine}, which is not the case: not monotone")
    # No m is above the least diagonal element of I - W.
    low, high = 1, (int(min(np.diag(double))) >> (frac + 1)) + 1
    while high - low > 1:
        k = (low + high) // 2
        low, high = (k, high) if holds(k) else (low, k)
    return Fraction(low, fine)


def forward_backward(
    W: Any, *, frac: int = 12, alpha: Any = None, b: Format | None = None, state: Format | None = None,
    **options: Any,
) -> Unit:  # fmt: skip
    """z <- relu((1 - alpha) z + alpha (W z + b)), from z = 0, rounded once, to nearest.

    W        (n, n), real and dyadic, exactly as given; monotone (`weights`, `monotonicity`)
    frac     fraction bits of the state
    alpha    dyadic; None: of the powers of two below 2 m / ||I - W||**2 the one that contracts most
    b        format of the parameter (n,), SQ(3, frac) by default
    state    the state's format, by default one that holds every solution: |z| <= ||b|| / m. A smaller one
             solves for z clipped to it
    options  as of `unit`; by default nearest rounding and the stops of `counted`

    ValueError where W is not monotone or alpha does not contract.
    """
    raw, w_frac = to_raw(W, "W")
    m = monotonicity(W)
    a = _best_alpha(raw, w_frac, m) if alpha is None else _dyadic(alpha)
    matrix, scale = _mixed(raw, w_frac, a)
    L = _contraction(two_norm(matrix, scale), "alpha", a)
    held = SQ(3, frac) if b is None else b
    n = len(raw)
    if state is None:
        bits = _bits(root_above(Fraction(n)) * _largest(held) / m)
        state = UQ(bits, frac, overflow="SAT")

    def step(z: Tensor, b: Tensor) -> Tensor:
        return (((z @ matrix.T) >> scale) + b * a).relu()

    return _built(step, "z", state, held, L, n, {"name": "forward_backward", **options})


def peaceman_rachford(
    W: Any, *, frac: int = 12, alpha: Any = 1, coefficient_frac: int = 16, b: Format | None = None,
    state: Format | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """u <- 2 V (|u| + alpha b) - |u|, from u = 0, rounded once, to nearest; the answer is relu(u).

    coefficient_frac  fraction bits of V (`resolvent`), which is rounded to nearest: see `resolvent_error` for
                      what that does to the solution
    the rest as of `forward_backward`; |u| <= (1 + alpha ||I - W||) ||b|| / m + alpha ||b|| sizes the state
    """
    a = _dyadic(alpha)
    m = monotonicity(W)
    V = resolvent(W, a, coefficient_frac)
    held = SQ(3, frac) if b is None else b
    n = len(V)
    eye = np.eye(n, dtype=np.int64)
    L = _contraction(two_norm(exact(2 * V - shift_left(eye, coefficient_frac)), coefficient_frac), "alpha", a)
    if state is None:
        raw, w_frac = to_raw(W, "W")
        size = root_above(Fraction(n)) * _largest(held)
        whole = two_norm(exact(shift_left(eye, w_frac) - raw), w_frac)
        state = SQ(_bits(((1 + a * whole) / m + a) * size) + 1, frac, overflow="SAT")

    def step(u: Tensor, b: Tensor) -> Tensor:
        folded = abs(u)
        return (((folded + b * a) @ V.T) >> (coefficient_frac - 1)) - folded

    return _built(step, "u", state, held, L, n, {"name": "peaceman_rachford", **options})


def resolvent(W: Any, alpha: Any, coefficient_frac: int) -> Array:
    """V = ((1 + alpha) I - alpha W)^-1, solved exactly and then rounded to nearest: raw integers (n, n)."""
    exact_V = _inverse(W, _dyadic(alpha))
    found = np.array([round(v * (1 << coefficient_frac)) for v in exact_V.ravel()], object)
    return exact(found.reshape(exact_V.shape))


def resolvent_error(W: Any, alpha: Any, coefficient_frac: int) -> Fraction:
    """max_i sum_j |V_q - V|_ij, exactly. The fixed point u moves by at most 2 n**.5 times it, times the
    largest |u| + alpha |b|, over 1 - L."""
    V = _inverse(W, _dyadic(alpha))
    q = rational.fractions(resolvent(W, alpha, coefficient_frac), coefficient_frac)
    return Fraction(max(np.abs(q - V).sum(axis=1)))


def contraction(W: Any, alpha: Any) -> Fraction:
    """L of forward-backward: a proven bound of ||(1 - alpha) I + alpha W||."""
    raw, frac = to_raw(W, "W")
    return two_norm(*_mixed(raw, frac, _dyadic(alpha)))


def radius(L: Fraction, n: int) -> Fraction:
    """r of theorem T1 in LSB, in the 2-norm, for nearest rounding: (sqrt(n) / 2) / (1 - L)."""
    return root_above(Fraction(n, 4)) / (1 - L)


def reference(W: Any, b: Any) -> Array:
    """The z = relu(W z + b) of every row of b (rows, n), as Fractions: the active set, its system solved."""
    w = rational.fractions(np.asarray(W))
    eye = rational.fractions(np.eye(len(w), dtype=np.int64))
    rows = [_solution(eye - w, row) for row in rational.fractions(np.asarray(b))]
    return np.stack(rows)


def example() -> Example:
    """Features of digit images by an equilibrium network of 48 units."""
    W, b, _ = digits_network()
    chosen = b[:8]
    frac = DIGITS_FRAC
    return Example(
        forward_backward(W, frac=frac), {"b": chosen}, None,
        lambda: reference(W, rational.fractions(chosen, frac)),
        "8 digit images (UCI digits) into random weights: nothing is trained but a readout behind it",
    )  # fmt: skip


DIGITS_FRAC = 10


def digits_network(n: int = 48, m: Any = 1, seed: int = 3) -> tuple[Array, Array, Array]:
    """(W, raw b of 500 images at DIGITS_FRAC bits, digits): random A, B and U on dyadic grids.

    A least-squares readout of z, fitted to 400 images, is right for 93 of the other 100; of b itself, for 96:
    this shows the unit, not the worth of random weights.
    """
    from fxsim.data import digits_samples

    rng = np.random.default_rng(seed)
    A = np.round(rng.normal(size=(n, n)) / 2 / np.sqrt(n) * 64) / 64
    B = np.round(rng.normal(size=(n, n)) / 2 / np.sqrt(n) * 4096) / 4096
    U = rng.integers(-2, 3, (64, n))
    images, digits = digits_samples()
    pixels = np.round(images.reshape(-1, 64) * 16).astype(np.int64)
    centred = pixels - np.round(pixels.mean(axis=0)).astype(np.int64)
    limit = (4 << DIGITS_FRAC) - 1
    b = np.clip(matmul(centred, U) << (DIGITS_FRAC - 7), -limit, limit)  # pixels / 16, U / 8
    return weights(A, B, m), exact(b), digits


def readout(z: Array, digits: Array, ridge: float = 1e-2) -> Array:
    """(n + 1, 10): the least-squares readout of [z, 1] onto the digits."""
    features = np.concatenate([z, np.ones((len(z), 1))], axis=1)
    gram = features.T @ features + ridge * np.eye(features.shape[1])
    found: Array = np.linalg.solve(gram, features.T @ np.eye(10)[digits])
    return found


def _built(
    step: Any, name: str, state: Format, held: Format, L: Fraction, n: int, options: dict[str, Any]
) -> Unit:
    def make(**more: Any) -> Unit:
        given = {"update": assign("RND"), **more, **options}
        return unit(step, {name: (state, (n,))}, {"b": (held, (n,))}, **given)

    return make() if "stop" in options else counted(make, L, [state] * n)


def _solution(M: Array, b: Array) -> Array:
    """z >= 0 with M z - b >= 0 and one of the two 0 in every place; proven, wherever the guess came from."""
    m, c = M.astype(float), b.astype(float)
    inverse, u = np.linalg.inv(np.eye(len(c)) + m), np.zeros(len(c))
    for _ in range(5000):
        folded = np.abs(u)
        new = 2 * inverse @ (folded + c) - folded
        if np.max(np.abs(new - u)) < 1e-13:
            break
        u = new
    active = u > 0
    for _ in range(2 * len(c) + 1):
        at = np.flatnonzero(active)
        found = np.array([Fraction(0)] * len(c), object)
        if len(at):
            found[at] = rational.solve(M[np.ix_(at, at)], b[at])
        slack = M @ found - b
        wrong = np.where(active, found < 0, slack < 0)
        if not np.any(wrong):
            return found
        active = active ^ wrong
    raise ArithmeticError("the active set must settle; the problem is degenerate")


def _inverse(W: Any, alpha: Fraction) -> Array:
    w = rational.fractions(np.asarray(W))
    eye = np.eye(len(w), dtype=np.int64)
    return rational.solve(rational.fractions(eye) * (1 + alpha) - w * alpha, eye)


def _mixed(raw: Array, frac: int, alpha: Fraction) -> tuple[Array, int]:
    """(integers, scale) of (1 - alpha) I + alpha W."""
    bits = alpha.denominator.bit_length() - 1
    eye = np.eye(len(raw), dtype=np.int64)
    one = alpha.denominator - alpha.numerator
    return exact(shift_left(eye * one, frac) + raw * alpha.numerator), frac + bits


def _best_alpha(raw: Array, frac: int, m: Fraction) -> Fraction:
    whole = two_norm(exact(shift_left(np.eye(len(raw), dtype=np.int64), frac) - raw), frac)
    most = 2 * m / whole**2
    alpha = Fraction(1)
    while alpha >= most:
        alpha /= 2
    while 2 * alpha < most:
        alpha *= 2
    w = np.ldexp(raw.astype(float), -frac)
    tried = [alpha, alpha / 2, alpha / 4]
    sizes = [np.linalg.norm((1 - float(a)) * np.eye(len(w)) + float(a) * w, 2) for a in tried]
    return tried[int(np.argmin(sizes))]


def _contraction(L: Fraction, name: str, value: Fraction) -> Fraction:
    if L >= 1:
        raise ValueError(f"{name} must make the step contract, not {value}: its norm is {float(L):.6g}")
    return L


def _dyadic(value: Any) -> Fraction:
    raw, frac = to_raw(value, "alpha")
    if raw.ndim or raw <= 0:
        raise ValueError(f"alpha must be one positive number, not {value!r}")
    return Fraction(int(raw), 1 << frac)


def _largest(fmt: Format) -> Fraction:
    return max(-fmt.lo, fmt.hi) * fmt.lsb


def _bits(bound: Fraction) -> int:
    """Integer bits of an unsigned format that holds `bound`."""
    bits = 1
    while Fraction(2) ** bits <= bound:
        bits += 1
    return bits
