"""How large what a model file declares may be, checked before memory is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from fxsim.integers import Array
from fxsim.load.model import FileNode

MAX_ELEMENTS = 1 << 28
"""Elements of a constant: 268 million."""

MAX_ACTIVATIONS = 1 << 24
"""Elements of an input, or of a padded tensor, without the batch: a graph has a proven range for each."""


def check_elements(what: str, shape: Sequence[int], limit: int = MAX_ELEMENTS) -> None:
    """ValueError if a tensor of this shape is larger than any that a graph can hold."""
    if any(n < 0 for n in shape) or prod(shape) > limit:
        text = "x".join(map(str, shape)) if len(shape) < 9 else f"of {len(shape)} axes"
        raise ValueError(
            f"{what} must have sizes that are not negative and at most {limit} elements, not {text}; "
            "the file is damaged, or the model must be split"
        )


def check_folded(node: FileNode, inputs: Sequence[Array]) -> None:
    """ValueError if an op on constants makes a tensor beyond the limit, or draws at random."""
    if node.op in RANDOM:
        raise ValueError(f"{node} draws random numbers; export the model for inference")
    rule = GROWING.get(node.op)
    if rule is not None:
        check_elements(f"the result of {node}", rule(node, [np.asarray(i) for i in inputs]))


def _ints(a: Array) -> list[int]:
    return [int(v) for v in np.asarray(a).ravel().tolist()]


def _range(node: FileNode, inputs: list[Array]) -> list[int]:
    start, limit, delta = (float(np.asarray(i).ravel()[0]) for i in inputs[:3])
    return [int(min(max((limit - start) / delta, 0), 1e18)) if delta else 0]


def _pads(node: FileNode, inputs: list[Array]) -> list[int]:
    pads = _ints(inputs[1]) if len(inputs) > 1 else list(node.get("pads", ()))
    return [inputs[0].size + sum(abs(p) for p in pads) * max(inputs[0].size, 1)]


def _scales(node: FileNode, inputs: list[Array]) -> list[int]:
    if len(inputs) > 3 and inputs[3].size:
        return _ints(inputs[3])
    scales = inputs[2] if len(inputs) > 2 and inputs[2].size else inputs[-1]
    return [int(min(abs(prod(float(s) for s in scales.ravel().tolist())) * inputs[0].size, 1e18))]


GROWING: dict[str, Callable[[FileNode, list[Array]], list[int]]] = {
    "ConstantOfShape": lambda node, inputs: _ints(inputs[0]),
    "EyeLike": lambda node, inputs: list(inputs[0].shape),
    "Expand": lambda node, inputs: [inputs[0].size, *_ints(inputs[1])],
    "Tile": lambda node, inputs: [inputs[0].size, *_ints(inputs[1])],
    "OneHot": lambda node, inputs: [inputs[0].size, *_ints(inputs[1])],
    "Range": _range,
    "Pad": _pads,
    "Resize": _scales,
    "Upsample": _scales,
    "BlackmanWindow": lambda node, inputs: _ints(inputs[0]),
    "HammingWindow": lambda node, inputs: _ints(inputs[0]),
    "HannWindow": lambda node, inputs: _ints(inputs[0]),
}
"""Ops whose result is larger than their operands, by a bound on its sizes."""

RANDOM = (
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)
