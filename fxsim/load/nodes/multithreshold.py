"""Handler of MultiThreshold (FINN): how many of its channel's thresholds a value reaches."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.host import LevelEncoder
from fxsim.integers import Array, IntArray, to_object
from fxsim.load.affine import Activation, Constant, Line, RealInput, Symbol
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.rescale import reaches
from fxsim.load.steps import Reach
from fxsim.trace import Tensor

Row = Sequence[tuple[Fraction, bool] | None]
"""Levels (t, inclusive): reached from t on, or beyond t; None is always reached."""

LAYOUTS = {2: "NC", 3: "NWC", 4: "NCHW"}
"""The layout of a tensor without data_layout, by rank, as qonnx guesses it."""


@handles("MultiThreshold", domain="qonnx")
def multithreshold(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """out_scale * #{j : x >= T_cj} + out_bias.

    x = a * v + b with exact a and b, so that each T becomes one whole threshold on the raw integer v: ceil of
    (T - b) / a, or floor for a < 0, where the code counts v <= threshold. T, out_scale and out_bias are
    float32 numbers, taken exactly.
    """
    x = operands[0]
    if not isinstance(x, (Activation, Constant, RealInput)):
        raise loader.error(node, "has no input", "connect its first input")
    rank = len(x.values.shape) if isinstance(x, Constant) else len(x.shape) + 1
    layout = str(node.get("data_layout") or LAYOUTS.get(rank, "NC"))
    axis = layout.index("C") if "C" in layout else 1
    rows = thresholds(loader, node, operands[1] if len(operands) > 1 else None)
    size = (x.values.shape if isinstance(x, Constant) else (0, *x.shape))[axis : axis + 1]
    if rank < 2 or axis < 1 or (len(rows) > 1 and size != (len(rows),)):
        raise loader.error(
            node, f"has {len(rows)} rows of thresholds for axis {axis} of a tensor of {rank} axes",
            f"give it one row, or one for each channel of data_layout {layout!r}",
        )  # fmt: skip
    scale, bias = (number(loader, node, k, d) for k, d in (("out_scale", 1.0), ("out_bias", 0.0)))
    channel = axis - 1 if len(rows) > 1 else None
    if isinstance(x, Constant):
        wide = rows.reshape((len(rows),) + (1,) * (rank - 1 - axis) + (-1,))
        count = (np.asarray(x.values)[..., None] >= wide).sum(axis=-1)
        return Constant((float(scale) * count + float(bias)).astype(np.float32))
    if isinstance(x, RealInput):
        return placed(Activation(host_counts(loader, node, x, rows, axis)), scale, bias)
    with loader.builder.block("multithreshold", loader.block_name(node), [x.tensor]) as outputs:
        result = placed(Activation(counted(loader, x, exact_rows(rows), channel)), scale, bias)
        outputs.append(result.tensor)
    return result


def number(loader: Loader, node: FileNode, name: str, default: float) -> Fraction:
    """A float32 attribute, exactly."""
    value = node.get(name, default)
    if not isinstance(value, (int, float)) or not np.isfinite(value):
        raise loader.error(node, f"has {name} {value!r}", "give it a finite number")
    return Fraction(float(np.float32(value)))


def thresholds(loader: Loader, node: FileNode, symbol: Symbol | None) -> Array:
    """The thresholds (channels or 1, n), float32, each row ascending (their order does not matter)."""
    found = loader.constant(node, symbol, "threshold matrix").values
    if found.ndim != 2 or not found.size or np.isnan(found).any():
        raise loader.error(
            node, f"has thresholds of shape {found.shape}" if found.ndim != 2 or not found.size else
            "has a threshold that is NaN", "give numbers of shape (channels or 1, thresholds)",
        )  # fmt: skip
    return np.sort(np.asarray(found, np.float32), axis=1)


def exact_rows(rows: Array) -> list[Row]:
    """Levels of float thresholds; those of infinity are never reached."""
    return [
        [None if t == float("-inf") else (Fraction(t), True) for t in row if t != float("inf")]
        for row in rows.tolist()
    ]


def host_counts(loader: Loader, node: FileNode, x: RealInput, rows: Array, axis: int) -> Tensor:
    """The counts as the graph's input, by float32 comparisons on the host."""
    if len(rows) == 1:
        encoder = LevelEncoder((tuple(float(v) for v in rows[0]),))
    else:
        shaped = rows.reshape((len(rows),) + (1,) * (len(x.shape) - axis) + (-1,))
        columns = [x.unwired(shaped[..., j]) for j in range(rows.shape[1])]
        axes = {c.axis for c in columns} - {None}
        n = max(len(c.values) for c in columns)
        wide = [[float(v) for v in c.values] * (n // len(c.values)) for c in columns]
        encoder = LevelEncoder(tuple(zip(*wide, strict=True)), axes.pop() if axes else None)
    return loader.encoded(node, x, encoder, None)


def counted(loader: Loader, x: Activation, rows: Sequence[Row], axis: int | None) -> Tensor:
    """#{levels reached} of an activation, as one Threshold op on its raw integers and a constant.

    `rows` are the levels, one row or one per index of `axis`.
    """
    axes = {a for a in (x.axis, axis) if a is not None}
    if len(axes) > 1:
        raise ValueError("scales and thresholds must vary along one axis; use one scale per tensor")
    over = axes.pop() if axes else None
    n = 1 if over is None else x.shape[over]
    lines = x.lines * (n // len(x.lines))
    sets = reaches(x.tensor, over)
    found = [
        levels(line, rows[i if len(rows) > 1 else 0], reach, x.tensor.frac)
        for i, (line, reach) in enumerate(zip(lines, sets, strict=True))
    ]
    sure = min(always for always, _, _ in found)
    most = max(always + len(some) for always, some, _ in found)
    table, falling = [], []
    for (always, some, down), reach in zip(found, sets, strict=True):
        first, never = (reach.hi, reach.lo - 1) if down else (reach.lo, reach.hi + 1)
        row = [first] * (always - sure) + some + [never] * (most - always - len(some))
        table.append(sorted(row))
        falling.append(int(down))
    if sure == most:
        return loader.builder.apply(ops.Const(IntArray(np.full(x.shape, sure, np.int64))))
    op = ops.Threshold(IntArray(to_object(np.array(table, object))), over, IntArray(falling))
    count = loader.builder.apply(op, x.tensor)
    return count + sure if sure else count


def levels(line: Line, row: Row, reach: Reach, frac: int) -> tuple[int, list[int], bool]:
    """(levels that every value reaches, whole thresholds in between, do they count v <= threshold?).

    Values below the line's clamps compare as the clamp does.
    """
    unit = Fraction(2) ** -frac
    least, most = (clamped(line, end * unit) / unit for end in (reach.lo, reach.hi))
    a, down = line.scale * unit, line.scale < 0
    ends = sorted((a * least, a * most))
    always, some = 0, []
    for level in row:
        need = None if level is None else level[0] - line.offset
        if need is None or level is None or ends[0] > need or (level[1] and ends[0] == need):
            always += 1
        elif ends[1] > need or (level[1] and ends[1] == need):
            at, inclusive = need / a, level[1]
            if down:
                some.append(at.__floor__() if inclusive else at.__ceil__() - 1)
            else:
                some.append(at.__ceil__() if inclusive else at.__floor__() + 1)
    return always, some, down


def clamped(line: Line, v: Fraction) -> Fraction:
    """v within the line's clamps."""
    v = v if line.low is None else max(v, line.low)
    return v if line.high is None else min(v, line.high)


def placed(count: Activation, scale: Fraction, bias: Fraction) -> Activation:
    """scale * count + bias, in integers where both are whole numbers or bias is a multiple of scale."""
    if scale == 1 and bias == 0:
        return count
    t = count.tensor
    if scale.denominator == bias.denominator == 1 and scale > 0:
        t = t * int(scale) if scale != 1 else t
        return Activation(t + int(bias) if bias else t)
    if scale and (bias / scale).denominator == 1:
        return Activation(t + int(bias / scale) if bias else t, (Line(scale),)).settled()
    return Activation(t, (Line(scale, bias),))
