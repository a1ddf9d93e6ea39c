"""What hardware must reach: frames per second or cycles per frame, within LUTs and memory bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any


@dataclass(frozen=True)
class Goal:
    """Any of these; the more of them, the fewer hardware meets them all.

    lut        most LUT4s of logic, by `rtl.schedule.estimate`; those used as RAM are not among them
    ram        most bits of memory: line buffers, FIFOs, weights
    fps        least frames per second, at `clock_mhz`
    clock_mhz  of the clock that the hardware will have; it is not checked here
    interval   most clock cycles per frame

    Raises ValueError for numbers that are not positive, fps without a clock, and where nothing is asked for.
    """

    lut: int | None = None
    ram: int | None = None
    fps: float | None = None
    clock_mhz: float | None = None
    interval: int | None = None

    def __post_init__(self) -> None:
        for f in fields(self):
            value, whole = getattr(self, f.name), f.name in ("lut", "ram", "interval")
            fine = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
            if value is not None and not (fine and (int(value) == value >= 0 if whole else value > 0)):
                kind = "a whole number of at least 0" if whole else "a positive number"
                raise ValueError(f"target {f.name} must be {kind}, not {value!r}")
        if self.fps is not None and self.clock_mhz is None:
            raise ValueError("target fps must come with clock_mhz, by which cycles become seconds")
        if all(v is None for v in (self.lut, self.ram, self.fps, self.interval)):
            raise ValueError("target must have at least one of lut, ram, fps and interval")

    @classmethod
    def of(cls, target: Any, clock_mhz: float | None = None) -> Goal:
        """From a mapping; a clock that it does not name is `clock_mhz`."""
        if isinstance(target, Goal):
            found = vars(target)
        elif isinstance(target, Mapping):
            names = [f.name for f in fields(cls)]
            unknown = [k for k in target if k not in names]
            if unknown:
                raise ValueError(f"target must have entries among {', '.join(names)}, not {unknown}")
            found = dict(target)
        else:
            raise ValueError(
                "schedule auto needs a target, a mapping with any of lut, ram, fps (with clock_mhz) and "
                f"interval, not {target!r}"
            )
        given = found.get("clock_mhz")
        return cls(**{**found, "clock_mhz": clock_mhz if given is None else given})

    @property
    def cycles(self) -> int | None:
        """Most cycles per frame; None where no rate is asked for."""
        limits = [] if self.interval is None else [int(self.interval)]
        if self.fps is not None and self.clock_mhz is not None:
            limits.append(int(self.clock_mhz * 1e6 / self.fps))
        return min(limits, default=None)

    def __str__(self) -> str:
        parts = []
        if self.fps is not None:
            parts.append(f"{self.fps:.10g} frames/s at {self.clock_mhz:.10g} MHz")
        if self.cycles is not None:
            parts.append(f"at most {self.cycles} cycles per frame")
        if self.lut is not None:
            parts.append(f"at most {self.lut} LUTs")
        if self.ram is not None:
            parts.append(f"at most {self.ram} memory bits")
        return ", ".join(parts)
