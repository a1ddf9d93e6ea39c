"""Delay models: what one primitive of the netlist costs in one family of devices, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtl.lower.netlist import Net


CARRY = frozenset(("add", "sub", "neg", "lt", "ge"))
"""Primitives with a carry chain: their low bits need not wait for the high bits of their operands."""

JOIN = frozenset(("lt", "ge", "eq", "ne", "any", "clamp", "table"))
"""Primitives whose result depends on all bits of the operands; the others give their low bits sooner."""


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

    A value is ready from its low bits, at time `low`, to its high bits, at time `high`. A primitive makes of
    the latest of its operands

        high' = fixed + max(high, low + carry)        carry: bit * bits of a carry chain, else 0
        low'  = fixed + low, or high' where the result needs all bits

    so that on a path of adders the fixed parts add up, and only the longest carry counts: the carry of one
    runs while the carry of the one before still does.
    """

    name: str
    unit: str
    inputs: int
    overhead: float
    delays: Mapping[str, Delay]
    source: str
    _known: dict[tuple[str, int, int], tuple[float, float]] = field(
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

    def parts(self, net: Net) -> tuple[float, float]:
        """(fixed, carry) of a primitive, routing to its inputs included."""
        key = (net.kind, *size(net))
        found = self._known.get(key)
        if found is None:
            kind, bits, inputs = key
            d = self.delays[kind]
            if kind == "table":
                bits = max(0, bits - self.inputs)
            fixed, carry = d.fixed + d.level * (self.levels(inputs) - 1), d.bit * bits
            found = self._known[key] = (fixed, carry) if kind in CARRY else (fixed + carry, 0.0)
        return found

    def delay(self, net: Net) -> float:
        """From the last operand of `net` to its last bit."""
        return sum(self.parts(net))

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

    bits    add, sub, neg, lt, ge: the length of the carry chain. mux, gate, clamp: the outputs that one
            condition drives. table: the bits of its address, of which the model counts those beyond a LUT
    inputs  of the reduction to one bit in eq, ne, any, and of the bits above a clamp, from which the model
            counts levels of LUTs; 1 elsewhere

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
        case "clamp":
            return net.width, max(net.args[0].width - net.width, 0) + 1
        case "table":
            return net.args[0].width, 1
    return 1, 1
