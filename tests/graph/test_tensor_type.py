"""TensorType and the sets behind it: normal form, widths, membership, union, errors."""

from __future__ import annotations

import numpy as np
import pytest

from fxsim import SQ, UQ, Format, TensorType, ranges
from fxsim.ranges import ZERO_STRIDE, Range
from fxsim.types import MAX_FRAC


def scalar(lo: int, hi: int, stride: int = 0) -> TensorType:
    return TensorType((), 0, np.asarray(lo), np.asarray(hi), stride)


def values(r: Range) -> set[int]:
    lo, hi, stride = (int(v) for v in r)
    return set(range(lo, hi + 1, 1 << stride if lo != hi else 1))


@pytest.mark.parametrize(
    "lo, hi, stride, normal",
    [
        (-5, 5, 1, (-4, 4, 1)),
        (-4, 4, 1, (-4, 4, 1)),
        (-7, 7, 3, (0, 0, ZERO_STRIDE)),
        (3, 5, 2, (4, 4, 2)),
        (12, 12, 0, (12, 12, 2)),
        (-12, -12, 7, (-12, -12, 2)),
        (0, 0, 0, (0, 0, ZERO_STRIDE)),
        (-(1 << 80), (1 << 80) + 5, 3, (-(1 << 80), 1 << 80, 3)),
    ],
)
def test_normal_form(lo: int, hi: int, stride: int, normal: tuple[int, int, int]) -> None:
    t = scalar(lo, hi, stride)
    assert tuple(int(v) for v in t.range) == normal


@pytest.mark.parametrize("lo", range(-9, 10))
def test_widths_are_the_fewest_bits(lo: int) -> None:
    for hi in range(lo, 10):
        t = scalar(lo, hi)
        bits = next(
            w for w in range(1, 9) if (-(1 << w - 1) <= lo and hi < 1 << w - 1 if lo < 0 else hi < 1 << w)
        )
        assert (int(t.width), bool(t.signed), t.max_width) == (bits, lo < 0, bits)
        lane = t.lane()
        assert lane.lo <= lo <= hi <= lane.hi


def test_wide_widths() -> None:
    t = TensorType((2,), 0, np.array([-(1 << 70), 0], object), np.array([0, (1 << 90) - 1], object))
    assert t.width.tolist() == [71, 90]
    assert t.max_width == 91
    assert t.bounds == (-(1 << 70), (1 << 90) - 1)
    assert t.lo.dtype == object
    assert not t.lo.flags.writeable


def test_of_a_format() -> None:
    t = TensorType.of(Format(8, 3, True), (2, 3))
    assert (t.frac, t.shape, t.size, t.ndim, t.bounds) == (5, (2, 3), 6, 2, (-128, 127))
    assert str(t) == "2x3 s8 frac 5 raw -128..127"
    assert repr(TensorType.of(UQ(3, 0))) == "TensorType(scalar u3 frac 0 raw 0..7)"
    assert TensorType.of(SQ(4, 0), (0,)).bounds == (0, 0)


def test_membership() -> None:
    t = TensorType((3,), 0, np.array([-8, 2, 5]), np.array([8, 9, 5]), np.array([2, 0, 0]))
    rows = np.arange(-10, 11)[:, None] * np.ones(3, int)
    inside = t.contains(rows)
    for k, want in enumerate(({-8, -4, 0, 4, 8}, set(range(2, 10)), {5})):
        assert set(rows[inside[:, k], k].tolist()) == want


def test_covers() -> None:
    a = scalar(-8, 8, 1)
    assert a.covers(a)
    assert a.covers(scalar(-8, 8, 2))
    assert a.covers(scalar(6, 6))
    assert not a.covers(scalar(5, 5))
    assert not a.covers(scalar(-8, 8))
    assert not a.covers(scalar(-10, 8, 1))
    assert not a.covers(TensorType((), 1, np.asarray(0), np.asarray(0)))
    assert not a.covers(TensorType((1,), 0, np.asarray([0]), np.asarray([0])))


SETS = [(-4, 4, 2), (-3, 3, 0), (1, 1, 0), (0, 0, 0), (-6, 2, 1), (4, 12, 2), (-4, -4, 0)]


@pytest.mark.parametrize("a", SETS, ids=str)
@pytest.mark.parametrize("b", SETS, ids=str)
def test_union_clip_and_product_hold_every_value(a: tuple, b: tuple) -> None:
    x, y = scalar(*a).range, scalar(*b).range
    both = ranges.union(x, y)
    assert values(x) | values(y) <= values(both)
    assert {int(both.lo), int(both.hi)} <= values(x) | values(y)
    assert values(ranges.union(x, y, True, False)) == values(x)
    assert values(ranges.union(x, y, False, True)) == values(y)
    part, some = ranges.clip(x, y.lo, y.hi)
    inside = {v for v in values(x) if int(y.lo) <= v <= int(y.hi)}
    assert bool(some) == bool(inside)
    if inside:
        assert values(part) == inside
    assert {p * q for p in values(x) for q in values(y)} <= values(ranges.product(x, y))
    assert int(ranges.count(x)) == len(values(x))


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"lo must not exceed hi, but element \(1,\) has 3 > 2"):
        TensorType((2,), 0, np.array([0, 3]), np.array([1, 2]))
    with pytest.raises(ValueError, match=r"element \(\) holds no multiple of 2\*\*3 in 1..7"):
        scalar(1, 7, 3)
    with pytest.raises(TypeError, match=r"frac must be an integer, not 1\.5"):
        TensorType((), 1.5, np.asarray(0), np.asarray(1))
    with pytest.raises(TypeError, match="frac must be an integer, not True"):
        TensorType((), True, np.asarray(0), np.asarray(1))
    with pytest.raises(ValueError, match="frac must lie in"):
        TensorType((), MAX_FRAC + 1, np.asarray(0), np.asarray(1))
    with pytest.raises(TypeError, match="values must be integers, not float64"):
        TensorType((), 0, np.asarray(0.0), np.asarray(1))
    with pytest.raises(ValueError, match="broadcast"):
        TensorType((2,), 0, np.zeros(3, int), np.ones(3, int))
    with pytest.raises(TypeError, match=r"format must be a fxsim\.Format, not 'ap_fixed<8,4>'"):
        TensorType.of("ap_fixed<8,4>")
    with pytest.raises(AttributeError, match="TensorType is immutable"):
        scalar(0, 1).frac = 3
