"""Delay models: what one primitive of the netlist costs in one family of devices, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtl.lower.netlist import Net


@dataclass(frozen=True)
class Delay:
    """fixed + bit * bits + level * (levels - 1), in the family's unit; bits and levels as in `size`."""

    fixed: float
    bit: float = 0.0
    level: float = 0.0

    def __post_init__(self) -> None:
        for name in ("fixed", "bit", "level"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be a finite number of at least 0, not {value!r}")


@dataclass(frozen=True)
class Family:
    """The delay model of one family of devices.

    name      as `rtl.build(family=...)` takes it
    unit      of all delays: "ns", or "adders" where the model knows no clock
    inputs    of one LUT, at least 2
    overhead  of a stage beside its primitives: from the clock edge to a register's output, and its setup
    delays    per kind of primitive
    source    where the numbers come from

    The delay of a path is the sum of its primitives. Carries of adders in series overlap in hardware, so that
    the sum is too long for wide adders rather than too short.
    """

    name: str
    unit: str
    inputs: int
    overhead: float
    delays: Mapping[str, Delay]
    source: str
    _known: dict[tuple[str, int, int], float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.unit not in ("ns", "adders"):
            raise ValueError(f"unit must be 'ns' or 'adders', not {self.unit!r}")
        if self.inputs < 2:
            raise ValueError(f"inputs must be at least 2, not {self.inputs!r}")
        object.__setattr__(self, "delays", MappingProxyType(dict(self.delays)))

    def __hash__(self) -> int:
        return hash((self.name, self.unit, self.inputs, self.overhead, tuple(self.delays.items())))

    def delay(self, net: Net) -> float:
        """From the last operand of `net` to its result, routing included."""
        key = (net.kind, *size(net))
        found = self._known.get(key)
        if found is None:
            kind, bits, inputs = key
            d = self.delays[kind]
            found = d.fixed + d.bit * bits + d.level * (self.levels(inputs) - 1)
            self._known[key] = found
        return found

    def levels(self, inputs: int) -> int:
        """LUTs in series of a tree over `inputs` bits, at least 1."""
        levels = 1
        while inputs > self.inputs:
            inputs, levels = -(-inputs // self.inputs), levels + 1
        return levels

    def limit(self, clock_mhz: float) -> float:
        """What is left of the period of `clock_mhz` for primitives, ns; below 0 if nothing is."""
        self._has_clock()
        return 1e3 / clock_mhz - self.overhead

    def fmax(self, stage: float) -> float:
        """Clock in MHz at which a stage with primitives of `stage` ns in series still fits."""
        self._has_clock()
        return 1e3 / (self.overhead + stage)

    def _has_clock(self) -> None:
        if self.unit != "ns":
            raise ValueError(f"family must be one with delays in ns, not {self.name!r}, which knows no clock")


def size(net: Net) -> tuple[int, int]:
    """(bits, inputs) of a primitive.

    bits    that wait for one another: the length of a carry chain (add, sub, neg, lt, ge); for mux and gate,
            the outputs that one condition drives; for table, the bits of its address
    inputs  of a reduction to one bit (eq, ne, any), from which the model counts levels of LUTs; 1 elsewhere

    The low bits of the first operand that the second, shifted, leaves alone are no part of the chain.
    """
    match net.kind:
        case "add":
            return net.width - max(net.params), 1
        case "sub":
            return net.width - net.params[1], 1
        case "neg" | "mux" | "gate":
            return net.width, 1
        case "lt" | "ge":
            return max(a.width + k for a, k in zip(net.args, net.params, strict=True)), 1
        case "eq" | "ne":
            bits = max(a.width for a in net.args)
            return 1, bits if any(a.is_constant for a in net.args) else 2 * bits
        case "any":
            return 1, net.params[0]
        case "table":
            return net.args[0].width, 1
    return 1, 1
