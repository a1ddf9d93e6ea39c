"""Bounds of matrix norms that are proven in integers: weighted max-norms, the 2-norm, definiteness.

Floating point only proposes (a Perron vector, a singular value); what is returned has been verified exactly.
A matrix is an integer array `raw` with values raw * 2**-scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt

import numpy as np

from fxsim.integers import Array, exact, matmul, to_object

ROOT_BITS = 64
WEIGHT_BITS = 16  # of the smallest weight
DEFINITE_SIZE = 128  # beyond it the exact test of a 2-norm takes longer than a minute


def unit(scale: int) -> Fraction:
    """2**-scale."""
    return Fraction(2) ** -scale


def root_above(value: Fraction) -> Fraction:
    """sqrt(value) rounded up to 64 bits behind its leading one."""
    if value < 0:
        raise ValueError(f"value of a root must not be negative, not {value}")
    if not value:
        return Fraction(0)
    bits = value.denominator.bit_length() - value.numerator.bit_length()
    k = max(ROOT_BITS + bits // 2, 0)
    scaled = -(-value.numerator * (1 << (2 * k)) // value.denominator)
    root = isqrt(scaled)
    return Fraction(root + (root * root != scaled), 1 << k)


def max_norm(raw: Array, scale: int = 0, weights: Sequence[int] | None = None) -> Fraction:
    """max_i sum_j |M_ij| w_j / w_i: the norm of max |x_i| / w_i. M has one row per result."""
    a = to_object(np.abs(exact(raw)))
    if not a.size:
        return Fraction(0)
    w = np.array([1] * a.shape[1] if weights is None else [int(v) for v in weights], object)
    if weights is not None and (a.shape[0] != a.shape[1] or len(w) != a.shape[1]):
        raise ValueError(f"weights must be {a.shape[1]} of a square matrix, not {len(w)} of {a.shape}")
    sums = a @ w
    below = [1] * len(sums) if weights is None else w.tolist()
    return max(Fraction(int(s), int(b)) for s, b in zip(sums, below, strict=True)) * unit(scale)


def one_norm(raw: Array, scale: int = 0) -> Fraction:
    """The largest sum of a column's magnitudes."""
    return max_norm(exact(raw).T, scale)


def perron_weights(raw: Array, scale: int = 0) -> tuple[tuple[int, ...], Fraction]:
    """(w, L) with (|M| w)_i <= L w_i for all i, positive integers w and L near the spectral radius of |M|.

    Collatz and Wielandt: every positive w gives an upper bound of the spectral radius. w = (l I - |M|)**-1 1
    for l just above the radius r is positive and has |M| w < l w, also where |M| is reducible. Weights of 1
    are kept where they are as good.
    """
    a = np.abs(exact(raw))
    n = a.shape[0]
    if a.ndim != 2 or a.shape[1] != n or not n:
        raise ValueError(f"a matrix with weights must be square, not {a.shape}")
    best: tuple[tuple[int, ...], Fraction] = (1,) * n, max_norm(a, scale)
    m = _floats(a, scale)
    with np.errstate(all="ignore"):
        radius = float(np.max(np.abs(np.linalg.eigvals(m)))) if np.all(np.isfinite(m)) else float("inf")
        for margin in (1e-2, 1e-3, 1e-5, 1e-7):
            level = radius * (1 + margin) + (margin if radius < 1e-9 else 0)
            if not np.isfinite(level) or level <= 0:
                break
            try:
                w = np.linalg.solve(level * np.eye(n) - m, np.ones(n))
            except np.linalg.LinAlgError:
                continue
            found = rounded_weights(w)
            if found is None:
                continue
            bound = max_norm(a, scale, found)
            if bound < best[1]:
                best = found, bound
    return best


def rounded_weights(w: Array) -> tuple[int, ...] | None:
    """Positive floats as integers, the least of 16 bits; None where they are not positive and finite."""
    if not np.all(np.isfinite(w)) or np.any(w <= 0) or float(w.max()) > 1e12 * float(w.min()):
        return None
    return tuple(round(float(v) / float(w.min()) * (1 << WEIGHT_BITS)) for v in w)


def resolvent_above(raw: Array, scale: int, b: Sequence[Fraction]) -> tuple[Fraction, ...] | None:
    """A vector e >= (I - |M|)**-1 b for b > 0, or None where the spectral radius of |M| is not proven < 1.

    (I - |M|) e >= b > 0 with e > 0 proves both: |M| e < e, so the radius is below 1, the inverse is
    non-negative, and e is above its image of b.
    """
    a = to_object(np.abs(exact(raw)))
    n = a.shape[0]
    rhs = np.array([float(v) for v in b])
    m = _floats(a, scale)
    if any(v <= 0 for v in b) or not np.all(np.isfinite(m)):
        return None
    try:
        e = np.linalg.solve(np.eye(n) - m, rhs)
    except np.linalg.LinAlgError:
        return None
    if not np.all(np.isfinite(e)) or np.any(e <= 0):
        return None
    fine = 1 << 24
    size = Fraction(2) ** (int(np.frexp(e.min())[1]) - 1)
    for margin in (0.0, 1e-6, 1e-3):
        found = [int(-(-Fraction(float(v)) * Fraction(1 + margin) * fine // size)) for v in e]
        image = a @ np.array(found, object)
        step = size / fine
        if all(
            (v - int(i) * unit(scale)) * step >= Fraction(r) for v, i, r in zip(found, image, b, strict=True)
        ):
            return tuple(v * step for v in found)
    return None


def spectral_radius_below_one(raw: Array, scale: int = 0) -> bool:
    """Is the spectral radius of |M| proven to be less than 1?"""
    return perron_weights(raw, scale)[1] < 1


def positive_definite(raw: Array) -> bool:
    """Is the symmetric integer matrix positive definite? Exactly.

    Floating point proposes X near the inverse root of A, so that X^T A X is near I: where that is strictly
    diagonally dominant, A is positive definite. It proposes v near the lowest eigenvector: where
    v^T A v <= 0, A is not. What neither decides, fraction-free elimination does (leading minors, Bareiss).

    ValueError for a matrix that is not symmetric.
    """
    a = to_object(exact(raw))
    if a.ndim != 2 or a.shape[0] != a.shape[1] or not np.array_equal(a, a.T):
        raise ValueError(
            f"a matrix must be symmetric to be positive definite, not {np.asarray(raw).tolist()}"
        )
    if not len(a):
        return True
    if any(int(v) <= 0 for v in np.diag(a)):
        return False
    decided = _by_congruence(a) if len(a) > 8 else None
    return _by_elimination(a) if decided is None else decided


def _by_congruence(a: Array) -> bool | None:
    """True or False where a congruence or a vector proves it, else None."""
    top = max(abs(int(v)) for v in a.ravel())
    floats = _floats(a, top.bit_length())
    try:
        x = np.linalg.inv(np.linalg.cholesky(floats)).T
    except np.linalg.LinAlgError:
        low = np.linalg.eigh(floats)[1][:, 0]
        v = np.array([round(float(u) * (1 << 30)) for u in low], object)
        return False if int(v @ a @ v) <= 0 else None
    if not np.all(np.isfinite(x)):
        return None
    x = x / np.abs(x).max(axis=0)  # a scale per column leaves dominance to the proof
    columns = np.array([[round(float(u) * (1 << 40)) for u in row] for row in x], object)
    g = columns.T @ a @ columns
    return True if dominant(g) else None


def dominant(g: Array) -> bool:
    """Is sum_j |g_ij| d_j < g_ii d_i for all i, j != i, with d_i near g_ii**-1/2? That proves a symmetric
    matrix positive definite: D g D is strictly diagonally dominant."""
    d = [root_above(Fraction(1, int(v))) if int(v) > 0 else Fraction(0) for v in np.diag(g)]
    for i, row in enumerate(g):
        rest = sum(
            (abs(int(v)) * w for j, (v, w) in enumerate(zip(row, d, strict=True)) if j != i), Fraction(0)
        )
        if rest >= int(row[i]) * d[i]:
            return False
    return True


def _by_elimination(a: Array) -> bool:
    last = 1
    while a.shape[0]:
        pivot = int(a[0, 0])
        if pivot <= 0:
            return False
        a = (pivot * a[1:, 1:] - np.outer(a[1:, 0], a[0, 1:])) // last
        last = pivot
    return True


def two_norm(raw: Array, scale: int = 0) -> Fraction:
    """An upper bound s of the 2-norm: a float singular value with a margin, where s**2 I - M^T M is proven
    positive definite; at most sqrt(1-norm * max-norm), which needs no proof."""
    a = exact(raw)
    if a.ndim != 2:
        raise ValueError(f"a matrix must have two axes, not shape {a.shape}")
    if not a.size or not np.any(a != 0):
        return Fraction(0)
    plain = root_above(max_norm(a) * one_norm(a))
    small = a if a.shape[1] <= a.shape[0] else a.T
    floats = _floats(small, 0)
    if (
        small.shape[1] <= DEFINITE_SIZE
        and np.all(np.isfinite(floats))
        and float(np.abs(floats).max()) < 1e150
    ):
        gram = to_object(matmul(small.T, small))
        value = float(np.linalg.norm(floats, 2))
        for margin in (1e-9, 1e-6, 1e-4):
            s = value * (1 + margin)
            bits = max(40 - int(np.frexp(s)[1]), 0)
            top = -(-Fraction(s) * (1 << bits) // 1)
            found = Fraction(int(top), 1 << bits)
            if found >= plain:
                break
            shifted = (int(top) ** 2) * np.eye(len(gram), dtype=object).astype(int).astype(object)
            if positive_definite(shifted - gram * (1 << (2 * bits))):
                return found * unit(scale)
    return plain * unit(scale)


def block_norms(raw: Array, scale: int, groups: Sequence[Sequence[int]], norm: str = "2") -> Array:
    """The norms of the blocks M[groups[a], groups[b]], as an object array of Fractions."""
    a = exact(raw)
    out = np.empty((len(groups), len(groups)), object)
    for p, rows in enumerate(groups):
        for q, columns in enumerate(groups):
            part = a[np.ix_(list(rows), list(columns))]
            out[p, q] = two_norm(part, scale) if norm == "2" else max_norm(part, scale)
    return out


def small_gain(gains: Array) -> tuple[tuple[int, ...], Fraction]:
    """(w, L) for a matrix of block gains: max_p ||x_p|| / w_p contracts by L if no block gain is exceeded."""
    bits = 48
    raw = np.array([[int(-(-Fraction(v) * (1 << bits) // 1)) for v in row] for row in gains], object)
    return perron_weights(exact(raw), bits)


def _floats(a: Array, scale: int) -> Array:
    """The matrix in floating point, for proposals only."""
    with np.errstate(over="ignore"):
        if a.dtype != object:
            return np.ldexp(a.astype(np.float64), -scale)
        flat = [
            float(Fraction(int(v)) * unit(scale)) if abs(int(v)) < 1 << 1000 else np.inf for v in a.ravel()
        ]
        return np.array(flat).reshape(a.shape)


def inverse_above(raw: Array, scale: int, v: Sequence[Fraction]) -> tuple[Fraction, ...] | None:
    """A vector >= |G**-1| v for v >= 0, or None where G is not proven regular.

    With B near G**-1 and R = I - B G, |R| < 1 in the max-norm: G**-1 = (I - R)**-1 B, so that
    |G**-1| v <= |B| v + max(|B| v) |R| / (1 - |R|).
    """
    g = _floats(exact(raw), scale)
    try:
        inverse = np.linalg.inv(g)
    except np.linalg.LinAlgError:
        return None
    if not np.all(np.isfinite(inverse)) or not np.any(inverse):
        return None
    bits = 40 - int(np.frexp(np.abs(inverse).max())[1])
    b = np.array([[round(Fraction(float(x)) * Fraction(2) ** bits) for x in row] for row in inverse], object)
    left = b @ to_object(exact(raw))
    one = Fraction(2) ** (bits + scale)
    eye = np.eye(len(b), dtype=np.int64)
    rest = max(sum(abs(one * int(i) - int(p)) for i, p in zip(e, row, strict=True))
               for e, row in zip(eye, left, strict=True)) / one  # fmt: skip
    if rest >= 1:
        return None
    rows = [sum((abs(int(x)) * Fraction(w) for x, w in zip(row, v, strict=True)), Fraction(0)) for row in b]
    rows = [r * unit(bits) for r in rows]
    more = max(rows) * rest / (1 - rest)
    fine = Fraction(2) ** 24
    return tuple(-(-(r + more) * fine // 1) / fine for r in rows)
