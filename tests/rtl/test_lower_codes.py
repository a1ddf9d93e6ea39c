"""Sums kept as unsigned codes, demanded bits, constants that wait: exact wherever they are used."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import fxsim
import rtl
from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import IntArray
from rtl.core import Core
from rtl.lower import encode
from rtl.lower.codes import Code, combine
from rtl.lower.net import ADDERS
from rtl.shift_add import solve
from tests.rtl import test_lower as plain
from tests.rtl.evaluation import evaluate

SIGNED, UNSIGNED = fxsim.SQ(3, 0), fxsim.UQ(3, 0)


@pytest.fixture
def all_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sum as a code, whatever it costs."""
    monkeypatch.setattr(encode, "_choose", lambda nets, plain: {n for n in nets if n.kind in ADDERS})


def kinds(core: Core) -> list[str]:
    return [n.kind for n in core.plan.nets]


def coded(core: Core) -> list:
    """Adders that keep a code: the third argument is their constant."""
    return [n for n in core.plan.nets if len(n.args) == 3]


# ---- codes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [SIGNED, UNSIGNED], ids=str)
@pytest.mark.parametrize("b", [SIGNED, UNSIGNED], ids=str)
def test_two_operands(a, b, all_codes):
    core = plain.agree(fxsim.trace(plain._binary, a, b), *plain.pairs(a, b))
    assert coded(core)


def test_sums_in_a_deep_pipeline(all_codes):
    plain.agree(fxsim.trace(plain._reductions, SIGNED, shape=(3,)), plain.triples(), depth=1)


@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)), ids=str)
@pytest.mark.parametrize(
    "shifts", [(0, 0, 0), (0, 1, 2), (2, 0, 1), (0, 5, 0), (4, 0, 4), (3, 9, 0)], ids=str
)
def test_signs_and_shifts_of_three_terms(signs, shifts, all_codes):
    """All orders of overlap: side by side, nested, apart; a difference is read in full and in four bits."""

    def sums(x):
        total = sum(x[i] * (s << k) for i, (s, k) in enumerate(zip(signs, shifts, strict=True)))
        weights = np.array([s << k for s, k in zip(signs, shifts, strict=True)]).reshape(3, 1)
        mixed = fxsim.concat([x[:2], x[2:].cast(Format(2, 2, False))])
        return total, total - 13, x @ weights, (mixed @ weights + 5).cast(Format(4, 4, False)), -total

    plain.agree(fxsim.trace(sums, SIGNED, shape=(3,)), plain.triples())


@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.WRAP, Overflow.SAT_ZERO], ids=str)
@pytest.mark.parametrize("rounding", Rounding, ids=str)
def test_layer_with_bias_and_cast(rounding, overflow, all_codes, rng):
    weights, bias = rng.integers(-7, 8, size=(3, 6)), rng.integers(-20, 21, size=6)

    def layer(x):
        y = x @ weights + bias
        fmt = Format(3, 5, False, rounding, overflow)
        return (
            y.relu().cast(fmt),
            y.cast(fmt),
            fxsim.minimum(y, 9).cast(Format(3, 6, True, rounding, overflow)),
        )

    plain.agree(fxsim.trace(layer, SIGNED, shape=(3,)), plain.triples())


def test_comparisons_thresholds_and_tables_read_codes(all_codes, rng):
    weights = rng.integers(-7, 8, size=(3, 4))
    levels = np.sort(rng.integers(-60, 60, size=(4, 12)), axis=1)

    def reads(x):
        y = x @ weights + np.array([3, -5, 0, 40])
        narrow = (x[0] - x[1] * 2) * 2 + 1
        table = narrow._apply(ops.Table(IntArray(np.arange(80) % 11), -40))
        return (
            y._apply(ops.Threshold(levels, 0, IntArray([0, 1, 0, 1]))), y[0] < 4, y[1] >= -7, y[2] == 5,
            -y[3] != -41, y[0] <= 1000, narrow < 2, narrow == 2, table, narrow > -1,
        )  # fmt: skip

    core = plain.agree(fxsim.trace(reads, SIGNED, shape=(3,)), plain.triples())
    assert not [n for n in core.plan.nets if n.kind in ADDERS and any(a.is_constant for a in n.args[:2])]


def test_variable_products_accumulation_and_division(all_codes):
    def mixed(x):
        total = x[0] * x[1] - x[2] * x[2]
        kept = x.accumulate(Format(4, 4, True, Rounding.RND, Overflow.SAT))
        return total, total * x[0], kept, total._apply(ops.Div(), x[0])

    plain.agree(fxsim.trace(mixed, SIGNED, shape=(3,)), plain.triples())


def test_codes_beyond_64_bits(all_codes):
    x = np.array([-(1 << 69), -1, 0, 1, (1 << 69) - 1, 0x123456789ABCDEF012], object)
    plain.agree(fxsim.trace(lambda x: (x * 5 - 3, x * -3, x + (1 << 71)), fxsim.SQ(70, 0)), x)


def test_combined_codes_hold_all_sums():
    """The promised interval of a code, its offset and sign, for all pairs of small codes."""
    parts = [Code(lo, hi, z, s, o) for lo, hi in ((0, 5), (2, 7), (-3, 2), (-8, 7)) for z in (0, 2)
             for s in (1, -1) for o in (0, 3 << z)]  # fmt: skip
    for a, b in product(parts, repeat=2):
        values = [[c.sign * ((n << c.zeros) - c.offset) for n in range(c.lo, c.hi + 1)] for c in (a, b)]
        lo, hi = min(values[0]) + min(values[1]), max(values[0]) + max(values[1])
        made = combine(a, b, lo, hi, None, True)
        p, q = (b, a) if made.swapped else (a, b)
        code = made.code
        assert code.lo >= 0
        for m, n in product(range(p.lo, p.hi + 1), range(q.lo, q.hi + 1)):
            net = m + (-n if made.minus else n) * (1 << made.shift) + made.constant
            value = p.sign * ((m << p.zeros) - p.offset) + q.sign * ((n << q.zeros) - q.offset)
            assert code.lo <= net <= code.hi
            assert value == code.sign * ((net << code.zeros) - code.offset)


def test_verilog_of_codes(all_codes, rng):
    weights, bias = rng.integers(-31, 32, size=(6, 5)), rng.integers(-99, 99, size=5)
    fmt = Format(5, 9, False, Rounding.RND, Overflow.SAT)
    graph = fxsim.trace(
        lambda x: ((x @ weights + bias).relu().cast(fmt), x @ weights), fxsim.SQ(6, 0), shape=(6,)
    )
    x = rng.integers(-32, 32, size=(2000, 6))
    found = rtl.verify(graph, x, raw=True, simulator="native", max_depth_per_stage=2, backpressure=0.2)
    assert (found.mismatches, found.vectors) == (0, 2000)


# ---- what is chosen -----------------------------------------------------------------------------------


def dense(graph_rng, n=8, bits=6):
    return graph_rng.integers(-(1 << bits - 1), 1 << bits - 1, size=(n, n))


def test_bias_rounding_and_offsets_are_one_adder_per_output(rng):
    weights, bias = dense(rng), rng.integers(-500, 500, size=8)
    act = Format(8, 12, False, Rounding.RND, Overflow.SAT)
    core = Core(
        fxsim.trace(lambda x: (x @ weights + bias).relu().cast(act), fxsim.SQ(8, 0), shape=(8,)), None
    )
    constant = [n for n in core.plan.nets if n.kind in ADDERS and any(a.is_constant for a in n.args[:2])]
    assert len(constant) == 8 and coded(core)
    assert kinds(core).count("clamp") == 8 and not {"mux", "gate", "lt", "ge"} & set(kinds(core))


def test_a_small_sum_stays_as_it_is():
    core = Core(fxsim.trace(lambda x: x[0] + x[1] * 8, SIGNED, shape=(2,)), None)
    assert kinds(core) == ["input", "input", "add"] and not coded(core)


def test_wrapped_sums_are_computed_modulo(rng):
    weights = dense(rng)
    wrap = Format(6, 6, True)
    core = plain.agree(
        fxsim.trace(lambda x: (x @ weights + 77).cast(wrap), fxsim.SQ(8, 0), shape=(8,)),
        rng.integers(-128, 128, size=(300, 8)),
    )
    assert max(n.width for n in core.plan.nets) == 6
    assert core.registers == 8 * 6 + 8 * 6 + core.latency  # of the inputs, too, only the low bits


def test_bits_above_a_slice_are_dropped_through_trees():
    core = Core(fxsim.trace(lambda x: x.sum() & 7, fxsim.UQ(8, 0), shape=(8,)), None)
    assert {n.width for n in core.plan.nets} == {3}


def test_low_bits_that_are_cut_off_are_not_kept(rng):
    drop = Format(6, 9, True)  # three bits less
    core = plain.agree(
        fxsim.trace(lambda x: (x[0] + x[1] * 8).cast(drop), fxsim.SQ(6, 0), shape=(2,)),
        rng.integers(-32, 32, size=(200, 2)), depth=1,
    )  # fmt: skip
    (adder,) = [n for n in core.plan.nets if n.kind in ADDERS]
    assert adder.width <= 7 and adder.params == (0, 0)


def test_no_adder_where_operands_lie_side_by_side(all_codes):
    core = plain.agree(
        fxsim.trace(lambda x: (x[0] + x[1] * 8 + 1) < 7, UNSIGNED, shape=(2,)),
        np.array(list(product(range(8), repeat=2))),
    )
    assert "+" not in "\n".join(line.split("//")[0] for line in core.verilog().splitlines())


# ---- constants where there is time to spare -----------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bias", [False, True])
def test_the_constant_of_a_column_takes_no_adder_more(seed, bias):
    """As deep as the adder graph: the constants of codes, and a bias, join where an operand is early."""
    rng = np.random.default_rng(seed)
    W, b = rng.integers(-32, 32, size=(16, 16)), rng.integers(-500, 500, size=16)
    graph = fxsim.trace(lambda x: x @ W + b if bias else x @ W, fxsim.SQ(8, 0), shape=(16,))
    core = Core(graph, 5)
    late = [n for n in core.plan.nets if n.level > solve(W, max_depth="min", effort="fast").depth + 0.5]
    assert len(late) <= 2  # columns that use every slot of their depth
    x = rng.integers(-128, 128, size=(200, 16))
    (got,) = evaluate(core, x)
    assert (got == x @ W + bias * b).all()


def test_a_constant_below_the_operand_it_joins():
    """Bits of the constant below every early operand: the operand is shifted, or an adder has a carry."""
    for seed in range(40):
        rng = np.random.default_rng([seed, 1])
        W = rng.integers(-8, 9, size=(5, 3)) * 4 + rng.integers(-1, 2, size=(5, 3)) * rng.integers(0, 2)
        b = rng.integers(-9, 10, size=3)
        core = Core(fxsim.trace(lambda x: x @ W + b, SIGNED, shape=(5,)), None)  # noqa: B023
        x = rng.integers(-4, 4, size=(200, 5))
        (got,) = evaluate(core, x)
        assert (got == x @ W + b).all(), seed
