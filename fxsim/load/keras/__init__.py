"""Keras 3 and HGQ2 models to graphs: `.keras` files, and live models through a temporary file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fxsim.formats import Format
from fxsim.graph import Graph


def read(path: Path, input: Format | None, rescale: str) -> Graph:
    """The graph of a .keras file; nothing of the file is executed, and keras is not imported.

    Raises ValueError for a damaged file or a model whose integers are not defined, NotImplementedError for
    a layer without a handler, ImportError without h5py.
    """
    import fxsim.load.keras.layers  # noqa: F401  # fills the table of handlers
    from fxsim.load.keras.archive import read_archive
    from fxsim.load.keras.loader import Loader
    from fxsim.load.keras.network import network

    archive = read_archive(path)
    try:
        model = network(archive.config, archive.weights)
        name = "".join(c if c.isalnum() else "_" for c in model.name)
        name = name if name and not name[0].isdigit() else f"model_{name}"
        return Loader(model, name, input, rescale).graph()
    except RecursionError:
        raise ValueError(f"{path}: the model is nested too deep; save it again") from None
    except (TypeError, AttributeError, LookupError, ArithmeticError) as e:
        raise ValueError(
            f"{path}: the configuration is damaged ({type(e).__name__}: {e}); save the model again"
        ) from e


def read_h5(path: Path, input: Format | None, rescale: str) -> Graph:
    """A ValueError: HDF5 files of Keras 2 and QKeras hold no formats that can be read without TensorFlow."""
    raise ValueError(
        f"{path} is an HDF5 file of Keras 2 or QKeras, which is not read; build the model with Keras 3 and "
        f"HGQ2 and save it as .keras, or convert it by qonnx.converters.from_keras and load the .onnx"
    )


def read_live(model: Any, example: Any, input: Format | None, rescale: str) -> Graph:
    """The graph of a live keras.Model, which saves itself to a temporary .keras file first."""
    import tempfile

    if example is not None:
        raise TypeError("example must be None for a Keras model, which has its shapes")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return read(path, input, rescale)
