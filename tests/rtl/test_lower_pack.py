"""One-bit inputs of constant products: tables of six where those take fewer LUTs, exact for every code."""

from __future__ import annotations

from itertools import count, product

import numpy as np
import pytest

import fxsim
import rtl
from rtl.core import Core
from rtl.lower import product as products
from tests.rtl.test_lower import agree

BIT = fxsim.UQ(1, 0)


def every(n: int) -> np.ndarray:
    return np.array(list(product((0, 1), repeat=n)))


def tables(core: Core) -> int:
    return sum(n.kind == "table" for n in core.plan.nets)


@pytest.fixture(params=[True, False], ids=["packed", "adders"])
def packed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Tables, or adders, whatever they cost."""
    calls = count()  # first of the adders, then of the tables
    monkeypatch.setattr(products, "estimate", lambda outputs, first: (next(calls) + request.param) % 2)
    return request.param


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("inputs", [3, 6, 7, 10])
def test_every_code_of_zeros_and_ones(inputs, columns, packed, rng):
    weights = rng.integers(-9, 10, size=(inputs, columns))
    weights[0] = 0
    core = agree(fxsim.trace(lambda x: x @ weights, BIT, shape=(inputs,)), every(inputs))
    assert (tables(core) > 0) == (packed and inputs > 3)


def test_every_code_of_signs(packed, rng):
    """-1 and 1, by an affine function of the bit, with a common factor and beside constants."""
    signs, weights = rng.choice([-1, 1], size=(9, 2)), rng.integers(-9, 10, size=(9, 3))

    def binary(x):
        s = x * 2 - 1
        partly = fxsim.concat([s[:4], s[:5] * 0 + 7])
        return s @ signs + 3, (s * -4) @ weights, (1 - x) @ weights, partly @ weights

    agree(fxsim.trace(binary, BIT, shape=(9,)), every(9))


def test_bits_beside_wider_inputs(packed, rng):
    weights = rng.integers(-9, 10, size=(7, 3))

    def mixed(bits, x):
        return fxsim.concat([bits, x]) @ weights

    graph = fxsim.trace(mixed, BIT, fxsim.SQ(3, 0), shape=[(5,), (2,)])
    x = np.array(list(product(range(-4, 4), repeat=2)))
    agree(graph, np.repeat(every(5), 64, axis=0), np.tile(x, (32, 1)))


def test_tables_are_chosen_where_they_take_fewer_luts(rng):
    heavy, counts = rng.integers(-32, 32, size=(12, 8)), rng.choice([-1, 1], size=(64, 2))
    assert tables(Core(fxsim.trace(lambda x: x @ heavy, BIT, shape=(12,)), None))
    assert tables(Core(fxsim.trace(lambda x: (x * 2 - 1) @ counts, BIT, shape=(64,)), None))
    # A sum of few bits at their own places is wiring.
    assert not tables(Core(fxsim.trace(lambda x: x @ [[1], [2], [4], [8]], BIT, shape=(4,)), None))
    assert not tables(Core(fxsim.trace(lambda x: x @ heavy, fxsim.UQ(2, 0), shape=(12,)), None))


def test_verilog_of_tables(rng):
    weights = rng.integers(-32, 32, size=(14, 6))
    graph = fxsim.trace(lambda x: x @ weights + 5, BIT, shape=(14,))
    core = rtl.build(graph, max_depth_per_stage=2)
    assert tables(core) and "case" not in core.verilog()
    found = rtl.verify(core, every(14), raw=True, simulator="native")
    assert (found.mismatches, found.vectors) == (0, 1 << 14)


def test_products_of_two_varying_bits():
    """XNOR and popcount, three products a table; zeros and ones, constants beside them, one product alone."""

    def varying(a, b):
        s, t = a * 2 - 1, b * -2 + 1
        partly = fxsim.concat([s[:3], s[:2] * 0 - 1])
        heavy = fxsim.concat([s[:3] * 5, s[3:]])
        return s @ t, a @ b, partly @ t, heavy @ t, s * t, (s * t).sum(), (a ^ b).sum(), (s * 4).sum() + a[0]

    both = every(10)
    core = agree(fxsim.trace(varying, BIT, BIT, shape=(5,)), both[:, :5], both[:, 5:])
    assert tables(core)


def test_a_popcount_of_exclusive_ors_is_tables_only():
    """64 products: 22 tables of three each, and adders of their sums."""
    core = Core(fxsim.trace(lambda a, b: (a * 2 - 1) @ (b * 2 - 1), BIT, BIT, shape=(64,)), None)
    assert (tables(core), core.adders) == (22, 21)
