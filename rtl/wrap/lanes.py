"""The lanes of a payload in whole bytes, as a bus or a program sees them: widths, hardware, and arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from rtl.emit.writer import Writer, extended
from rtl.layout import Layout

LANE_BITS = ("bytes", "packed")


def slot(width: int) -> int:
    """Bits of the least of 8, 16, 32, 64, 128, 192, ... that holds a lane of `width` bits."""
    for size in (8, 16, 32, 64):
        if width <= size:
            return size
    return -(-width // 64) * 64


@dataclass(frozen=True)
class Beat:
    """One transfer on a bus of whole bytes: the lanes of `layout`, lane 0 of port 0 in the lowest byte.

    lane_bits   "bytes": every lane in a slot of 8, 16, 32, 64, or a multiple of 64 bits, extended by its own
                sign or by zeros, so that a program sees an array of integers, little-endian. Into the core go
                the lane's low bits, whatever the rest of its slot holds.
                "packed": the payload as it is, with zeros behind it up to a whole byte

    Raises ValueError for another `lane_bits`.
    """

    layout: Layout
    lane_bits: str = "bytes"

    def __post_init__(self) -> None:
        if self.lane_bits not in LANE_BITS:
            raise ValueError(f"lane_bits must be one of {', '.join(LANE_BITS)}, not {self.lane_bits!r}")

    @cached_property
    def padded(self) -> Layout:
        """The layout of the transfer: the ports of the core with slots for lanes."""
        if self.lane_bits == "packed":
            return self.layout
        return Layout(tuple(replace(p, width=slot(p.width)) for p in self.layout.ports))

    @property
    def octets(self) -> int:
        return -(-self.padded.bits // 8)

    @property
    def bits(self) -> int:
        return 8 * self.octets

    # ---- hardware ----

    def inwards(self, w: Writer, data: Any) -> list[Any]:
        """The lanes of the core's payload, cut out of a transfer."""
        if self.lane_bits == "packed":
            return [w.cut(data, 0, self.layout.bits)]
        out, at = [], 0
        for port in self.layout.ports:
            for _ in range(port.lanes):
                out.append(w.cut(data, at, at + port.width))
                at += slot(port.width)
        return out

    def outwards(self, w: Writer, payload: Any) -> list[Any]:
        """The slots of a transfer, of the core's payload."""
        if self.lane_bits == "packed":
            return [extended(w, payload, False, self.bits)]
        out, at = [], 0
        for port in self.layout.ports:
            for _ in range(port.lanes):
                lane = w.cut(payload, at, at + port.width)
                out.append(extended(w, lane, port.signed, slot(port.width)))
                at += port.width
        return out

    # ---- arrays ----

    def encode(self, values: Any) -> np.ndarray:
        """Raw integers, an array (n, *shape) per port -> bytes (n, octets); raises as `Layout.pack`."""
        words = self.padded.pack(self.layout.arrays(values))
        return np.ascontiguousarray(words.astype("<u4")).view(np.uint8)[:, : self.octets].copy()

    def decode(self, octets: Any) -> list[np.ndarray]:
        """Bytes, uint8 of n * octets elements or a bytes object -> raw integers, (n, *shape) per port.

        Raises ValueError where the number of bytes is no multiple of `octets`.
        """
        if isinstance(octets, (bytes, bytearray, memoryview)):
            octets = np.frombuffer(octets, np.uint8)
        flat = np.asarray(octets)
        if flat.dtype != np.uint8 or flat.size % self.octets:
            raise ValueError(
                f"octets must be uint8, a multiple of {self.octets}, not {flat.size} of {flat.dtype}"
            )
        rows = flat.reshape(-1, self.octets)
        words = np.zeros((len(rows), 4 * self.padded.words), np.uint8)
        words[:, : self.octets] = rows
        return self.padded.unpack(words.view("<u4").astype(np.uint32))
