"""Dot products of affine codes with the zero points folded into one constant and at most one shared sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.integers import Array, exact
from fxsim.trace import Tensor


def affine_matmul(
    codes: Tensor,
    weights: Any,
    zero: int = 0,
    weight_zero: Any = 0,
    bias: Any = 0,
    name: str = "affine_matmul",
) -> Tensor:
    """The accumulator sum_k (a_k - Za) * (w_kj - Zw_j) + bias_j of codes a and w, exact, frac 0.

    It is built as  a @ w - Za * sum_k w - Zw_j * sum_k a + K * Za * Zw_j + bias: for constant weights the
    second and fourth term join the bias, and symmetric weights (Zw = 0) drop the third; weights that are a
    tensor (runtime-loadable) keep the second as one more sum.

    codes        tensor (..., K) of codes, frac 0
    weights      (K, N) integer codes, constant or a tensor of frac 0
    zero         Za, of all codes
    weight_zero  Zw, one or one per column
    bias         integers at the scale Sa * Sw (int32 in the usual toolboxes), one or one per column

    Raises TypeError for what is no integer, ValueError for shapes that do not fit.
    Source: Jacob et al., arXiv 1712.05877, equation 7.
    """
    for label, tensor in (("codes", codes), ("weights", weights)):
        if isinstance(tensor, Tensor) and tensor.frac:
            raise TypeError(f"{label} must have frac 0, not {tensor.frac}")
    if isinstance(zero, bool) or not isinstance(zero, (int, np.integer)):
        raise TypeError(f"zero must be an integer, not {zero!r}")
    w = weights if isinstance(weights, Tensor) else exact(weights)
    if w.ndim != 2 or not codes.ndim or codes.shape[-1] != w.shape[0]:
        raise ValueError(
            f"weights must have shape ({codes.shape[-1:]}, N) for codes of {codes.shape}, not {w.shape}"
        )
    inner, columns = w.shape
    zw, constant = (_row(label, v, columns) for label, v in (("weight_zero", weight_zero), ("bias", bias)))
    constant = exact(constant.astype(object) + inner * int(zero) * zw.astype(object))
    inputs = [codes, w] if isinstance(w, Tensor) else [codes]
    with codes.builder.block("affine_matmul", name, inputs, {"zero": int(zero)}) as outputs:
        acc = codes @ w
        if np.any(zw != 0):
            acc = acc - codes.sum(-1).reshape(*codes.shape[:-1], 1) * zw
        if not isinstance(w, Tensor):
            constant = exact(constant - int(zero) * w.astype(object).sum(axis=0))
        elif zero:
            acc = acc - w.sum(0) * int(zero)
        outputs.append(acc + constant if np.any(constant != 0) else acc)
    return outputs[0]


def _row(label: str, values: Any, columns: int) -> Array:
    row = exact(values)
    if row.shape not in ((), (1,), (columns,)):
        raise ValueError(f"{label} must be one integer or {columns}, not shape {row.shape}")
    return np.broadcast_to(row, (columns,))
