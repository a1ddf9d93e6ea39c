"""TFLite files: the runtime's integer arithmetic as graph, code by code."""

from __future__ import annotations

from pathlib import Path

from fxsim.formats import Format
from fxsim.graph import Graph


def load(path: Path, input: Format | None, rescale: str) -> Graph:
    """The graph of an int8 .tflite file; its tensors' raw integers are the codes of the runtime.

    The reference are LiteRT's reference kernels (`OpResolverType.BUILTIN_REF`), which are the same on every
    machine. `input` builds the file's input quantizer into the graph, behind an input of this format.

    Raises ValueError for a damaged file or integers that are not defined; NotImplementedError for an
    operator without a handler and for float, uint8 and int16 models; ImportError without `tflite`.
    """
    from fxsim.load.tflite import (  # noqa: F401  # fill the table of handlers
        activations,
        convert,
        elementwise,
        pool,
        products,
        resize,
        shapes,
        softmax,
        transposed,
        wiring,
    )
    from fxsim.load.tflite.flatfile import read
    from fxsim.load.tflite.loader import Loader

    return Loader(read(path), input, rescale).graph()


__all__ = ["load"]
