"""Live PyTorch models: a module (Brevitas, QAT) or a torch.export program becomes a Model, then a graph."""

from __future__ import annotations

from typing import Any

from fxsim.formats import Format
from fxsim.graph import Graph


def read(module: Any, example: Any, input: Format | None, rescale: str) -> Graph:
    """The graph of a torch.nn.Module in evaluation mode, or of a torch.export.ExportedProgram.

    `example` is a sample batch (tensor, array, or a tuple of them, one for each argument of `forward`): its
    shape decides the graph's, its values do not matter. The module is copied and never changed. Every
    quantizer keeps the name of its module in `graph.names`.

    Raises TypeError for an example that is no tensor; ValueError for a module in training mode, without
    quantizers, or whose forward cannot be captured; NotImplementedError for an op without an integer form.
    """
    import fxsim.load.nodes  # fills the table of handlers
    import fxsim.load.torch.handlers  # noqa: F401
    from fxsim.load.loader import Loader
    from fxsim.load.torch.capture import exported
    from fxsim.load.torch.program import translated

    program, name = exported(module, example)
    model = translated(program, name, input is not None)
    try:
        return Loader(model, input, rescale).graph()
    except ValueError as e:
        if "Quant node" not in str(e):
            raise
        raise ValueError(f"{e} (a Quant node is a brevitas.nn.QuantIdentity or a fake quantizer)") from e


__all__ = ["read"]
