"""Units in the emulator: schedules, updates and stops against plain integers, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import pytest

from fxsim import SQ, iterate
from fxsim.iterate import (
    anchor,
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
    residual,
    sequential,
    two_step,
    unchanged,
    unrolled,
)

FRAC, SHIFT = 6, 4  # of the state; of the coefficients
STATE = SQ(4, FRAC, rounding="RND", overflow="SAT")
LO, HI = STATE.lo, STATE.hi


def system(seed: int, n: int = 5) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return rng.integers(-4, 5, (n, n)), rng.integers(-200, 200, (6, n))


def affine(M: Any, **options: Any) -> iterate.Unit:
    n = len(M)
    return iterate.unit(
        lambda x, b: (x @ (M.T / 2**SHIFT)) + b, {"x": (STATE, n)}, {"b": (SQ(4, FRAC), n)}, **options
    )


def target(M: Any, x: list[Fraction], b: Any, i: int) -> Fraction:
    """T_i(x) in raw units of the state."""
    return sum((int(M[i, j]) * x[j] for j in range(len(x))), Fraction(0)) / 2**SHIFT + int(b[i])


def clamp(v: int) -> int:
    return min(max(v, LO), HI)


def truncated(old: int, t: Fraction, eps: Fraction = Fraction(0)) -> int:
    r = t - old
    step = floor(max(abs(r) - eps, Fraction(0)))
    return clamp(old + (step if r >= 0 else -step))


def nearest(old: int, t: Fraction) -> int:
    return clamp(floor(t + Fraction(1, 2)))


MODELS = {
    "assign": (assign(), lambda x, t, x0, k: nearest(x, t)),
    "floor": (assign("TRN"), lambda x, t, x0, k: clamp(floor(t))),
    "ceil": (assign("CEIL"), lambda x, t, x0, k: clamp(ceil(t))),
    "increment": (increment_trunc(), lambda x, t, x0, k: truncated(x, t)),
    "shrunk": (increment_trunc(3 / 256), lambda x, t, x0, k: truncated(x, t, Fraction(3, 4))),
    "relax": (relax(1.25), lambda x, t, x0, k: truncated(x, x + Fraction(5, 4) * (t - x))),
    "damped": (damped(1, assign("RND")), lambda x, t, x0, k: nearest(x, x + (t - x) / 2)),
    "anchor": (
        anchor([0.5, 0.25, 0.125]),
        lambda x, t, x0, k: nearest(x, t + (x0 - t) * Fraction(1, 2 ** (1 + min(k, 2)))),
    ),
}
SCHEDULES = {
    "parallel": (parallel(), [[0, 1, 2, 3, 4]], False),
    "sequential": (sequential([3, 0, 4, 1, 2]), [[3], [0], [4], [1], [2]], True),
    "red_black": (red_black([[0, 2, 4], [1, 3]]), [[0, 2, 4], [1, 3]], True),
    "folded": (folded(2), [[0, 1], [2, 3], [4]], False),
}


def model(M: Any, b: Any, start: Any, rule: Any, groups: Any, fresh: bool, cap: int) -> Any:
    """(state, sweeps, status) by Fractions, one component after another."""
    x = [int(v) for v in start]
    for k in range(cap):
        before = list(x)
        new = list(x)
        for group in groups:
            seen = [Fraction(v) for v in (new if fresh else before)]
            values = {i: rule(int(seen[i]), target(M, seen, b, i), int(start[i]), k) for i in group}
            for i, v in values.items():
                new[i] = v
        x = new
        if x == before:
            return x, k + 1, "fixed"
    return x, cap, "cap"


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("update", MODELS)
def test_equals_plain_integers(update: str, schedule: str) -> None:
    M, b = system(len(update) * 31 + len(schedule))
    rule, (given, groups, fresh) = MODELS[update][1], SCHEDULES[schedule]
    u = affine(M, update=MODELS[update][0], schedule=given, cap=25)
    start = np.random.default_rng(1).integers(LO, HI + 1, b.shape)
    found = u.solve_raw(start, b=b, certified=False)
    for row in range(len(b)):
        x, steps, status = model(M, b[row], start[row], rule, groups, fresh, 25)
        assert found.raw[row].tolist() == x
        assert (int(found.steps[row]), found.status[row]) == (steps, status)


def test_two_step_is_the_extragradient() -> None:
    M, b = system(5)
    u = affine(M, update=two_step(assign("RND")), cap=9)
    found = u.solve_raw(b=b, certified=False)
    x = [0] * 5
    for _ in range(int(found.steps[0])):
        seen = [Fraction(v) for v in x]
        y = [nearest(0, target(M, seen, b[0], i)) for i in range(5)]
        half = [Fraction(v) for v in y]
        x = [nearest(0, x[i] + target(M, half, b[0], i) - y[i]) for i in range(5)]
    assert found.raw[0].tolist() == x


def test_stops() -> None:
    flip = iterate.unit(lambda x: 3 - x, {"x": (STATE, ())}, update=assign(), stop=(unchanged(), cycle()))
    found = flip.solve_raw(np.array([0, 96]), certified=False)
    assert found.status.tolist() == ["cycle", "fixed"]
    assert found.steps.tolist() == [4, 1]  # 192, 0, 192, 0: the checkpoint at step 2 comes back
    half = {"x": (STATE, ())}
    slow = iterate.unit(lambda x: x >> 1, half, update=assign("TRN"), stop=delta(4))
    assert slow.solve_raw(64, certified=False).raw == 4  # 64 32 16 8 4: the change 4 is the first allowed
    counted = iterate.unit(lambda x: x >> 1, half, update=assign("TRN"), stop=count(3))
    assert (counted.solve_raw(64, certified=False).raw, counted.solve_raw(64).status) == (8, "count")
    near = iterate.unit(
        lambda x: x >> 1, half, update=assign("TRN"), stop=residual(0.25), residual=lambda x: x
    )
    found = near.solve_raw(64, certified=False)
    assert (int(found.raw), int(found.steps), found.status) == (16, 2, "tolerance")
    capped = iterate.unit(lambda x: 3 - x, half, update=assign(), cap=7)
    assert capped.solve_raw(0, certified=False).status == "cap"


def test_units_print_as_they_are_made() -> None:
    M, _ = system(4)
    made = affine(M, update=relax(0.75, assign("CEIL")), stop=(delta(3), cycle()), cap=9)
    assert str(made).endswith("; parallel, relax(3/4, assign(CEIL)), delta(3), cycle(), cap 9")
    other = affine(
        M,
        update=anchor([0.5, 0.25], two_step(increment_trunc(0.125))),
        stop=residual(0.5),
        residual=lambda x, b: x,
    )
    assert str(other).endswith("anchor(2 numbers, two_step(increment_trunc(1/8))), residual(1/2), cap 1000")
    assert str(affine(M, stop=count(3))).endswith("increment_trunc(), count(3), cap 1000")


def test_another_cap() -> None:
    M, b = system(4)
    u = affine(M, schedule=sequential())
    assert u.capped(2) == affine(M, schedule=sequential(), cap=2) and u.cap == 1000
    assert set(u.capped(2).solve_raw(b=b, certified=False).status) == {"cap"}
    with pytest.raises(ValueError, match="cap must be an integer"):
        u.capped(0)
    with pytest.raises(ValueError, match="a loop to be given a cap"):
        affine(M, schedule=unrolled(3), stop=count(3)).capped(2)


def test_history_and_real_values() -> None:
    u = iterate.unit(lambda x: (x >> 1) + 1, {"x": (STATE, ())}, name="half")
    found = u.solve(np.array([0.0, 4.0]), history=True)
    assert found.history.shape == (int(found.steps.max()) + 1, 2)
    assert found.history[:3, 0].tolist() == [0, 64, 96]
    assert np.array_equal(found.history[-1], found.raw)
    assert np.all(abs(found.x - 2) <= 2 / 64)
    assert u.solve(0.0).x.shape == () and u.solve(0.0).status == "fixed"
    assert "2 fixed" in found.summary()


def test_several_states_and_rows_of_parameters() -> None:
    u = iterate.unit(
        lambda x, y, c: ((y >> 1) + c, x >> 1),
        {"x": (STATE, 2), "y": (STATE, 2)},
        {"c": (SQ(3, FRAC), 2)},
    )
    found = u.solve_raw({"x": np.zeros((3, 2), int)}, c=[10, -20], certified=False)
    assert found.raw["x"].shape == (3, 2) and set(found.raw) == {"x", "y"}
    assert np.all(found.raw["y"] - found.raw["x"] // 2 <= 1)


def test_unrolled_is_the_loop_without_its_stop() -> None:
    M, b = system(9)
    u = affine(M, schedule=unrolled(4), stop=count(4), update=relax(0.75))
    found = u.pipeline().run_raw(np.zeros_like(b), b)
    assert np.array_equal(found, u.solve_raw(b=b).raw)
    assert np.array_equal(
        u.pipeline(2).run_raw(np.zeros_like(b), b),
        affine(M, stop=count(2), update=relax(0.75)).solve_raw(b=b).raw,
    )


def test_no_problems_and_equal_units() -> None:
    M, b = system(2)
    u = affine(M)
    assert u == affine(M) and hash(u) == hash(affine(M)) and u != affine(M, cap=7)
    found = u.solve_raw(b=b[:0], certified=False)
    assert found.raw.shape == (0, 5) and found.steps.shape == (0,)


STATES = {"x": (STATE, 3)}
WRONG = [
    (lambda: iterate.unit(3, STATES), TypeError, "step must be a function"),
    (lambda: iterate.unit(lambda x: x, {}), TypeError, "state must map at least one name"),
    (lambda: iterate.unit(lambda x: x, {"x": STATE}), TypeError, "state 'x' must be given as"),
    (lambda: iterate.unit(lambda x: x, {"x": (STATE, (0,))}), ValueError, "at least one element"),
    (lambda: iterate.unit(lambda x: x, STATES, cap=0), ValueError, "cap must be an integer in 1"),
    (lambda: iterate.unit(lambda x: x, STATES, cap=2.5), ValueError, "cap must be an integer"),
    (lambda: iterate.unit(lambda x: x, STATES, stop=delta(-1)), ValueError, "m of delta"),
    (lambda: iterate.unit(lambda x: x, STATES, stop=residual(-0.5)), ValueError, "tolerance must be"),
    (lambda: iterate.unit(lambda x: x, STATES, stop=residual(float("nan"))), ValueError, "must be finite"),
    (lambda: iterate.unit(lambda x: x, STATES, stop=residual(0.5)), ValueError, "residual must be a func"),
    (lambda: iterate.unit(lambda x: x, STATES, stop="soon"), TypeError, "stop must be a stop"),
    (lambda: iterate.unit(lambda x: x, STATES, update=relax(0)), ValueError, "omega must be positive"),
    (lambda: iterate.unit(lambda x: x, STATES, update=damped(-1)), ValueError, "s of damped"),
    (lambda: iterate.unit(lambda x: x, STATES, update=increment_trunc(-1)), ValueError, "eps must be"),
    (lambda: iterate.unit(lambda x: x, STATES, update=anchor([2.0])), ValueError, "lambdas must be"),
    (lambda: iterate.unit(lambda x: x, STATES, update="jump"), TypeError, "update must be an update"),
    (lambda: iterate.unit(lambda x: x, STATES, schedule=3), TypeError, "schedule must be a schedule"),
    (lambda: iterate.unit(lambda x: x, STATES, schedule=sequential([0, 1])), ValueError, "each of 0..2 once"),
    (lambda: iterate.unit(lambda x: x, STATES, schedule=folded(0)), ValueError, "k of folded"),
    (lambda: iterate.unit(lambda x: x, STATES, schedule=unrolled(3)), ValueError, "stop must be count"),
    (lambda: iterate.unit(lambda x: x, STATES, start=10**6), ValueError, "start of state 'x' must lie"),
    (lambda: iterate.unit(lambda x: x, STATES, start=[1, 2]), ValueError, "must have shape"),
    (lambda: iterate.unit(lambda x: x[0], STATES), ValueError, "target of state 'x' must have shape"),
    (lambda: iterate.unit(lambda x: 3, STATES), TypeError, "target of state 'x' must be a tensor"),
    (lambda: iterate.unit(lambda x: (x, x), STATES), ValueError, "step must give 1 targets"),
    (lambda: iterate.unit(lambda x: x * 3, {"x": (SQ(4, 4), 3)}), ValueError, "must saturate, not wrap"),
    (
        lambda: iterate.unit(lambda x: x, {"x": (SQ(4, 4, overflow="SAT_ZERO"), 3)}),
        ValueError,
        "voids every theorem",
    ),
    (
        lambda: iterate.unit(lambda x, y: (x, y), {"x": (STATE, 2), "y": (STATE, 2)}, schedule=sequential()),
        ValueError,
        "one state tensor",
    ),
    (lambda: iterate.unit(lambda x, x2: x, STATES, {"x": (STATE, 3)}), ValueError, "name of its own"),
]  # fmt: skip


@pytest.mark.parametrize("make, error, text", WRONG, ids=[t[2] for t in WRONG])
def test_bad_units_say_what_is_wrong(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


def test_bad_problems_say_what_is_wrong() -> None:
    u = affine(system(3)[0])
    with pytest.raises(TypeError, match=r"parameters must be \['b'\]; \['b'\] missing"):
        u.solve_raw(certified=False)
    with pytest.raises(TypeError, match=r"\['c'\] unknown"):
        u.solve_raw(b=0, c=1, certified=False)
    with pytest.raises(ValueError, match=r"'b' must have shape \(5,\)"):
        u.solve_raw(b=[1, 2], certified=False)
    with pytest.raises(ValueError, match="must share their rows"):
        u.solve_raw(np.zeros((2, 5), int), b=np.zeros((3, 5), int), certified=False)
    with pytest.raises(ValueError, match="must lie in raw"):
        u.solve_raw(np.full(5, 10**6), b=0, certified=False)
    with pytest.raises(ValueError, match="finite"):
        u.solve(b=np.full(5, np.nan), certified=False)
    with pytest.raises(TypeError, match="start must map names"):
        u.solve_raw({"z": 1}, b=0, certified=False)
