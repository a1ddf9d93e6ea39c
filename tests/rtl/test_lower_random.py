"""Random graphs and layers through lowering, their sums as codes, as values, and as chosen: exact."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import fxsim
from fxsim.formats import Format, Overflow, Rounding
from rtl.core import Core
from rtl.design import with_elements
from rtl.lower import encode, spare
from tests.agreement.random_graphs import random_graph, stimulus
from tests.rtl.evaluation import evaluate
from tests.rtl.test_lower_codes import all_codes  # noqa: F401


def check(graph: fxsim.Graph, raw: list[np.ndarray], depth: float | None) -> Core:
    core = Core(graph, depth)
    expected = graph.run_raw(*raw)
    expected = list(expected) if isinstance(expected, tuple) else [expected]
    wanted = with_elements(expected, graph.outputs)
    for name, want, have in zip(graph.output_names, wanted, evaluate(core, *raw), strict=True):
        bad = np.argwhere(want != have)
        assert not len(bad), f"{name} of {graph.name}: {[r[bad[0][0]].tolist() for r in raw]}"
    return core


@pytest.fixture(params=["chosen", "early", "codes", "values"])
def sums(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums as the lowering chooses; with constants wherever there is time; all of them codes, and none."""
    if request.param == "early":
        monkeypatch.setattr(spare, "WORTH", 1e9)
    elif request.param == "codes":
        request.getfixturevalue("all_codes")
    elif request.param == "values":
        monkeypatch.setattr(encode, "_choose", lambda nets, plain: set())


@pytest.mark.usefixtures("sums")
@pytest.mark.parametrize("start", range(0, 300, 100))
def test_random_graphs(start: int) -> None:
    for seed in range(start, start + 100):
        graph = random_graph(seed)
        check(graph, stimulus(graph, 40, seed), (None, 1, 3)[seed % 3])


def layers(rng: np.random.Generator) -> tuple[fxsim.Graph, list[np.ndarray]]:
    """One to three matrix products with offsets, rectifiers, casts of any mode, comparisons."""
    widths = rng.integers(1, 7, size=rng.integers(2, 5)).tolist()
    first = Format(int(rng.integers(1, 6)), int(rng.integers(-2, 6)), bool(rng.integers(2)))
    modes = [m for m in Overflow if m is not Overflow.WRAP_SM]

    def draw() -> Format:
        signed = bool(rng.integers(2))
        return Format(int(rng.integers(1 + signed, 9)), int(rng.integers(0, 9)), signed,
                      rng.choice(list(Rounding)), rng.choice(modes))  # fmt: skip

    def network(x: fxsim.Tensor) -> list[fxsim.Tensor]:
        outputs = []
        for n, m in pairwise(widths):
            bits = int(rng.integers(1, 8))
            scale = 2.0 ** -int(rng.integers(0, 5))
            x = x @ (rng.integers(-(1 << bits), 1 << bits, size=(n, m)) * scale)
            if rng.integers(3):
                x = x + rng.integers(-200, 200, size=m) * 2.0 ** -int(rng.integers(0, 5))
            if not rng.integers(3):
                outputs.append(x)
            if rng.integers(2):
                x = x.relu()
            if rng.integers(4):
                x = x.cast(draw())
            if not rng.integers(3):
                outputs.append(x < float(rng.integers(-9, 9)) / 4)
        return [x, *outputs]

    graph = fxsim.trace(network, first, shape=(widths[0],))
    lo, hi = graph.inputs[0].type.bounds
    return graph, [rng.integers(lo, hi + 1, size=(60, widths[0]))]


def test_slices_of_slices_lose_low_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is a code without an adder more, of which a cast reads only the upper bits."""
    monkeypatch.setattr(spare, "WORTH", 1e9)
    graph, raw = layers(np.random.default_rng([7, 1156]))
    check(graph, raw, 1)


@pytest.mark.usefixtures("sums")
@pytest.mark.parametrize("start", range(0, 240, 80))
def test_random_layers(start: int) -> None:
    for seed in range(start, start + 80):
        graph, raw = layers(np.random.default_rng([7, seed]))
        check(graph, raw, (None, 1, 2)[seed % 3])
