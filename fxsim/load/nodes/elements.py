"""Constants that differ from element to element, such as position embeddings, as tensors of integers."""

from __future__ import annotations

import numpy as np

from fxsim import ops
from fxsim.constants import to_raw
from fxsim.integers import IntArray
from fxsim.load.affine import Activation, Constant, Line, Symbol, as_fractions, channels
from fxsim.load.loader import Loader
from fxsim.load.model import FileNode


def per_element(loader: Loader, node: FileNode, symbol: Symbol | None, other: Symbol | None) -> Symbol | None:
    """A constant operand that varies along several axes of the other one, as an activation of constants.

    A quantized constant brings its integers and scale, any other must be dyadic and short. Everything else
    comes back as it is: constants of a line per channel stay constants. ValueError for other constants.
    """
    if not isinstance(symbol, Constant) or not isinstance(other, Activation):
        return symbol
    values = symbol.values
    full = (1, *other.shape)
    if values.ndim > len(full) or any(
        n not in (1, m) for n, m in zip(values.shape[::-1], full[::-1], strict=False)
    ):
        return symbol  # whose reader says that it does not broadcast
    if sum(n > 1 for n in values.shape) < 2 or _line_per_channel(symbol, other.shape):
        return symbol
    own = values.shape[1:] if values.ndim == len(full) else values.shape
    if symbol.codes is not None and symbol.scale is not None:
        scale = channels(np.broadcast_to(symbol.scale, values.shape).reshape(own), own)
        tensor = loader.builder.apply(ops.Const(IntArray(symbol.codes.reshape(own))))
        return Activation(tensor, tuple(Line(s) for s in scale.values), scale.axis).settled()
    try:
        raw, frac = to_raw(as_fractions(values.reshape(own)), "constant")
    except ValueError as e:
        raise loader.error(
            node, f"has a constant that differs from element to element and has no quantizer: {e}",
            "put a quantizer on the constant",
        ) from None  # fmt: skip
    return Activation(loader.builder.apply(ops.Const(IntArray(raw), frac)))


def _line_per_channel(c: Constant, shape: tuple[int, ...]) -> bool:
    try:
        channels(c.values, shape)
    except ValueError:
        return False
    return True
