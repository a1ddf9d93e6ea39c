"""Linear systems A x = b by Jacobi, Gauss-Seidel and successive over-relaxation; b comes with the start."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.constants import to_raw
from fxsim.formats import SQ, Format
from fxsim.integers import Array, IntArray
from fxsim.iterate.example import Example
from fxsim.iterate.proofs import DIRECTED, SymmetricRelaxation
from fxsim.iterate.references import rational
from fxsim.iterate.references.graphs import checkerboard, laplacian, numgrid
from fxsim.iterate.schedules import Schedule, parallel, red_black, sequential
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import Assign, IncrementTrunc, Update
from fxsim.trace import Tensor

__all__ = ["gauss_seidel", "jacobi", "poisson", "sor"]

EXACT_BITS = 16  # coefficients that need more are rounded
ROUNDED_BITS = 12


def sor(
    A: Any, omega: Any = 1, *, frac: int = 12, coefficient_frac: int | None = None, b: Format | None = None,
    state: Format | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """x_i <- x_i + c_i (b - A x)_i, one component after another by default; c_i is omega / a_ii, stored.

    A                 (n, n), real and dyadic, exactly as given; its diagonal positive. What is iterated to
                      is A x = b whatever the c_i
    omega             in 0..2 (excluded), one number or one per component
    coefficient_frac  fraction bits of c_i, rounded to nearest, but for omega <= 1 not beyond it; None: all
                      bits where 16 hold them, else 12 of the largest. The effective omega is c_i a_ii
                      (`effective_omega`), and must be in 0..2 itself
    b                 format of the parameter (n,), SQ(1, frac) by default
    state             the state's format, by default of twice max_i sum_j |A^-1|_ij max|b|
    options           as of `unit`. Truncated increments by default: for symmetric positive definite A they
                      come to rest for every such omega, where nearest rounding does not for omega > 1; then
                      |(b - A x)_i| < a_ii u / omega_i, with u one LSB. The proof (the energy falls) is
                      attached where A is symmetric; for others rho(|I - C A|) < 1 is needed (T4)

    The unit's residual is b - A x, for `stop=residual(tolerance)`. ValueError for a singular A, a diagonal
    that is not positive, or an omega outside.
    """
    matrix, matrix_frac = _matrix(A)
    c, c_frac = _coefficients(matrix, matrix_frac, omega, coefficient_frac)
    n = len(matrix)
    held = SQ(1, frac) if b is None else b
    if state is None:
        state = _room(matrix, matrix_frac, held, frac)
    diagonal = np.diag(matrix)
    # With c_i a_ii = 1 the old value cancels: it is left out, and with it bits of carry.
    plain = bool(np.all(c * diagonal == 1 << (c_frac + matrix_frac)))
    rows = matrix - np.diag(diagonal) if plain else matrix

    def step(x: Tensor, b: Tensor, only: Any = None) -> Tensor:
        chosen = list(range(n)) if only is None else list(only)
        own, right = (x, b) if only is None else (x.take(chosen), b.take(chosen))
        found = right - ((x @ rows[chosen].T) >> matrix_frac) if np.any(rows[chosen]) else right
        weights = c[chosen]
        if np.all(weights == weights[0]) and weights[0] & (weights[0] - 1) == 0:
            moved = found >> (c_frac - int(weights[0]).bit_length() + 1)
        else:
            moved = (found * weights) >> c_frac
        return moved if plain else own + moved

    def residual(x: Tensor, b: Tensor) -> Tensor:
        return b - ((x @ matrix.T) >> matrix_frac)

    settings: dict[str, Any] = {"schedule": sequential(), "residual": residual, "name": "sor", **options}
    if "proofs" not in options and np.array_equal(matrix, matrix.T):
        nearest = bool(np.all(c * diagonal <= 1 << (c_frac + matrix_frac)))
        if _falls(settings.get("update"), settings["schedule"], n, nearest):
            settings["proofs"] = (SymmetricRelaxation(IntArray(matrix), IntArray(c), matrix_frac + c_frac),)
    return unit(step, {"x": (state, (n,))}, {"b": (held, (n,))}, **settings)


def jacobi(A: Any, **options: Any) -> Unit:
    """`sor` with omega 1, all components at once. It needs the spectral radius of |I - C A| below 1: A
    diagonally dominant or an M-matrix; where no other element of A is positive, floor and ceil enclose x."""
    return sor(A, 1, **{"schedule": parallel(), "name": "jacobi", **options})


def gauss_seidel(A: Any, **options: Any) -> Unit:
    """`sor` with omega 1, one component after another."""
    return sor(A, 1, **{"name": "gauss_seidel", **options})


def poisson(grid: Any, omega: Any = 1, **options: Any) -> Unit:
    """The 5-point equations 4 x_i - (the neighbours' sum) = b_i on a grid of `numgrid`, by red-black SOR:
    adders and shifts only."""
    return sor(
        laplacian(grid), omega, **{"schedule": red_black(checkerboard(grid)), "name": "poisson", **options}
    )


def effective_omega(A: Any, omega: Any = 1, coefficient_frac: int | None = None) -> Array:
    """c_i a_ii as Fractions: the omega that a unit of these arguments has for each component."""
    matrix, matrix_frac = _matrix(A)
    c, c_frac = _coefficients(matrix, matrix_frac, omega, coefficient_frac)
    return rational.fractions(c * np.diag(matrix), c_frac + matrix_frac)


def reference(A: Any, b: Any) -> Array:
    """The solutions of A x = b as Fractions, b (rows, n)."""
    return rational.solve(A, rational.fractions(b).T).T


def _falls(update: Update | None, schedule: Schedule, n: int, under: bool) -> bool:
    """Whether the energy may fall with every move: increments, or nearest rounding of single components with
    an omega of at most 1 (`under`). Of other updates that is not claimed."""
    if update is None or isinstance(update, IncrementTrunc):
        return True
    single = schedule.fresh and all(len(g) == 1 for g in schedule.of(n))
    nearest = isinstance(update, Assign) and not update.up and update.rounding not in (None, *DIRECTED)
    return nearest and single and under


def _matrix(A: Any) -> tuple[Array, int]:
    matrix, frac = to_raw(A, "A")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"A must have shape (n, n), not {matrix.shape}")
    if np.any(np.diag(matrix) <= 0):
        raise ValueError(f"the diagonal of A must be positive, not {(np.diag(matrix) / 2.0**frac).tolist()}")
    return matrix, frac


def _coefficients(A: Array, A_frac: int, omega: Any, frac: int | None) -> tuple[Array, int]:
    """omega / a_ii as raw integers and their binary point."""
    wanted = np.broadcast_to(rational.fractions(omega), len(A))
    if any(not 0 < w < 2 for w in wanted):
        raise ValueError(f"omega must lie between 0 and 2, both excluded, not {omega!r}")
    shares = [w * (1 << A_frac) / int(a) for w, a in zip(wanted, np.diag(A), strict=True)]
    if frac is None:
        bits = [s.denominator.bit_length() - 1 for s in shares]
        if all(s.denominator == 1 << k and k <= EXACT_BITS for s, k in zip(shares, bits, strict=True)):
            frac = max(bits)
        else:
            frac = ROUNDED_BITS
            while max(shares) * (1 << frac) < 1 << (ROUNDED_BITS - 1):
                frac += 1
    raw = np.array([(s * (1 << (frac + 1)) + 1) // 2 for s in shares], np.int64)
    beyond = raw * np.diag(A) > 1 << (frac + A_frac)
    raw -= beyond & np.array([w <= 1 for w in wanted])
    for s, c, a in zip(wanted, raw.tolist(), np.diag(A).tolist(), strict=True):
        if not 0 < Fraction(c * a, 1 << (frac + A_frac)) < 2:
            raise ValueError(
                f"coefficient_frac must hold omega / a_ii to an effective omega in 0..2, "
                f"not {Fraction(c * a, 1 << (frac + A_frac))} for omega {s}"
            )
    return raw, frac


def _room(A: Array, A_frac: int, b: Format, frac: int) -> Format:
    """A saturating format for the solutions of every b, and as much again for the way there."""
    try:
        inverse = np.linalg.inv(A.astype(np.float64)) * 2.0**A_frac
    except np.linalg.LinAlgError:
        raise ValueError("A must be regular, not singular") from None
    most = float(np.abs(inverse).sum(axis=1).max())
    if not most < 2.0**40:
        raise ValueError(
            f"A must be regular: the norm of its inverse is {most:.3g}; state may be given instead"
        )
    largest = 2 * most * float(max(-b.lo, b.hi + 1) * b.lsb)
    return SQ(1 + max(int(np.ceil(np.log2(largest))), 1 - frac), frac, overflow="SAT")


def example() -> Example:
    """Eight loads on a membrane: Poisson's equation on the 6 x 6 inner points of a square, omega 3/2."""
    grid, frac = numgrid("S", 8), 10
    made = poisson(grid, Fraction(3, 2), frac=frac, name="poisson_6x6")
    n, one = 36, 1 << frac
    loads: list[Callable[[int, int], int]] = [
        lambda i, j: one // 8, lambda i, j: -one // 8, lambda i, j: (one - 1) * (i == j == 3),
        lambda i, j: (one - 1) * (i in (2, 5) and j in (2, 5)), lambda i, j: (i - j) * one // 64,
        lambda i, j: one // 4 * (i == j), lambda i, j: one // 4 * (-1) ** (i + j),
        lambda i, j: i * (7 - j) * one // 128,
    ]  # fmt: skip
    b = np.zeros((len(loads), n), np.int64)
    for k, load in enumerate(loads):
        for i, j in np.argwhere(grid >= 0).tolist():
            b[k, grid[i, j]] = load(i, j)

    def solutions() -> Array:
        return reference(laplacian(grid), rational.fractions(b, frac))

    return Example(made, {"b": b}, None, solutions, "loads on a square membrane, 5-point differences")
