"""The adder graph of a matrix is exactly that matrix, within its depth limit, and every reading is exact."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

import numpy as np
import pytest

from rtl.shift_add import AdderGraph, Output, solve_all
from rtl.shift_add import solve as search
from rtl.shift_add.problem import make_problem

ROOT = Path(__file__).resolve().parents[2]
solve = functools.partial(search, effort="fast")


def gen(n: int, bits: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), size=(n, n))


def plain_adders(W) -> int:
    """Adders without sharing: signed digits less one a column, one more where all are negative."""
    return sum(max(load - 1, 0) for load in make_problem(W).loads)


def with_search(W, **options) -> AdderGraph:
    return search(W, trials=300, **options)


def assert_exact(graph: AdderGraph, W: np.ndarray, seed: int = 0) -> None:
    graph.check()
    W = np.asarray(W, dtype=object)
    x = np.random.default_rng(seed).integers(-128, 128, size=(7, W.shape[0])).astype(object)
    assert graph.run(x).tolist() == (x @ W).tolist()
    assert all(out.sign == 1 for out in graph.outputs)
    assert graph.adders == len(graph.nodes)


# --- exactness ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 5), (8, 8), (16, 4), (5, 24)])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12])
@pytest.mark.parametrize("max_depth", [None, "min"])
def test_random_matrices(shape, bits, max_depth):
    W = np.random.default_rng([*shape, bits]).integers(-(2 ** (bits - 1)), 2 ** (bits - 1) + 1, size=shape)
    graph = solve(W, max_depth=max_depth)
    assert_exact(graph, W)
    assert graph.adders <= plain_adders(W)
    better = with_search(W, max_depth=max_depth)
    assert_exact(better, W)
    assert better.adders <= graph.adders
    assert max_depth is None or better.depth <= make_problem(W).least_depth


@pytest.mark.parametrize("density", [0.05, 0.2, 0.5])
def test_sparse_matrices_with_zero_rows_and_columns(density):
    rng = np.random.default_rng(int(density * 100))
    W = rng.integers(-32, 32, size=(12, 12)) * (rng.random((12, 12)) < density)
    W[:, 3] = W[5] = 0
    graph = solve(W, max_depth="min")
    assert_exact(graph, W)
    assert graph.outputs[3] == Output(None, 0, 1)


@pytest.mark.parametrize("seed", range(60))
def test_random_structures_meet_every_depth_limit(seed):
    rng = np.random.default_rng([7, seed])
    n, m, bits = rng.integers(1, 10), rng.integers(1, 16), rng.integers(1, 11)
    W = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) + 1, size=(n, m))
    if seed % 3 == 1:
        W = -abs(W)
    if seed % 3 == 2:
        W[:, m // 2 :] = -W[:, : m - m // 2]
    least = make_problem(W).least_depth
    for limit in (least, least + 1, least + 3):
        for find in (solve, with_search):
            graph = find(W, max_depth=limit, seed=seed, objective="bits" if seed % 2 else "adders")
            assert_exact(graph, W)
            assert graph.depth <= limit
            assert graph.adders <= plain_adders(W)


def test_exhaustive_constants():
    for w in range(-300, 301):
        graph = solve([[w]])
        assert graph.check().run([[1]]).tolist() == [[w]]
        assert graph.adders <= plain_adders([[w]])


def test_exhaustive_pairs_of_constants_in_one_column():
    for a, b in itertools.product(range(-9, 10), repeat=2):
        graph = solve([[a], [b]], max_depth="min")
        assert_exact(graph, np.array([[a], [b]]))
        assert graph.depth <= make_problem([[a], [b]]).least_depth


def test_powers_of_two_cost_nothing():
    graph = solve([[8, 0], [0, 1]])
    assert (graph.adders, graph.depth, graph.bits, graph.nodes) == (0, 0, 0, ())
    assert graph.outputs == (Output(0, 3, 1), Output(1, 0, 1))


def test_ternary():
    W = np.random.default_rng(3).integers(-1, 2, size=(16, 16))
    graph = solve(W, max_depth="min")
    assert_exact(graph, W)
    assert graph.adders < plain_adders(W)


def test_a_negation_is_an_adder():
    graph = solve([[-4]])
    assert (graph.adders, graph.depth) == (1, 1)
    assert solve([[-4]], max_depth=1).depth == 1
    assert solve([[1, -1], [1, -1], [1, -1]]).adders == 3


def test_equal_shifted_and_negated_columns_share():
    column = np.array([[3], [-7], [21], [11]])
    one = solve(column).adders
    assert solve(np.hstack([column, column, column * 8])).adders == one
    assert solve(np.hstack([column, -column])).adders <= one + 1


@pytest.mark.parametrize("bits", [63, 64, 200, 1000])
def test_coefficients_beyond_int64(bits):
    rng = np.random.default_rng(bits)
    W = [
        [int.from_bytes(rng.bytes(bits // 8 + 1)) % 2**bits - 2 ** (bits - 1) for _ in range(3)]
        for _ in range(3)
    ]
    graph = solve(W, max_depth="min")
    assert_exact(graph, np.array(W, dtype=object))
    assert graph.coefficients().dtype == object
    assert solve([[2**63, -1]]).run([[3]]).tolist() == [[3 * 2**63, -3]]


def test_run_is_exact_where_int64_would_wrap():
    graph = solve([[3], [5]])
    assert graph.run([[2**62, -(2**61)]]).tolist() == [[3 * 2**62 - 5 * 2**61]]
    assert graph.run(np.zeros((2, 0, 2), np.int64)).shape == (2, 0, 1)
    assert graph.run([1, 2]).tolist() == [13]


# --- quality -----------------------------------------------------------------------------------------------


def test_greedy_beats_the_peer_at_least_depth():
    """16x16, 6 bit, seeds 0-2: the mean of da4ml 0.6 at minimal depth is 307.3 adders."""
    graphs = [solve(gen(16, 6, seed), max_depth="min") for seed in range(3)]
    assert sum(graph.adders for graph in graphs) <= 3 * 290
    assert all(graph.depth == make_problem(gen(16, 6, seed)).least_depth for seed, graph in enumerate(graphs))


@pytest.mark.parametrize("bits, adders", [(4, 217), (6, 308), (8, 394)])
def test_deeper_graphs_stay_below_the_peer_at_least_depth(bits, adders):
    assert solve(gen(16, bits, 0)).adders <= adders


@pytest.mark.parametrize("max_depth", [None, "min"])
def test_search_betters_both_objectives(max_depth):
    W = gen(8, 6, 1)
    fast = solve(W, max_depth=max_depth)
    assert search(W, max_depth=max_depth, trials=3000).adders < fast.adders
    narrow = search(W, max_depth=max_depth, trials=3000, objective="bits")
    assert narrow.bits < solve(W, max_depth=max_depth, objective="bits").bits
    assert narrow.bits < fast.bits


def test_a_loose_limit_loses_nothing():
    W = np.random.default_rng(0).integers(-50, 50, size=(6, 6))
    assert solve(W, max_depth=20).adders == solve(W).adders


def test_many_columns_are_quick():
    W = np.random.default_rng(0).integers(-128, 128, size=(1, 1000))
    graph = solve(W)
    assert_exact(graph, W)
    assert graph.adders <= 127


def test_search_at_least_depth_is_far_below_the_peer():
    """16x16, 6 bit, seeds 0-2: the mean of da4ml 0.6 at minimal depth is 307.3 adders."""
    graphs = [search(gen(16, 6, seed), max_depth="min", trials=6000) for seed in range(3)]
    assert sum(graph.adders for graph in graphs) <= 3 * 275


# --- offsets and wrapped columns ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_offsets_join_the_graph(seed):
    rng = np.random.default_rng([11, seed])
    n, m = rng.integers(1, 8), rng.integers(1, 8)
    W = rng.integers(-20, 21, size=(n, m))
    offsets = rng.integers(-50, 51, size=m) * (rng.random(m) < 0.7)
    limit = "min" if seed % 2 else None
    x = rng.integers(-128, 128, size=(9, n))
    for find in (solve, with_search):
        graph = find(W, offsets=offsets, max_depth=limit)
        assert graph.check().run(x).tolist() == (x @ W + offsets).tolist()
        assert graph.adders <= plain_adders(W) + int((offsets != 0).sum())
        lo, hi = zip(*graph.intervals(), strict=True)
        for c, out in enumerate(graph.outputs):
            y = x @ W[:, c] + offsets[c]
            if out.wire is not None:
                assert (lo[out.wire] << out.shift) <= y.min() and y.max() <= (hi[out.wire] << out.shift)


def test_an_offset_is_one_adder_whatever_its_digits():
    assert solve([[1]], offsets=[0b1010101]).adders == 1
    assert solve([[1, 1], [1, 1]], offsets=[5, 20]).constants == (5,)
    assert solve([[0]], offsets=[12]).run([[7]]).tolist() == [[12]]
    assert solve([[0]], offsets=[-12]).run([[7]]).tolist() == [[-12]]
    graph = solve([[0.5]], offsets=[0.125])
    assert (graph.frac, graph.run([[3]]).tolist()) == (3, [[13]])


@pytest.mark.parametrize("seed", range(30))
def test_a_column_that_wraps_needs_its_low_bits_only(seed):
    rng = np.random.default_rng([12, seed])
    n, m = rng.integers(1, 8), rng.integers(1, 8)
    W = rng.integers(-64, 65, size=(n, m))
    bits = int(rng.integers(1, 13))
    lo, hi = (-(1 << bits >> 1), (1 << bits - 1) - 1) if seed % 2 else (0, (1 << bits) - 1)
    offsets = rng.integers(-9, 10, size=m)
    x = rng.integers(-128, 128, size=(9, n))
    for find in (solve, with_search):
        graph = find(W, out_types=(lo, hi), offsets=offsets, max_depth="min" if seed % 3 else None)
        y = x @ W + offsets
        assert graph.check().run(x).tolist() == ((y - lo) % (hi - lo + 1) + lo).tolist()
        assert graph.bits <= solve(W, offsets=offsets).bits * 2
    assert all(m is None or m == bits for m in graph.moduli)


def test_wrapped_digits_cost_nothing():
    assert solve([[127]], out_types=(-64, 63)).adders == 1  # -1 modulo 128
    assert solve([[128, 1]], out_types=(0, 127), in_types=(0, 127)).outputs[0] == Output(None, 0, 1)
    # Modulo 2**w the sign of the digit at w - 1 is free.
    assert [solve([[w]], out_types=(-4, 3)).adders for w in (-4, -5, 4)] == [0, 1, 0]
    assert solve([[-4]], out_types=(-4, 3), max_depth=0).depth == 0
    assert solve([[3], [1]], in_types=(0, 15), out_types=(0, 60)).moduli == (None,)
    assert solve([[3], [1]], in_types=(0, 15), out_types=(0, 59)).moduli == (None,)
    assert solve([[3], [1]], in_types=(0, 15), out_types=(0, 31)).moduli == (5,)


# --- many, progress, kept answers --------------------------------------------------------------------------


def test_trials_and_seed_decide_the_answer(monkeypatch, tmp_path):
    monkeypatch.setenv("FXSIM_CACHE", str(tmp_path / "one"))
    W = gen(9, 5, 3)
    looked = []
    one = search(W, trials=500, seed=4, progress=lambda done, cost: looked.append((done, cost)))
    assert looked[-1] == (1.0, one.adders) and [d for d, _ in looked] == sorted(d for d, _ in looked)
    assert search(W, trials=500, seed=4) == one
    monkeypatch.setenv("FXSIM_CACHE", str(tmp_path / "two"))
    assert search(W, trials=500, seed=4, progress=lambda done, cost: None) == one


def test_answers_are_kept_and_a_broken_file_is_searched_again(monkeypatch, tmp_path):
    monkeypatch.setenv("FXSIM_CACHE", str(tmp_path))
    W = gen(7, 4, 8)
    progress = lambda done, cost: None  # noqa: E731  # such calls pass the memory of the process by
    one = search(W, effort=0.6, progress=progress)
    (path,) = tmp_path.glob("adders-*/adders.json")
    monkeypatch.setattr("rtl.shift_add.search.search", lambda *_: pytest.fail("searched although kept"))
    assert search(W, effort=0.6, progress=progress) == one
    monkeypatch.undo()
    monkeypatch.setenv("FXSIM_CACHE", str(tmp_path))
    for text in ("", "{}", path.read_text().replace("[", "[9, ", 1), '{"nodes": [], "outputs": []}'):
        path.write_text(text)
        assert (
            search(W, effort=0.6, progress=progress).check().run(np.eye(7, dtype=int)).tolist() == W.tolist()
        )


def test_many_matrices_in_processes_and_alone():
    matrices = [gen(5, 4, seed) for seed in range(3)] + [{"W": gen(5, 4, 0), "seed": 7}]
    done = []
    many = solve_all(matrices, workers=2, trials=50, progress=lambda k, n: done.append((k, n)))
    assert many == solve_all(matrices, workers=1, trials=50)
    assert done == [(k, 4) for k in range(1, 5)]
    assert solve_all([]) == []
    with pytest.raises(ValueError, match="workers must be an integer >= 1 or None, not 0"):
        solve_all(matrices, workers=0)
