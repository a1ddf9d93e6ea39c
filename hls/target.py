"""What a project is written for: back end, interface, strategies, reuse factors, clock and part, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim.formats import Format
from fxsim.types import TensorType

LATENCY, RESOURCE = "Latency", "Resource"
UNROLLED, DISTRIBUTED = "Resource_unrolled", "distributed_arithmetic"
STRATEGIES = {
    "Vitis": (LATENCY, RESOURCE, UNROLLED, DISTRIBUTED),
    "Vivado": (LATENCY, RESOURCE, UNROLLED, DISTRIBUTED),
    "Quartus": (RESOURCE,),
    "Catapult": (LATENCY, RESOURCE),
}
"""The strategies of hls4ml's back ends; the first is the default."""
BACKENDS = tuple(STRATEGIES)
IO_TYPES = ("io_parallel", "io_stream")
OTHERS = "*"


@dataclass(frozen=True)
class Target:
    """The arguments of `hls.export`; ValueError or TypeError for one that hls4ml would not take."""

    backend: str = "Vitis"
    io_type: str = "io_parallel"
    strategy: str | Mapping[str, str] | None = None
    reuse_factor: int | Mapping[str, int] = 1
    clock_period: float = 5
    part: str | None = None

    def __post_init__(self) -> None:
        if self.backend not in STRATEGIES:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, not {self.backend!r}")
        if self.io_type not in IO_TYPES:
            raise ValueError(f"io_type must be one of {', '.join(IO_TYPES)}, not {self.io_type!r}")
        clock = self.clock_period
        if isinstance(clock, bool) or not isinstance(clock, (int, float)) or not 0 < clock < math.inf:
            raise ValueError(f"clock_period must be a positive number of nanoseconds, not {clock!r}")
        # YAML writes NumPy's numbers as objects.
        object.__setattr__(self, "clock_period", int(clock) if clock == int(clock) else float(clock))
        part = self.part
        if part is not None and not (
            isinstance(part, str) and part and part.isascii() and part.isprintable()
        ):
            raise ValueError(f"part must be the vendor's name of a device, not {part!r}")
        if part is not None and any(c.isspace() or c in "{}[]\"'$\\;" for c in part):
            raise ValueError(f"part must be one word, not {part!r}")
        for name, s in _entries(self.strategy):
            self.known(s, "" if name == OTHERS else f" of layer {name!r}")
        for name, r in _entries(self.reuse_factor):
            if isinstance(r, bool) or not isinstance(r, (int, np.integer)) or r < 1:
                where = "" if name == OTHERS else f" of layer {name!r}"
                raise ValueError(f"reuse_factor{where} must be an integer of at least 1, not {r!r}")

    def known(self, strategy: object, where: str = "") -> str:
        """hls4ml's spelling of a strategy that the back end has."""
        found = {s.lower(): s for s in STRATEGIES[self.backend]}
        if not isinstance(strategy, str) or strategy.lower() not in found:
            names = ", ".join(found.values())
            raise ValueError(f"strategy{where} must be one of {names} for {self.backend}, not {strategy!r}")
        return found[strategy.lower()]

    @property
    def stream(self) -> bool:
        return self.io_type == "io_stream"

    @property
    def types(self) -> str:
        """The vendor's number types: "ap" or "ac"."""
        return "ap" if self.backend in ("Vitis", "Vivado") else "ac"

    def lane(self, t: TensorType) -> Format:
        """The format of a tensor; hls4ml declares an ac_fixed of one bit as one of two bits."""
        return self.fitted(t.lane())

    def fitted(self, f: Format) -> Format:
        if self.types == "ac" and f.width == 1:
            return Format(2, 2 - f.frac, f.signed, f.rounding, f.overflow)
        return f

    def settings(self, sizes: Mapping[str, tuple[str, int, int]]) -> dict[str, tuple[str, int]]:
        """{layer: (strategy, reuse factor)} for {layer: (kind, inputs, outputs of its product)}.

        ValueError names a layer that there is not, or the reuse factors that a layer can have.
        """
        for what, given in (("strategy", self.strategy), ("reuse_factor", self.reuse_factor)):
            for name, _ in _entries(given):
                if name != OTHERS and name not in sizes:
                    raise ValueError(
                        f"{what} names layer {name!r}, which is none of the layers that multiply by weights: "
                        f"{', '.join(sizes) or 'there are none'}"
                    )
        return {name: self.setting(name, *size) for name, size in sizes.items()}

    def setting(self, name: str, kind: str, n_in: int, n_out: int) -> tuple[str, int]:
        default = STRATEGIES[self.backend][0]
        strategy = self.known(dict(_entries(self.strategy)).get(name, self.default(self.strategy, default)))
        factor = dict(_entries(self.reuse_factor)).get(name, self.default(self.reuse_factor, 1))
        if kind == "depthwise":
            own = (
                dict(_entries(self.strategy)).get(name, LATENCY),
                dict(_entries(self.reuse_factor)).get(name, 1),
            )
            if (self.known(own[0]), own[1]) != (LATENCY, 1):
                raise ValueError(
                    f"strategy and reuse_factor of layer {name!r}, a DepthwiseConv, must be {LATENCY} and 1, "
                    f"not {own[0]} and {own[1]}"
                )
            return LATENCY, 1  # the only form of it that hls4ml computes exactly
        if strategy == UNROLLED and kind == "conv" and not self.stream:
            raise ValueError(
                f"strategy of layer {name!r} must not be {UNROLLED} with io_parallel, as hls4ml has no such "
                f"convolution; use {RESOURCE}, or io_stream"
            )
        valid = self.factors(strategy, kind, n_in, n_out)
        if factor not in valid:
            raise ValueError(
                f"reuse_factor of layer {name!r} ({n_in} x {n_out}, {strategy}) must be one of "
                f"{_listed(valid)}, not {factor}; give this layer its own"
            )
        return strategy, int(factor)

    @staticmethod
    def default(given: Any, otherwise: Any) -> Any:
        """The value of all layers that have none by name."""
        if isinstance(given, Mapping):
            return given.get(OTHERS, otherwise)
        return otherwise if given is None else given

    def factors(self, strategy: str, kind: str, n_in: int, n_out: int) -> Sequence[int]:
        """The reuse factors of a product that hls4ml keeps as they are and computes with."""
        from hls4ml.backends import get_backend

        if strategy == DISTRIBUTED:
            return [1]
        if strategy == LATENCY:
            return range(1, n_in * n_out + 1)
        valid: list[int] = get_backend(self.backend).get_valid_reuse_factors(n_in, n_out)
        if kind == "conv" and self.types == "ap" and not self.stream:
            valid = [r for r in valid if r <= n_in]  # beyond, Vivado stops and Vitis gives other sums
        return valid[1:-1] if strategy == UNROLLED else valid


def _entries(given: Any) -> list[tuple[str, Any]]:
    """(layer name or "*", value) pairs of an argument that is one value or a mapping."""
    if isinstance(given, Mapping):
        return list(given.items())
    return [] if given is None else [(OTHERS, given)]


def _listed(valid: Sequence[int]) -> str:
    if isinstance(valid, range):
        return f"{valid.start}..{valid.stop - 1}"
    return ", ".join(map(str, valid)) or "none at all"
