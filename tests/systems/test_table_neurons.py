"""Table neurons and gates: worked tables, the functions that fill them, every reading, bad input."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from fxsim import SQ, UQ, trace
from fxsim.layers import gates, table_neurons
from fxsim.layers.table_neurons import Grid, addresses, enumerate_neuron, init_vectors, lut6_count
from rtl.core import Core
from tests.agreement import readings
from tests.systems.units import Unit, every, same, together

BIT, U2, S3 = UQ(1, 0), UQ(2, 0), SQ(3, 0)
RNG = np.random.default_rng(18)
HALVES, SIGNED = Grid(2, 0.5), Grid(3, 0.25, signed=True)
TO2 = np.array([[0, 1, 2], [4, 2, 0], [3, 3, 1]])
TO3 = np.array([[1, 0], [2, 2]])
WEIGHTS = RNG.normal(size=(3, 3))
POLY = RNG.normal(size=(2, 10))  # two inputs, degree 3
FIRST, SECOND = (RNG.integers(0, n, size=(2, 16)) for n in (8, 16))
IDS = np.stack([np.arange(16), RNG.permutation(16)])


def clipped(value, grid):
    """The code nearest to value / scale, ties to even, by exact fractions."""
    return min(max(round(Fraction(float(value)) / Fraction(grid.scale)), grid.least), grid.most)


LINEAR = np.stack([enumerate_neuron(table_neurons.linear(w, 0.1), 3, HALVES, SIGNED) for w in WEIGHTS])
POLYNOMIAL = np.stack(
    [enumerate_neuron(table_neurons.polynomial(w, 2, 3), 2, SIGNED, Grid(2, 0.5)) for w in POLY]
)


def tables(x):
    a = table_neurons.table_layer(x, TO2, LINEAR, HALVES, SIGNED, "linear")
    b = table_neurons.table_layer(a, TO3, POLYNOMIAL, SIGNED, HALVES, "polynomial")
    return a, b


def tables_reference(x):
    """Neuron by neuron, through the real functions."""
    reals = x * 0.5
    a = np.empty((len(x), 3), np.int64)
    for i, row in enumerate(reals):
        for j in range(3):
            a[i, j] = clipped(row[TO2[j]] @ WEIGHTS[j] + 0.1, SIGNED)
    b = np.empty((len(x), 2), np.int64)
    powers = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3)]
    for i, row in enumerate(a * 0.25):
        for j in range(2):
            u, v = row[TO3[j]]
            b[i, j] = clipped(sum(w * u**p * v**q for w, (p, q) in zip(POLY[j], powers, strict=True)), HALVES)
    return a, b


def gate(id, a, b):
    """The sixteen functions by name."""
    return [
        0 * a, a & b, a & 1 - b, a, b & 1 - a, b, a ^ b, a | b,
        1 - (a | b), 1 - (a ^ b), 1 - b, a | 1 - b, 1 - a, b | 1 - a, 1 - (a & b), 0 * a + 1,
    ][id]  # fmt: skip


def network(x):
    h = gates.gate_layer(x, FIRST[0], FIRST[1], IDS[0])
    y = gates.gate_layer(h, SECOND[0], SECOND[1], IDS[1])
    return h, y, gates.group_sum(y, 2)


def network_reference(x):
    h = np.stack([gate(i, x[:, a], x[:, b]) for i, a, b in zip(IDS[0], *FIRST, strict=True)], axis=1)
    y = np.stack([gate(i, h[:, a], h[:, b]) for i, a, b in zip(IDS[1], *SECOND, strict=True)], axis=1)
    return h, y, y.reshape(-1, 2, 8).sum(-1)


def units():
    codes = np.array(list(product(range(4), repeat=5)))
    return [
        Unit("tables", ((U2, (5,)),), tables, tables_reference, (codes,)),
        Unit("gates", ((BIT, (8,)),), network, network_reference, (every(8),)),
    ]


@pytest.fixture(scope="module")
def case():
    return together(units(), "table_units")


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
    rows = slice(0, 1024, 97)
    same(readings.specification(graph, [r[rows] for r in raw]), [w[rows] for w in wanted])


def test_an_address_is_wiring():
    graph = trace(lambda x: table_neurons.table_layer(x, TO2, LINEAR, HALVES), U2, shape=(5,))
    signed = trace(lambda x: table_neurons.table_layer(x, TO3, POLYNOMIAL, SIGNED), S3, shape=(3,))
    for core in (Core(graph, None), Core(signed, None)):
        assert (core.depth, core.adders) == (1, 0)


# ---- worked numbers -----------------------------------------------------------------------------------


def test_init_vectors():
    """F = 3, 2-bit inputs of scale .5, w = (.8, -.6, .35), b = .1, ReLU, 2-bit output of scale .5."""
    relu = table_neurons.linear([0.8, -0.6, 0.35], 0.1, lambda y: np.maximum(y, 0))
    table = enumerate_neuron(relu, 3, HALVES, HALVES)
    assert init_vectors(table, 2) == ["31cfc71808e3008e", "ceff08ef000c0000"]
    # The address is a << 4 | b << 2 | c.
    assert addresses(3, HALVES)[0b01_10_11].tolist() == [0.5, 1.0, 1.5]
    assert int("31cfc71808e3008e", 16) >> 0b01_10_11 & 1 == table[0b01_10_11] & 1


def test_signed_codes_are_stored_with_an_offset():
    assert addresses(1, SIGNED)[:, 0].tolist() == [-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75]
    assert init_vectors([-2, -1, 0, 1], 2) == ["a", "3"]


def test_lut6_count():
    found = {x: lut6_count(x) for x in range(1, 17)}
    counts = {6: 1, 7: 3, 8: 5, 9: 11, 10: 21, 12: 85, 14: 341, 15: 683, 16: 1365}
    assert {x: found[x] for x in counts} == counts
    assert all(found[x] == 1 for x in range(1, 7))


def test_monomials():
    """F4D6 209, F3D4 34, F2D4 14, without the bias."""
    for inputs, degree, count in ((4, 6, 209), (3, 4, 34), (2, 4, 14)):
        terms = table_neurons.monomials(inputs, degree)
        assert len(terms) == count + 1 == math.comb(inputs + degree, degree)
        assert terms[0] == () and len(set(terms)) == len(terms)


def test_network_within_a_neuron():
    """NeuraLUT: four layers of n = 3, residuals to layer 2 and to the output; by hand on every address."""
    rng = np.random.default_rng(1)
    shapes = [(2, 3), (3, 3), (3, 3), (3, 1)]
    layers = [(rng.normal(size=s), rng.normal(size=s[1])) for s in shapes]
    skips = [(0, 1, rng.normal(size=(2, 3))), (2, 3, rng.normal(size=(3, 1)))]
    table = enumerate_neuron(table_neurons.perceptron(layers, skips), 2, HALVES, SIGNED)
    for code, (a, b) in enumerate(product(range(4), repeat=2)):
        x = np.array([a, b]) * 0.5
        h = np.maximum(x @ layers[0][0] + layers[0][1], 0)
        h = np.maximum(h @ layers[1][0] + layers[1][1] + x @ skips[0][2], 0)
        g = np.maximum(h @ layers[2][0] + layers[2][1], 0)
        y = g @ layers[3][0] + layers[3][1] + h @ skips[1][2]
        assert table[code] == clipped(y[0], SIGNED)


def test_gate_ids():
    """Bits of an id, highest first, are the outputs for 00, 01, 10, 11; and f_(15 - id) = 1 - f_id."""
    for id, (a, b) in product(range(16), product((0, 1), repeat=2)):
        assert gate(id, a, b) == gates.truth_tables()[id][2 * a + b] == id >> (3 - 2 * a - b) & 1
        assert gates.relaxed(id, a, b) == gate(id, a, b)
        assert gates.relaxed(15 - id, a, b) == 1 - gates.relaxed(id, a, b)
    a, b = 0.25, 0.5
    published = [
        0, a * b, a - a * b, a, b - a * b, b, a + b - 2 * a * b, a + b - a * b,
        1 - (a + b - a * b), 1 - (a + b - 2 * a * b), 1 - b, 1 - b + a * b,
        1 - a, 1 - a + a * b, 1 - a * b, 1,
    ]  # fmt: skip
    assert [float(gates.relaxed(i, a, b)) for i in range(16)] == published
    assert len(set(gates.NAMES)) == 16


def test_hardening_takes_the_likeliest_gate():
    logits = np.zeros((2, 16))
    logits[0, 9] = 1.0
    assert gates.harden(logits).tolist() == [9, 0]


# ---- bad input ----------------------------------------------------------------------------------------


def test_tables_beyond_24_bits():
    assert enumerate_neuron(lambda x: x[:, 0], 6, Grid(3), Grid(1)).shape == (1 << 18,)
    message = "inputs of a table neuron must have at most 24 bits, not 5 of 5: 25"
    with pytest.raises(ValueError, match=message):
        enumerate_neuron(lambda x: x[:, 0], 5, Grid(5), Grid(1))
    with pytest.raises(ValueError, match="inputs of a table neuron must have at most 24 bits, not 25"):
        table_neurons.table_layer(None, np.zeros((1, 5), int), [[0]], Grid(5))


def test_bad_tables():
    def layer(connections, entries, source=HALVES, result=None):
        return lambda x: table_neurons.table_layer(x, connections, entries, source, result)

    with pytest.raises(ValueError, match=r"tables must have shape \(1, 16\), not \(1, 8\)"):
        trace(layer([[0, 1]], [[0] * 8]), U2, shape=(2,))
    with pytest.raises(ValueError, match=r"connections must have shape \(neurons, inputs\), not \(2,\)"):
        trace(layer([0, 1], [[0] * 16]), U2, shape=(2,))
    with pytest.raises(ValueError, match=r"entries must lie in 0\.\.1, not 0\.\.2"):
        trace(layer([[0]], [[0, 0, 1, 2]], HALVES, Grid(1)), U2, shape=(2,))
    with pytest.raises(
        TypeError, match=r"x must be codes proven in 0\.\.3 with frac 0, not -4\.\.3 with frac 0"
    ):
        trace(layer([[0]], [[0] * 4]), S3, shape=(2,))
    with pytest.raises(TypeError, match=r"indices of Gather must lie in 0\.\.1"):
        trace(layer([[2]], [[0] * 4]), U2, shape=(2,))
    with pytest.raises(ValueError, match="values of a table neuron must not be NaN"):
        enumerate_neuron(lambda x: x[:, 0] * np.nan, 1, HALVES, HALVES)
    with pytest.raises(
        ValueError, match=r"function must give one value per address, \(4,\), not shape \(4, 1\)"
    ):
        enumerate_neuron(lambda x: x, 1, HALVES, HALVES)
    with pytest.raises(ValueError, match="table must have 2\\*\\*k entries"):
        init_vectors([0, 1, 2], 2)


def test_bad_parameters():
    with pytest.raises(ValueError, match="bits of Grid must be at least 1, not 0"):
        Grid(0)
    with pytest.raises(ValueError, match="scale of Grid must be positive, not -1"):
        Grid(1, -1)
    with pytest.raises(ValueError, match="inputs of a table must be at least 1, not 0"):
        lut6_count(0)
    with pytest.raises(ValueError, match=r"weights must have shape \(10,\), one per monomial, not \(9,\)"):
        table_neurons.polynomial(np.ones(9), 2, 3)
    with pytest.raises(ValueError, match="degree of a polynomial must be at least 0, not -1"):
        table_neurons.monomials(2, -1)
    with pytest.raises(ValueError, match="the last of layers must have one output"):
        table_neurons.perceptron([(np.ones((2, 2)), [0, 0])])
    with pytest.raises(ValueError, match="residuals must go from a layer to it or a later one of 1"):
        table_neurons.perceptron([(np.ones((2, 1)), [0])], [(0, 1, np.ones((2, 1)))])


def test_bad_gates():
    with pytest.raises(ValueError, match=r"ids must lie in 0\.\.15, not 0\.\.16"):
        trace(lambda x: gates.gate_layer(x, [0, 1], [1, 0], [0, 16]), BIT, shape=(2,))
    with pytest.raises(ValueError, match="a, b and ids must have one length"):
        trace(lambda x: gates.gate_layer(x, [0, 1], [1], [0, 1]), BIT, shape=(2,))
    with pytest.raises(TypeError, match=r"bits must be proven in 0\.\.1 with frac 0, not 0\.\.3 with frac 0"):
        trace(lambda x: gates.gate_layer(x, [0], [1], [0]), U2, shape=(2,))
    with pytest.raises(ValueError, match="classes must divide the 5 bits, not 2"):
        trace(lambda x: gates.group_sum(x, 2), BIT, shape=(5,))
    with pytest.raises(ValueError, match=r"logits must have 16 on the last axis, not shape \(4,\)"):
        gates.harden(np.zeros(4))
