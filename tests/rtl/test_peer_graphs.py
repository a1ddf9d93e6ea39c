"""The benchmark's own count of adder graphs: the same as ours, and in favour of the peers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from rtl.shift_add import solve
from rtl.shift_add.problem import make_problem

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def peers():
    """The package of the benchmarks; what its import does to the environment is undone."""
    environment = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import peers.bars
        import peers.luts
        import peers.tools

        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        yield peers
        for name in [n for n in sys.modules if n.split(".")[0] == "peers"]:
            del sys.modules[name]


@pytest.mark.parametrize(
    "family", ["square", "sparse", "zero-lines", "ternary", "binary", "two-hot", "2:4", "wide"]
)
@pytest.mark.parametrize("max_depth", [None, "min"])
def test_counts_are_those_of_the_graph(peers, family, max_depth):
    (case,) = peers.matrices.cases(family, 8, [5], (1,))
    W = case.matrices[0]
    graph = solve(W, max_depth=max_depth, effort="fast")
    found = peers.graphs.cost(peers.tools.neutral(graph, len(W)), W.tolist())
    assert found == peers.graphs.Cost(graph.adders, graph.bits, graph.depth)
    assert peers.measure.least_depth(W) == make_problem(W).least_depth
    assert max_depth is None or graph.depth == peers.measure.least_depth(W)


def test_a_wrong_graph_is_found_out(peers):
    graph = peers.tools.neutral(solve([[3], [5]], effort="fast"), 2)
    with pytest.raises(ArithmeticError, match=r"column 0 is \[3, 5\] \* 2\*\*0, not \[3, 6\]"):
        peers.graphs.check(graph, [[3], [6]])
    with pytest.raises(ArithmeticError, match="1 outputs for 2 columns"):
        peers.graphs.check(graph, [[3, 1], [5, 1]])


def test_signs_duplicates_and_dead_ends_of_other_tools_are_free(peers):
    x, y = (0, 0, 1), (1, 0, 1)

    def build(make):
        builder = peers.graphs.Builder(2)
        return builder.graph(make(builder))

    # a - b twice, once as b - a; a third sum that nobody reads.
    twice = build(lambda b: [b.add(x, (1, 0, -1)), b.add(y, (0, 0, -1)), b.add(x, y)][:2])
    assert len(twice.nodes) == 1 and peers.graphs.cost(twice, [[1, -1], [-1, 1]]).adders == 2
    # Only the negative goes out, so the difference is turned; a sum cannot be.
    turned = build(lambda b: [b.add((0, 0, -1), (1, 1, 1))])
    assert peers.graphs.cost(turned, [[-1], [2]]).adders == 1
    negated = build(lambda b: [b.add((0, 0, -1), (1, 1, -1))])
    assert peers.graphs.cost(negated, [[-1], [-2]]).adders == 2
    # Shifts to the right: (x >> 1) + y, put out doubled.
    halves = build(lambda b: [tuple(np.add(b.add((0, -1, 1), y), (0, 1, 0)).tolist())])
    assert peers.graphs.cost(halves, [[1], [2]]).adders == 1


def test_layers_are_matrices_and_what_is_missing_is_said(peers, tmp_path):
    cases, missing = peers.matrices.layers(ROOT / "fxsim" / "data")
    convolutional, dense = [(9, 8), (72, 8), (32, 10)], [(64, 32), (32, 32), (32, 10)]
    assert [c.shape for c in cases] == convolutional + dense * 2
    assert [m.rpartition("/")[2] for m in missing] == [
        "digits_cnn_w4a4_pow2.qcdq.onnx: no constant quantized weights in it",
        "digits_hgq2_mlp.keras: only .onnx files are read",
    ]
    assert all(c.matrices[0].flags.c_contiguous for c in cases)
    (tmp_path / "model.tflite").write_bytes(b"")
    assert peers.matrices.layers(tmp_path) == (
        [],
        [f"{tmp_path / 'model.tflite'}: only .onnx files are read"],
    )
    assert "no model file" in peers.matrices.layers(tmp_path / "nothing")[1][0]


def test_bars(peers):
    case = peers.matrices.Case("square", (8, 8), 4, (0, 1), (np.eye(8), np.eye(8)))

    def cost(adders, depth=4):
        return peers.graphs.Cost(adders, 500, depth)

    row = peers.measure.Row(case, "min", [4, 4])
    row.costs = {
        "da4ml": [cost(60), cost(50)],
        "alkaid": [cost(56, 5), cost(56)],
        "ours fast": [cost(52), cost(53)],
        "ours search": [cost(48), cost(48)],
    }
    row.seconds = {name: [0.1, 0.1] for name in row.costs} | {"ours search": [1.0, 2.5]}
    assert row.better(peers.bars.PEERS) == 55 and row.strict_gain("ours fast", peers.bars.PEERS) < 1
    search, fast = peers.bars.verdicts([row])
    assert not search.passed and search.measured == 100 * (1 - 48 / 55)
    assert fast.passed and str(fast).startswith(
        "PASS  one greedy pass, least depth, n = 8, 4 bits, 2 seeds: 4.5 %"
    )
    row.seconds["ours search"] = [1.0, 2.0]
    assert peers.bars.verdicts([row])[0].passed
    row.costs["ours search"][0] = cost(48, 5)
    assert "1 deeper than the least depth" in str(peers.bars.verdicts([row])[0])
    assert not peers.bars.verdicts([row])[0].passed


def test_plain_verilog(peers):
    graph = peers.tools.neutral(solve([[3, 0, -4], [1, 0, 0]], effort="fast"), 2)
    text = peers.luts.verilog(graph, "top")
    assert text.startswith("module top(\n  input signed [7:0] w0,\n  input signed [7:0] w1,\n  output signed")
    assert "assign y1 = 1'b0;" in text and "*" not in text
