"""Against the fewest adders possible: tables of exhaustive search, themselves checked by an SMT solver."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import z3

from rtl.shift_add import solve
from rtl.shift_add.problem import make_problem

OPTIMA = json.loads((Path(__file__).parent / "shift_add_optima.json").read_text())
TRIALS = 100
# For how many matrices of a table TRIALS trials find an optimum at least: at any depth, at the least depth.
REACHED = {
    "1x1, 8 bits": (191, 191),  # of 192
    "1x2, 5 bits": (118, 112),  # of 120
    "2x1, 4 bits": (136, 136),  # of 136
    "2x2, 3 bits": (76, 74),  # of 80
    "2x2, 4 bits": (53, 53),  # of 60, as all that follow
    "2x2, 5 bits": (54, 52),
    "2x3, 3 bits": (52, 48),
    "2x3, 4 bits": (39, 46),
    "3x2, 3 bits": (51, 50),
    "3x3, 2 bits": (44, 42),
}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """Answers of other runs would hide what the search does now."""
    monkeypatch.setenv("FXSIM_CACHE", str(tmp_path))


def test_every_table_has_its_mark():
    assert set(REACHED) == set(OPTIMA)


@pytest.mark.parametrize("name", OPTIMA)
@pytest.mark.parametrize("max_depth", [None, "min"])
def test_never_below_the_optimum_and_mostly_there(name, max_depth):
    reached = 0
    for W, anyhow, shallow in OPTIMA[name]:
        optimum = anyhow if max_depth is None else shallow
        found = solve(W, max_depth=max_depth, trials=TRIALS).adders
        assert found >= optimum, W
        reached += found == optimum
    assert reached >= REACHED[name][max_depth == "min"]


def smt_can(W: list[list[int]], nodes: int, limit: int | None) -> bool:
    """Whether `nodes` adders at most `limit` deep make x @ W; coefficients of 9 bits, shifts of 0..4."""
    n, width = len(W), 9
    solver = z3.Solver()
    wires = [[z3.BitVecVal(int(i == j), width) for j in range(n)] for i in range(n)]
    depths = [z3.IntVal(0)] * n

    def pick(choice, values):
        found = values[0]
        for k, value in enumerate(values[1:], 1):
            found = z3.If(choice == k, value, found)
        return found

    def shifted(wire, shift):
        return [pick(shift, [v << k for k in range(5)]) for v in wire]

    def fits(wire):
        return [z3.And(v <= 31, v >= -31) for v in wire]

    for k in range(nodes):
        a, b, i, j, sign = (z3.Int(f"{name}{k}") for name in ("a", "b", "i", "j", "sign"))
        for choice, end in ((a, n + k), (b, n + k), (i, 5), (j, 5), (sign, 3)):
            solver.add(choice >= 0, choice < end)
        solver.add(z3.Or(i == 0, j == 0))
        u = shifted([pick(a, [w[c] for w in wires]) for c in range(n)], i)
        v = shifted([pick(b, [w[c] for w in wires]) for c in range(n)], j)
        node = [pick(sign, [p + q, p - q, q - p]) for p, q in zip(u, v, strict=True)]
        for row in (u, v, node):
            solver.add(*fits(row))
        wires.append(node)
        da, db = pick(a, depths), pick(b, depths)
        depths.append(z3.If(da > db, da, db) + 1)
    for column in np.transpose(W).tolist():
        made = [
            z3.And(
                *(x == v for x, v in zip(wire, column, strict=True)),
                depth <= (nodes if limit is None else limit),
            )
            for wire, depth in zip(wires, depths, strict=True)
        ]
        solver.add(z3.Or(*made))
    return solver.check() == z3.sat


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("name, number", [("1x1, 8 bits", 3), ("2x2, 3 bits", 4), ("2x1, 4 bits", 3)])
def test_the_tables_agree_with_an_smt_solver(name, number, limited):
    """Columns with an odd element only, whose output is a wire as it is."""
    rows = [r for r in OPTIMA[name] if r[1 + limited] in (2, 3) and np.abs(r[0]).max() < 32]
    rows = [r for r in rows if all(any(v % 2 for v in column) for column in np.transpose(r[0]).tolist())]
    for W, *optima in rows[:: max(len(rows) // number, 1)][:number]:
        limit = make_problem(W).least_depth if limited else None
        assert smt_can(W, optima[limited], limit), W
        assert not smt_can(W, optima[limited] - 1, limit), W
