"""Model files to graphs: `load` picks the reader by suffix, every reader ends in the same typed graph."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fxsim.formats import Format
from fxsim.graph import Graph

RESCALES = ("auto", "dyadic", "threshold")

Reader = Callable[[Path, Format | None, str], Graph]
LiveReader = Callable[[Any, Any, Format | None, str], Graph]


def load(
    path: str | os.PathLike[str] | Any,
    input: Format | None = None,
    rescale: str = "auto",
    *,
    example: Any = None,
) -> Graph:
    """The graph of a model file: QONNX or QDQ ONNX (`.onnx`), Keras 3 with HGQ2 layers (`.keras`), int8
    TFLite (`.tflite`), or the project's own file (`.fxs`).

    In place of a path, a live model: a torch.nn.Module in evaluation mode (Brevitas, QAT) with `example`, a
    batch of its inputs whose shape decides the graph's, a torch.export.ExportedProgram, or a keras.Model.

    By default the graph starts at the codes of the file's first quantizer, which the host applies by the
    file's own float32 rule. `input` builds that quantizer into the graph instead, behind an input of this
    format. `rescale` says how float scales become integers: "dyadic" (a certified multiply-add-shift,
    thresholds where a channel has no certificate), "threshold", or "auto", the cheaper of the two
    (`fxsim.load.rescale.cost`).

    Raises FileNotFoundError; ValueError for an unknown suffix, a damaged file, or a model whose integers are
    not defined (dynamic shape, missing scale); NotImplementedError for an op without a handler; ImportError
    if the reader's package is missing. Errors inside a model name the node, its op and what to do.
    """
    live = next((r for name in _classes(path) if (r := LIVE.get(name))), None)
    if live is None and not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"path must be a path, or a live model of {', '.join(sorted(LIVE))}, not {type(path).__name__}"
        )
    if input is not None and not isinstance(input, Format):
        raise TypeError(f"input must be a fxsim.Format, not {input!r}")
    if rescale not in RESCALES:
        raise ValueError(f"rescale must be one of {', '.join(RESCALES)}, not {rescale!r}")
    if live is not None:
        return live(path, example, input, rescale)
    if example is not None:
        raise TypeError("example must be None for a file, which has its shapes")
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in TORCH_FILES:
        raise ValueError(
            f"a PyTorch file such as {path.name!r} is not read, as loading it may run code; "
            f"{TORCH_FILES[suffix]}"
        )
    if suffix not in READERS:
        raise ValueError(
            f"path must end in .onnx (QONNX, QDQ), .keras (HGQ2), .tflite or .fxs (a saved graph), not "
            f"{path.name!r}"
        )
    if path.is_dir():
        raise IsADirectoryError(f"path must be a file, not a folder: {path}")
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    return READERS[suffix](path, input, rescale)


def _onnx(path: Path, input: Format | None, rescale: str) -> Graph:
    import fxsim.load.nodes  # noqa: F401  # fills the table of handlers
    from fxsim.load.loader import Loader
    from fxsim.load.onnx_file import read

    return Loader(read(path), input, rescale).graph()


def _saved(path: Path, input: Format | None, rescale: str) -> Graph:
    from fxsim.serialize import load

    if input is not None:
        raise ValueError("input must be None for a saved graph, whose inputs are fixed")
    return load(path)


def _classes(model: Any) -> list[str]:
    """Full names of a model's classes, by which it is known without importing its framework."""
    return [f"{c.__module__}.{c.__qualname__}" for c in type(model).__mro__]


def _torch(model: Any, example: Any, input: Format | None, rescale: str) -> Graph:
    from fxsim.load.torch import read

    return read(model, example, input, rescale)


def _keras(path: Path, input: Format | None, rescale: str) -> Graph:
    from fxsim.load.keras import read

    return read(path, input, rescale)


def _keras_h5(path: Path, input: Format | None, rescale: str) -> Graph:
    from fxsim.load.keras import read_h5

    return read_h5(path, input, rescale)


def _keras_model(model: Any, example: Any, input: Format | None, rescale: str) -> Graph:
    from fxsim.load.keras import read_live

    return read_live(model, example, input, rescale)


def _tflite(path: Path, input: Format | None, rescale: str) -> Graph:
    from fxsim.load.tflite import load

    return load(path, input, rescale)


_WEIGHTS = "build the module, module.load_state_dict(...), and fxsim.load(module.eval(), example=x)"
TORCH_FILES = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".safetensors"), _WEIGHTS),
    ".pt2": "fxsim.load(torch.export.load(path)) reads a program that you trust",
}
"""What to do with the files of PyTorch, by suffix."""

READERS: dict[str, Reader] = {".onnx": _onnx, ".tflite": _tflite, ".fxs": _saved}
READERS |= {".keras": _keras, ".h5": _keras_h5, ".hdf5": _keras_h5}
"""The reader of each suffix: (path, input, rescale) to graph, imported where it is used."""

LIVE: dict[str, LiveReader] = {
    "keras.src.models.model.Model": _keras_model,  # with the torch back end a torch module too
    "torch.nn.modules.module.Module": _torch,
    "torch.export.exported_program.ExportedProgram": _torch,
}
"""The reader of each class of live models: (model, example, input, rescale) to graph."""

__all__ = ["LIVE", "READERS", "RESCALES", "load"]
