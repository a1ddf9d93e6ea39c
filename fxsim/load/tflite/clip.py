"""Fused activations: the codes between which the runtime clamps."""

from __future__ import annotations

import numpy as np

from fxsim.load.tflite.flatfile import FileOp
from fxsim.load.tflite.loader import Loader
from fxsim.load.tflite.options import ACTIVATIONS
from fxsim.load.tflite.symbols import CODES, Quant

RANGES: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}


def nearest(value: float, scale: np.float32) -> int:
    """round(value / scale) in float32, ties away from zero."""
    q = float(np.float32(value) / scale)
    return int(np.copysign(np.floor(abs(q) + 0.5), q))


def code_range(q: Quant, activation: str) -> tuple[int, int]:
    """The least and greatest code of an activation's result: its real bounds as codes, within int8."""
    low, high = RANGES[activation]
    lo = CODES[0] if low is None else max(CODES[0], q.zero + nearest(low, q.scale))
    hi = CODES[1] if high is None else min(CODES[1], q.zero + nearest(high, q.scale))
    return lo, hi


def fused(loader: Loader, op: FileOp) -> tuple[int, int]:
    """The code range of the operator's fused activation; NotImplementedError for one that is no clamp."""
    name = ACTIVATIONS.get(op.options["FusedActivationFunction"], "an unknown one")
    if name not in RANGES:
        raise NotImplementedError(
            f"{op} has the fused activation {name}; use one of {', '.join(RANGES)}, or an operator of its own"
        )
    lo, hi = code_range(loader.result(op), name)
    if lo > hi:
        raise loader.error(op, f"clamps to {lo}..{hi}, which is empty", "calibrate its output again")
    return lo, hi
