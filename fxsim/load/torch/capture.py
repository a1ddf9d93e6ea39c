"""From a live module to its torch.export program: a copy is checked, frozen, and traced on an example."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

CONVERTED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")
EXPORT_HELP = (
    "data-dependent control flow (if, while, .item() on a tensor), Python side effects, and what needs a "
    "QuantTensor (x.scale, isinstance) cannot be captured: write it without, or load the file of "
    "brevitas.export.export_qonnx(module, x, export_path='m.onnx', dynamo=False)"
)
FLOAT_HELP = (
    "use Brevitas layers (brevitas.nn) or quantization-aware training (torch.ao.quantization.prepare_qat, "
    "before convert), or give the float model to hls4ml with backend='fxsim', which quantizes by its "
    "configuration"
)


def require_torch(what: str) -> Any:
    """The torch package; ImportError names the extra that brings it."""
    try:
        import torch
        import torch.export
    except ImportError as e:
        raise ImportError(f"{what} needs PyTorch: install fxsim-hdl[torch]") from e
    return torch


def exported(module: Any, example: Any) -> tuple[Any, str]:
    """(ExportedProgram, name of the model)."""
    torch = require_torch("loading a torch module")
    if isinstance(module, torch.export.ExportedProgram):
        return module, "program"
    name = type(module).__name__
    args = arguments(module, example)
    check_modules(module)
    try:
        twin = copy.deepcopy(module)
    except Exception as e:  # whatever a user's attribute raises
        raise ValueError(
            f"{name} cannot be copied: {e}; detach the tensors that it stores (x.detach()), or load a fresh "
            "module from its state_dict"
        ) from e
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the module's own run shows them
            twin(*args)
    except Exception as e:
        shapes = ", ".join(str(tuple(a.shape)) for a in args)
        raise ValueError(
            f"{name} does not run on an example of shape {shapes}: {e}; give example=x as forward takes it, "
            "the batch axis first"
        ) from e
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # deprecations inside torch that no caller can act on
        from fxsim.load.torch.freeze import freeze

        freeze(twin, args)
        try:
            program = torch.export.export(twin, args)
        except Exception as e:  # torch raises a dozen classes here
            first = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
            raise ValueError(f"{name} cannot be captured by torch.export: {first}; {EXPORT_HELP}") from e
    return program, name


def arguments(module: Any, example: Any) -> tuple[Any, ...]:
    """The example as a tuple of float32 (or integer) tensors on the CPU."""
    torch = require_torch("loading a torch module")
    if example is None:
        raise TypeError(
            f"example must be a batch of inputs for {type(module).__name__}, as fxsim.load(module, "
            "example=x), not None: its shape decides the graph's"
        )
    found = []
    for value in example if isinstance(example, (tuple, list)) else (example,):
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(np.ascontiguousarray(value))
        if not isinstance(value, torch.Tensor):
            raise TypeError(
                f"example must be a tensor, an array, or a tuple of them, not {type(value).__name__}"
            )
        value = value.detach().cpu()
        if value.dtype in (torch.float64, torch.float16, torch.bfloat16):
            value = value.float()
        if value.ndim == 0 or 0 in value.shape:
            raise ValueError(
                f"example must have a batch axis and no empty axis, not the shape {tuple(value.shape)}"
            )
        found.append(value)
    if not found:
        raise TypeError("example must be a tensor, an array, or a tuple of them, not an empty tuple")
    return tuple(found)


def check_modules(module: Any) -> None:
    """ValueError for a training mode, other devices or dtypes, TorchScript, and converted modules."""
    torch = require_torch("loading a torch module")
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(
            f"{type(module).__name__} is TorchScript, whose quantizers are compiled away; load the Python "
            "module it was made from"
        )
    for path, child in module.named_modules():
        where = f"module {path!r} ({type(child).__name__})" if path else f"{type(child).__name__}"
        home = type(child).__module__
        if child.training and not isinstance(module, torch.fx.GraphModule):  # whose ops say so themselves
            raise ValueError(
                f"{where} is in training mode, in which scales and batch norm still move; call "
                "module.eval() first"
            )
        if home.startswith(CONVERTED) and not type(child).__name__.endswith("FloatFunctional"):
            raise ValueError(
                f"{where} is a converted quantized module, which PyTorch has deprecated; load the model as "
                "it was before torch.ao.quantization.convert"
            )
    for path, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.device.type != "cpu":
            raise ValueError(
                f"{path!r} is on the device {tensor.device}; load a copy on the CPU: module.cpu()"
            )
    for path, tensor in module.named_parameters():
        if tensor.dtype in (torch.float16, torch.bfloat16, torch.float64):
            raise ValueError(
                f"{path!r} has the type {tensor.dtype}; its reference computes in float32: module.float()"
            )
