"""Enclosures: lo <= x* <= hi with the width of T5, in the emulator and in hardware."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import fxsim.iterate as it
import rtl
from fxsim import SQ, UQ
from fxsim.iterate.corners import blocks, check_start
from fxsim.iterate.enclosure import enclosure

N, FRAC = 5, 8
X, B = SQ(5, FRAC, overflow="SAT"), SQ(2, FRAC)


def graph_solver(seed: int, L: Fraction, **options: Any) -> tuple[it.Unit, np.ndarray]:
    """x <- L A x + b with A >= 0, of row sums at most 1, raw at 6 fraction bits."""
    rng = np.random.default_rng(seed)
    a = rng.multinomial(64, np.ones(N) / N, size=N) * int(L * 16)

    def solver(x: Any, b: Any) -> Any:
        return ((x.builder.constant(a) @ x) >> 10) + b

    return enclosure(solver, {"x": (X, N)}, {"b": (B, N)}, cap=1000, **options), a


def solution(a: np.ndarray, b: np.ndarray) -> list[Fraction]:
    """x = A x + b in Fractions, by elimination; A raw at 10 bits, b at FRAC."""
    rows = [
        [Fraction(int(i == j)) - Fraction(int(a[i, j]), 1024) for j in range(N)]
        + [Fraction(int(b[i]), 1 << FRAC)]
        for i in range(N)
    ]
    for k in range(N):
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in range(N):
            if i != k:
                rows[i] = [v - rows[i][k] * w for v, w in zip(rows[i], rows[k], strict=True)]
    return [r[-1] for r in rows]


@pytest.mark.parametrize("L", [Fraction(1, 2), Fraction(7, 8)])
def test_the_solution_is_inside_and_the_width_is_bounded(L: Fraction) -> None:
    worst = Fraction(0)
    for seed in range(3):
        unit, a = graph_solver(seed, L)
        b = np.random.default_rng(seed).integers(-400, 400, (40, N))
        found = unit.solve_raw(b=b)
        assert set(found.status) == {"fixed"}
        lo, hi = (found.raw[k] for k in ("lo", "hi"))
        for row in range(len(b)):
            for x, low, high in zip(solution(a, b[row]), lo[row], hi[row], strict=True):
                clipped = min(max(x * 256, X.lo), X.hi)
                assert low <= clipped <= high
                worst = max(worst, Fraction(int(high - low)))
    assert 0 < worst < 2 / (1 - L)


def test_certificate_and_blocks() -> None:
    unit, _ = graph_solver(0, Fraction(1, 2))
    certificate = unit.certify()
    assert certificate.terminates_by == "T5"
    assert certificate.enclosure
    assert "below or above" in certificate.reason
    assert blocks(unit) == [{0}, {1}]
    low, high = np.full((1, N), X.lo), np.full((1, N), X.hi)
    check_start(unit, [low, high], [np.zeros((1, N), np.int64)])
    with pytest.raises(ValueError, match="but row 0 is not"):
        check_start(unit, [np.array([[9, -9, 9, -9, 9]]), high], [np.zeros((1, N), np.int64)])


def test_a_map_that_falls_is_refused() -> None:
    def falling(x: Any) -> Any:
        return -(x >> 1) + 1

    unit = enclosure(falling, {"x": (X, 3)})
    with pytest.raises(ValueError, match="falling"):
        unit.solve_raw()


def test_several_states_and_starts() -> None:
    def swap(p: Any, q: Any) -> Any:
        return (q >> 1) + 1, (p >> 2) + 0.5

    kinds = {"p": (X, 2), "q": (UQ(3, 6, overflow="SAT"), 2)}
    unit = enclosure(swap, kinds, start=({"p": -256, "q": 0}, {"p": 1400, "q": 511}))
    assert unit.state == ("p_lo", "q_lo", "p_hi", "q_hi")
    found = unit.solve_raw().raw
    # p = q / 2 + 1, q = p / 4 + 1 / 2: p = 10 / 7, q = 6 / 7.
    assert np.all(found["p_lo"] <= 10 / 7 * 256) and np.all(found["p_hi"] >= 10 / 7 * 256)
    assert np.all(found["q_lo"] <= 6 / 7 * 64) and np.all(found["q_hi"] >= 6 / 7 * 64)
    assert np.all(found["p_hi"] - found["p_lo"] < 8)


def test_errors() -> None:
    with pytest.raises(ValueError, match="must be without update"):
        graph_solver(0, Fraction(1, 2), update=it.assign())
    with pytest.raises(ValueError, match="must have one state tensor, not 2"):
        graph_solver(0, Fraction(1, 2), schedule=it.sequential())
    with pytest.raises(TypeError, match="parts of each must be assignments"):
        it.each(it.increment_trunc())
    with pytest.raises(ValueError, match="each must have 1 updates"):
        it.unit(lambda x: x >> 1, {"x": (X, 2)}, update=it.each(it.assign(), it.assign()))
    with pytest.raises(TypeError, match="then must be"):
        it.relax(0.5, it.each(it.assign()))


def test_both_runs_in_hardware() -> None:
    unit, _ = graph_solver(1, Fraction(1, 2))
    core = rtl.build(unit, max_depth_per_stage=6)
    # The proof is of the unit's own start, which the stream therefore does not bring.
    assert [p.name for p in core.in_layout.ports] == ["b", "tag"]
    b = np.random.default_rng(0).integers(-400, 400, (120, N))
    found = rtl.verify(core, {"b": b}, raw=True, simulator="native", idle=0.2, backpressure=0.2)
    assert found, found.first_difference
    assert rtl.build(unit, start=True).in_layout.ports[0].name == "lo"


def test_saved_and_loaded(tmp_path: Any) -> None:
    unit, _ = graph_solver(1, Fraction(1, 2))
    unit.save(tmp_path / "unit")
    assert it.load(tmp_path / "unit") == unit
