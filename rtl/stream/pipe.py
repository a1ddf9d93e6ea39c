"""An unrolled core as a part: pointwise work on one beat per clock, in a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from amaranth import Elaboratable, Signal

from rtl.stream.control import Control, Steps
from rtl.stream.part import Part, Stream

if TYPE_CHECKING:
    from rtl.core import Core


@dataclass(frozen=True, eq=False)
class Pipe(Part):
    """The core of a graph on one beat; its input and output payloads are the streams i and o."""

    name: str
    core: Core
    what: str

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (Stream("i", self.core.in_layout.bits),)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (Stream("o", self.core.out_layout.bits),)

    @property
    def title(self) -> str:
        return f"{self.what}: {self.core.adders} adders, {self.core.latency} clock edges"

    @property
    def registers(self) -> int:
        return self.core.registers

    def control(self) -> Control:
        always = np.ones(1, bool)
        return Steps(always, always, always, self.core.latency)

    def modules(self, top: str) -> list[str]:
        if self.core.top != top:
            raise ValueError(
                f"the core of part {self.name} must be built under the name {top}, not {self.core.top}"
            )
        return self.core.verilog().splitlines()

    def component(self) -> tuple[Elaboratable, Mapping[str, Signal]]:
        core = self.core
        pins = {
            f"{s}__{k}": getattr(getattr(core, s), k) for s in "io" for k in ("payload", "valid", "ready")
        }
        return core, pins
