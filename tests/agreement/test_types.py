"""Typing rules against every operand value: intervals and strides hold always, and are tight."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fxsim import Format, Overflow, Rounding, TensorType, ops, ranges
from fxsim.emulate.table import apply
from fxsim.graph import Input, Op, Value
from fxsim.integers import Array, IntArray, exact, to_object
from fxsim.ranges import Range
from tests.agreement.op_cases import CASES, FORMATS, OVERFLOWS, OpCase, cast_op, elements

# (lo, hi, stride): full signed and unsigned, cut, coarse, constants of either sign and 0.
SETS = (
    (-4, 3, 0), (0, 7, 0), (-3, 3, 0), (1, 6, 0), (-4, -1, 0), (-2, 5, 0), (-4, 2, 1), (0, 6, 1), (2, 6, 1),
    (-4, 4, 2), (0, 4, 2), (-4, 0, 2), (0, 1, 0), (-1, 0, 0), (0, 0, 0), (3, 3, 0), (-4, -4, 0), (6, 6, 0),
)  # fmt: skip
PAIRWISE: tuple[Op, ...] = (
    ops.Add(), ops.Sub(), ops.Mul(), ops.Min(), ops.Max(), ops.Div(), ops.And(), ops.Or(), ops.Xor(),
    *(ops.Compare(k) for k in ops.Compare.KINDS),
)  # fmt: skip
# Ops whose least common stride is not worked out beyond what intervals tell: quotients and bit ops.
STRIDE_LOOSE = (ops.Div, ops.And, ops.Or, ops.Xor)


def evaluate(op: Op, types: list[TensorType], raw: list[Array]) -> tuple[TensorType, Array]:
    nodes = tuple(Input(t, f"x{i}") for i, t in enumerate(types))
    node = Value(op.infer(*types), op, nodes)
    return node.type, np.asarray(apply(node, *raw))


def union_of(y: Array) -> Range:
    """The tightest set per element that holds all rows of y."""
    point = ranges.constant(y)
    stride = point.stride.min(axis=0) if len(y) else point.stride
    return Range(exact(y.min(axis=0)), exact(y.max(axis=0)), stride)


def assert_contains(t: TensorType, y: Array, label: object) -> None:
    bad = np.argwhere(~t.contains(y))
    assert not len(bad), f"{label}: {y[tuple(bad[0])]} at {bad[0]} is outside {t!r}"


def loose_elements(t: TensorType, y: Array, stride: bool = True) -> Array:
    seen = union_of(y)
    off = (seen.lo != t.lo) | (seen.hi != t.hi)
    return np.argwhere(off | (seen.stride != t.stride) if stride else off)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_every_case_is_typed_tightly(case: OpCase) -> None:
    types = [o if isinstance(o, TensorType) else TensorType.constant(o.array, 0) for o in case.operands]
    varying = iter(case.stimulus())
    raw = [next(varying) if isinstance(o, TensorType) else o.array[None] for o in case.operands]
    t, y = evaluate(case.op, types, raw)
    y = np.broadcast_to(y, (max(len(y), *(len(r) for r in raw), 1) if raw else 1, *t.shape))
    assert_contains(t, y, case.name)
    assert not len(loose_elements(t, y)), f"{case.name}: {t!r} against {union_of(y)}"


def _values(s: tuple[int, int, int]) -> list[int]:
    t = TensorType((), 0, np.asarray(s[0]), np.asarray(s[1]), s[2])
    return elements(t)[0]


def _pairs(
    first: list[tuple[int, int, int]], second: list[tuple[int, int, int]]
) -> tuple[list[TensorType], list[Array]]:
    """All pairs of sets as the elements of two tensors, and all pairs of their values along the batch."""
    pairs = list(product(first, second))
    n = max(len(_values(s)) for s in first + second)
    columns = [[np.resize(_values(p[k]), n) for p in pairs] for k in (0, 1)]
    a = np.repeat(np.array(columns[0]).T, n, axis=0)
    b = np.tile(np.array(columns[1]).T, (n, 1))
    types = [
        TensorType((len(pairs),), 0, *(np.array([p[k][i] for p in pairs]) for i in range(3))) for k in (0, 1)
    ]
    return types, [a, b]


@pytest.mark.parametrize("op", PAIRWISE, ids=repr)
def test_two_operands_over_all_pairs_of_sets(op: Op) -> None:
    types, raw = _pairs(list(SETS), list(SETS))
    t, y = evaluate(op, types, raw)
    assert_contains(t, y, op)
    loose = loose_elements(t, y, stride=not isinstance(op, STRIDE_LOOSE))
    pairs = list(product(SETS, SETS))
    seen = union_of(y)
    shown = [
        (pairs[i], tuple(int(v[i]) for v in t.range), tuple(int(v[i]) for v in seen)) for i in loose[:5, 0]
    ]
    assert not len(loose), f"{op}: {len(loose)} loose, such as {shown}"


def test_shift_left_over_all_pairs_of_sets() -> None:
    counts = [s for s in SETS if s[0] >= 0]
    types, raw = _pairs(list(SETS), counts)
    t, y = evaluate(ops.ShiftLeft(), types, raw)
    assert_contains(t, y, "ShiftLeft")
    assert not len(loose_elements(t, y))


def test_select_over_all_pairs_of_sets() -> None:
    for condition in ((0, 1, 0), (0, 0, 0), (1, 1, 0)):
        types, (a, b) = _pairs(list(SETS), list(SETS))
        c = TensorType((), 0, np.asarray(condition[0]), np.asarray(condition[1]))
        n = len(a)
        bits = np.repeat(_values(condition), n)
        twice = [np.tile(v, (len(bits) // n, 1)) for v in (a, b)]
        t, y = evaluate(ops.Select(), [c, *types], [bits, *twice])
        assert_contains(t, y, "Select")
        assert not len(loose_elements(t, y))


@pytest.mark.parametrize("op", [ops.Neg(), ops.Not(), ops.Shift(3), ops.Scale(2)], ids=repr)
def test_one_operand_over_all_sets(op: Op) -> None:
    t, y = evaluate(op, *_lockstep(list(SETS), 0))
    assert_contains(t, y, op)
    assert not len(loose_elements(t, y))


def test_leading_one_and_lookups_over_all_sets() -> None:
    natural = [s for s in SETS if s[0] >= 0] + [(0, 8, 3), (0, 8, 1), (0, 8, 0)]
    table = ops.Table(IntArray([3, 8, 4, 16, -12, 0, 5, 6, 2, 2, 2, 8, 24]), -4)
    levels = [[-4, -2, 0, 2], [0, 0, 3, 3], [-9, -8, 9, 10], [1, 1, 1, 1], [2, 2, 4, 4]]
    for op, sets in (
        (ops.LeadingOne(), natural), (table, [*SETS, (0, 8, 3)]),
        *((ops.Threshold(IntArray([r]), None, IntArray([f])), list(SETS)) for r in levels for f in (0, 1)),
    ):  # fmt: skip
        t, y = evaluate(op, *_lockstep(sets, 0))  # type: ignore[arg-type]
        assert_contains(t, y, op)
        assert not len(loose_elements(t, y)), (op, t.range, union_of(y))


def _lockstep(
    sets: list[tuple[int, int, int]], frac: int, copies: int = 1
) -> tuple[list[TensorType], list[Array]]:
    """Each set as an element (repeated along a last axis if copies > 1), its values along the batch."""
    n = max(len(_values(s)) for s in sets)
    raw = np.array([np.resize(_values(s), n) for s in sets]).T
    ends = [np.array([s[i] for s in sets]) for i in range(3)]
    if copies > 1:
        raw = np.repeat(raw[..., None], copies, axis=-1)
        ends = [np.repeat(e[:, None], copies, axis=-1) for e in ends]
    return [TensorType(ends[0].shape, frac, *ends)], [raw]


WIDE_SETS = (*SETS, (-16, 15, 0), (0, 31, 0), (-16, 12, 2), (-9, 14, 0), (8, 24, 3), (-31, -3, 0))


@pytest.mark.parametrize("overflow, n", OVERFLOWS, ids=str)
@pytest.mark.parametrize("rounding", list(Rounding))
def test_cast_over_all_sets_and_formats(rounding: Rounding, overflow: Overflow, n: int) -> None:
    """Tight for every set, not only full ones: sets beyond 2**10 codes alone may be widened (not here)."""
    for source_width in (3, 6):
        op = cast_op(rounding, overflow, n, source_width)
        (t0,), (raw,) = _lockstep(list(WIDE_SETS), 2, copies=op.frac.shape[0])
        t, y = evaluate(op, [t0], [raw])
        assert_contains(t, y, op)
        loose = loose_elements(t, y)
        seen = union_of(y)
        formats = np.stack([op.frac.array, op.width.array, op.signed.array], axis=1)
        shown = [
            (WIDE_SETS[i], formats[j].tolist(), [int(v[i, j]) for v in t.range], [int(v[i, j]) for v in seen])
            for i, j in loose[:4]
        ]
        assert not len(loose), f"{len(loose)} of {y[0].size} loose, such as {shown}"


@pytest.mark.parametrize("overflow, n", OVERFLOWS, ids=str)
@pytest.mark.parametrize("rounding", list(Rounding))
def test_cast_of_wide_sets_holds_every_value(rounding: Rounding, overflow: Overflow, n: int, rng) -> None:
    """Sets of more than 2**10 codes, where sign-keeping wraps are widened to the whole format."""
    formats = [(f, w, s) for f, w, s in FORMATS if w] + [(8, 11, 1), (8, 12, 0), (3, 9, 1)]
    op = cast_op(rounding, overflow, n, 12, formats)
    lo, hi = -2048 + 16 * np.arange(4), 2047 - 100 * np.arange(4)
    k = op.frac.shape[0]
    stride = np.array([0, 1, 2, 0])
    t0 = TensorType((4, k), 8, *(np.repeat(v[:, None], k, axis=1) for v in (lo, hi, stride)))
    raw = np.arange(-2048, 2048)[:, None, None]
    step = 1 << t0.stride
    raw = np.clip(raw // step * step, t0.lo, t0.hi)
    t, y = evaluate(op, [t0], [raw])
    assert_contains(t, y, op)
    if overflow not in (Overflow.WRAP_SM,) and n == 0:
        assert not len(loose_elements(t, y))


@pytest.mark.parametrize("overflow, n", OVERFLOWS, ids=str)
@pytest.mark.parametrize("rounding", list(Rounding))
def test_accumulate_of_two_and_three(rounding: Rounding, overflow: Overflow, n: int) -> None:
    """Two full operands of the accumulator's own format, or of a finer one: tight; any others: a superset."""
    for width, frac, signed in product((3, 4), (-1, 0, 1), (True, False)):
        if overflow is Overflow.WRAP_SM and not signed:
            continue
        op = ops.Accumulate(0, Format(width, width - frac, signed, rounding, overflow, n))
        for a, b, c in ((0, 0, None), (1, 1, None), (0, 1, None), (4, 9, None), (0, 6, 3), (2, 13, 10)):
            sets = [SETS[i] for i in (a, b, c) if i is not None]
            t0 = TensorType((len(sets),), 0, *(np.array(v) for v in zip(*sets, strict=True)))
            raw = np.array(list(product(*map(_values, sets))))
            t, y = evaluate(op, [t0], [raw])
            assert_contains(t, y, (op, sets))
            if len(sets) == 2 and overflow in (Overflow.SAT, Overflow.SAT_SYM) and max(a, b) <= 1:
                assert not len(loose_elements(t, y)), (op, sets, t.range, union_of(y))
            if len(sets) == 2 and overflow is Overflow.WRAP and n == 0 and max(a, b) <= 1:
                assert not len(loose_elements(t, y)), (op, sets, t.range, union_of(y))


# Beyond 62 bits: the same ops on ranges around 2**70, against Python's integers on the ends and in between.
BIG = 1 << 70


def _big(values: list[int]) -> Array:
    return to_object(np.array(values, object))


BIG_SETS = (
    (-BIG, BIG - 1, 0), (BIG, BIG + 7, 0), (-BIG - 8, -BIG, 3), (-4, 3, 0), (1 << 61, (1 << 62) + 5, 0),
    (0, 0, 0),
)  # fmt: skip


@pytest.mark.parametrize(
    "op, by_integers",
    [
        (ops.Add(), lambda a, b: a + b),
        (ops.Sub(), lambda a, b: a - b),
        (ops.Mul(), lambda a, b: a * b),
        (ops.Min(), min),
        (ops.Max(), max),
        (ops.And(), lambda a, b: a & b),
        (ops.Or(), lambda a, b: a | b),
        (ops.Xor(), lambda a, b: a ^ b),
        (ops.Div(), lambda a, b: 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)),
        (ops.Compare("lt"), lambda a, b: int(a < b)),
        (ops.Compare("eq"), lambda a, b: int(a == b)),
    ],
    ids=lambda v: repr(v) if isinstance(v, Op) else "",
)
def test_beyond_62_bits(op: Op, by_integers) -> None:
    pairs = list(product(BIG_SETS, BIG_SETS))
    types = [
        TensorType(
            (len(pairs),),
            0,
            *(_big([p[k][i] for p in pairs]) for i in (0, 1)),
            np.array([p[k][2] for p in pairs]),
        )
        for k in (0, 1)
    ]

    def samples(s: tuple[int, int, int]) -> list[int]:
        lo, hi, stride = s
        step = 1 << stride if lo != hi else 1
        middle = (lo + hi) // 2 // step * step
        return [lo, hi, min(lo + step, hi), max(hi - step, lo), max(middle, lo), max(min(hi, 0), lo)]

    rows = [list(product(samples(p), samples(q))) for p, q in pairs]
    raw = [_big([[r[j][k] for r in rows] for j in range(36)]) for k in (0, 1)]
    t, y = evaluate(op, types, raw)
    assert_contains(t, y, op)
    expected = [[by_integers(*r[j]) for r in rows] for j in range(36)]
    assert to_object(y).tolist() == expected
    if isinstance(op, (ops.Add, ops.Sub, ops.Mul, ops.Min, ops.Max)):
        assert to_object(t.lo).tolist() == [min(c) for c in zip(*expected, strict=True)]
        assert to_object(t.hi).tolist() == [max(c) for c in zip(*expected, strict=True)]


@pytest.mark.parametrize("overflow, n", OVERFLOWS, ids=str)
@pytest.mark.parametrize("rounding", list(Rounding))
def test_casts_of_wide_codes_equal_narrow_ones_scaled(rounding: Rounding, overflow: Overflow, n: int) -> None:
    """Codes times 2**70 at 70 bits more of frac are the same values, so the same casts."""
    op = cast_op(rounding, overflow, n, 76)
    narrow = cast_op(rounding, overflow, n, 6)
    k = op.frac.shape[0]
    raw = np.repeat(np.arange(-16, 16)[:, None], k, axis=1)
    small = TensorType((k,), 2, np.full(k, -16), np.full(k, 15))
    wide = TensorType((k,), 72, _big([-16 * BIG] * k), _big([15 * BIG] * k), 70)
    t, y = evaluate(op, [wide], [exact(to_object(raw) * BIG)])
    expected_type, expected = evaluate(narrow, [small], [raw])
    assert np.array_equal(y, expected)
    assert t == expected_type


WIDE_SCALARS = (*BIG_SETS, (BIG, BIG, 0), (0, BIG, 4), (0, 3, 0))
WIDE_UNARY: tuple[Op, ...] = (
    ops.Neg(), ops.Not(), ops.Shift(3), ops.Scale(2), ops.LeadingOne(), ops.Sum(()),
    ops.Threshold(IntArray(_big([-BIG, 0, 3, BIG + 2])[None]), None, IntArray([1])),
    *(cast_op(r, o, n, 75, [(f, w, 1)]) for r in (Rounding.TRN, Rounding.RND_CONV) for o, n in OVERFLOWS
      for f, w in ((0, 9), (-40, 66), (3, 80))),
)  # fmt: skip


@pytest.mark.parametrize("op", [*PAIRWISE, ops.ShiftLeft(), *WIDE_UNARY], ids=lambda op: type(op).__name__)
def test_wide_scalars_are_typed_as_arrays_of_one(op: Op) -> None:
    """NumPy turns 0-d object arrays into Python integers, which is where rules go wrong."""
    varying = 2 if op in (*PAIRWISE, ops.ShiftLeft()) else 1
    natural = isinstance(op, ops.LeadingOne)
    for sets in product(WIDE_SCALARS, repeat=varying):
        if natural and sets[0][0] < 0:
            continue
        if isinstance(op, ops.ShiftLeft) and not 0 <= sets[1][0] <= sets[1][1] < 9:
            continue
        rows = list(product(*((s[0], s[1]) for s in sets)))
        results = []
        for shape in ((), (1,)):
            if isinstance(op, ops.Cast):
                op = ops.Cast(*(IntArray(p.array.reshape(shape)) for p in (op.frac, op.width, op.signed)),
                              op.rounding, op.overflow, op.n, op.source_width)  # fmt: skip
            types = [TensorType(shape, 0, *(_big([s[i]]).reshape(shape) for i in (0, 1)), s[2]) for s in sets]
            raw = [exact(_big([r[k] for r in rows])).reshape(-1, *shape) for k in range(varying)]
            t, y = evaluate(op, types, raw)
            assert_contains(t, y, (op, sets))
            results.append((*(to_object(e).ravel().tolist() for e in t.range), to_object(y).ravel().tolist()))
        assert results[0] == results[1], (op, sets)
