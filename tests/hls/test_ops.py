"""C++ compiled by g++ against the NumPy table: every op on all 3-bit operands, every cast, every wiring."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import hls
from fxsim import ops
from fxsim.formats import Format, Overflow, Rounding
from fxsim.graph import Graph, Value
from fxsim.integers import IntArray
from fxsim.trace import Tensor, concat, maximum, minimum, select, trace

S3, U3 = Format(3, 3, True), Format(3, 3, False)
SIGNS = (S3, U3)
Case = tuple[str, Graph, tuple[Any, ...]]


def all_codes(*formats: Format) -> tuple[np.ndarray, ...]:
    """Every combination of the formats' codes, one array per format."""
    grids = np.meshgrid(*(np.arange(f.lo, f.hi + 1) for f in formats), indexing="ij")
    return tuple(g.ravel() for g in grids)


def pointwise(name: str, fn: Callable[..., Tensor], *formats: Format) -> Case:
    label = f"{name}-{'-'.join('us'[f.signed] + str(f.width) for f in formats)}"
    return label, trace(fn, *formats, name="g"), all_codes(*formats)


def elementwise_cases() -> Iterator[Case]:
    binary: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a._apply(ops.Div(), b),
        "min": minimum,
        "max": maximum,
        "lt": lambda a, b: a < b,
        "le": lambda a, b: a <= b,
        "eq": lambda a, b: a == b,
        "ne": lambda a, b: a != b,
        "and": lambda a, b: a & b,
        "or": lambda a, b: a | b,
        "xor": lambda a, b: a ^ b,
        "add_frac": lambda a, b: (a >> 2) + b,
        "max_frac": lambda a, b: maximum(a >> 1, b),
        "matmul": lambda a, b: concat([a.reshape(1), b.reshape(1)]) @ concat([b.reshape(1), a.reshape(1)]),
        "select": lambda a, b: select(a < b, a, b),
        "concat": lambda a, b: concat([a.reshape(1), b.reshape(1)]),
        "argmax": lambda a, b: concat([a.reshape(1), b.reshape(1)]).argmax(),
        "reduce_max": lambda a, b: concat([a.reshape(1), b.reshape(1)]).max(),
        "reduce_min": lambda a, b: concat([a.reshape(1), b.reshape(1)]).min(),
        "sum": lambda a, b: concat([a.reshape(1), b.reshape(1)]).sum(),
    }
    for name, fn in binary.items():
        for f, g in itertools.product(SIGNS, SIGNS):
            yield pointwise(name, fn, f, g)
    for f in SIGNS:
        yield pointwise("shift_left", lambda a, n: a << n, f, U3)
        yield pointwise("neg", lambda a: -a, f)
        yield pointwise("not", lambda a: ~a, f)
        yield pointwise("shift", lambda a: a._apply(ops.Shift(2)), f)
        yield pointwise("shift_down", lambda a: (a * 4)._apply(ops.Shift(-2)), f)
        yield pointwise("shift_none", lambda a: a._apply(ops.Shift(0)), f)
        yield pointwise("scale", lambda a: a << 3, f)
        yield pointwise("abs", abs, f)
        yield pointwise(
            "table", lambda a: a._apply(ops.Table(IntArray(np.arange(-8, 8) ** 3 - 5), base=-8)), f
        )
        yield pointwise("table0", lambda a: (a + 4)._apply(ops.Table(IntArray(np.arange(16) ** 2))), f)
        for falling in (0, 1):
            levels = ops.Threshold(IntArray([[-9, -2, -2, 0, 3, 40]]), None, IntArray([falling]))
            yield pointwise(f"threshold{falling}", lambda a, levels=levels: a._apply(levels), f)
    yield pointwise("leading_one", lambda a: a._apply(ops.LeadingOne()), U3)
    yield pointwise("constant", lambda a: a * 0 + 5, S3)


def tensor_cases() -> Iterator[Case]:
    """Shapes, broadcasts, per-channel parameters and every wiring op."""
    rng = np.random.default_rng(7)
    f = Format(4, 2, True)

    def case(name: str, fn: Callable[..., Any], *shapes: tuple[int, ...]) -> Case:
        g = trace(fn, *([f] * len(shapes)), shape=list(shapes), name="g")
        return name, g, tuple(rng.integers(f.lo, f.hi + 1, (20, *s)) for s in shapes)

    levels = np.sort(rng.integers(-10, 10, (3, 5)), axis=1)
    table = rng.integers(-50, 50, (3, 16))
    w = rng.integers(-3, 4, (4, 5))
    yield case("broadcast", lambda a, b, c: a + b * c, (2, 3, 4), (3, 1), (4,))
    yield case("broadcast_scalar", lambda a, b: a - b, (2, 3), ())
    yield case("broadcast_front", lambda a, b: maximum(a, b), (2, 1, 3), (4, 1))
    yield case("matmul_constant", lambda a: a @ w, (3, 4))
    yield case("matmul_vector", lambda a: a @ w, (4,))
    yield case("matmul_left", lambda a: w.T @ a, (4, 2))
    yield case("matmul_batch", lambda a, b: a @ b, (2, 3, 4), (2, 4, 2))
    yield case("matmul_broadcast", lambda a, b: a @ b, (2, 3, 4), (4, 2))
    yield case("matmul_dot", lambda a, b: a @ b, (4,), (4,))
    yield case(
        "threshold_channel",
        lambda a: a._apply(ops.Threshold(IntArray(levels), 1, IntArray([0, 1, 0]))),
        (2, 3),
    )
    yield case("table_channel", lambda a: a._apply(ops.Table(IntArray(table), -8, 2, 0)), (3, 2))
    yield case("sum_axes", lambda a: a.sum((0, 2)), (2, 3, 4))
    yield case("sum_none", lambda a: a._apply(ops.Sum(())) + 1, (2, 3))
    yield case("sum_empty", lambda a: a[:, :0].sum(1) + a[:, 0], (2, 3))
    yield case("reduce_axis", lambda a: (a.max(0), a.min(1), a.argmax(0), a.argmax(-1)), (3, 4))
    yield case("transpose", lambda a: a.transpose(2, 0, 1) + 1, (2, 3, 4))
    yield case("slice", lambda a: a[::-1, 1:, ::2] + 1, (2, 3, 4))
    yield case("gather", lambda a: a.take([[2, 0], [1, 1]], 1) + 1, (2, 3, 2))
    yield case("pad", lambda a: a._apply(ops.Pad((1, 0), (0, 2), 9)) + 1, (2, 3))
    yield case("concat_axis", lambda a, b: concat([a, b, a], 1), (2, 3), (2, 1))
    yield case("wires_only", lambda a: a.T.reshape(6)[::2], (2, 3))
    yield case("identity", lambda a: a, (2, 2))
    yield case("empty", lambda a: (a[:0], a[0]), (3,))
    yield case("constant_output", lambda a: (a[0], np.arange(3)), (3,))
    window = ops.Window((2, 3), (2, 1), (1, 2), (1, 0), (1, 1), -3)
    yield case("window", lambda a: a._apply(window).sum((2, 3)), (4, 6, 2))
    plain = ops.Window((3,), (1,), (1,), (0,), (0,))
    yield case("window_plain", lambda a: a._apply(plain) @ np.array([[1], [2], [-1]]), (6,))
    yield case("accumulate_axis", lambda a: a.accumulate(Format(5, 3, True), 0), (6, 2))


def accumulate_cases() -> Iterator[Case]:
    rng = np.random.default_rng(11)
    modes = [
        (r, o, n) for r in Rounding for o, n in ((Overflow.WRAP, 0), (Overflow.SAT, 0), (Overflow.WRAP_SM, 0))
    ]
    modes += [(Rounding.RND, o, 0) for o in (Overflow.SAT_SYM, Overflow.SAT_ZERO)]
    modes += [(Rounding.TRN, o, 2) for o in (Overflow.WRAP, Overflow.WRAP_SM)]
    for rounding, overflow, n in modes:
        for x in (Format(4, 2, True), Format(4, 3, False), Format(7, 7, True)):
            fmt = Format(4, 3, True, rounding, overflow, n)
            g = trace(lambda a, fmt=fmt: a.accumulate(fmt), x, shape=(5,), name="g")
            yield f"acc-{rounding}-{overflow}{n}-{x}", g, (rng.integers(x.lo, x.hi + 1, (100, 5)),)


def wide_cases() -> Iterator[Case]:
    """Lanes beyond 63 bits: limbs at the border, Python integers in the emulator."""
    rng = np.random.default_rng(5)

    def draw(width: int, signed: bool, n: int) -> np.ndarray:
        top = 1 << width
        values = [int.from_bytes(rng.bytes(width // 8 + 1), "little") % top for _ in range(n)]
        values += [0, 1, top - 1, top >> 1, (top >> 1) - 1]
        return np.array([v - top if signed and v >= top >> 1 else v for v in values], object)

    arithmetic = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a._apply(ops.Div(), b),
        "max": maximum,
        "lt": lambda a, b: a < b,
        "xor": lambda a, b: a ^ b,
        "cast": lambda a, b: (a * b).cast(Format(70, 60, True, Rounding.RND_CONV, Overflow.SAT)),
        "odd": lambda a, b: (a * b >> 90).cast(Format(70, 60, True, Rounding.RND_CONV_ODD, Overflow.SAT_SYM)),
        "thresholds": lambda a, b: (a - b)._apply(
            ops.Threshold(IntArray(np.array([[-(1 << 70), -5, 0, 1 << 80]], object)))
        ),
        "constants": lambda a, b: a * np.array([3, -(1 << 90)], object) + np.array(1 << 64, object),
    }
    for w1, s1, w2, s2 in (
        (64, True, 64, False),
        (63, False, 64, True),
        (100, True, 31, False),
        (65, False, 130, False),
    ):
        x, y = draw(w1, s1, 20), draw(w2, s2, 20)
        for name, fn in arithmetic.items():
            g = trace(fn, Format(w1, w1, s1), Format(w2, w2, s2), name="g")
            yield f"wide-{name}-{w1}-{w2}", g, (x, y)
    g = trace(lambda a, n: a << n, Format(8, 8), Format(11, 11, False), name="g")
    yield "shift-far", g, (rng.integers(-128, 128, 30), rng.integers(0, 2048, 30))
    g = trace(lambda a: a._apply(ops.LeadingOne()), Format(90, 90, False), name="g")
    yield "leading-wide", g, (draw(90, False, 20),)


def cast_cases() -> Iterator[Case]:
    """Every rounding with every overflow (and N), from 6-bit sources to narrower, coarser, finer formats."""
    overflows = [(o, 0) for o in Overflow] + [
        (o, n) for o in (Overflow.WRAP, Overflow.WRAP_SM) for n in (1, 3)
    ]
    for (o, n), r in itertools.product(overflows, Rounding):
        for signed in (True, False):
            src, casts = Format(6, 3, signed), []
            for width, frac, dst_signed in (
                (3, 1, True),
                (4, 1, False),
                (3, -3, True),
                (3, -6, True),
                (5, 5, True),
                (1, 0, True),
            ):
                if (not dst_signed and o is Overflow.WRAP_SM) or n > width:
                    continue
                casts.append(Format(width, width - frac, dst_signed, r, o, n))
            g = trace(lambda a, casts=casts: tuple(a.cast(c) for c in casts), src, name="g")
            yield f"cast-{r}-{o}{n}-{src}", g, all_codes(src)
    for o, width in ((Overflow.SAT, 3), (Overflow.WRAP, 2), (Overflow.SAT_ZERO, 4), (Overflow.WRAP_SM, 3)):
        sign = [1, 1, 1, 1] if o is Overflow.WRAP_SM else [1, 0, 1, 0]
        op = ops.Cast(
            IntArray([1, 0, -1, 1]), IntArray([width, width + 1, 2, 0]), IntArray(sign), Rounding.RND, o, 0, 6
        )
        g = trace(lambda a, op=op: a.cast(op), Format(6, 3, True), shape=(4,), name="g")
        yield f"cast-elements-{o}", g, (np.repeat(np.arange(-32, 32)[:, None], 4, 1),)
    for declared in (3, 9):
        op = ops.Cast(IntArray(1), IntArray(2), IntArray(1), Rounding.RND_INF, Overflow.WRAP_SM, 0, declared)
        yield pointwise(f"declared{declared}", lambda a, op=op: a.cast(op), Format(6, 3, True))


GROUPS = {
    "elementwise": elementwise_cases,
    "tensor": tensor_cases,
    "accumulate": accumulate_cases,
    "wide": wide_cases,
    "cast": cast_cases,
}


@pytest.mark.parametrize("types", ["ap", "ac"])
@pytest.mark.parametrize("group", GROUPS)
def test_compiled_cpp_equals_numpy(group: str, types: str) -> None:
    cases = list(GROUPS[group]())
    compiled = hls.compile_graphs([g for _, g, _ in cases], types=types)
    wrong = []
    for (name, g, x), f in zip(cases, compiled, strict=True):
        expected, got = g.run_raw(*x), f(*x)
        same = got.dtype == expected.dtype if isinstance(got, np.ndarray) else len(got) == len(expected)
        pairs = [(got, expected)] if isinstance(got, np.ndarray) else zip(got, expected, strict=True)
        if not same or not all(np.array_equal(a, b) for a, b in pairs):
            wrong.append(name)
    assert not wrong


def test_every_op_has_a_rule_and_is_exercised() -> None:
    assert hls.cpp_rules.missing(ops.ALL) == []
    graphs = [g for cases in GROUPS.values() for _, g, _ in cases()]
    used = {type(v.op) for g in graphs for v in g.values if isinstance(v, Value)}
    assert used == set(ops.ALL)
