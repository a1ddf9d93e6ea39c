"""2:4 sparsity: worked numbers, the packed form and back, gathering in every reading, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from fxsim import SQ, UQ, trace
from fxsim.integers import IntArray
from fxsim.layers import sparse
from fxsim.quantizers import two_four
from tests.agreement import readings
from tests.systems.units import Unit, same, together, with_corners

S4, NIBBLE = SQ(4, 0), UQ(4, 0)
WORKED = np.array([3, -7, 2, 2, 0, 0, 0, 5, -1, 1, -1, 1])
RNG = np.random.default_rng(24)
FULL = two_four.prune(RNG.integers(1, 8, size=(8, 3)) * RNG.choice([-1, 1], size=(8, 3)))
PACKED = two_four.pack(FULL)


def gathered(x, nibbles):
    """x[..., 4 * g + index] for both indices of every nibble, columns before groups."""
    groups = x.reshape(len(x), 1, -1, 4)
    codes = nibbles.reshape(len(x), nibbles.shape[1], -1).swapaxes(1, 2)
    shape = (len(x), codes.shape[1], codes.shape[2], 4)
    index = np.stack([codes & 3, codes >> 2], axis=-1)
    out = np.take_along_axis(np.broadcast_to(groups, shape), index, axis=-1)
    return out.reshape(len(x), codes.shape[1], -1)


def units():
    rng, n = np.random.default_rng(5), 100_000
    x = with_corners(-8, 7, (8,), n, rng)
    nibbles = with_corners(0, 15, (2, 2), n, rng)
    one = np.array(np.meshgrid(range(16), range(16), indexing="ij")).reshape(2, -1).T  # every pair
    values = with_corners(-8, 7, (4, 2), n, rng)
    return [
        Unit(
            "gather, constant", ((S4, (8,)),),
            lambda x: [sparse.gather_packed(x, PACKED), sparse.sparse_dot(x, PACKED), dot_of_gathered(x)],
            lambda x: [
                np.stack([x[:, np.flatnonzero(FULL[:, c])] for c in range(3)], axis=1), x @ FULL, x @ FULL
            ],
            (x,),
        ),
        Unit(
            "gather, one column", ((S4, (8,)), (NIBBLE, (2,))),
            lambda x, i: [sparse.gather_by_nibbles(x, i)],
            lambda x, i: [gathered(x, i[:, :, None])[:, 0]],
            (x, one),
        ),
        Unit(
            "dot, varying", ((S4, (8,)), (S4, (4, 2)), (NIBBLE, (2, 2))),
            lambda x, v, i: [sparse.gather_by_nibbles(x, i), sparse.sparse_dot_by_nibbles(x, v, i)],
            lambda x, v, i: [gathered(x, i), (gathered(x, i) * v.swapaxes(1, 2)).sum(-1)],
            (x, values, nibbles),
        ),
    ]  # fmt: skip


def dot_of_gathered(x):
    """Any unit behind the front end: here products with the packed values."""
    return (sparse.gather_packed(x, PACKED) * PACKED.values.array.T).sum(-1)


@pytest.fixture(scope="module")
def case():
    return together(units(), "sparse_units")


def test_emulator_gives_the_formulas(case):
    graph, raw, wanted = case
    same(graph.run_raw(*raw), wanted)


def test_verilog_gives_the_formulas(case):
    graph, raw, wanted = case
    same(readings.verilator(graph, raw), wanted)


def test_cpp_gives_the_formulas(case):
    graph, raw, wanted = case
    same(readings.cpp(graph, raw), wanted)


def test_specification_gives_the_formulas(case):
    graph, raw, wanted = case
    rows = slice(0, None, 7919)
    same(readings.specification(graph, [r[rows] for r in raw]), [w[rows] for w in wanted])


def test_worked_numbers():
    """Values (3,-7)(0,5)(-1,1), indices (0,1)(0,3)(0,1), nibbles 4, 12, 4; dot with 1..12 = 30."""
    pruned = two_four.prune(WORKED)
    packed = two_four.pack(pruned)
    assert packed.values.array.tolist() == [3, -7, 0, 5, -1, 1]
    assert packed.indices.array.tolist() == [0, 1, 0, 3, 0, 1]
    assert packed.nibbles.tolist() == [4, 12, 4]
    x = np.arange(1, 13)
    assert trace(lambda v: sparse.sparse_dot(v, packed), SQ(5, 0), shape=(12,)).run_raw(x) == 30
    varying = trace(sparse.sparse_dot_by_nibbles, SQ(5, 0), S4, NIBBLE, shape=[(12,), (6,), (3,)])
    assert varying.run_raw(x, packed.values.array, packed.nibbles) == 30
    assert packed.bits_per_weight(8) == 5 and 32 / packed.bits_per_weight(8) == 6.4
    assert packed.bits_per_weight(4) == 3


def test_pruning_keeps_most_of_a_gaussian():
    """86.8 % of the energy, 74.5 % of the magnitudes."""
    w = np.random.default_rng(0).normal(size=(4 * 100_000,))
    kept = two_four.prune(w)
    assert (kept != 0).sum() == len(w) / 2
    assert abs((kept**2).sum() / (w**2).sum() - 0.868) < 0.001
    assert abs(abs(kept).sum() / abs(w).sum() - 0.745) < 0.001


def test_the_largest_two_stay_and_ties_go_to_the_lowest_index():
    assert two_four.prune([1, 1, -1, 1]).tolist() == [1, 1, 0, 0]
    assert two_four.prune([0.5, -2.0, 2.0, -3.0]).tolist() == [0.0, -2.0, 0.0, -3.0]
    assert two_four.prune([[1, 4], [2, 3], [3, 2], [4, 1]]).tolist() == [[0, 4], [0, 3], [3, 0], [4, 0]]
    exact = np.array([2**70, 1, -(2**71), 5], object)
    assert two_four.prune(exact).tolist() == [2**70, 0, -(2**71), 0]


def test_packed_weights_come_back(rng):
    w = rng.integers(-128, 128, size=(16, 5))
    w[rng.random(w.shape) < 0.3] = 0
    pruned = two_four.prune(w)
    packed = two_four.pack(pruned, empty="keep")
    assert packed.shape == (16, 5) and np.array_equal(packed.unpack(), pruned)
    again = two_four.TwoFour.of_nibbles(packed.values.array, packed.nibbles)
    assert np.array_equal(again.unpack(), pruned) and again == packed


def test_empty_groups_are_named_or_kept():
    w = np.array([[0, 1], [0, 0], [0, 0], [0, 0]])
    with pytest.raises(
        ValueError, match=r"every four weights must have a non-zero, not \[0, 0, 0, 0\] in group 0"
    ):
        two_four.pack(w)
    packed = two_four.pack(w, empty="keep")
    assert packed.values.array.tolist() == [[0, 1], [0, 0]]
    assert packed.indices.array.tolist() == [[0, 0], [1, 1]]


def test_bad_input():
    with pytest.raises(
        ValueError, match=r"must have at most two non-zeros .* \[1, 2, 0, 3\] in group 1 of column 0"
    ):
        two_four.pack(np.array([[1, 2, 0, 0, 1, 2, 0, 3]]).T)
    with pytest.raises(ValueError, match=r"first axis of weights must be a multiple of 4, not shape \(6,\)"):
        two_four.prune(np.ones(6))
    with pytest.raises(ValueError, match="weights must not be NaN"):
        two_four.prune([1.0, np.nan, 0.0, 0.0])
    with pytest.raises(TypeError, match="values must be integers"):
        two_four.pack([0.5, 0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="empty must be 'keep' or 'error', not 'drop'"):
        two_four.pack([1, 0, 0, 0], empty="drop")
    with pytest.raises(ValueError, match=r"indices must be two ascending integers of 0\.\.3 in every group"):
        two_four.TwoFour(IntArray(np.array([1, 2])), IntArray(np.array([1, 1])))
    with pytest.raises(ValueError, match=r"indices must be two ascending"):
        two_four.TwoFour.of_nibbles([1, 2], [5])
    with pytest.raises(ValueError, match=r"nibbles must lie in 0\.\.15, not 16\.\.16"):
        two_four.TwoFour.of_nibbles([1, 2], [16])
    with pytest.raises(
        ValueError, match=r"values and indices must have one shape \(n / 2, ...\), not \(3,\)"
    ):
        two_four.TwoFour(IntArray(np.array([1, 2, 3])), IntArray(np.array([0, 1, 2])))


def test_bad_operands():
    with pytest.raises(ValueError, match=r"weights must have shape \(n,\) or \(n, m\) for x of shape \(4,\)"):
        trace(lambda x: sparse.gather_packed(x, PACKED), S4, shape=(4,))
    with pytest.raises(
        TypeError, match=r"nibbles must be proven in 0\.\.15 with frac 0, not -8\.\.7 with frac 0"
    ):
        trace(sparse.gather_by_nibbles, S4, S4, shape=[(4,), (1,)])
    with pytest.raises(ValueError, match=r"nibbles must have shape \(n / 4,\) or \(n / 4, m\), not \(\)"):
        trace(sparse.gather_by_nibbles, S4, NIBBLE, shape=[(4,), ()])
    with pytest.raises(ValueError, match=r"weights must have shape .* not \(8,\)"):
        trace(sparse.gather_by_nibbles, S4, NIBBLE, shape=[(4,), (2,)])
    with pytest.raises(ValueError, match=r"values must have two rows for each of nibbles \(1,\), not \(3,\)"):
        trace(sparse.sparse_dot_by_nibbles, S4, S4, NIBBLE, shape=[(4,), (3,), (1,)])
