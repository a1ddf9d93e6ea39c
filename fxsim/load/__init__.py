"""Model files to graphs: `load` picks the reader by suffix, every reader ends in the same typed graph."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from fxsim.formats import Format
from fxsim.graph import Graph

RESCALES = ("auto", "dyadic", "threshold")

Reader = Callable[[Path, Format | None, str], Graph]


def load(path: str | os.PathLike[str], input: Format | None = None, rescale: str = "auto") -> Graph:
    """The graph of a model file: QONNX or QDQ ONNX (`.onnx`), or the project's own file (`.fxs`).

    By default the graph starts at the codes of the file's first quantizer, which the host applies by the
    file's own float32 rule. `input` builds that quantizer into the graph instead, behind an input of this
    format. `rescale` says how float scales become integers: "dyadic" (a certified multiply-add-shift,
    thresholds where a channel has no certificate), "threshold", or "auto", the cheaper of the two
    (`fxsim.load.rescale.cost`).

    Raises FileNotFoundError; ValueError for an unknown suffix, a damaged file, or a model whose integers are
    not defined (dynamic shape, missing scale); NotImplementedError for an op without a handler; ImportError
    if the reader's package is missing. Errors inside a model name the node, its op and what to do.
    """
    path = Path(path)
    if input is not None and not isinstance(input, Format):
        raise TypeError(f"input must be a fxsim.Format, not {input!r}")
    if rescale not in RESCALES:
        raise ValueError(f"rescale must be one of {', '.join(RESCALES)}, not {rescale!r}")
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise ValueError(f"path must end in .onnx (QONNX) or .fxs (a saved graph), not {path.name!r}")
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


READERS: dict[str, Reader] = {".onnx": _onnx, ".fxs": _saved}
"""The reader of each suffix: (path, input, rescale) to graph, imported where it is used."""

__all__ = ["READERS", "RESCALES", "load"]
