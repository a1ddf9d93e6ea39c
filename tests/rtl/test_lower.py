"""Every rule of the Amaranth table against the NumPy table, exhaustively on three-bit operands."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

import fxsim
from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import IntArray
from fxsim.types import TensorType
from rtl.core import Core
from rtl.lower import amaranth_rules
from rtl.pysim import simulate

SIGNED, UNSIGNED = fxsim.SQ(3, 0), fxsim.UQ(3, 0)


def agree(graph: fxsim.Graph, *raw: np.ndarray, depth: float | None = None, **stalls: float) -> Core:
    """Core and emulator give the same integers, and every output bit lies in its type's set."""
    core = Core(graph, depth)
    got = simulate(core, list(raw), **stalls)
    expected = graph.run_raw(*raw)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for name, node, want, have in zip(graph.output_names, graph.outputs, expected, got.outputs, strict=True):
        bad = np.argwhere(want != have)
        assert not len(bad), (
            f"{name}: {[int(r[bad[0][0]].ravel()[0]) for r in raw]} {want[bad[0][0]]} {have[bad[0][0]]}"
        )
        assert node.type.contains(want).all()
    assert got.latency == core.latency
    return core


def codes(fmt: Format) -> np.ndarray:
    return np.arange(fmt.lo, fmt.hi + 1)


def pairs(a: Format, b: Format) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(codes(a), codes(b), indexing="ij")
    return x.ravel(), y.ravel()


def test_no_rule_is_missing():
    assert amaranth_rules.missing(ops.ALL) == []


def _binary(x, y):
    flag = x < y
    count = (y & 3) if y.type.bounds[0] < 0 else y
    return (
        x + y, x - y, -x, x * y, x * 5, x * -3, x * 0, x._apply(ops.Shift(3)), (x *
        4)._apply(ops.Shift(-2)), x << 2, fxsim.minimum(x, y), fxsim.maximum(x, y), fxsim.maximum(x, 0),
        fxsim.minimum(x, 1), fxsim.minimum(2, x), x < y, x <= y, x == y, x != y, x < 2, x <= -1, x > 1, x >=
        3, x == 2, x != 3, x == 4, fxsim.select(flag, x, y), fxsim.select(flag, 3, y), fxsim.select(flag, x,
        0), fxsim.select(flag, 4, 0), fxsim.select(flag, x * 4, y * 2), fxsim.select(flag, 0, 1), x & y, x |
        y, x ^ y, ~x, x & 4, x | 5, (x * 4) ^ y, (x * 2) & y, (x * 2) | (y * 4), ~(x * 4),
        x._apply(ops.ShiftLeft(), count), (x * 2)._apply(ops.ShiftLeft(), count), x * x, (x * 4) * (y * 2),
        (x * 2) < y, (x * 4) <= (y * 2), (x * 4) == y, fxsim.maximum(x * 4, y), x._apply(ops.Scale(-3)), (x
        + y) * (x - y), 4 - x, x + 0,
    )  # fmt: skip


@pytest.mark.parametrize("a", [SIGNED, UNSIGNED], ids=str)
@pytest.mark.parametrize("b", [SIGNED, UNSIGNED], ids=str)
def test_two_operands(a, b):
    agree(fxsim.trace(_binary, a, b), *pairs(a, b))


def test_two_operands_in_a_deep_pipeline():
    agree(fxsim.trace(_binary, SIGNED, UNSIGNED), *pairs(SIGNED, UNSIGNED), depth=1)


@pytest.mark.parametrize("a", [fxsim.SQ(4, 0), fxsim.UQ(4, 0)], ids=str)
@pytest.mark.parametrize("b", [SIGNED, UNSIGNED], ids=str)
def test_division_truncates_and_is_total(a, b):
    def quotients(x, y):
        divided = [x._apply(ops.Div(), y), y._apply(ops.Div(), x), (x * 4)._apply(ops.Div(), y * 2)]
        constants = [x._apply(ops.Div(), x._lift(c)) for c in (1, -1, 2, -4, 3, -5, 0)]
        return (*divided, *constants, x._lift(6)._apply(ops.Div(), y))

    agree(fxsim.trace(quotients, a, b), *pairs(a, b))


WRAPS = [(Overflow.WRAP, n) for n in (0, 1, 2, 3)]
SIGNED_MODES = [
    *WRAPS,
    *((Overflow.WRAP_SM, n) for n in (0, 1, 2, 3)),
    *((m, 0) for m in list(Overflow)[1:4]),
]
UNSIGNED_MODES = [*WRAPS, *((m, 0) for m in list(Overflow)[1:4])]


@pytest.mark.parametrize("source", [fxsim.SQ(6, 0), fxsim.UQ(6, 0)], ids=str)
@pytest.mark.parametrize("drop", [-1, 0, 1, 2, 5, 9])
@pytest.mark.parametrize("signed", [True, False])
def test_every_rounding_and_overflow(source, drop, signed):
    modes = SIGNED_MODES if signed else UNSIGNED_MODES
    assert {m for m, _ in SIGNED_MODES} == set(Overflow)
    formats = [Format(3, 3 + drop, signed, r, m, n) for r in Rounding for m, n in modes]

    def casts(x):
        return [x.cast(f) for f in formats]

    agree(fxsim.trace(casts, source), codes(source))


@pytest.mark.parametrize("width", [1, 2])
def test_narrow_casts(width):
    formats = [
        Format(width, width + 1, True, r, m, n) for r in Rounding for m, n in SIGNED_MODES if n <= width
    ]
    agree(fxsim.trace(lambda x: [x.cast(f) for f in formats], fxsim.SQ(5, 0)), codes(fxsim.SQ(5, 0)))


def test_cast_with_parameters_per_element():
    frac, width, signed = [0, 2, -1, 1, 0, -2], [3, 4, 0, 2, 6, 3], [1, 0, 1, 1, 1, 0]

    def casts(x):
        vector = fxsim.concat([x.reshape(1)] * 6)
        return [
            vector.cast(ops.Cast(IntArray(frac), IntArray(width), IntArray(signed), r, m))
            for r in Rounding for m in (Overflow.SAT, Overflow.WRAP, Overflow.SAT_ZERO, Overflow.SAT_SYM)
        ]  # fmt: skip

    agree(fxsim.trace(casts, fxsim.SQ(4, 2)), codes(fxsim.SQ(4, 2)))


def test_cast_of_coarse_codes():
    formats = [
        Format(3, 4, True, r, m) for r in Rounding for m in (Overflow.SAT, Overflow.WRAP, Overflow.SAT_SYM)
    ]
    formats += [Format(5, 8, True, r, Overflow.WRAP_SM) for r in Rounding]
    agree(fxsim.trace(lambda x: [(x * 4).cast(f) for f in formats], fxsim.SQ(5, 0)), codes(fxsim.SQ(5, 0)))


def test_cast_that_fits_costs_nothing():
    core = Core(
        fxsim.trace(lambda x: x.cast(Format(9, 7, True, Rounding.RND_CONV, Overflow.SAT)), fxsim.SQ(6, 2))
    )
    assert {n.kind for n in core.plan.nets} == {"input"}


def triples() -> np.ndarray:
    return np.array(list(product(range(-4, 4), repeat=3)))


def _reductions(x):
    stack = fxsim.concat([x.reshape(1, 3), (x * 2 + 1).reshape(1, 3)])
    return (
        x.sum(), x.max(), x.min(), x.argmax(), stack.sum(0), stack.sum((0, 1)), stack.max(0), stack.min(1),
        stack.argmax(0), stack.argmax(1), (x * 4).argmax(), stack._apply(ops.Sum(())), stack[:0].sum(0),
    )  # fmt: skip


def test_reductions():
    agree(fxsim.trace(_reductions, SIGNED, shape=(3,)), triples())


def test_matrix_products(rng):
    W, A = rng.integers(-9, 10, size=(3, 4)), rng.integers(-9, 10, size=(2, 3))
    batch = rng.integers(-3, 4, size=(2, 3, 2))

    def products(x):
        rows = fxsim.concat([x.reshape(1, 3), (x * 2 + 1).reshape(1, 3)])
        padded = rows._apply(ops.Pad((0, 1), (1, 0), 2))
        column = rows.reshape(3, 2)
        return (
            x @ W, rows @ W, x._lift(A) @ x, x._lift(A) @ column, rows @ batch, x @ x, rows @ column, x @
            W[:, 0], x @ np.zeros((3, 2), int), x @ np.array([[-1], [0], [0]]), padded @ rng.integers(-5, 6,
            size=(4, 2)), x._lift(batch.transpose(0, 2, 1)) @ column,
        )  # fmt: skip

    core = agree(fxsim.trace(products, SIGNED, shape=(3,)), triples())
    assert core.adders > 0


def test_lookups():
    def lookups(x):
        vector = fxsim.concat([x.reshape(1), (x * 2 + 1).reshape(1), x.reshape(1)])
        levels = np.array([[-20, -3, -3, 4, 5], [-7, 1, 1, 1, 9], [0, 2, 4, 6, 8]])
        wide = np.arange(-31, 32, 3).reshape(1, -1)
        magnitude = fxsim.maximum(fxsim.maximum(x, -x), 0)
        return (
            vector._apply(ops.Threshold(levels, 0, IntArray([0, 1, 0]))),
            vector._apply(ops.Threshold(levels, 0, IntArray([1, 0, 1]))), x._apply(ops.Threshold(wide)),
            x._apply(ops.Threshold(wide, None, IntArray([1]))), (x * 4)._apply(ops.Threshold(wide)),
            x._apply(ops.Threshold(np.zeros((1, 0), int))), (x * 16 +
            3)._apply(ops.Threshold(np.arange(-200, 200, 9).reshape(1, -1))),
            x._apply(ops.Table(IntArray(np.arange(16) ** 2 - 7), -8)), (x *
            2)._apply(ops.Table(IntArray(np.arange(32)[::-1] * 4), -16)),
            vector._apply(ops.Table(IntArray(np.arange(96).reshape(3, 32) % 11 - 5), -16, 0, 0)),
            magnitude._apply(ops.LeadingOne()), (magnitude * 8)._apply(ops.LeadingOne()), (magnitude *
            magnitude * 37)._apply(ops.LeadingOne()),
        )  # fmt: skip

    agree(fxsim.trace(lookups, fxsim.SQ(4, 0)), codes(fxsim.SQ(4, 0)))


@pytest.mark.parametrize("falling", [0, 1])
@pytest.mark.parametrize("count", [1, 3, 15, 16, 40])
def test_threshold_search_of_a_wide_operand(falling, count):
    levels = np.linspace(-600, 600, count).astype(int).reshape(1, -1)
    graph = fxsim.trace(lambda x: x._apply(ops.Threshold(levels, None, IntArray([falling]))), fxsim.SQ(10, 0))
    agree(graph, codes(fxsim.SQ(10, 0)))


@pytest.mark.parametrize("mode", Overflow)
def test_ordered_accumulation(mode):
    formats = [
        Format(w, w + d, True, r, mode)
        for w, d in ((3, 0), (4, -1), (3, 1))
        for r in (Rounding.TRN, Rounding.RND_CONV)
    ]
    graph = fxsim.trace(lambda x: [x.accumulate(f) for f in formats], SIGNED, shape=(3,))
    agree(graph, triples())


def test_wiring():
    def wires(x):
        m = x.reshape(3, 1)._apply(ops.Pad((1, 0), (0, 2), 5))
        return (
            m, m.T, m[::-1, 1:], m[1], m.take([2, 0, 0], 0), fxsim.concat([m, m.take([1], 0)]),
            m.reshape(-1)[::2], x._apply(ops.Window((2,), (1,), (1,), (1,), (1,), 3)), x[1], m.reshape(4, 3,
            1)._apply( ops.Window((2, 2), (1, 1), (2, 1), (0, 1), (0, 0), -1) ),
        )  # fmt: skip

    agree(fxsim.trace(wires, SIGNED, shape=(3,)), triples()[::7])


def test_codes_beyond_64_bits():
    wide = fxsim.SQ(70, 0)
    x = np.array([-(1 << 69), -1, 0, 1, (1 << 69) - 1, 0x123456789ABCDEF012], object)

    def wires(x):
        return x + 1, x * 3, x.cast(Format(40, 65, True, Rounding.RND_CONV, Overflow.SAT)), -x

    agree(fxsim.trace(wires, wide), x)


def test_coarse_and_narrow_inputs():
    t = TensorType((3,), 0, np.array([-8, 5, 0]), np.array([4, 5, 12]), np.array([2, 0, 1]))
    graph = fxsim.trace(lambda x: (x, x + 1, x * 3, fxsim.maximum(x, 0)), t)
    x = np.array([[a, 5, b] for a in (-8, -4, 0, 4) for b in range(0, 13, 2)])
    agree(graph, x)


def test_table_function_with_reference():
    t = TensorType.of(fxsim.SQ(1, 3), ())
    table = ops.Table.of(lambda v: v * v * Fraction(1, 3), t, 6, "third of the square")
    agree(fxsim.trace(lambda x: x._apply(table), fxsim.SQ(1, 3)), codes(fxsim.SQ(1, 3)))
