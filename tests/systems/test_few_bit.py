"""Few-bit backward codes: published tables, the fit, codes and products in every reading, bad input."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fxsim import SQ, UQ, quantizers, trace
from fxsim.layers import few_bit as layers
from fxsim.quantizers import few_bit
from fxsim.quantizers.few_bit import GELU, FewBit
from tests.agreement import readings
from tests.systems.units import Unit, pairs, same, together

X, G = SQ(3, 6), SQ(5, 2)
TANH = FewBit((0.25, 0.5, 1.0), (1.0, 0.75, 0.5, 0.0), 6)
"""One-sided, with borders that inputs meet."""


def code_of(x, table):
    return sum(np.array([Fraction(b) < Fraction(int(r), 64) for r in x]) * 1 for b in table.borders)


def gelu(x, g):
    out = []
    for bits in (1, 2, 3):
        code = layers.slope_code(x, GELU[bits])
        out += [code, layers.slope_product(g, code, GELU[bits]), layers.slope_shift(g, code, GELU[bits])]
    return out


def gelu_reference(x, g):
    out = []
    for bits in (1, 2, 3):
        table = GELU[bits]
        codes = {int(v): c for v, c in zip(range(-256, 256), code_of(range(-256, 256), table), strict=True)}
        code = np.array([codes[int(v)] for v in x])
        level = np.array([round(Fraction(v) * 256) for v in table.levels])
        power = np.array([int(s * Fraction(2) ** (e + 8)) for s, e in table.powers()])
        out += [code, g * level[code], g * power[code]]
    return out


def units():
    even = np.arange(-256, 256)
    return [
        Unit("gelu", ((X, ()), (G, ())), gelu, gelu_reference, pairs(even, np.arange(-64, 64))),
        Unit(
            "even", ((X, ()),),
            lambda x: [layers.slope_code(x, TANH, even=True)],
            lambda x: [code_of(abs(x), TANH)],
            (even,),
        ),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def case():
    return together(units(), "few_bit_units")


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


# ---- worked numbers -----------------------------------------------------------------------------------


def test_published_tables():
    assert [t.bits for t in GELU.values()] == [1, 2, 3]
    assert GELU[2].borders == (-0.4536, 0.0, 0.4536)
    assert GELU[3].levels == (-0.00019, -0.08828, 0.12568, 0.37231, 0.62785, 0.87445, 1.08835, 1.00020)
    for table in GELU.values():  # y(-x) = 1 - y(x), to about the digits printed
        total = np.array(table.levels) + np.array(table.levels)[::-1]
        assert np.all(abs(total - 1) < 2e-4)
    scored = [few_bit.squared_error(GELU[k], few_bit.gelu_slope, -10, 10) for k in (1, 2, 3)]
    assert [round(e, 5) for e in scored] == [0.14105, 0.04436, 0.01198]


def test_fit_by_dynamic_programming():
    """On [-6, 6] with 601 nodes the squared error is .14105, .03710, .01179 for 1, 2, 3 bits."""
    for bits, error in ((1, 0.14105), (2, 0.03710), (3, 0.01179)):
        table = few_bit.fit(few_bit.gelu, few_bit.gelu_slope, bits, -6, 6)
        assert table.bits == bits
        assert round(few_bit.squared_error(table, few_bit.gelu_slope, -6, 6), 5) == error
        middle = table.borders[len(table.borders) // 2]
        assert abs(middle) < 1e-9


def test_fit_is_the_best_of_all_borders_on_a_small_grid():
    nodes = np.linspace(-2, 2, 9)
    table = few_bit.fit(few_bit.gelu, few_bit.gelu_slope, 2, -2, 2, nodes=9)

    def error(borders):
        ends = [-2.0, *borders, 2.0]
        rise = np.diff(few_bit.gelu(np.array(ends))) / np.diff(ends)
        return few_bit.squared_error(FewBit(tuple(borders), tuple(rise)), few_bit.gelu_slope, -2, 2)

    inner = nodes[1:-1]
    best = min(
        error((inner[i], inner[j], inner[k]))
        for i in range(7) for j in range(i + 1, 7) for k in range(j + 1, 7)
    )  # fmt: skip
    assert abs(error(table.borders) - best) < 1e-12


def test_relu_is_exact_with_one_bit():
    table = few_bit.fit(lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, 1, -1, 1, nodes=5)
    assert table.borders == (0.0,) and table.levels == (0.0, 1.0)
    assert few_bit.squared_error(table, lambda x: (x > 0) * 1.0, -1, 1) == 0


def test_a_border_belongs_to_the_piece_below():
    table = FewBit((-0.5, 0.5), (0.0, 0.5, 1.0), 4)
    assert table.encode([-0.5, -0.4999, 0.5, 0.5001]).tolist() == [0, 1, 1, 2]
    assert table.raw([0, 1, 2]).tolist() == [0, 8, 16]
    assert table.thresholds(1) == (0, 2) and table.thresholds(4) == (-7, 9)
    assert table.decode([2]).tolist() == [1.0]


def test_powers_of_two_nearest_to_the_levels():
    table = FewBit((0.0, 1.0, 2.0, 3.0, 4.0), (0.74, 0.75, -0.3, 0.124, 0.125, 3.1), 2)
    # a quarter is the least power: an eighth is its half and goes up, less than that is 0
    assert table.powers() == ((1, -1), (1, 0), (-1, -2), (0, -2), (1, -2), (1, 2))


def test_described():
    assert "few-bit" in quantizers.names()
    assert "borders[j] < x" in quantizers.describe("few-bit")


# ---- bad input ----------------------------------------------------------------------------------------


def test_bad_tables():
    with pytest.raises(ValueError, match=r"borders must ascend, not \(1\.0, 0\.0\)"):
        FewBit((1.0, 0.0), (0.0, 0.5, 1.0))
    with pytest.raises(ValueError, match="borders must ascend"):
        FewBit((1.0, 1.0), (0.0, 0.5, 1.0))
    with pytest.raises(ValueError, match="levels must be 2, one more than borders, not 3"):
        FewBit((1.0,), (0.0, 0.5, 1.0))
    with pytest.raises(ValueError, match=r"values must be finite, not nan at index \(0,\)"):
        FewBit((np.nan,), (0.0, 1.0))
    with pytest.raises(ValueError, match="frac of FewBit must be at least 0, not -1"):
        FewBit((0.0,), (0.0, 1.0), -1)
    with pytest.raises(ValueError, match=r"codes must lie in 0\.\.1, not 2"):
        GELU[1].raw([2])


def test_bad_fits():
    with pytest.raises(ValueError, match="low must be below high, not 1 and 1"):
        few_bit.fit(few_bit.gelu, few_bit.gelu_slope, 1, 1, 1)
    with pytest.raises(ValueError, match="nodes must be at least 5 for 4 pieces, not 4"):
        few_bit.fit(few_bit.gelu, few_bit.gelu_slope, 2, -1, 1, nodes=4)
    with pytest.raises(ValueError, match="bits must be at least 1, not 0"):
        few_bit.fit(few_bit.gelu, few_bit.gelu_slope, 0, -1, 1)


def test_codes_beyond_the_levels():
    with pytest.raises(TypeError, match=r"Table covers codes 0\.\.1, but the operand has 0\.\.3"):
        trace(lambda g, c: layers.slope_product(g, c, GELU[1]), G, UQ(2, 0))
