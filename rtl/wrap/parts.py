"""What a wrapper needs of a core: its streams, the transfers of a frame, its further ports, its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.lib import wiring

from rtl.bench import frames
from rtl.layout import Layout
from rtl.wrap.lanes import Beat

STREAMS = {
    "i__payload": "in", "i__valid": "in", "i__ready": "out",
    "o__payload": "out", "o__valid": "out", "o__ready": "in",
}  # fmt: skip
WEIGHTS = ("w__address", "w__data", "w__enable")
INPUTS = ("cancel", *WEIGHTS)
"""Inputs beside the streams that a wrapper can drive."""

MODULE = re.compile(r"^\s*module\s+\\?([^\s(;]+)", re.MULTILINE)


@dataclass(frozen=True)
class Pin:
    """A port of a core: whether it is an input, and its bits."""

    input: bool
    width: int


@dataclass(frozen=True)
class Parts:
    """A core as wrappers see it.

    pins               every port by its Verilog name, but for clk and rst
    beats_in, beats_out   transfers of one frame on each side
    address_bits, data_bits   of the write port of weights, 0 where there is none: in a cycle with w__enable 1
                       the core writes w__data to the place w__address
    """

    core: Any
    top: str
    in_layout: Layout
    out_layout: Layout
    pins: dict[str, Pin]
    beats_in: int
    beats_out: int
    address_bits: int
    data_bits: int

    def has(self, name: str) -> bool:
        return name in self.pins

    # Cores of a streamed schedule say how a tensor is cut into transfers; of others a frame is one, or the
    # arrays are given by transfer.

    def transfers(self, inputs: Any) -> Any:
        """Raw frames, an array (n, *shape) per input -> arrays (n * beats_in, *shape) per port."""
        if getattr(self.core, "input_forms", None) is None:
            return inputs
        arrays = list(inputs) if isinstance(inputs, (list, tuple)) else [np.asarray(inputs)]
        return frames.stimulus(self.core, arrays)

    def frames(self, outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Arrays (n * beats_out, *shape) per port -> raw frames, an array (n, *shape) per output."""
        forms = getattr(self.core, "output_forms", None)
        if forms is None:
            return list(outputs)
        kept = [f for f, n in zip(forms, self.core.graph.outputs, strict=True) if n.type.size]
        pairs = zip(kept, outputs, strict=True)
        return [form.merge(a.reshape(len(a), *form.beat_shape)) for form, a in pairs]

    def encode(self, beat: Beat, inputs: Any) -> np.ndarray:
        """The bytes (n * beats_in, octets) of raw frames; ValueError where they are no whole frames."""
        octets = beat.encode(self.transfers(inputs))
        if len(octets) % self.beats_in:
            raise ValueError(f"transfers must be a multiple of {self.beats_in}, not {len(octets)}")
        return octets

    def decode(self, beat: Beat, octets: Any) -> list[np.ndarray]:
        """Raw frames of the bytes of results; ValueError where they are no whole frames."""
        arrays = beat.decode(octets)
        if len(arrays[0]) % self.beats_out:
            raise ValueError(f"transfers must be a multiple of {self.beats_out}, not {len(arrays[0])}")
        return self.frames(arrays)


def pins_of(component: wiring.Component) -> dict[str, Pin]:
    """Ports of a component by the names that Amaranth gives them in Verilog."""
    found = {}
    for path, member, value in component.signature.flatten(component):
        found["__".join(map(str, path))] = Pin(member.flow == wiring.In, len(value))
    return found


def parts_of(core: Any) -> Parts:
    """The parts of a core.

    Raises TypeError for what is no core with streams i and o, or where an input is none that a wrapper knows;
    ValueError where layouts, transfers of a frame or weights do not fit the ports.
    """
    if not isinstance(core, wiring.Component) or not all(
        hasattr(core, name) for name in ("top", "in_layout", "out_layout", "verilog")
    ):
        raise TypeError(f"core must be a core, as rtl.build gives it, not {core!r}")
    pins = pins_of(core)
    for name, way in STREAMS.items():
        if name not in pins or pins[name].input != (way == "in"):
            raise TypeError(f"core must have the {way}put {name!r}; its ports are {', '.join(pins)}")
    unknown = [n for n, pin in pins.items() if pin.input and n not in STREAMS and n not in INPUTS]
    if unknown:
        raise TypeError(f"inputs of core must be the streams, {', '.join(INPUTS)}, not {', '.join(unknown)}")
    for name, layout in (("i__payload", core.in_layout), ("o__payload", core.out_layout)):
        if pins[name].width != layout.bits:
            raise ValueError(f"{name} must have the {layout.bits} bits of its layout, not {pins[name].width}")
    address, data = _weights(core, pins)
    return Parts(
        core, core.top, core.in_layout, core.out_layout, pins, _beats(core, "beats_in"),
        _beats(core, "beats_out"), address, data,
    )  # fmt: skip


def _beats(core: Any, name: str) -> int:
    beats = getattr(core, name, 1)
    if isinstance(beats, bool) or not isinstance(beats, int) or not 1 <= beats < 1 << 32:
        raise ValueError(f"{name} must be a number of transfers from 1 to 2^32 - 1, not {beats!r}")
    return beats


def _weights(core: Any, pins: dict[str, Pin]) -> tuple[int, int]:
    weights = getattr(core, "weights", None)
    present = [name for name in WEIGHTS if name in pins]
    if weights is None:
        if present:
            raise ValueError(f"core.weights must describe the ports {', '.join(present)}, not be None")
        return 0, 0
    wanted = dict(zip(WEIGHTS, (weights.address_bits, weights.data_bits, 1), strict=True))
    for name, width in wanted.items():
        if name not in pins or not pins[name].input or pins[name].width != width or width < 1:
            raise ValueError(
                f"{name} must be an input of {width} bits, at least 1, as core.weights says, "
                f"not {pins.get(name)}"
            )
    return weights.address_bits, weights.data_bits


def modules(verilog: str) -> set[str]:
    """Names of the modules of a Verilog text."""
    return set(MODULE.findall(verilog))
