"""Which outside implementation a model file is compared with, and its values as integer codes."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.graph import Graph, Name
from fxsim.integers import Array, exact

Run = Callable[[Any, Graph, Sequence[Array]], dict[str, Array]]
"""run(path or live module, graph, one array per input) -> {tensor name: real values, or integer codes}.

Arrays of floats are real values; arrays of integers are real values too, of tensors that hold whole numbers
in the file (QuantizeLinear's), except from the references in CODES: these are the codes of `graph.codes`.
"""

REFERENCES = {
    "qonnx": "fxsim.compare.qonnx",
    "onnxruntime": "fxsim.compare.onnxruntime",
    "keras": "fxsim.compare.keras",
    "litert": "fxsim.compare.tflite",
    "torch": "fxsim.compare.torch",
}
"""The module of each reference, whose `run` is called."""

CODES = ("litert", "torch")
OFF_GRID = 0.25
"""A reference's real value this far (in codes) from every code of the tensor is none of its codes."""


def choose(source: Any) -> str:
    """The reference of a model file: by suffix, and for ONNX by its ops; "torch" for a live torch module.

    ValueError where there is none.
    """
    if not isinstance(source, (str, os.PathLike)):
        classes = [f"{c.__module__}.{c.__qualname__}" for c in type(source).__mro__]
        if any(c.startswith("torch.") for c in classes):
            return "torch"
        raise ValueError(
            f"model must be a file or a live torch module to be compared with its framework, not "
            f"{type(source).__name__}"
        )
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        from fxsim.load.model import DEFAULT_DOMAIN, LINEAR_DOMAINS
        from fxsim.load.onnx_file import read

        domains = {n.domain for n in read(path).nodes}
        return "onnxruntime" if domains <= {*DEFAULT_DOMAIN, *LINEAR_DOMAINS} else "qonnx"
    by_suffix = {".keras": "keras", ".tflite": "litert"}
    if suffix in by_suffix:
        return by_suffix[suffix]
    raise ValueError(
        f"model must be an .onnx, .keras or .tflite file to be compared with its framework, not {path.name!r}"
    )


def runner(name: str) -> Run:
    """The function of a reference, imported when it is used. ValueError for an unknown name."""
    if name not in REFERENCES:
        raise ValueError(f"reference must be one of {', '.join(REFERENCES)}, not {name!r}")
    run: Run = importlib.import_module(REFERENCES[name]).run
    return run


def decode(name: str, entry: Name, values: Array, samples: int) -> tuple[Array, Array]:
    """(codes, off): the codes nearest to a reference's real values, batch first in the file's axis order.

    raw = (real - offset) / scale * 2**frac. `off` is the distance to that code, in codes: float noise, or
    nearly one half where the reference's value is no code at all. ValueError for another number of elements.
    """
    assert entry.value is not None
    t = entry.value.type
    shape = t.shape if entry.axes is None else tuple(t.shape[i] for i in entry.axes)
    if values.size != samples * t.size:
        raise ValueError(
            f"tensor {name!r} of the reference must have {samples} samples of shape {shape}, not the shape "
            f"{values.shape}"
        )
    real = values.reshape(samples, *shape)
    unit = Fraction(2) ** -t.frac
    scale = _spread([s * unit for s in entry.affine.scale], entry, len(shape))
    offset = _spread(list(entry.affine.offset), entry, len(shape))
    with np.errstate(divide="ignore", invalid="ignore"):
        near = (real.astype(np.float64) - offset) / scale
    near = np.where(np.isfinite(near), near, 0.0)
    codes = np.rint(near)
    return exact(codes.astype(np.int64)), np.abs(near - codes)


def _spread(values: list[Fraction], entry: Name, rank: int) -> Array:
    """Channel parameters shaped to broadcast in the file's axis order."""
    a = np.array([float(v) for v in values])
    if entry.affine.axis is None or len(a) == 1:
        return a.reshape(())
    axis = entry.affine.axis % rank
    place = axis if entry.axes is None else entry.axes.index(axis)
    return a.reshape((-1,) + (1,) * (rank - 1 - place))
