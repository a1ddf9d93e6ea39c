"""FPGA families as data: how Yosys maps to them, what their cells count as, how nextpnr places them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """One chip of a family, as nextpnr knows it.

    arguments   of nextpnr: the chip and a package
    options     of the Yosys command, beyond the target's
    luts        LUT sites, by which the smallest that fits is looked for
    automatic   whether it is looked at when no device is named (slower or special chips are not)
    """

    name: str
    arguments: tuple[str, ...]
    luts: int
    options: str = ""
    automatic: bool = True


@dataclass(frozen=True)
class Target:
    """A family: one Yosys command, cells by class, and the devices that nextpnr can place.

    synth      the Yosys command, which flattens; `-top` is added
