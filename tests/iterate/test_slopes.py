"""The slope reading: exact for linear maps, and sound, over all states, for random graphs of every op."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from ideal import evaluate, values

import fxsim
from fxsim import ops
from fxsim.formats import SQ, UQ
from fxsim.integers import IntArray
from fxsim.iterate.slopes import slope_rules, slopes
from fxsim.layers import functions
from fxsim.layers.softmax import Softmax
from fxsim.trace import concat, maximum, minimum, select

X = SQ(2, 2, overflow="SAT")
P = SQ(2, 1)


def one(fn, *types, shape=(2,), states=("x",), weights=None):
    graph = fxsim.trace(fn, *types, shape=shape)
    return graph, slopes(graph, states, weights)[0]


def matrix(s, which="lo"):
    """Rows are results."""
    a = getattr(s, which).fractions()
    return a.reshape(a.shape[0], -1).T


def test_linear_maps_have_their_matrix():
    A = np.array([[3, -5], [7, 1]]) / 8
    _, s = one(lambda x, b: A @ x + (b << 1), SQ(4, 4), SQ(4, 4))
    assert s.linear and np.array_equal(matrix(s), [[Fraction(v) for v in row] for row in A])
    assert [int(v * 8) for v in s.gain.fractions()] == [8, 8]
    assert not np.any(s.error.raw)


def test_weighted_gain():
    A = np.array([[0, 4], [1 / 16, 0]])
    _, s = one(lambda x: A @ x, SQ(4, 4), weights=[8, 1])
    assert s.gain.fractions().tolist() == [4, Fraction(1, 2)]


def test_differences_of_the_same_value_cancel():
    _, s = one(lambda x: (x - (x >> 2)) - x, SQ(4, 4))
    assert s.linear and matrix(s).tolist() == [[Fraction(-1, 4), 0], [0, Fraction(-1, 4)]]


def test_what_does_not_depend_on_the_state_is_exact():
    """Casts, comparisons and bit operations of parameters are coefficients of the map."""
    _, s = one(lambda x, b: x * ((b & 3).cast(UQ(1, 0)) + (b > 0)), X, P)
    assert not np.any(s.error.raw)


@pytest.mark.parametrize(
    "rounding, lost",
    [
        ("TRN", Fraction(7, 8)),
        ("TRN_ZERO", Fraction(7, 8)),
        ("RND", Fraction(1, 2)),
        ("RND_CONV", Fraction(1, 2)),
    ],
)
def test_rounding_error(rounding, lost):
    fmt = SQ(4, 0, rounding=rounding, overflow="SAT")
    _, s = one(lambda x: (x >> 1).cast(fmt), SQ(3, 2))
    assert s.error.fractions().tolist() == [lost, lost]
    assert s.linear


def test_saturation_is_a_projection_and_wrapping_is_refused():
    _, s = one(lambda x: (x * 2).cast(SQ(2, 2, overflow="SAT")), X)
    assert matrix(s).tolist() == [[0, 0], [0, 0]] and matrix(s, "hi").tolist() == [[2, 0], [0, 2]]
    with pytest.raises(ValueError, match="may wrap"):
        one(lambda x: (x * 2).cast(SQ(2, 2)), X)
    with pytest.raises(ValueError, match="may become 0"):
        one(lambda x: (x * 2).cast(SQ(2, 2, overflow="SAT_ZERO")), X)


def test_relu_abs_and_clip():
    _, s = one(lambda x: abs(x), X)
    assert matrix(s).tolist() == [[-1, 0], [0, -1]] and matrix(s, "hi").tolist() == [[1, 0], [0, 1]]
    _, s = one(lambda x: minimum(maximum(x, -1), 1), X)
    assert matrix(s).tolist() == [[0, 0], [0, 0]] and matrix(s, "hi").tolist() == [[1, 0], [0, 1]]
    _, s = one(lambda x: (x + 4).relu(), X)  # never below 0
    assert s.linear and matrix(s).tolist() == [[1, 0], [0, 1]]


def test_jumps_are_refused_and_branches_that_meet_are_not():
    with pytest.raises(ValueError, match="jumps"):
        one(lambda x: x > 0, X)
    with pytest.raises(ValueError, match="jumps"):
        one(lambda x: (x > 0) + x, X)
    with pytest.raises(ValueError, match="meet"):
        one(lambda x: select(x > 0, x + 1, x), X)
    _, s = one(lambda x: select(x >= 1, x, (x >> 2) + Fraction(3, 4)), X)
    assert matrix(s)[0, 0] == Fraction(1, 4) and matrix(s, "hi")[0, 0] == 1


def test_errors_of_both_factors_and_the_ranges_that_they_widen():
    low = SQ(3, 0, overflow="SAT")  # the floor: off by up to 3/4
    graph, s = one(lambda x: x.cast(low) * x[::-1].cast(low), X)
    error = s.error.fractions()[0]
    codes = np.array(list(product(range(X.lo, X.hi + 1), repeat=2)))
    exact = np.array([np.prod(values(graph.inputs[0].type, c)) for c in codes])
    found = abs(values(graph.outputs[0].type, graph.run_raw(codes)[:, 0]) - exact)
    assert max(found) == Fraction(39, 16) <= error
    # x floor(x) is x**2 as a real map: slopes up to those at 7/4 and -2, where the floor is 1 and -2.
    _, s = one(lambda x: x.cast(low) * x, X, shape=(1,))
    assert s.hi.fractions()[0, 0] >= Fraction(7, 2) and s.lo.fractions()[0, 0] <= -4


def test_the_ideal_choice_may_be_the_other():
    """The floor of x is never above 1/2, so the computed choice is always x's floor; the ideal one is not."""
    low = SQ(1, 0, overflow="SAT")

    def chosen(x):
        y = x.cast(low)
        return select(y < Fraction(1, 2), y, y * 2 - Fraction(1, 2))

    graph, s = one(chosen, SQ(1, 2), shape=(1,))
    assert s.hi.fractions()[0, 0] == 2
    (x,) = values(graph.inputs[0].type, [3])
    assert (
        abs(values(graph.outputs[0].type, graph.run_raw([3]))[0] - (2 * x - Fraction(1, 2)))
        <= s.error.fractions()[0]
    )


def test_errors_without_slope_are_rounded_too():
    fine, coarse = SQ(4, 1, overflow="SAT"), SQ(5, 0, rounding="RND", overflow="SAT")
    _, s = one(lambda x: (x.cast(fine) - x).cast(coarse), X, shape=(1,))
    assert not np.any(s.hi.raw) and s.error.fractions()[0] == Fraction(1, 4) + Fraction(1, 2)
    with pytest.raises(ValueError, match="may wrap"):
        one(lambda x: (x.cast(fine) - x).cast(SQ(0, 2)), X, shape=(1,))


def test_ops_without_a_rule_name_themselves():
    assert set(slope_rules.missing()) == {"And", "Or", "Xor", "Not", "ArgMax", "LeadingOne", "Div"}
    with pytest.raises(NotImplementedError, match="rule for And"):
        one(lambda x: x & 1, X)


def test_states_and_weights_are_checked():
    graph = fxsim.trace(lambda x: x, X, shape=(2,))
    with pytest.raises(ValueError, match="states must name"):
        slopes(graph, ["y"])
    with pytest.raises(ValueError, match="weights must be 2 positive"):
        slopes(graph, ["x"], [1, 0])
    with pytest.raises(ValueError, match="each once"):
        slopes(graph, ["x", "x"])


def test_softmax_halves_the_max_norm_and_brings_its_error():
    unit = Softmax(SQ(3, 3), 3, UQ(0, 6))
    graph, s = one(lambda x: unit(x), SQ(3, 3), shape=(3,))
    assert s.gain.fractions().tolist() == [Fraction(1, 2)] * 3
    assert matrix(s, "hi")[0, 0] == Fraction(1, 4) and matrix(s)[0, 1] == Fraction(-1, 4)
    assert matrix(s)[0, 0] == 0 and s.two_norm() <= Fraction(1, 2)
    raw = np.array(list(product(range(-32, 32, 5), repeat=3)))
    exact = np.exp(raw / 8)
    exact /= exact.sum(axis=1, keepdims=True)
    assert np.max(np.abs(graph.run_raw(raw) / 64 - exact)) <= float(s.error.greatest())


@pytest.mark.parametrize(
    "name, steepest", [("sigmoid", Fraction(1, 4)), ("tanh", Fraction(1)), ("gelu", Fraction(289, 256))]
)
def test_function_units_have_analytic_slopes(name, steepest):
    fn = getattr(functions, name)
    _, s = one(lambda x: fn(x, SQ(3, 6)), SQ(3, 3), shape=(1,))
    assert s.hi.greatest() == steepest
    assert 0 < s.error.greatest() <= Fraction(51, 100) / 64


def test_a_table_is_the_polygon_through_its_entries():
    def look(x):
        return x.builder.apply(ops.Table(IntArray([5, -2, -2, 4]), -2, 3), x.cast(SQ(2, 0)))

    _, s = one(look, SQ(2, 0), shape=(1,))
    assert (s.lo.fractions()[0, 0], s.hi.fractions()[0, 0]) == (Fraction(-7, 8), Fraction(6, 8))
    _, s = one(look, SQ(2, 1), shape=(1,))  # the rounded operand is off by up to half an LSB
    assert s.error.fractions()[0] == Fraction(7, 16)
    _, s = one(lambda x: look(x * 2), SQ(1, 0), shape=(1,))  # -2 and 0 alone: (-2 - 5) / 8 per 2
    assert s.linear and s.lo.fractions()[0, 0] == Fraction(-7, 8)


@pytest.mark.parametrize("falling", [0, 1])
def test_thresholds_are_a_polygon_of_counts(falling):
    op = ops.Threshold(IntArray([[-1, 0, 0, 1]]), None, IntArray([falling]))
    _, s = one(lambda x: x.builder.apply(op, x), SQ(2, 1), shape=(1,))
    ends = s.lo.fractions()[0, 0], s.hi.fractions()[0, 0]
    assert ends == ((-4, 0) if falling else (0, 4))
    _, s = one(lambda x: x.builder.apply(op, x), SQ(1, 0), shape=(1,))  # -1 -> 1, 0 -> 3; 4 falling -> 3
    ends = s.lo.fractions()[0, 0], s.hi.fractions()[0, 0]
    assert ends == ((-1, -1) if falling else (2, 2))


def test_a_wide_exponential_uses_its_own_slope():
    _, s = one(lambda x: functions.exp2(x, UQ(1, 8)), SQ(4, 4), shape=(1,))
    assert s.hi.greatest() > 1  # clipped to 2 only from x = 1 on; the slope bound is that of the range's end
    _, s = one(lambda x: functions.exp2(minimum(x, 0), UQ(1, 8)), SQ(4, 4), shape=(1,))
    assert Fraction(69, 100) < s.hi.greatest() < Fraction(70, 100)


def test_rising_is_about_the_computed_map():
    nearest = SQ(3, 1, rounding="RND", overflow="SAT")
    _, s = one(lambda x: maximum((x + x[::-1]).cast(nearest), 0), X)
    assert s.rising
    _, s = one(lambda x: x - (x >> 1).cast(nearest), X)  # rises as a real map; its rounding might not
    assert not s.rising and matrix(s)[0, 0] == Fraction(1, 2)
    _, s = one(lambda x: x - (x >> 1), X)
    assert s.rising
    _, s = one(lambda x, b: x * b, X, P)
    assert not s.rising
    _, s = one(lambda x, b: x * b, X, UQ(1, 1))
    assert s.rising
    _, s = one(lambda x: functions.sigmoid(x, UQ(0, 6)), SQ(3, 3), shape=(1,))
    assert s.rising


def test_sixty_four_elements():
    rng = np.random.default_rng(5)
    A = rng.integers(-8, 8, (64, 64)) / 1024
    _, s = one(
        lambda x, b: (A @ x + b).relu().cast(SQ(5, 10, rounding="RND", overflow="SAT")),
        SQ(4, 10),
        P,
        shape=(64,),
    )
    rows = [sum(abs(Fraction(v)) for v in row) for row in A]
    assert s.gain.fractions().tolist() == rows
    assert abs(float(s.two_norm()) - np.linalg.norm(A, 2)) < 1e-6


# -- every observed difference lies within the bounds ----------------------------------------------------

TABLE = np.array([3, -2, 0, 5, 5, -7, 1, 2, 2, 2, 0, -1, 6, 4, 3, 3])


def _table(t):
    lo, hi = t.type.bounds
    entries = TABLE[(np.arange(lo, hi + 1)) % 16]
    return t.builder.apply(ops.Table(IntArray(entries), lo, 2), t)


def _small(t, rng):
    """Back to few bits, rounded in some mode."""
    fmt = SQ(3, int(rng.integers(0, 3)), rounding=str(rng.choice(["TRN", "RND", "TRN_ZERO", "RND_CONV"])),
             overflow=str(rng.choice(["SAT", "SAT_SYM"])))  # fmt: skip
    return t.cast(fmt)


def _moves(x, b, rng):
    coefficients = rng.integers(-4, 5, (2, 2)) / 2
    return [
        lambda t, u: t + u,
        lambda t, u: t - u,
        lambda t, u: -t,
        lambda t, u: t * (b if rng.integers(2) else u),
        lambda t, u: t >> int(rng.integers(1, 3)),
        lambda t, u: coefficients @ t,
        lambda t, u: t @ coefficients,
        lambda t, u: maximum(t, u),
        lambda t, u: minimum(t, 1),
        lambda t, u: abs(t),
        lambda t, u: t.relu(),
        lambda t, u: concat([t.max(0).reshape(1), u.min(0).reshape(1)]),
        lambda t, u: concat([(t @ u).reshape(1), t.sum(0).reshape(1)]),
        lambda t, u: t[::-1],
        lambda t, u: t.take([1, 1]),
        lambda t, u: concat([t, u]).reshape(2, 2).transpose(1, 0)[0],
        lambda t, u: select(t < 1, t * 2 - 1, t),
        lambda t, u: select(b > 0, t, u),
        lambda t, u: _table(_small(t, rng)),
        lambda t, u: t.builder.apply(ops.Threshold(IntArray([[-3, 0, 0, 2]])), _small(t, rng)) >> 1,
        lambda t, u: _small(t, rng),
        lambda t, u: concat([t, u]).reshape(2, 2).accumulate(SQ(4, 1, rounding="RND", overflow="SAT"), 0),
        lambda t, u: t.builder.apply(ops.Window((2,), (2,), (1,), (0,), (0,)), concat([t, u])).sum(1),
    ]  # fmt: skip


def _random_graph(seed):
    rng = np.random.default_rng(seed)

    def step(x, b):
        moves = _moves(x, b, rng)
        known = [x]
        for _ in range(int(rng.integers(2, 6))):
            t, u = (known[int(rng.integers(len(known)))] for _ in range(2))
            made = moves[int(rng.integers(len(moves)))](t, u)
            known.append(_small(made, rng) if made.type.max_width > 14 else made)
        return known[-1]

    return fxsim.trace(step, X, P, shape=(2,))


@pytest.mark.parametrize("seed", range(120))
def test_slopes_and_errors_are_sound(seed):
    graph = _random_graph(seed)
    (s,) = slopes(graph, ["x"], [2, 3])
    rng = np.random.default_rng(1000 + seed)
    lo, hi, error, gain = (f.fractions() for f in (s.lo, s.hi, s.error, s.gain))
    codes = np.array(list(product(range(X.lo, X.hi + 1, 3), repeat=2)))
    b = rng.integers(P.lo, P.hi + 1, 2)
    computed = graph.run_raw(codes, np.broadcast_to(b, codes.shape))
    if s.rising:
        grid = computed.reshape(6, 6, -1)
        assert np.all(np.diff(grid, axis=0) >= 0) and np.all(np.diff(grid, axis=1) >= 0)
    at = graph.inputs
    y = [evaluate(graph, values(at[0].type, c), values(at[1].type, b))[0] for c in codes]
    for row, exact in zip(computed, y, strict=True):
        assert np.all(abs(values(graph.outputs[0].type, row) - exact) <= error)
    real = [np.array([Fraction(int(v), 16) for v in rng.integers(-32, 29, 2)], object) for _ in range(12)]
    points = [values(at[0].type, c) for c in codes] + real
    y += [evaluate(graph, p, values(at[1].type, b))[0] for p in real]
    for _ in range(250):
        i, j = rng.integers(0, len(points), 2)
        d, dy = points[i] - points[j], y[i] - y[j]
        least = sum(np.minimum(d[k] * lo[k], d[k] * hi[k]) for k in range(2))
        most = sum(np.maximum(d[k] * lo[k], d[k] * hi[k]) for k in range(2))
        assert np.all(least <= dy) and np.all(dy <= most)
        assert np.all(abs(dy) <= gain * max(abs(d[0]) / 2, abs(d[1]) / 3))


PRODUCTS = [
    ((3,), lambda x, b: x @ np.arange(6).reshape(3, 2)),
    ((3,), lambda x, b: np.arange(6).reshape(2, 3) @ x),
    ((3,), lambda x, b: x @ np.array([1, -2, 3])),
    ((3,), lambda x, b: x @ b),
    ((3,), lambda x, b: (x.reshape(3, 1) @ b.reshape(1, 3)) @ x),
    ((2, 3), lambda x, b: x @ np.arange(6).reshape(3, 2)),
    ((2, 3), lambda x, b: np.arange(8).reshape(2, 2, 2) @ x),
    ((2, 3), lambda x, b: x @ b.transpose()),
    ((2, 3), lambda x, b: x.transpose() @ b),
    ((2, 3), lambda x, b: b @ x.transpose()),
    ((2, 3), lambda x, b: x @ x.transpose()),
    ((2, 3), lambda x, b: x.reshape(2, 1, 3) @ x.reshape(2, 3, 1)),
    ((2, 3), lambda x, b: (x * b).sum((0, 1))),
    ((2, 3), lambda x, b: x.sum(0) * b[:, :1]),
    ((), lambda x, b: x * b + (x.cast(SQ(3, 1, rounding="RND", overflow="SAT")) >> 1)),
]


@pytest.mark.parametrize("shape, fn", PRODUCTS)
def test_products_of_every_shape(shape, fn):
    """Every difference lies within the bounds, and every computed value within the error."""
    graph = fxsim.trace(fn, SQ(3, 2), SQ(2, 1), shape=shape)
    (s,) = slopes(graph, ["x"])
    assert s.shape == graph.outputs[0].type.shape and s.lo.shape[1:] == s.shape
    n = s.lo.shape[0]
    lo, hi, error = (v.fractions() for v in (s.lo, s.hi, s.error))
    rng = np.random.default_rng(12)
    raw, b = rng.integers(-16, 16, (40, *shape)), rng.integers(-4, 4, (20, *shape))
    for k in range(20):
        x, z = (values(graph.inputs[0].type, r) for r in (raw[k], raw[20 + k]))
        held = values(graph.inputs[1].type, b[k])
        dy = evaluate(graph, x, held)[0] - evaluate(graph, z, held)[0]
        d = np.asarray(x - z, object).ravel()
        least = sum(np.minimum(d[i] * lo[i], d[i] * hi[i]) for i in range(n))
        most = sum(np.maximum(d[i] * lo[i], d[i] * hi[i]) for i in range(n))
        assert np.all(least <= dy) and np.all(dy <= most)
        computed = values(graph.outputs[0].type, graph.run_raw(raw[k : k + 1], b[k : k + 1])[0])
        assert np.all(abs(computed - evaluate(graph, x, held)[0]) <= error)
