"""What an adder graph says of itself: readings, dyadic weights, errors."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from rtl.shift_add import Adder, Output, Problem
from rtl.shift_add import solve as search
from rtl.shift_add.problem import signed_digits
from rtl.shift_add.result import interval_width
from tests.rtl.test_shift_add import ROOT, assert_exact, gen, solve

# --- readings ----------------------------------------------------------------------------------------------


def test_coefficients_are_the_response_to_unit_inputs():
    W = gen(6, 5, 2)
    graph = solve(W)
    rows = graph.coefficients()
    assert rows.shape == (6 + len(graph.nodes), 6) and not rows.flags.writeable
    for column, out in zip(W.T, graph.outputs, strict=True):
        assert (rows[out.wire] * 2**out.shift).tolist() == column.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_intervals_are_those_of_all_inputs(seed):
    rng = np.random.default_rng([5, seed])
    W = rng.integers(-8, 8, size=(3, 4))
    lo = rng.integers(-4, 3, size=3)
    hi = lo + rng.integers(0, 4, size=3)
    graph = solve(W, in_types=list(zip(lo.tolist(), hi.tolist(), strict=True)))
    corners = np.array(list(itertools.product(*(range(a, b + 1) for a, b in zip(lo, hi, strict=True)))))
    wires = corners @ graph.coefficients().T
    expected = tuple(zip(wires.min(axis=0).tolist(), wires.max(axis=0).tolist(), strict=True))
    assert graph.intervals() == expected
    assert graph.intervals(lo.tolist(), hi.tolist()) == expected


def test_intervals_beyond_int64():
    graph = solve([[3]], in_types=(-(2**70), 2**70 - 1))
    out = graph.outputs[0]
    assert graph.intervals()[out.wire] == (-3 * 2**70, 3 * 2**70 - 3)


@pytest.mark.parametrize(
    "W, adder, bits",
    [
        # x0 + x1, 8-bit signed: 9 bits. x0 + (x1 << 3): 12 bits, 3 of them pass through.
        ([[1], [1]], Adder(0, 1, 0, 0, 1, 1), 9),
        ([[1], [8]], Adder(0, 1, 0, 3, 1, 1), 9),
        # (x0 << 3) - x1: -1024 - 127 .. 1016 + 128 needs 12 bits, and the borrow starts at bit 0.
        ([[8], [-1]], Adder(0, 1, 3, 0, 1, -1), 12),
        # x0 - (x1 << 3): the low 3 bits are those of x0.
        ([[1], [-8]], Adder(0, 1, 0, 3, 1, -1), 9),
    ],
)
def test_bits_of_one_adder(W, adder, bits):
    graph = solve(W)
    assert graph.nodes == (adder,)
    assert graph.bits == bits


def test_input_types_set_the_widths():
    class Unsigned4:
        lo, hi = 0, 15

    W = [[1], [1]]
    assert solve(W, in_types=(0, 15)).bits == 5
    assert solve(W, in_types=Unsigned4).bits == 5
    assert solve(W, in_types=[(0, 15), Unsigned4]).bits == 5
    assert solve(W, in_types=[(0, 255), (0, 0)]).bits == 8

    class Tensor:
        lo, hi = np.array([0, 0]), np.array([255, 0])

    assert solve(W, in_types=Tensor).in_intervals == ((0, 255), (0, 0))


def test_interval_width_is_the_least_that_holds_both_ends():
    for lo, hi in itertools.combinations_with_replacement(range(-20, 21), 2):
        width = interval_width(lo, hi)
        least, greatest = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if lo < 0 else (0, 2**width - 1)
        assert least <= lo and hi <= greatest
        if width > 1 - (lo >= 0):
            half = (least // 2, greatest // 2)
            assert not (half[0] <= lo and hi <= half[1])


def test_result_is_immutable_hashable_and_equal_for_equal_arguments():
    W = gen(6, 5, 4)
    graph = solve(W)
    assert solve(W.tolist()) == graph and hash(solve(W.tolist())) == hash(graph)
    assert solve(W) is graph
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.nodes = ()
    assert f"adders={graph.adders}" in repr(graph)


def test_same_seed_same_graph_in_every_process():
    code = (
        "import numpy as np; from rtl.shift_add import solve\n"
        "W = np.random.default_rng(9).integers(-32, 32, size=(12, 12))\n"
        "least = solve(W, seed=5, effort='fast', max_depth='min')\n"
        "print([(g.nodes, g.outputs) for g in (solve(W, seed=5, trials=99), least)])"
    )
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1")
    }
    assert len(outputs) == 1
    graph = search(np.random.default_rng(9).integers(-32, 32, size=(12, 12)), seed=5, trials=99)
    assert str((graph.nodes, graph.outputs)) in outputs.pop()


# --- dyadic weights ----------------------------------------------------------------------------------------


def test_dyadic_floats_and_fractions_keep_a_common_frac():
    W = np.array([[0.5, -1.75], [3.0, 0.0]])
    graph = solve(W)
    assert graph.frac == 2
    assert graph.weights.array.tolist() == [[2, -7], [12, 0]]
    assert (graph.run([[3, 5]]) * 2.0**-graph.frac).tolist() == ([[3, 5]] @ W).tolist()
    assert (
        solve(W.astype(np.float32))
        == solve([[Fraction(1, 2), Fraction(-7, 4)], [3, 0]])
        == solve(W.tolist())
        == graph
    )
    assert solve(np.array([[4.0]])).frac == 0


# --- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "W", [np.zeros((0, 3)), np.zeros((3, 0)), [], [[]], [1, 2], np.zeros((2, 2, 2), int)]
)
def test_empty_and_misshapen_matrices(W):
    with pytest.raises(
        ValueError, match="W must be a matrix with at least one row and one column, not of shape"
    ):
        solve(W)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(bad):
    with pytest.raises(ValueError, match=r"W must be finite, not .* at \(1, 0\)"):
        solve(np.array([[1.0, 2.0], [bad, 1.0]]))
    with pytest.raises(ValueError, match=r"W must be finite, not .* at \(0, 1\)"):
        solve([[1, bad]])


def test_weights_that_are_not_dyadic():
    with pytest.raises(ValueError, match=r"W must lie on a power-of-two grid of at most 23 bits, not 56"):
        solve([[0.1, 1.0]])
    with pytest.raises(ValueError, match=r"at most 23 bits, not 24"):
        solve(np.array([[0.1]], np.float32))
    with pytest.raises(ValueError, match=r"at most 53 bits"):
        solve([[1e300]])
    with pytest.raises(ValueError, match=r"W must be integers \* 2\*\*-frac, not 1/3 at \(0, 1\)"):
        solve([[1, Fraction(1, 3)]])


@pytest.mark.parametrize("W", [[["1"]], [[None]], [[1j]], np.array([["a"]]), np.array([[1j]])])
def test_weights_that_are_not_numbers(W):
    with pytest.raises(TypeError, match="W must hold integers or dyadic numbers, not"):
        solve(W)


def test_depth_below_the_least_names_the_least():
    with pytest.raises(ValueError, match="max_depth must be at least 6 for this matrix, not 5"):
        solve(gen(16, 6, 0), max_depth=5)
    with pytest.raises(ValueError, match="max_depth must be at least 1 for this matrix, not 0"):
        solve([[-1]], max_depth=0)
    assert solve([[4]], max_depth=0).depth == 0


@pytest.mark.parametrize("depth", ["least", 2.0, True])
def test_depth_that_is_no_depth(depth):
    with pytest.raises(ValueError, match="max_depth must be None, 'min' or an integer, not"):
        solve([[1]], max_depth=depth)


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="objective must be one of adders, bits, not 'area'"):
        solve([[1]], objective="area")
    for effort in (0, -1, float("nan"), float("inf"), "slow", True, None):
        with pytest.raises(ValueError, match=rf"effort must be 'fast', 'best' or .* seconds, not {effort!r}"):
            search([[1]], effort=effort)
    for trials in (-1, 1.5, True):
        with pytest.raises(ValueError, match=f"trials must be an integer >= 0, not {trials}"):
            search([[1]], trials=trials)
    with pytest.raises(ValueError, match=r"seed must be in 0\.\.2\*\*62 - 1, not -1"):
        solve([[1]], seed=-1)
    with pytest.raises(ValueError, match=r"offsets must have shape \(1,\), not \(2,\)"):
        solve([[1]], offsets=[1, 2])
    with pytest.raises(ValueError, match=r"offsets must be finite, not nan at \(0, 0\)"):
        solve([[1]], offsets=[float("nan")])
    with pytest.raises(TypeError, match=r"seed must be an integer, not 1\.5"):
        solve([[1]], seed=1.5)
    with pytest.raises(TypeError, match="W must not be a masked array: fill it first"):
        solve(np.ma.masked_array([[1]], [[True]]))
    assert search([[3]], seed=np.int64(0), trials=np.int32(2)).adders == 1
    with pytest.raises(ValueError, match="in_types must have 1 entries, not 2"):
        solve([[1]], in_types=[(0, 1), (0, 1)])
    with pytest.raises(ValueError, match=r"in_types must have lo <= hi, not \(1, 0\)"):
        solve([[1]], in_types=(1, 0))
    with pytest.raises(TypeError, match="in_types must be"):
        solve([[1]], in_types="8")


def test_run_and_intervals_refuse_what_they_cannot_read():
    graph = solve([[1], [2]])
    with pytest.raises(ValueError, match=r"x must have shape \(\.\.\., 2\), not \(1, 3\)"):
        graph.run([[1, 2, 3]])
    with pytest.raises(TypeError, match="values must be integers"):
        graph.run([[0.5, 1.0]])
    with pytest.raises(ValueError, match="both lo and hi, or neither"):
        graph.intervals(lo=0)
    with pytest.raises(ValueError, match="lo must be <= hi, not 2 > 1 at input 0"):
        graph.intervals(2, 1)


def test_a_wrong_graph_is_found_out():
    graph = solve([[1], [3]])
    wrong = dataclasses.replace(graph, outputs=(Output(graph.outputs[0].wire, 1, 1),))
    with pytest.raises(
        ArithmeticError, match=r"column 0 of the adder graph is \[2, 6\] \+ 0, not \[1, 3\] \+ 0"
    ):
        wrong.check()
    negated = dataclasses.replace(graph, weights=solve([[-1], [-3]]).weights, outputs=(Output(3, 0, -1),))
    assert negated.check().adders == graph.adders + 1 and negated.depth == graph.depth + 1
    assert negated.bits == graph.bits + 11
    assert negated.run([[1, 2]]).tolist() == [[-7]]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"nodes": (Adder(0, 1, 0, 0, 1, 1),)}, r"node 1 must read wires in 0\.\.0"),
        ({"nodes": (Adder(0, 0, -1, 0, 1, 1),)}, "node 1 must have shifts >= 0"),
        ({"nodes": (Adder(0, 0, 0, 1, -1, -1),)}, "node 1 must have signs"),
        ({"outputs": (Output(1, 0, 1),)}, r"output 0 must name a wire in 0\.\.0"),
        ({"outputs": (Output(0, 0, 0),)}, "output 0 must have shift >= 0 and sign"),
        ({"outputs": ()}, "outputs must have 1 entries, not 0"),
        ({"in_intervals": ()}, "in_intervals must have 1 entries, not 0"),
    ],
)
def test_malformed_graphs(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(solve([[1]]), **change)


def test_signed_digits_are_canonical():
    for value in range(-2000, 2001):
        digits = signed_digits(value)
        assert sum(sign << shift if sign > 0 else -(1 << shift) for shift, sign in digits) == value
        assert all(b - a >= 2 for (a, _), (b, _) in itertools.pairwise(digits))


def test_problem_is_checked_on_its_own():
    weights = solve([[1]]).weights
    with pytest.raises(ValueError, match="in_types must have 1 entries, not 0"):
        Problem(weights, 0, ())


def test_largest_seed():
    for depth in ("min", None):
        assert_exact(solve([[3, 5], [7, 11]], max_depth=depth, seed=(1 << 62) - 1), [[3, 5], [7, 11]])
