"""Affine contractions and the Convergent Graph Solver: the 8-node system, exact references, the figures."""

from fractions import Fraction

import linear_figures
import numpy as np
import plain_updates
import pytest

from fxsim import SQ
from fxsim.iterate import assign, increment_trunc, red_black, sequential
from fxsim.iterate.references.graphs import by_degree, edges_of, karate_club, neighbours
from fxsim.iterate.references.rational import fractions
from fxsim.iterate.zoo import example
from fxsim.iterate.zoo.affine import affine, cgs, reference

# The system whose Verilog has been measured: 6 bits, gamma 1/2, a state of 14 bits.
CGS8 = [
    [0, 5, 6, 0, 0, 8, 0, 0], [0, 0, 0, 0, 3, 12, 0, 21], [0, 0, 0, 7, 14, 1, 0, 0],
    [0, 21, 8, 0, 0, 10, 0, 0], [21, 15, 0, 0, 0, 8, 0, 0], [3, 0, 8, 0, 18, 0, 0, 0],
    [0, 2, 0, 0, 19, 0, 0, 0], [0, 16, 6, 0, 0, 1, 0, 0],
]  # fmt: skip
CGS8_B = [935, 529, -358, 775, -237, -815, 191, 716]


def test_the_system_of_eight_nodes():
    u = cgs(CGS8, 6, frac=10, b=SQ(3, 10), update=assign("RND"))
    assert u.formats[0].width == 14
    found = u.solve_raw(b=np.array(CGS8_B), certified=False, history=True)
    x, states = [0] * 8, [[0] * 8]
    for _ in range(7):
        x = [((sum(a * v for a, v in zip(CGS8[i], x, strict=True)) + 64) >> 7) + CGS8_B[i] for i in range(8)]
        states.append(x)
    assert states[-1] == states[-2] != states[-3]
    assert (found.steps, found.status) == (7, "fixed")
    assert found.history.tolist() == states
    errors = [abs(int(r) - e) for r, e in zip(x, solved(CGS8, CGS8_B, 6), strict=True)]
    with pytest.raises(ValueError, match="may not stop"):
        u.solve_raw(b=np.array(CGS8_B))
    assert max(errors) <= 1  # delta / (1 - L) = (1/2) / (1/2)


def solved(a, b, frac, gamma=Fraction(1, 2)):
    return reference(fractions(a, frac), np.array([b]), gamma)[0]


def test_units_do_what_the_plain_model_does(rng):
    m = rng.integers(-6, 7, (5, 5))
    b = rng.integers(-512, 512, (20, 5))
    orders = {None: None, sequential((3, 1, 4, 0, 2)): [[3], [1], [4], [0], [2]]}
    orders[red_black([[0, 3], [1, 2, 4]])] = [[0, 3], [1, 2, 4]]
    for schedule, groups in orders.items():
        for mode, update in (
            ("INC", increment_trunc()), ("RND", assign("RND")), ("TRN", assign("TRN")),
            ("CEIL", assign("CEIL")),
        ):  # fmt: skip
            u = affine(m / 64, frac=9, update=update, schedule=schedule, cap=60)
            s = u.solve_raw(b=b, certified=False)
            x, steps, fixed = plain_updates.run(m[None].repeat(20, 0), b << 6, 0 * b, 6, mode, 60, groups)
            assert np.array_equal(s.raw, x), (mode, groups)
            assert np.array_equal(s.steps, steps) and np.array_equal(s.status == "fixed", fixed)


def test_heads_are_systems_of_their_own(rng):
    graphs = np.stack([linear_figures.graph(rng, 6, 6) for _ in range(3)])
    b = rng.integers(-1024, 1024, (9, 3, 6))
    whole = cgs(graphs, 6)
    together = whole.solve_raw(b=b)
    for m in range(3):
        alone = cgs(graphs[m], 6).solve_raw(b=b[:, m])
        assert np.array_equal(alone.raw, together.raw[:, m])
    orders = [tuple(int(i) for i in g) for g in np.array_split(rng.permutation(18), 5)]
    s = cgs(graphs, 6, schedule=red_black(orders)).solve_raw(b=b)
    exact = reference(fractions(graphs, 6), fractions(b, 10), Fraction(1, 2))
    assert np.all(np.abs(fractions(s.raw, 10) - exact) < 2 * Fraction(1, 1 << 10))
    same = cgs(graphs[0], 6, heads=3).solve_raw(b=b)
    assert np.array_equal(same.raw[:, 2], cgs(graphs[0], 6).solve_raw(b=b[:, 2]).raw)


def test_relu_keeps_the_bound(rng):
    A = rng.integers(-9, 10, (6, 6)) / 64
    u = affine(A, frac=10, gamma=Fraction(3, 4), activation=lambda t: t.relu())
    b = rng.integers(-1024, 1024, (30, 6))
    s = u.solve_raw(b=b)
    assert set(s.status) == {"fixed"}
    x, targets = s.raw, u.map.run_raw(s.raw, b)[0]
    one = 1 << (u.map.outputs[0].type.frac - 10)
    assert np.all(np.abs(targets - x * one) < one) and np.any(x == 0) and np.all(x >= -1)


@pytest.mark.parametrize("gamma, most", [("1/2", 14), ("7/8", 32), ("15/16", 36)])
def test_measured_figures(gamma, most):
    r = linear_figures.cgs(40, gamma)
    L = Fraction(gamma)
    assert r.cycles <= 3  # 0, 1 and 1 of 200 were measured
    assert r.error <= Fraction(1, 2) / (1 - L)
    assert r.valid and r.width < 2 / (1 - L) and max(r.sweeps, r.corner_sweeps) <= most


def test_the_club_s_opinions():
    e = example("affine")
    s = e.solve()
    assert set(s.status) == {"fixed"}
    c = e.unit.certify()
    assert (c.terminates_by, c.L, c.enclosure) == ("T4", Fraction(7, 8), True)
    assert np.all(e.errors(s) <= np.array(c.radius, object)) and max(c.radius_ulps) <= 8
    assert np.argmax(s.raw[0]) == 0 and np.argmin(s.raw[1]) == 33
    assert len(karate_club()) == 78
    degree = neighbours(karate_club(), 34).sum(axis=0)
    assert degree[[0, 33, 32, 11]].tolist() == [16, 17, 12, 1]


def test_weights_by_degree():
    edges = edges_of([(1, 2, 3), (0,), (), (2,)])
    a = by_degree([0.5, 2.0, -1.0, 0.25, 1.0], edges, 4, 6)
    assert a.tolist() == [[0, 10, 21, 0], [16, 0, 0, 0], [0, 0, 0, 0], [0, 0, 64, 0]]
    with pytest.raises(ValueError, match="one per edge"):
        by_degree([1.0], edges, 4, 6)
    with pytest.raises(ValueError, match="must join nodes"):
        by_degree([1.0], [(0, 9)], 4, 6)


def test_bad_arguments():
    with pytest.raises(ValueError, match="shape"):
        affine([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"state must be given.*is 1,"):
        affine([[0.5, 0.5], [0.0, 0.25]])
    with pytest.raises(ValueError, match="gamma must be one positive number"):
        affine([[0.5]], gamma=0)
    with pytest.raises(ValueError, match="dyadic"):
        affine([[0.5]], gamma=Fraction(1, 3))
    with pytest.raises(ValueError, match="finite"):
        affine([[float("nan")]])
    with pytest.raises(ValueError, match="rows sum to at most 64"):
        cgs([[40, 30], [0, 0]], 6)
    with pytest.raises(ValueError, match="must not be negative"):
        cgs([[-1, 30], [0, 0]], 6)
    with pytest.raises(ValueError, match="2 heads, not 3"):
        cgs(np.zeros((3, 2, 2), int), 6, heads=2)
    wide = affine([[1.5]], state=SQ(4, 8, overflow="SAT"), update=assign("RND"), cap=9)
    assert wide.solve(b=[0.5], certified=False).status == "fixed"  # on the register's end
