"""Random units: what is certified stops, and ends inside its radius of a fixed point found in floats."""

from fractions import Fraction

import numpy as np
import pytest

from fxsim.formats import SQ, UQ
from fxsim.iterate import (
    assign,
    count,
    cycle,
    damped,
    delta,
    folded,
    increment_trunc,
    parallel,
    red_black,
    relax,
    sequential,
    unchanged,
    unit,
)
from fxsim.iterate.certify import certify
from fxsim.iterate.corners import check_start
from fxsim.layers import functions
from fxsim.trace import maximum, minimum

N = 3


def random_unit(seed):
    """(unit, the ideal map in floats): x <- f(A x + b), some f, in some update, order, stop and start."""
    rng = np.random.default_rng(seed)
    frac = int(rng.integers(3, 9))
    fmt = SQ(
        5,
        frac,
        rounding=str(rng.choice(["RND", "TRN", "RND_CONV"])),
        overflow=str(rng.choice(["SAT", "SAT_SYM"])),
    )
    A = rng.integers(-6, 7, (N, N)) / 16 * (rng.random((N, N)) < 0.8)
    # A row of zeros would make a rounded b the ideal one: what the state does not reach is a coefficient.
    A[np.all(A == 0, axis=1)] = 1 / 16
    if rng.integers(3) == 0:
        A = np.abs(A)
    if rng.integers(6) == 0:  # strongly unequal components: a weighted norm
        w = np.array([1, 4, 16.0])
        A = A * w[:, None] / w[None, :]
    kind = rng.choice(["plain", "relu", "abs", "clip", "cast", "max", "tanh"])
    inner = SQ(7, frac + 1, rounding="RND", overflow="SAT")

    def step(x, b):
        y = A @ x + b
        match kind:
            case "relu":
                return y.relu()
            case "abs":
                return abs(y)
            case "clip":
                return minimum(maximum(y, -1), Fraction(3, 2))
            case "cast":
                return y.cast(inner)
            case "max":
                return maximum(y, (x[::-1] >> 1) - b)
            case "tanh":
                return functions.tanh(y.cast(SQ(4, 5, rounding="RND", overflow="SAT")), SQ(1, frac))
            case _:
                return y

    top = float(fmt.hi * fmt.lsb)

    def ideal(x, b):
        y = x @ A.T + b
        if kind == "max":
            y = np.maximum(y, x[:, ::-1] / 2 - b)
        match kind:
            case "relu":
                y = np.maximum(y, 0)
            case "abs":
                y = np.abs(y)
            case "clip":
                y = np.clip(y, -1, 1.5)
            case "tanh":
                y = np.clip(np.tanh(np.clip(y, -8, 8)), -1, 1 - 2.0**-frac)
        return np.clip(y, -top - (fmt.overflow == "SAT") * 2.0**-frac, top)

    def slow(x, b):
        return (x + ideal(x, b)) / 2  # the same fixed point, also where T is only weakly contractive

    update = [
        increment_trunc(), increment_trunc(Fraction(2, 1 << frac)), assign(), assign("RND"),
        assign("TRN_ZERO"), damped(1), relax(1.25), damped(1, assign("RND")),
    ][int(rng.integers(8))]  # fmt: skip
    stop = [unchanged(), unchanged(), delta(int(rng.integers(1, 6))), cycle(), count(40)][
        int(rng.integers(5))
    ]
    order = [parallel(), sequential(), sequential([2, 0, 1]), red_black([[0, 2], [1]]), folded(2)][
        int(rng.integers(5))
    ]
    b = UQ(1, frac) if rng.integers(4) == 0 else SQ(2, frac)
    start = [0, fmt.lo + 1][int(rng.integers(2))]
    made = unit(
        step, {"x": (fmt, N)}, {"b": (b, N)}, update=update, stop=stop, schedule=order, start=start, cap=6000,
        name=f"random{seed}",
    )  # fmt: skip
    return made, slow, b


@pytest.mark.parametrize("block", range(8))
def test_what_is_certified_stops_inside_its_radius(block):
    certified = proven = 0
    for seed in range(40 * block, 40 * block + 40):
        made, slow, fmt = random_unit(seed)
        found = certify(made)
        if found.terminates_by is None:
            continue
        certified += 1
        rng = np.random.default_rng(seed)
        b = rng.integers(fmt.lo, fmt.hi + 1, (60, N))
        state = made.formats[0]
        start = None if found.needs_start else rng.integers(state.lo + 1, state.hi + 1, (60, N))
        s = made.solve_raw(start, b=b)
        assert "cap" not in set(s.status.tolist()), (seed, found.reason)
        if found.radius is None:
            continue
        proven += 1
        x, values = np.zeros((60, N)), b * float(fmt.lsb)
        for _ in range(3000):
            x, last = slow(x, values), x
            if np.max(np.abs(x - last)) < 1e-13:
                break
        off = np.abs(s.raw * float(state.lsb) - x)
        assert np.all(off <= np.array([float(r) for r in found.radius]) + 1e-9), (seed, found.reason)
        if found.enclosure and found.terminates_by == "T5" and made.update == assign("TRN"):
            assert np.all(s.raw * float(state.lsb) <= x + 1e-9)
    assert certified >= 15 and proven >= 10


def test_starts_are_checked_row_by_row():
    made = unit(
        lambda x, b: (x >> 1) + b, {"x": (SQ(8, 0, overflow="SAT"), 2)}, {"b": (UQ(4, 0), 2)},
        update=assign("RND"), name="corner",
    )  # fmt: skip
    found = certify(made)
    assert found.terminates_by == "T5" and found.needs_start
    b = np.array([[3, 3], [3, 3]])
    check_start(made, [np.array([[0, 0], [100, 100]])], [b])
    with pytest.raises(ValueError, match="row 1 is not"):
        check_start(made, [np.array([[0, 0], [0, 100]])], [b])
    check_start(made, [np.full((1, 2), -128)], [np.zeros((1, 2), np.int64)])
