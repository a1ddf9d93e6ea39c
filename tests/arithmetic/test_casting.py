"""Casts against the real-valued definitions: every code of small widths, and chosen codes of any width."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from reference import fit, round_real, to_text

from fxsim.casting import cast, cast_raw, from_double, overflow, round_shift
from fxsim.formats import SQ, UQ, Format, Overflow, Rounding

MODES = [(m, n) for m in Overflow for n in ((0, 1, 2, 3, 4) if "WRAP" in m else (0,))]


@pytest.mark.parametrize("rounding", Rounding)
def test_rounding_of_every_small_code(rounding: Rounding) -> None:
    raw, shift = np.arange(-64, 65)[:, None], np.arange(-2, 10)
    got = round_shift(raw, shift, rounding)
    want = [
        [round_real(Fraction(int(v)) / Fraction(2) ** int(s), rounding) for s in shift] for v in raw[:, 0]
    ]
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("rounding", Rounding)
def test_rounding_at_any_width(rounding: Rounding) -> None:
    draw = random.Random(str(rounding))
    edges = [
        s * (2**k + d)
        for k in (0, 1, 31, 52, 53, 60, 61, 62, 63, 64, 99)
        for d in (-1, 0, 1)
        for s in (1, -1)
    ]
    wild = [draw.randrange(-(2**bits), 2**bits) for bits in (40, 61, 62, 64, 70, 130) for _ in range(8)]
    shifts = [-70, -3, 0, 1, 2, 30, 60, 61, 62, 63, 64, 65, 100, 1000]
    for values in (edges + wild, [v for v in edges + wild if abs(v) < 2**62]):
        raw = np.array(values, dtype=object)
        want = [[round_real(Fraction(v) / Fraction(2) ** s, rounding) for s in shifts] for v in values]
        got = round_shift(raw[:, None], shifts, rounding)
        assert got.tolist() == want
        for i, s in enumerate(shifts):
            assert round_shift(raw, s, rounding).tolist() == [row[i] for row in want]
            assert round_shift(values[0], s, rounding).item() == want[0][i]


@pytest.mark.parametrize(("mode", "n"), MODES)
@pytest.mark.parametrize("rounding", Rounding)
def test_cast_of_every_small_code(rounding: Rounding, mode: Overflow, n: int) -> None:
    fracs = np.arange(-4, 5)
    for source_width in (1, 3, 5):
        for source in (Format(source_width, 0), Format(source_width, 0, False)):
            codes = np.arange(source.lo, source.hi + 1)
            shift = source.frac - fracs
            for width in range(max(n, 1), 5):
                for signed in (True,) if mode is Overflow.WRAP_SM else (True, False):
                    got = cast_raw(
                        codes[:, None],
                        src_frac=source.frac,
                        frac=fracs,
                        width=width,
                        signed=signed,
                        rounding=rounding,
                        overflow=mode,
                        n=n,
                        source_width=source_width,
                    )
                    want = [
                        [
                            fit(
                                round_real(Fraction(int(v)) / Fraction(2) ** int(s), rounding),
                                width,
                                signed,
                                mode,
                                n,
                                to_text(int(v), source_width),
                                int(s) + width,
                            )
                            for s in shift
                        ]
                        for v in codes
                    ]
                    np.testing.assert_array_equal(got, want, err_msg=f"{source} {width} {signed}")


@pytest.mark.parametrize(("mode", "n"), MODES)
def test_overflow_at_any_width(mode: Overflow, n: int) -> None:
    draw = random.Random(f"{mode}{n}")
    edges = [s * 2**k + d for k in (30, 31, 59, 60, 61, 62, 63, 64, 98) for d in (-1, 0, 1) for s in (1, -1)]
    values = edges + [draw.randrange(-(2**bits), 2**bits) for bits in (33, 61, 62, 66, 130) for _ in range(8)]
    for width in (32, 61, 62, 63, 64, 65, 99):
        for signed in (True,) if mode is Overflow.WRAP_SM else (True, False):
            for chosen in (values, [v for v in values if abs(v) < 2**62]):
                q = np.array(chosen, dtype=object)
                got = overflow(q, width, signed, mode, n, raw=q, shift=0, source_width=140)
                assert got.tolist() == [
                    fit(v, width, signed, mode, n, to_text(v, 140), width) for v in chosen
                ]


def test_parameters_may_differ_per_element() -> None:
    raw = np.array([[100, -100, 77], [-1, 5, 127]])
    frac, width, signed = np.array([3, 0, -2]), np.array([4, 0, 7]), np.array([True, True, False])
    parameters: dict[str, Any] = {"rounding": Rounding.RND, "overflow": Overflow.SAT}
    got = cast_raw(raw, src_frac=2, frac=frac, width=width, signed=signed, **parameters)
    for column in range(3):
        alone = cast_raw(
            raw[:, column],
            src_frac=2,
            frac=frac[column],
            width=width[column],
            signed=signed[column],
            **parameters,
        )
        np.testing.assert_array_equal(got[:, column], alone)
    np.testing.assert_array_equal(got[:, 1], 0)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1,), (2, 3, 4)])
def test_shapes_are_kept(shape: tuple[int, ...]) -> None:
    for width in (8, 64, 100):
        dst = SQ(4, width - 4, overflow="SAT")
        assert cast(np.zeros(shape, np.int8), SQ(4, 4), dst).shape == shape
        assert from_double(np.zeros(shape), dst).shape == shape


@pytest.mark.parametrize("rounding", Rounding)
def test_from_double_is_the_rounded_real_value(rounding: Rounding, rng: np.random.Generator) -> None:
    x = np.concatenate([
        np.arange(-40, 41) / 16,
        rng.normal(size=50) * 2.0 ** rng.integers(-80, 80, 50),
        np.array([5e-324, -5e-324, 2.2250738585072014e-308, 1.797e308, -0.0, 0.49999999999999994]),
    ])  # fmt: skip
    for dst in (SQ(3, 2), SQ(8, 60), SQ(1100, 1100), SQ(-20, 90), UQ(4, -1)):
        to = dst.replace(rounding=rounding, overflow=Overflow.SAT)
        scaled = [Fraction(v) * Fraction(2) ** dst.frac for v in x.tolist()]
        want = [max(dst.lo, min(dst.hi, round_real(v, rounding))) for v in scaled]
        assert from_double(x, to).tolist() == want


def test_from_double_takes_narrower_floats_and_integers_exactly() -> None:
    dst = SQ(70, 4, overflow="SAT")
    assert from_double(np.array([1.1], np.float32), dst).tolist() == [17]
    assert from_double(np.array([1.1], np.float16), dst).tolist() == [17]
    assert from_double(np.array([2**63 + 1], np.uint64), dst).tolist() == [(2**63 + 1) * 16]
    assert from_double([2**68 + 1], dst).tolist() == [(2**68 + 1) * 16]
    assert from_double(True, dst).item() == 16


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_from_double_names_the_first_value_that_is_not_finite(bad: float) -> None:
    with pytest.raises(ValueError, match=re.escape("x must be finite, not") + r".* at index \(1, 0\)"):
        from_double(np.array([[0.0, 1.0], [bad, bad]]), SQ(1, 7))


@pytest.mark.parametrize("bad", [1j, "1", np.longdouble(1), [0.5, None]])
def test_from_double_refuses_other_types(bad: Any) -> None:
    with pytest.raises(TypeError):
        from_double(bad, SQ(1, 7))


def test_cast_refuses_a_raw_that_the_source_cannot_hold() -> None:
    with pytest.raises(ValueError, match=r"raw must be in -8\.\.7 .* not 8 at index \(2,\)"):
        cast([0, 7, 8, -9], SQ(4, 0), SQ(4, 0))
    with pytest.raises(ValueError, match=r"not -1$"):
        cast(-1, UQ(4, 0), SQ(4, 0))
    with pytest.raises(TypeError, match="float64"):
        cast([0.5], SQ(4, 0), SQ(4, 0))


def test_overflow_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="WRAP_SM"):
        overflow([9], 4, False, Overflow.WRAP_SM, 1)
    with pytest.raises(ValueError, match="source_width"):
        overflow([9], 4, True, Overflow.WRAP_SM)
    with pytest.raises(ValueError, match="n must"):
        overflow([9], 4, True, Overflow.WRAP, 5)
    with pytest.raises(ValueError, match="width must not be negative"):
        overflow([9], -1, True, Overflow.SAT)


def test_nothing_is_written_to_the_argument() -> None:
    raw = np.array([5, -5, 100])
    raw.setflags(write=False)
    cast_same = cast(raw, SQ(8, 0), SQ(8, 0))
    cast_same[0] = 1
    assert raw.tolist() == [5, -5, 100]
