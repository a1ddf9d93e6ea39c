"""The multiply-accumulate of one tick as a graph of its own: elements times weights that both vary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fxsim import Format, ranges, trace
from fxsim.boundary import FormatEncoder
from fxsim.integers import Array, exact, trailing_zeros
from fxsim.trace import Builder
from fxsim.types import TensorType
from rtl.core import Core
from rtl.layout import Layout
from rtl.stream.folded_shifts import fields, product


class Mac(NamedTuple):
    """A core with inputs x (pi,) and the weights of a tick, and the words of weights that it reads.

    rom       an integer of w_bits per tick: the core's inputs behind x; empty, and w_bits 0, where the
              weights are the same in every tick and stand in the core
    """

    core: Core
    rom: list[int]
    w_bits: int


def codes(
    name: str, x: TensorType, weights: Array, limit: int, signed: bool, code_bits: int | None = None,
    **options: Any,
) -> Mac:  # fmt: skip
    """The products by partial products of the weights' codes.

    weights     (ticks, pi, po), y = x @ w of shape (po,); (ticks, pi), y = x * w of shape (pi,)
    limit       bits of y that matter: where its own type has more it is taken modulo 2**limit
    code_bits   of a weight, which can be any code then; None: what the weights of a lane need
    """
    if code_bits is None:
        if not varies(weights):
            return built(name, lambda x: _times(weights)(x, weights[0]), {"x": x}, {}, limit, signed, options)
        w = joined(weights)
    else:
        hi = (1 << code_bits - 1) - 1
        w = TensorType(weights.shape[1:], 0, exact(-1 - hi), exact(hi))
    return built(name, _times(weights), {"x": x, "w": w}, {"w": weights}, limit, signed, options)


def shifts(name: str, x: TensorType, weights: Array, limit: int, signed: bool, **options: Any) -> Mac:
    """As `codes`, the weights being sums of signed powers of two (`rtl.stream.folded_shifts`)."""
    # Sums of shifted terms could be more than any product is, for all that their types say.
    exact_type = trace(_times(weights), x, joined(weights)).outputs[0].type
    if exact_type.max_width < limit:
        limit, signed = exact_type.max_width, exact_type.bounds[0] < 0
    parts = fields(weights)._asdict()
    varying = {k: v for k, v in parts.items() if varies(v)}

    def mac(x: Any, *w: Any) -> Any:
        return product(x, **{k: v[0] for k, v in parts.items()} | dict(zip(varying, w, strict=True)))

    types = {"x": x} | {k: joined(v) for k, v in varying.items()}
    return built(name, mac, types, varying, limit, signed, options)


def joined(weights: Array) -> TensorType:
    """Per lane all that it sees in any tick."""
    stride = trailing_zeros(np.bitwise_or.reduce(weights, axis=0), ranges.ZERO_STRIDE)
    return TensorType(weights.shape[1:], 0, weights.min(axis=0), weights.max(axis=0), stride)


def varies(weights: Array) -> bool:
    """Whether any lane sees different weights."""
    return bool((weights != weights[0]).any())


def _times(weights: Array) -> Callable[..., Any]:
    return (lambda x, w: x @ w) if weights.ndim == 3 else (lambda x, w: x * w)


def built(
    name: str, fn: Callable[..., Any], types: Mapping[str, TensorType], weights: Mapping[str, Array],
    limit: int, signed: bool, options: Mapping[str, Any],
) -> Mac:  # fmt: skip
    """The core of fn modulo 2**limit, its inputs being x and `weights` (ticks, ...) by name."""
    wrap = Format(limit, limit, signed)
    builder = Builder(name)
    tensors = [builder.input(k, t, FormatEncoder(t.lane())) for k, t in types.items()]
    y = fn(*tensors)
    core = Core(builder.finish([y if y.type.max_width <= limit else y.cast(wrap)]), name=name, **options)
    if not weights:
        return Mac(core, [], 0)
    ports = Layout(core.in_layout.ports[1:])
    return Mac(core, ports.integers(ports.pack(list(weights.values()))), ports.bits)
