"""What tracing refuses, each with a message that says what to do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ, TensorType
from fxsim.boundary import FormatEncoder
from fxsim.trace import Builder, Tensor

X = SQ(3, 2)


def traced(fn: Callable, shape: tuple[int, ...] = (2, 3)) -> Callable[[], object]:
    return lambda: fxsim.trace(fn, X, shape=shape)


def branching(x: Tensor) -> Tensor:
    return x if x > 0 else -x


CASES: list[tuple[Callable[[], object], type[Exception], str]] = [
    (traced(branching), TypeError, "no truth value while tracing; use fxsim.select"),
    (traced(lambda x: x + 0.1), ValueError, "constant needs 52 bits to be exact; quantize it first"),
    (traced(lambda x: x * float("nan")), ValueError, r"constant must be finite, not nan at index \(\)"),
    (traced(lambda x: x + [1, np.inf, 2]), ValueError, r"constant must be finite, not inf at index \(1,\)"),
    (traced(lambda x: x + "one"), TypeError, "constant must be real numbers"),
    (traced(lambda x: x + 1j), TypeError, "constant must be real numbers"),
    (traced(lambda x: x + [1, 2]), TypeError, r"Add cannot broadcast shapes \[\(2, 3\), \(2,\)\]"),
    (traced(lambda x: x @ [1, 2]), TypeError, r"MatMul needs equal inner sizes, not \(2, 3\) @ \(2,\)"),
    (traced(lambda x: x.sum() @ x), TypeError, "MatMul needs operands of one dimension or more"),
    (traced(lambda x: x[2]), IndexError, "index 2 is out of range for an axis of size 2"),
    (traced(lambda x: x[0, 0, 0]), IndexError, "too many indices"),
    (traced(lambda x: x["a"]), TypeError, "index must be integers, slices or one ellipsis, not 'a'"),
    (traced(lambda x: x[..., ...]), TypeError, "one ellipsis"),
    (traced(lambda x: x[[0, 2]]), TypeError, "indices of Gather must lie in 0..1"),
    (traced(lambda x: x[0, 0][0]), IndexError, "too many indices"),
    (traced(lambda x: list(x[0, 0])), TypeError, "a scalar tensor cannot be iterated over"),
    (traced(lambda x: len(x[0, 0])), TypeError, "a scalar tensor has no length"),
    (traced(lambda x: x.reshape(5)), TypeError, r"Reshape cannot turn \(2, 3\) \(6 elements\) into \(5,\)"),
    (traced(lambda x: x.transpose(0)), TypeError, "Transpose needs 2 axes"),
    (traced(lambda x: x.transpose(0, 0)), TypeError, "axes of Transpose must differ"),
    (traced(lambda x: x.max(2)), TypeError, r"axis of ReduceMax must be in -2..1, not 2"),
    (traced(lambda x: x.sum((0, 0))), TypeError, "axes of Sum must differ"),
    (traced(lambda x: x.cast("ap_fixed<8,4>")), TypeError, "cast needs a fxsim.Format or an ops.Cast"),
    (traced(lambda x: x << x), TypeError, "ShiftLeft needs a shift count with frac 0, not 2"),
    (traced(lambda x: x >> (x << 2)), TypeError, "a variable shift goes left only"),
    (traced(lambda x: x << (x << 2)), TypeError, r"proven in 0..4096, not -16..15"),
    (traced(lambda x: x << 0.5), TypeError, "power of Scale must be an integer, not 0.5"),
    (traced(lambda x: fxsim.select(x, 1, 0)), TypeError, "Select needs a condition with frac 0, not 2"),
    (traced(lambda x: fxsim.concat([x, x.T])), TypeError, "Concat along axis 0 cannot join shapes"),
    (traced(lambda x: x.named("a") + x.named("a")), ValueError, "tensor name 'a' is already taken"),
    (lambda: fxsim.maximum(1, 2), TypeError, "at least one operand must be a traced tensor"),
    (lambda: fxsim.trace(lambda: 3), TypeError, "trace needs the format or TensorType of at least one input"),
    (lambda: fxsim.trace(lambda x: x, "ap_fixed<8,4>"), TypeError, "input 'x' must be a fxsim.Format"),
    (lambda: fxsim.trace(lambda x: x, X, shape=3), TypeError, "shape must be a tuple of integers, not 3"),
    (lambda: fxsim.trace(lambda x: x, X, shape=(-1,)), ValueError, "shape must hold non-negative integers"),
    (lambda: fxsim.trace(lambda x: x, X, shape=(2.0,)), TypeError, "shape must hold integers, not 2.0"),
    (lambda: fxsim.trace(lambda x, y: x, X, X, shape=[(2,)]), ValueError, "shape must give 2 shapes, not 1"),
    (lambda: fxsim.constant(np.array([(1 << 70) + 1], object)), ValueError, "held by float64"),
]  # fmt: skip


@pytest.mark.parametrize("make, error, message", CASES, ids=[c[2][:40] for c in CASES])
def test_refusals(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_graphs_do_not_mix() -> None:
    kept: list[Tensor] = []
    fxsim.trace(lambda x: kept.append(x) or x, X)
    with pytest.raises(ValueError, match="an operand of Add belongs to another graph"):
        fxsim.trace(lambda x: x + kept[0], X)


def test_input_names_are_unique() -> None:
    b = Builder()
    b.input("x", TensorType.of(X), FormatEncoder(X))
    with pytest.raises(ValueError, match="input name 'x' is already taken"):
        b.input("x", TensorType.of(X), FormatEncoder(X))


RUNS: list[tuple[tuple, dict, type[Exception], str]] = [
    ((), {}, TypeError, r"missing inputs \['x', 'n'\]"),
    (([[1, 2]],), {}, TypeError, r"missing inputs \['n'\]"),
    (([[1, 2]], [1], 3), {}, TypeError, r"the graph has 2 inputs \['x', 'n'\], but 3 were given"),
    (([[1, 2]], [1]), {"n": 1}, TypeError, "input 'n' was given twice"),
    (([[1, 2]],), {"m": 1}, TypeError, r"no input is named 'm'; the inputs are \['x', 'n'\]"),
    (([[1, 2, 3]], [1]), {}, ValueError, r"input 'x' must have shape \('batch', 2\) or \(2,\), not \(1, 3\)"),
    (([[1, 2]], [1, 1]), {}, ValueError, "inputs must share one batch size"),
    (([1, 2], [1]), {}, ValueError, "inputs must share one batch size"),
]


@pytest.mark.parametrize("run", ["run", "run_raw"])
@pytest.mark.parametrize("args, named, error, message", RUNS, ids=[r[3][:30] for r in RUNS])
def test_runs_that_do_not_fit(
    args: tuple, named: dict, error: type[Exception], message: str, run: str
) -> None:
    g = fxsim.trace(lambda x, n: x + n, SQ(3, 0), UQ(2, 0), shape=[(2,), ()])
    with pytest.raises(error, match=message):
        getattr(g, run)(*args, **named)


@pytest.mark.parametrize(
    "raw, error, message",
    [
        ([[0, 4]], ValueError, r"input 'x' must lie in raw -4..3, not 4 at index \(0, 1\)"),
        ([[0, 0], [-5, 0]], ValueError, r"input 'x' must lie in raw -4..3, not -5 at index \(1, 0\)"),
        ([[0.0, 1.0]], TypeError, "input 'x' must be integers, not float64"),
        ([["a", "b"]], TypeError, "input 'x' must be integers"),
        ([[1 << 70, 0]], ValueError, "input 'x' must lie in raw -4..3, not 1180591620717411303424"),
    ],
)
def test_codes_that_are_not_the_inputs(raw: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fxsim.trace(lambda x: x + 1, SQ(3, 0), shape=(2,)).run_raw(raw)


@pytest.mark.parametrize(
    "x, error, message",
    [
        ([[0, np.nan]], ValueError, r"input 'x' must be finite, not nan at index \(0, 1\)"),
        ([[0, 1], [np.inf, 1]], ValueError, r"input 'x' must be finite, not inf at index \(1, 0\)"),
        ([[0, 4.0]], ValueError, r"input 'x' must lie in -4.0..3.0 .*, not 4.0 at index \(0, 1\)"),
        ([[1j, 0]], TypeError, "input 'x' must be real numbers, not complex128"),
    ],
)
def test_values_that_are_not_the_inputs(x: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fxsim.trace(lambda x: x + 1, SQ(3, 0), shape=(2,)).run(x)


def test_a_multiple_that_the_input_is_not() -> None:
    t = TensorType((), 0, np.asarray(-8), np.asarray(8), 2)
    with pytest.raises(ValueError, match="input 'x' must"):
        fxsim.trace(lambda x: x, t).run_raw([2])
