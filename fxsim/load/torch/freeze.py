"""A module's quantizers made traceable: each becomes one op with constant parameters, in the copy."""

from __future__ import annotations

from typing import Any


def freeze(twin: Any, args: tuple[Any, ...]) -> None:
    """Replace, in this copy of the user's module, what torch.export cannot see as one quantizer."""
    homes = {c.__module__.split(".")[0] for m in twin.modules() for c in type(m).__mro__}
    if "brevitas" in homes:
        from fxsim.load.torch.brevitas import freeze_brevitas

        freeze_brevitas(twin, args)
    freeze_fake_quantizers(twin)


def children(twin: Any) -> list[tuple[str, Any, str, Any]]:
    """(path, parent, name, child) of every place where a module stands, shared modules at each of theirs."""
    return [
        (f"{path}.{name}" if path else name, parent, name, child)
        for path, parent in twin.named_modules()
        for name, child in parent._modules.items()
        if child is not None
    ]


def freeze_fake_quantizers(twin: Any) -> None:
    """FakeQuantize modules of torch.ao: constant parameters, no observer, no choice by a buffer."""
    import torch
    from torch.ao.quantization.fake_quantize import FakeQuantizeBase
    from torch.ao.quantization.observer import ObserverBase

    made: dict[int, Any] = {}
    for path, parent, name, child in children(twin):
        if isinstance(child, FakeQuantizeBase):
            made.setdefault(id(child), fixed(child, path))
            setattr(parent, name, made[id(child)])
        elif isinstance(child, ObserverBase):
            setattr(parent, name, torch.nn.Identity())


def fixed(fake: Any, path: str) -> Any:
    """What a FakeQuantize is in evaluation, with its present scale and zero point."""
    import torch

    where = f"module {path!r} ({type(fake).__name__})"
    if not bool(fake.fake_quant_enabled[0]):
        return torch.nn.Identity()
    if bool(getattr(fake, "is_dynamic", False)):
        raise ValueError(
            f"{where} quantizes dynamically, with a scale computed from each sample; use a static quantizer"
        )
    if bool(fake.observer_enabled[0]):
        raise ValueError(
            f"{where} still observes, so that its scale changes with every sample; call "
            "module.apply(torch.ao.quantization.disable_observer) first"
        )
    scale, zero = fake.scale.detach().clone(), fake.zero_point.detach().clone()
    low = int(fake.activation_post_process.quant_min)
    high = int(fake.activation_post_process.quant_max)

    class FixedFakeQuantize(torch.nn.Module):  # type: ignore[misc]
        """torch's own fake quantization with constant parameters."""

        def forward(self, x: Any) -> Any:
            if not fake.is_per_channel:
                return torch.fake_quantize_per_tensor_affine(x, scale, zero, low, high)
            return torch.fake_quantize_per_channel_affine(x, scale, zero, int(fake.ch_axis), low, high)

    return FixedFakeQuantize()
