"""Any matrix, any ranges: exact by another evaluation, within every limit, or an error that says why."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rtl.shift_add import AdderGraph, solve, solve_all
from rtl.shift_add.problem import signed_digits


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """Thousands of tiny answers do not belong into the cache that other tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FXSIM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def element(bits: int) -> st.SearchStrategy[int]:
    powers = st.integers(0, bits - 1).map(lambda k: 1 << k)
    return st.one_of(
        st.just(0), powers, powers.map(lambda v: -v), st.integers(-(1 << bits - 1), 1 << bits - 1)
    )


@st.composite
def matrices(draw, rows=5, columns=6, bits=(1, 3, 8, 12, 63, 64, 65, 90)):
    """Lists of lists of integers: zeros and powers of two often, columns repeated, negated and shifted."""
    n, m = draw(st.integers(1, rows)), draw(st.integers(1, columns))
    values = element(draw(st.sampled_from(bits)))
    made = [draw(st.lists(values, min_size=n, max_size=n))]
    while len(made) < m:
        if draw(st.booleans()):
            made.append(draw(st.lists(values, min_size=n, max_size=n)))
        else:
            factor = draw(st.sampled_from((1, -1, 2, -4, 0)))
            made.append([factor * v for v in draw(st.sampled_from(made))])
    return [list(row) for row in zip(*made, strict=True)]


def ranges(bits: int) -> st.SearchStrategy[tuple[int, int]]:
    """One-sided, constant, of one bit, or anything."""
    ends = st.integers(-(1 << bits), 1 << bits)
    return st.one_of(
        st.sampled_from([(0, 0), (0, 1), (-1, 0), (-1, -1), (5, 5), (-7, -3), (3, 9), (-128, 127), (0, 255)]),
        st.tuples(ends, ends).map(lambda p: (min(p), max(p))),
    )


def wires(graph: AdderGraph, x: list[int]) -> list[int]:
    """Every wire in Python integers, straight from the nodes."""
    values = [*x, *graph.constants]
    for a, b, shift_a, shift_b, sign_a, sign_b in graph.nodes:
        values.append(sign_a * values[a] * 2**shift_a + sign_b * values[b] * 2**shift_b)
    return values


def outputs(graph: AdderGraph, x: list[int]) -> list[int]:
    values = wires(graph, x)
    return [0 if wire is None else sign * values[wire] * 2**shift for wire, shift, sign in graph.outputs]


def product(x: list[int], W: list[list[int]]) -> list[int]:
    return [sum(v * w for v, w in zip(x, column, strict=True)) for column in zip(*W, strict=True)]


def depth_of(graph: AdderGraph) -> int:
    depths = [0] * (graph.n_in + len(graph.constants))
    for a, b, *_ in graph.nodes:
        depths.append(1 + max(depths[a], depths[b]))
    return max((depths[o.wire] + (o.sign < 0) for o in graph.outputs if o.wire is not None), default=0)


def least_depth(W: list[list[int]]) -> int:
    """A sum of t terms is ceil(log2(t)) deep, and one of negative terms alone has one more, a 0."""
    counts = []
    for column in zip(*W, strict=True):
        signs = [sign for v in column for _, sign in signed_digits(v)]
        counts.append(len(signs) + (len(signs) > 0 and max(signs) < 0))
    return max((math.ceil(math.log2(t)) for t in counts if t), default=0)


def assert_exact(graph: AdderGraph, W: list[list[int]]) -> None:
    """On unit vectors and so, the graph being linear without constants, on every input."""
    n = len(W)
    for i in range(n):
        x = [int(i == j) for j in range(n)]
        assert outputs(graph, x) == W[i]
    x = [(-1) ** i * (i + 1) * 10**20 for i in range(n)]
    assert outputs(graph, x) == product(x, W) == graph.run([x]).tolist()[0]
    negated = {o.wire for o in graph.outputs if o.sign < 0}
    assert graph.adders == len(graph.nodes) + len(negated)
    assert graph.depth == depth_of(graph)


efforts = st.sampled_from([{"effort": "fast"}, {"trials": 1}, {"trials": 25}])


@given(matrices(), st.data(), st.sampled_from(["adders", "bits"]), efforts, st.integers(0, 2**62 - 1))
@settings(max_examples=150)
def test_any_matrix_any_range_any_limit(W, data, objective, effort, seed):
    types = data.draw(st.lists(ranges(70), min_size=len(W), max_size=len(W)))
    least = least_depth(W)
    limit = data.draw(st.sampled_from([None, "min", least, least + 1, least + 7]))
    graph = solve(W, types, max_depth=limit, objective=objective, seed=seed, **effort)
    assert_exact(graph, W)
    if limit is not None:
        assert graph.depth <= (least if limit == "min" else limit)
    assert graph.in_intervals == tuple(types)
    assert graph.bits >= 0


@given(matrices(), st.integers(-3, 20))
@settings(max_examples=60)
def test_a_limit_is_kept_or_the_error_names_the_least_depth(W, limit):
    least = least_depth(W)
    if limit >= least:
        assert depth_of(solve(W, max_depth=limit, effort="fast")) <= limit
    else:
        with pytest.raises(
            ValueError, match=f"max_depth must be at least {least} for this matrix, not {limit}"
        ):
            solve(W, max_depth=limit, effort="fast")


@given(matrices(rows=3, columns=4, bits=(2, 5)), st.data())
@settings(max_examples=40)
def test_intervals_and_widths_are_those_of_all_inputs(W, data):
    types = data.draw(st.lists(ranges(2), min_size=len(W), max_size=len(W)))
    assume(math.prod(hi - lo + 1 for lo, hi in types) <= 400)
    graph = solve(W, types, effort="fast")
    every = [wires(graph, list(x)) for x in itertools.product(*(range(lo, hi + 1) for lo, hi in types))]
    assert graph.intervals() == tuple((min(w), max(w)) for w in zip(*every, strict=True))


@given(
    matrices(rows=4, columns=4, bits=(6,)),
    st.sampled_from(["adders", "bits"]),
    st.sampled_from([None, "min"]),
)
@settings(max_examples=40)
def test_search_never_loses_to_the_greedy_pass(W, objective, max_depth):
    options = {"objective": objective, "max_depth": max_depth}
    fast, searched = solve(W, effort="fast", **options), solve(W, trials=60, **options)
    assert getattr(searched, objective) <= getattr(fast, objective)


@given(matrices(rows=6, columns=6, bits=(5, 9)), st.sampled_from([None, "min"]))
@settings(max_examples=30)
def test_no_more_adders_than_without_sharing(W, max_depth):
    terms = [[sign for v in column for _, sign in signed_digits(v)] for column in zip(*W, strict=True)]
    plain = sum(max(len(t) - 1, 0) + (len(t) > 0 and max(t) < 0) for t in terms)
    assert solve(W, max_depth=max_depth, effort="fast").adders <= plain


@given(matrices(rows=6, columns=6, bits=(3, 7)), st.integers(0, 3))
@settings(max_examples=40)
def test_a_limit_that_does_not_bind_costs_nothing(W, slack):
    free = solve(W, effort="fast")
    assert solve(W, max_depth=free.depth + slack, effort="fast").adders <= free.adders


# --- offsets and wrapped outputs ---------------------------------------------------------------------------


@given(matrices(bits=(1, 4, 8, 64)), st.data(), efforts, st.sampled_from([None, "min"]))
@settings(max_examples=80)
def test_offsets_are_added_exactly(W, data, effort, max_depth):
    bits = data.draw(st.sampled_from([1, 6, 70]))
    offsets = data.draw(st.lists(element(bits), min_size=len(W[0]), max_size=len(W[0])))
    graph = solve(W, offsets=offsets, max_depth=max_depth, **effort)
    for x in ([0] * len(W), [1] * len(W), [(-3) ** i for i in range(len(W))]):
        want = [y + o for y, o in zip(product(x, W), offsets, strict=True)]
        assert outputs(graph, x) == want == graph.run([x]).tolist()[0]
    assert graph.depth == depth_of(graph)


@given(matrices(rows=4, bits=(1, 4, 8, 20)), st.data(), efforts, st.sampled_from([None, "min"]))
@settings(max_examples=120)
def test_wrapped_outputs_are_right_in_the_bits_that_are_left(W, data, effort, max_depth):
    types = data.draw(st.lists(ranges(5), min_size=len(W), max_size=len(W)))
    targets = data.draw(st.lists(ranges(7), min_size=len(W[0]), max_size=len(W[0])))
    offsets = data.draw(st.lists(element(9), min_size=len(W[0]), max_size=len(W[0])))
    graph = solve(W, types, targets, offsets=offsets, max_depth=max_depth, **effort)
    for corner in ([lo for lo, _ in types], [hi for _, hi in types], [(lo + hi) // 2 for lo, hi in types]):
        want = [y + o for y, o in zip(product(corner, W), offsets, strict=True)]
        found, ran = outputs(graph, corner), graph.run([corner]).tolist()[0]
        for c, (lo, hi) in enumerate(targets):
            width = graph.moduli[c]
            if width is None:
                assert found[c] == ran[c] == want[c]
                continue
            # The least two's complement (or unsigned) code that holds lo..hi.
            needed = max(hi, ~lo).bit_length() + 1 if lo < 0 else max(hi.bit_length(), 1)
            assert width == needed
            assert (found[c] - want[c]) % 2**width == 0
            code = want[c] % 2**width
            assert ran[c] == (code - 2**width if lo < 0 and code >> width - 1 else code)


@given(matrices(rows=3, columns=3, bits=(4, 8)), st.data())
@settings(max_examples=30)
def test_outputs_that_fit_their_type_are_exact(W, data):
    types = data.draw(st.lists(ranges(4), min_size=len(W), max_size=len(W)))
    ends = []
    for column in zip(*W, strict=True):
        spans = [sorted((w * lo, w * hi)) for w, (lo, hi) in zip(column, types, strict=True)]
        ends.append((sum(lo for lo, _ in spans), sum(hi for _, hi in spans)))
    graph = solve(W, types, ends, effort="fast")
    assert graph.moduli == (None,) * len(W[0])
    assert_exact(graph, W)


# --- what may not matter -----------------------------------------------------------------------------------


@given(matrices(rows=4, columns=4, bits=(3, 8, 70)), st.integers(0, 9), st.integers(1, 40))
@settings(max_examples=25)
def test_equal_arguments_equal_graph(W, seed, trials):
    def again() -> AdderGraph:  # a call with `progress` does not look into the memory of the process
        return solve(W, seed=seed, trials=trials, max_depth="min", progress=lambda done, cost: None)

    first = again()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rtl.shift_add.store.stored", lambda problem, effort, search: search())
        assert again() == first
    assert solve(W, seed=seed, trials=trials, max_depth="min") == first


def test_equal_graphs_in_other_processes():
    rng = np.random.default_rng(4)
    jobs = [
        {"W": rng.integers(-50, 50, size=(n, m)), "max_depth": d, "trials": t, "objective": o}
        for (n, m), d, t, o in [
            ((6, 7), "min", 40, "adders"),
            ((7, 5), None, 40, "adders"),
            ((5, 6), "min", 0, "bits"),
            ((4, 4), None, 30, "bits"),
        ]
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rtl.shift_add.store.stored", lambda problem, effort, search: search())
        here = [solve(**job, seed=11) for job in jobs]
    assert solve_all(jobs, workers=2, seed=11) == here


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int64, np.uint8, np.float32, np.float64, object])
def test_dtype_and_memory_order_do_not_matter(kind):
    W = np.arange(42).reshape(6, 7) % 23
    graph = solve(W.tolist(), effort="fast")
    plain = W.astype(kind)
    turned = np.asfortranarray(plain)
    view = np.flip(np.flip(plain, axis=1).copy(), axis=1)
    wide = np.zeros((12, 14), kind)[::2, ::2]
    wide[:] = plain
    frozen = plain.copy()
    frozen.setflags(write=False)
    for same in (plain, turned, view, wide, frozen, plain.T.copy().T):
        assert solve(same, effort="fast") == graph
        assert np.array_equal(same, W)


def test_uint64_and_bool():
    top = 2**64 - 1
    assert_exact(
        solve(np.array([[top, 1], [3, top - 1]], np.uint64), effort="fast"), [[top, 1], [3, top - 1]]
    )
    assert_exact(solve(np.array([[True, False], [True, True]]), effort="fast"), [[1, 0], [1, 1]])
    least = -(2**63)
    assert_exact(solve(np.array([[least, 2**63 - 1]]), effort="fast"), [[least, 2**63 - 1]])


@given(matrices(rows=3, columns=3, bits=(3, 20)), st.integers(0, 30))
@settings(max_examples=30)
def test_a_power_of_two_on_all_weights_is_only_a_scale(W, down):
    graph = solve([[Fraction(v, 2**down) for v in row] for row in W], effort="fast")
    scaled = [[Fraction(v, 2**graph.frac) for v in row] for row in graph.weights.array.tolist()]
    assert scaled == [[Fraction(v, 2**down) for v in row] for row in W]
    assert graph.adders == solve(W, effort="fast").adders
    if max(abs(v) for row in W for v in row) < 2**20:
        assert solve(np.array(W, float) / 2**down, effort="fast") == graph


# --- errors ------------------------------------------------------------------------------------------------


@given(matrices(bits=(8,)), st.data())
@settings(max_examples=30)
def test_one_bad_weight_is_an_error_that_names_its_place(W, data):
    bad = data.draw(
        st.sampled_from([math.nan, math.inf, -math.inf, 0.1, 1 / 3, Fraction(1, 3), 1e-30, "1", None])
    )
    i, j = data.draw(st.integers(0, len(W) - 1)), data.draw(st.integers(0, len(W[0]) - 1))
    W[i][j] = bad
    kind = TypeError if bad is None or isinstance(bad, str) else ValueError
    with pytest.raises(kind, match=rf"W must .*(\({i}, {j}\)|power-of-two grid)"):
        solve(W, effort="fast")


@given(st.integers(0, 5), st.integers(0, 5))
def test_an_empty_matrix_is_an_error(n, m):
    assume(n * m == 0)
    with pytest.raises(ValueError, match=rf"at least one row and one column, not of shape \({n}, {m}\)"):
        solve(np.zeros((n, m), int))


@given(st.one_of(st.floats(width=32), st.floats(), st.integers(-(2**25), 2**25).map(lambda v: v / 4)))
@settings(max_examples=150)
def test_floats_are_exact_or_refused(value):
    """Exact up to 53 bits for integers, up to 23 bits on a grid of fractions, which holds the other 1 too."""
    exact = Fraction(value) if math.isfinite(value) else Fraction(0)
    widest = max(abs(exact.numerator), exact.denominator).bit_length()
    if math.isfinite(value) and widest <= (53 if exact.denominator == 1 else 23):
        graph = solve([[value, 1]], effort="fast")
        assert [Fraction(w, 2**graph.frac) for w in graph.weights.array[0].tolist()] == [exact, 1]
    else:
        with pytest.raises(ValueError, match=r"W must (be finite|lie on a power-of-two grid)"):
            solve([[value, 1]], effort="fast")
