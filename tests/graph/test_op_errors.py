"""Parameters and operands that ops refuse, at construction or when typed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fxsim import SQ, UQ, Format, Overflow, TensorType, ops
from fxsim.integers import IntArray


def t(fmt: Format, *shape: int) -> TensorType:
    return TensorType.of(fmt, shape)


S, U, F = SQ(4, 0), UQ(4, 0), SQ(2, 2)

CASES: list[tuple[Callable[[], object], type[Exception], str]] = [
    (
        lambda: ops.Add().infer(t(S), t(F)),
        TypeError,
        r"Add needs operands of one frac, not \[0, 2\]; align them",
    ),
    (lambda: ops.Sub().infer(t(S), t(F)), TypeError, "Sub needs operands of one frac"),
    (lambda: ops.Max().infer(t(S), t(F)), TypeError, "Max needs operands of one frac"),
    (lambda: ops.And().infer(t(S), t(F)), TypeError, "And needs operands of one frac"),
    (lambda: ops.Compare("lt").infer(t(S), t(F)), TypeError, "Compare needs operands of one frac"),
    (lambda: ops.Add().infer(t(S, 2), t(S, 3)), TypeError, r"Add cannot broadcast shapes \[\(2,\), \(3,\)\]"),
    (lambda: ops.Mul().infer(t(S, 2), t(S, 3)), TypeError, "Mul cannot broadcast"),
    (lambda: ops.Shift(1.0), TypeError, "bits of Shift must be an integer, not 1.0"),
    (lambda: ops.Shift(True), TypeError, "bits of Shift must be an integer, not True"),
    (
        lambda: ops.Shift(-1).infer(t(S)),
        TypeError,
        "Shift by -1 would lose bits: the operand's least stride is 0; use Cast",
    ),
    (lambda: ops.Scale("2"), TypeError, "power of Scale must be an integer, not '2'"),
    (lambda: ops.Const([0.5]), TypeError, "values must be integers, not float64"),
    (lambda: ops.Const([1], 0.5), TypeError, "frac of Const must be an integer"),
    (lambda: ops.MatMul().infer(t(S), t(S, 2)), TypeError, "MatMul needs operands of one dimension or more"),
    (lambda: ops.MatMul().infer(t(S, 2), t(S, 3)), TypeError, "MatMul needs equal inner sizes"),
    (
        lambda: ops.MatMul().infer(t(S, 0), t(S, 0)),
        TypeError,
        "MatMul needs an inner size of at least 1, not 0",
    ),
    (lambda: ops.MatMul().infer(t(S, 2, 1, 2), t(S, 3, 2, 1)), TypeError, "MatMul cannot broadcast shapes"),
    (lambda: ops.Sum((1,)).infer(t(S, 2)), TypeError, r"axis of Sum must be in -1..0, not 1"),
    (lambda: ops.Sum((0, -2)).infer(t(S, 2, 2)), TypeError, "axes of Sum must differ"),
    (lambda: ops.ShiftLeft().infer(t(S), t(S)), TypeError, r"proven in 0..4096, not -8..7"),
    (lambda: ops.ShiftLeft().infer(t(S), t(UQ(13, 0))), TypeError, r"proven in 0..4096, not 0..8191"),
    (
        lambda: ops.ShiftLeft().infer(t(S), t(F)),
        TypeError,
        "ShiftLeft needs a shift count with frac 0, not 2",
    ),
    (
        lambda: ops.ReduceMax(0).infer(t(S)),
        TypeError,
        r"ReduceMax needs an operand of at least one axis, not a scalar",
    ),
    (lambda: ops.ReduceMin(0).infer(t(S, 0)), TypeError, "ReduceMin needs at least one element on axis 0"),
    (lambda: ops.ArgMax(0).infer(t(S, 0, 2)), TypeError, "ArgMax needs at least one element on axis 0"),
    (lambda: ops.ArgMax("0").infer(t(S, 2)), TypeError, "axis of ArgMax must be in -1..0, not '0'"),
    (
        lambda: ops.Compare("gt"),
        ValueError,
        r"kind of Compare must be one of \('lt', 'le', 'eq', 'ne'\), not 'gt'",
    ),
    (
        lambda: ops.Select().infer(t(U), t(S), t(S)),
        TypeError,
        r"Select needs a condition proven in 0..1, not 0..15",
    ),
    (lambda: ops.Select().infer(t(UQ(1, 0)), t(S), t(F)), TypeError, "Select needs operands of one frac"),
    (lambda: ops.Table(IntArray([])), ValueError, "entries of Table must have shape"),
    (lambda: ops.Table(IntArray([[1, 2]])), ValueError, r"entries of Table must have shape .*, not \(1, 2\)"),
    (
        lambda: ops.Table(IntArray([1, 2])).infer(t(S)),
        TypeError,
        r"Table covers codes 0..1, but the operand has -8..7",
    ),
    (
        lambda: ops.Table(IntArray([[1] * 16] * 3), 0, 0, 0).infer(t(U, 2)),
        TypeError,
        "Table has 3 channels, but axis 0",
    ),
    (
        lambda: ops.Threshold(IntArray([1, 2])),
        ValueError,
        r"levels of Threshold must have shape \(channels, n\)",
    ),
    (lambda: ops.Threshold(IntArray([[1], [2]])), ValueError, "must have one row when axis is None, not 2"),
    (lambda: ops.Threshold(IntArray([[2, 1]])), ValueError, "levels of Threshold must ascend in every row"),
    (
        lambda: ops.Threshold(IntArray([[1]]), None, IntArray([2])),
        ValueError,
        "falling of Threshold must hold 0 or 1",
    ),
    (
        lambda: ops.Threshold(IntArray([[1]]), None, IntArray([0, 1])),
        ValueError,
        "falling of Threshold must hold",
    ),
    (
        lambda: ops.Threshold(IntArray([[1]]), 0).infer(t(S, 2)),
        TypeError,
        "Threshold has 1 channels, but axis 0",
    ),
    (
        lambda: ops.LeadingOne().infer(t(S)),
        TypeError,
        "LeadingOne needs an operand proven non-negative, not from -8",
    ),
    (lambda: ops.Cast(0, -1, 1), ValueError, "width of Cast must not be negative, not -1"),
    (lambda: ops.Cast(0, 1, 2), ValueError, "signed of Cast must hold 0 or 1"),
    (lambda: ops.Cast(0, 1, 1, "NEAREST"), ValueError, "rounding must be one of TRN, .*, not 'NEAREST'"),
    (lambda: ops.Cast(0, 4, 1, n=-1), ValueError, "n of Cast must be at least 0, not -1"),
    (
        lambda: ops.Cast(0, 4, 0, overflow=Overflow.WRAP_SM, n=1),
        ValueError,
        "WRAP_SM is defined for signed formats only",
    ),
    (
        lambda: ops.Cast(0, 4, 1, overflow=Overflow.WRAP_SM),
        ValueError,
        "source_width must be given for WRAP_SM with n = 0",
    ),
    (
        lambda: ops.Cast([0, 1], [4, 4], 1).infer(t(S, 3)),
        TypeError,
        r"Cast parameters of shapes .* do not broadcast to \(3,\)",
    ),
    (lambda: ops.Accumulate(0, "ap_fixed<8,4>"), TypeError, "format of Accumulate must be a fxsim.Format"),
    (lambda: ops.Accumulate(1, S).infer(t(S, 2)), TypeError, "axis of Accumulate must be in -1..0, not 1"),
    (
        lambda: ops.Reshape((3,)).infer(t(S, 2)),
        TypeError,
        r"Reshape cannot turn \(2,\) \(2 elements\) into \(3,\)",
    ),
    (lambda: ops.Reshape((-1,)), ValueError, "shape must hold non-negative integers"),
    (lambda: ops.Transpose((0,)).infer(t(S, 2, 2)), TypeError, "Transpose needs 2 axes"),
    (
        lambda: ops.Slice((0,), (1, 2), (1,)),
        ValueError,
        "starts, stops and steps of Slice must have one length",
    ),
    (lambda: ops.Slice((0,), (1,), (0,)), ValueError, "step of Slice must not be 0"),
    (lambda: ops.Slice((0,), (1,), (1,)).infer(t(S, 2, 2)), TypeError, "Slice needs 2 starts"),
    (
        lambda: ops.Gather(IntArray([2]), 0).infer(t(S, 2)),
        TypeError,
        r"indices of Gather must lie in 0..1, not 2..2",
    ),
    (lambda: ops.Gather(IntArray([-1]), 0).infer(t(S, 2)), TypeError, "indices of Gather must lie in 0..1"),
    (lambda: ops.Pad((1,), (1, 1)), ValueError, "before and after of Pad must have one length"),
    (lambda: ops.Pad((-1,), (0,)), ValueError, "padding of Pad must be at least 0, not -1"),
    (lambda: ops.Pad((1,), (1,)).infer(t(S, 2, 2)), TypeError, "Pad needs 2 paddings"),
    (lambda: ops.Window((2,), (1, 1), (1,), (0,), (0,)), ValueError, "stride of Window must have 1 entries"),
    (
        lambda: ops.Window((0,), (1,), (1,), (0,), (0,)),
        ValueError,
        "kernel of Window must be at least 1, not 0",
    ),
    (
        lambda: ops.Window((2, 2), (1, 1), (1, 1), (0, 0), (0, 0)).infer(t(S, 2)),
        TypeError,
        "Window needs 2 spatial axes",
    ),
    (
        lambda: ops.Window((3,), (1,), (2,), (0,), (0,)).infer(t(S, 4)),
        TypeError,
        "Window of kernel 3, dilation 2 does not fit axis 0",
    ),
    (lambda: ops.Concat(0).infer(), TypeError, "Concat needs at least one operand"),
    (lambda: ops.Concat(0).infer(t(S, 2), t(F, 2)), TypeError, "Concat needs operands of one frac"),
    (lambda: ops.Concat(0).infer(t(S, 2), t(S, 2, 2)), TypeError, "Concat along axis 0 cannot join shapes"),
]


@pytest.mark.parametrize("make, error, message", CASES, ids=[c[2][:44] for c in CASES])
def test_refusals(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_ops_are_values() -> None:
    a = ops.Cast(IntArray([1, 2]), [4, 4], 1)
    assert a == ops.Cast([1, 2], IntArray([4, 4]), IntArray(1))
    assert hash(a) == hash(ops.Cast([1, 2], [4, 4], 1))
    assert a != ops.Cast([1, 2], [4, 5], 1)
    assert ops.Transpose([np.int64(1), 0]) == ops.Transpose((1, 0))
    assert ops.Threshold([[1, 2]]).falling == IntArray([0])


def test_tables_know_their_function() -> None:
    codes = TensorType.of(SQ(3, 2))
    table = ops.Table.of(lambda x: x * x, codes, 3, "square")
    assert table.function == "square"
    assert table.entries.array.tolist() == [round(c * c / 2) for c in range(-16, 16)]
    assert float(table.max_error) == 0.5
    assert table.monotone == 0
    assert table.lipschitz == 16
    assert ops.Table(IntArray([1, 1, 4])).monotone == 1
    assert ops.Table(IntArray([4, 1, 1])).monotone == -1
    assert ops.Table(IntArray([4])).lipschitz == 0
