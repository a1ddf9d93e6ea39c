"""What a user asks of a schedule: pixels per clock, axes, and processing elements per block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fxsim.graph import Graph, Input
from fxsim.ops.common import check_int
from rtl.schedule.forms import Form
from rtl.stream.folded import ENCODINGS

SPELLINGS = "streamed, streamed(PIXELS), streamed(row), folded(PEs)"


@dataclass(frozen=True)
class Mode:
    """One schedule: "streamed" with `pixels` per clock (None: a row), or "folded" with `pe` processing
    elements."""

    kind: str
    pixels: int | None = 1
    pe: int | None = None

    @classmethod
    def parse(cls, text: Any) -> Mode:
        """From a spelling; ValueError for any other."""
        if isinstance(text, Mode):
            return text
        if isinstance(text, str) and text.strip() == "unrolled":
            return cls("unrolled")
        match = (
            re.fullmatch(r"\s*(streamed|folded)\s*(?:\(\s*(\d+|row)\s*\))?\s*", text)
            if isinstance(text, str)
            else None
        )
        if match is None:
            raise ValueError(
                f"schedule must be unrolled or one of {SPELLINGS}, or auto for all blocks, not {text!r}"
            )
        kind, argument = match.groups()
        if kind == "folded":
            if argument is None or argument == "row" or int(argument) < 1:
                raise ValueError(
                    f"schedule folded must name its processing elements, as in folded(4), not {text!r}"
                )
            return cls("folded", 1, int(argument))
        if argument == "row":
            return cls("streamed", None)
        pixels = int(argument) if argument else 1
        if pixels < 1:
            raise ValueError(f"pixels per clock must be at least 1, not {pixels}")
        return cls("streamed", pixels)

    def __str__(self) -> str:
        if self.kind == "unrolled":
            return "unrolled"
        if self.kind == "folded":
            return f"folded({self.pe})"
        return (
            "streamed" if self.pixels == 1 else f"streamed({'row' if self.pixels is None else self.pixels})"
        )


@dataclass(frozen=True)
class Options:
    """mode: of the whole; blocks: a mode of its own per block name; axes: streamed axes per input name.

    A block that is folded while the rest streams shares its processing elements over the clocks between
    pixels.
    """

    mode: Mode
    blocks: Mapping[str, Mode] = field(default_factory=lambda: MappingProxyType({}))
    axes: Mapping[str, tuple[int, ...]] | None = None
    encoding: str = "auto"
    writable: bool = False

    @classmethod
    def of(
        cls, graph: Graph, schedule: Any, axes: Any = None, encoding: str = "auto", writable: bool = False
    ) -> Options:
        """From what a user writes: a spelling, or {block name: spelling, "*": of all others}."""
        blocks: dict[str, Mode] = {}
        if isinstance(schedule, Mapping):
            names = {b.name for b in graph.blocks}
            unknown = sorted(set(schedule) - names - {"*"})
            if unknown:
                raise ValueError(
                    f"schedule must name blocks of the graph, {sorted(names)} or *, not {unknown}"
                )
            blocks = {k: Mode.parse(v) for k, v in schedule.items() if k != "*"}
            mode = Mode.parse(schedule.get("*", "streamed"))
            pixels = {str(m) for m in blocks.values() if m.kind == "streamed" and m.pixels != mode.pixels}
            if pixels:
                raise ValueError(
                    f"pixels per clock are those of *, {mode}; a block must not have {sorted(pixels)}"
                )
        else:
            mode = Mode.parse(schedule)
        if mode.kind == "unrolled":
            raise ValueError(
                f"schedule of * must be one of {SPELLINGS} beside blocks that are unrolled; a graph that is "
                f"unrolled as a whole has the schedule 'unrolled', not {schedule!r}"
            )
        if encoding not in ENCODINGS:
            raise ValueError(f"encoding must be {' or '.join(ENCODINGS)}, not {encoding!r}")
        return cls(mode, MappingProxyType(blocks), _axes(graph, axes), encoding, writable)

    def __str__(self) -> str:
        rest = ", ".join(f"{k}: {m}" for k, m in self.blocks.items())
        return f"{self.mode}{f' ({rest})' if rest else ''}"

    def mode_of(self, block: str) -> Mode:
        return self.blocks.get(block, self.mode)

    def input_form(self, node: Input, axes: Sequence[int]) -> Form:
        if not axes:
            return Form(node.type.shape)
        row = node.type.shape[axes[-1]]
        pixels = row if self.mode.pixels is None else self.mode.pixels
        if pixels > row:
            raise ValueError(
                f"pixels per clock must be at most the {row} of a row of input {node.name!r}, not {pixels}"
            )
        return Form(node.type.shape, tuple(axes), pixels)


def _axes(graph: Graph, axes: Any) -> Mapping[str, tuple[int, ...]] | None:
    if axes is None:
        return None
    if not isinstance(axes, Mapping):
        if len(graph.inputs) != 1:
            raise ValueError(
                f"axes must be a mapping from input names for {len(graph.inputs)} inputs, not {axes!r}"
            )
        axes = {graph.inputs[0].name: axes}
    unknown = sorted(set(axes) - {n.name for n in graph.inputs})
    if unknown:
        raise ValueError(f"axes must name inputs of the graph, not {unknown}")
    return MappingProxyType({k: _integers(k, v) for k, v in axes.items()})


def _integers(name: str, axes: Any) -> tuple[int, ...]:
    if isinstance(axes, str) or not isinstance(axes, Iterable):
        raise TypeError(f"axes of input {name!r} must be a sequence of integers, not {axes!r}")
    return tuple(check_int(f"an axis of input {name!r}", a) for a in axes)
