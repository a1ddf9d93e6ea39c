"""Brevitas quantizers as single ops: what each does on the example is recorded, and replayed by the trace."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from fxsim.load.torch.freeze import children

ROUNDINGS = {"RoundSte": "ROUND", "FloorSte": "FLOOR", "CeilSte": "CEIL", "RoundToZeroSte": "DOWN"}
"""Brevitas' classes and the QONNX modes that they are."""

FUNCTIONS = {"ROUND": "round", "FLOOR": "floor", "CEIL": "ceil", "DOWN": "trunc"}
"""torch's functions of the modes."""

INT_REMEDY = "use integer quantizers with static scales, per tensor or per channel"


@dataclass(frozen=True)
class Quantized:
    """One call of a proxy on the example: its input, and the QuantTensor it gave, taken apart."""

    x: Any
    value: Any
    scale: Any
    zero: Any
    bits: int
    signed: bool


def freeze_brevitas(twin: Any, args: tuple[Any, ...]) -> None:
    """Replace every enabled quantizer proxy of this copy by a module that makes one op with constants.

    The copy runs once on the example. ValueError names the module whose quantizer is of another kind
    (minifloat, per group, dynamic, recurrent), or is not the function clip(round(x / scale + zero point)).
    """
    import torch
    from brevitas.nn.mixin.base import QuantRecurrentLayerMixin
    from brevitas.proxy.quant_proxy import QuantProxyFromInjector

    from fxsim.load.torch import symbols

    symbols.define()
    proxies: dict[int, tuple[str, Any]] = {}
    for path, _, _, child in children(twin):
        if isinstance(child, QuantRecurrentLayerMixin):
            raise ValueError(
                f"module {path!r} ({type(child).__name__}) is recurrent; write its step as a module without "
                "the loop, and load that"
            )
        if isinstance(child, QuantProxyFromInjector) and child.is_quant_enabled:
            check_kind(path, child)
            proxies.setdefault(id(child), (path, child))
    calls: dict[int, list[Quantized]] = {k: [] for k in proxies}
    hooks = [
        proxy.register_forward_hook(_recorder(path, calls[k], proxy)) for k, (path, proxy) in proxies.items()
    ]
    with torch.no_grad():
        twin(*args)
    for hook in hooks:
        hook.remove()
    replays = {k: _replay(path, proxy, calls[k]) for k, (path, proxy) in proxies.items()}
    for _, parent, name, child in children(twin):
        if id(child) in replays:
            setattr(parent, name, replays[id(child)])
    for path, parent, name, child in children(twin):
        plain = _plain_layer(path, child)
        if plain is not None:
            setattr(parent, name, plain)
    for module in twin.modules():
        if hasattr(module, "return_quant_tensor"):
            module.return_quant_tensor = False


def check_kind(path: str, proxy: Any) -> None:
    """ValueError for a proxy whose codes are no integers with constant scales."""
    kind = type(proxy).__name__
    what = ""
    if "Float" in kind:
        what = "quantizes to small floats"
    elif "Groupwise" in kind or bool(getattr(proxy, "is_groupwise", False)):
        what = "quantizes in groups"
    elif "Dynamic" in kind:
        what = "quantizes dynamically, with a scale computed from each sample"
    if what:
        raise ValueError(f"module {path!r} ({kind}) {what}; {INT_REMEDY}")


def _recorder(path: str, calls: list[Quantized], proxy: Any) -> Any:
    """A forward hook that records inputs and results."""

    def hook(module: Any, inputs: Any, out: Any) -> None:
        x = inputs[0]
        kept = x if "Trunc" in type(proxy).__name__ else getattr(x, "value", x)
        if not hasattr(out, "scale") or out.scale is None:
            raise ValueError(
                f"module {path!r} ({type(proxy).__name__}) gives no scale with its codes; {INT_REMEDY}"
            )
        if not bool((out.scale > 0).all()) or not bool(out.scale.isfinite().all()):
            raise ValueError(
                f"module {path!r} ({type(proxy).__name__}) has a scale that is not positive and finite; "
                "train or calibrate it (1 signed bit of a narrow integer quantizer has no code but 0: "
                "use a binary one)"
            )
        bits = float(out.bit_width)
        if bits != int(bits):
            raise ValueError(f"module {path!r} has a bit width of {bits}; use a whole number")
        signed = bool(out.signed)
        calls.append(
            Quantized(
                kept, out.value.detach(), out.scale.detach(), out.zero_point.detach(), int(bits), signed
            )
        )

    return hook


def _replay(path: str, proxy: Any, calls: list[Quantized]) -> Any:
    """The module that stands for a proxy in the trace."""
    import torch

    kind = type(proxy).__name__
    ops: list[Any] = []
    for call in calls:
        if "Weight" in kind or "Bias" in kind:
            ops.append(_parameter(path, kind, call))
        elif "Trunc" in kind:
            ops.append(_truncation(path, proxy, call))
        else:
            ops.append(_activation(path, kind, proxy, call))
    act = getattr(getattr(proxy, "fused_activation_quant_proxy", None), "activation_impl", None)

    class Replay(torch.nn.Module):  # type: ignore[misc]
        """The recorded calls in their order, without the QuantTensor around each result."""

        is_quant_enabled = True
        requires_quant_input = False

        def __init__(self) -> None:
            super().__init__()
            self.count = 0
            self.activation_impl = act

        def forward(self, x: Any, *rest: Any) -> Any:
            op = ops[self.count % len(ops)]
            self.count += 1
            return op(x if self.activation_impl is None else self.activation_impl(x))

    return Replay().eval()


def _integers(path: str, kind: str, call: Quantized) -> Any:
    """The codes of a recorded result, exactly: value / scale + zero point, whole numbers."""
    import torch

    code = torch.round(call.value / call.scale + call.zero)
    if not torch.equal((code - call.zero) * call.scale, call.value):
        raise ValueError(
            f"module {path!r} ({kind}) gives values that are no codes times its scale; {INT_REMEDY}"
        )
    return code


def _parameter(path: str, kind: str, call: Quantized) -> Any:
    """Weights and biases: the module's own codes, as constants."""
    import torch

    code = (_integers(path, kind, call) - call.zero).to(torch.int64)
    scale = call.scale.to(torch.float32)
    return lambda x: torch.ops.fxsim_torch.parameter(code, scale)


def _truncation(path: str, proxy: Any, call: Quantized) -> Any:
    """TruncIntQuant: the accumulator's codes, divided, rounded, clipped."""
    import torch

    inner = proxy.tensor_quant
    rounding = _rounding(path, inner)
    x, narrow = call.x, bool(inner.narrow_range)
    lo, hi = code_range(call.bits, call.signed, narrow)
    divided = torch.round(x.value / x.scale + x.zero_point) / (call.scale / x.scale)
    code = torch.clamp(getattr(torch, FUNCTIONS[rounding])(divided), lo, hi)
    if not torch.equal((code - call.zero) * call.scale, call.value):
        raise ValueError(f"module {path!r} is no clip(round(codes / factor)); use TruncTo8bit or RoundTo8bit")
    scales = x.scale.detach().to(torch.float32), call.scale.to(torch.float32)
    zeros = x.zero_point.detach().to(torch.float32), call.zero.to(torch.float32)
    return lambda v: torch.ops.fxsim_torch.trunc(v, *scales, *zeros, lo, hi, rounding)


def _activation(path: str, kind: str, proxy: Any, call: Quantized) -> Any:
    """A quantizer of activations, checked against what it gave on the example."""
    import torch

    fused = proxy.fused_activation_quant_proxy
    inner = fused.tensor_quant
    scale, zero = call.scale.to(torch.float32), call.zero.to(torch.float32)
    x = fused.activation_impl(call.x)
    name = _name(inner)
    if "Binary" in name:
        code = torch.where(x >= 0, 1.0, -1.0)
        op = lambda v: torch.ops.fxsim_torch.bipolar(v, scale)  # noqa: E731
    elif "Ternary" in name:
        threshold = (inner.threshold * scale).to(torch.float32)
        code = torch.sign(x) * (x.abs() > threshold)
        op = lambda v: torch.ops.fxsim_torch.ternary(v, scale, threshold)  # noqa: E731
    else:
        rounding = _rounding(path, getattr(inner, "int_quant", None))
        lo, hi = code_range(call.bits, call.signed, bool(inner.int_quant.narrow_range))
        code = torch.clamp(getattr(torch, FUNCTIONS[rounding])(x / scale + zero), lo, hi)
        op = lambda v: torch.ops.fxsim_torch.quant(v, scale, zero, lo, hi, rounding)  # noqa: E731
    if not torch.equal((code - zero) * scale, call.value):
        raise ValueError(
            f"module {path!r} ({kind}, {name}) is no clip(round(x / scale + zero point)); {INT_REMEDY}"
        )
    return op


def _name(module: Any) -> str:
    """The class of a module, of one that BREVITAS_JIT has scripted too."""
    return str(getattr(module, "original_name", type(module).__name__))


def _rounding(path: str, quantizer: Any) -> str:
    """The QONNX mode of an integer quantizer; ValueError for any other rounding."""
    impl = _name(getattr(quantizer, "float_to_int_impl", None))
    if impl not in ROUNDINGS:
        raise ValueError(f"module {path!r} rounds by {impl}; use one of {', '.join(ROUNDINGS)}")
    return ROUNDINGS[impl]


def code_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """Least and greatest code of an integer quantizer."""
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow


def _plain_layer(path: str, layer: Any) -> Any:
    """What stands for a layer whose forward needs QuantTensors; None for all others."""
    import torch

    kind = type(layer).__name__
    if kind in ("QuantUpsample", "QuantUpsamplingNearest2d", "QuantUpsamplingBilinear2d"):
        if getattr(layer, "mode", "nearest") != "nearest":
            raise ValueError(
                f"module {path!r} ({kind}) interpolates by {layer.mode!r}; use mode='nearest', which needs "
                "no arithmetic"
            )
        return torch.nn.Upsample(layer.size, layer.scale_factor, mode="nearest").eval()
    if kind in ("TruncAvgPool2d", "TruncAdaptiveAvgPool2d"):
        # It asks for a QuantTensor, or for the one it has cached, by which to wrap a plain tensor.
        layer.cache_class = SimpleNamespace(quant_tensor=SimpleNamespace(set=lambda value: value))
    return None
