"""Weights that are written at run time: the write port of a core, and where each layer's words lie
behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth import Module

from fxsim.integers import Array
from rtl.stream.folded import Engine
from rtl.stream.network import Network
from rtl.text import span


@dataclass(frozen=True, eq=False)
class Bank:
    """The weights of one block: `words` words of `bits` bits from address `base` on; codes of
    `code_bits` bits."""

    block: str
    part: str
    base: int
    words: int
    bits: int
    code_bits: int
    shape: tuple[int, ...]
    encode: Callable[[Array], list[int]]


@dataclass(frozen=True, eq=False)
class Weights:
    """The write port: at each edge where w__enable is 1, word w__data is stored at w__address.

    A word takes effect for ticks that read it later; write while no frame is inside.
    """

    address_bits: int
    data_bits: int
    banks: tuple[Bank, ...]

    def writes(self, block: str, weights: Any) -> list[tuple[int, int]]:
        """(address, word) of all words of a block's new weights: raw integers of the shape in its graph.

        KeyError for a block without a bank, ValueError for another shape or codes that do not fit.
        """
        found = [b for b in self.banks if b.block == block]
        if not found:
            raise KeyError(f"blocks with weights to write are {[b.block for b in self.banks]}, not {block!r}")
        (bank,) = found
        array = np.asarray(weights)
        if array.dtype.kind not in "iu":
            raise TypeError(f"weights of {block} must be integers, not {array.dtype}")
        if array.shape != bank.shape:
            raise ValueError(f"weights of {block} must have shape {bank.shape}, not {array.shape}")
        lo, hi = -(1 << bank.code_bits - 1), (1 << bank.code_bits - 1) - 1
        if array.min() < lo or array.max() > hi:
            raise ValueError(
                f"weights of {block} must lie in {lo}..{hi}, not {int(array.min())}..{int(array.max())}"
            )
        return [(bank.base + k, word) for k, word in enumerate(bank.encode(array))]

    # ---- hardware -------------------------------------------------------------------------------------

    @property
    def word_bits(self) -> int:
        """Bits of the address within a bank; those above are the bank's number."""
        return max(_address_bits(b) for b in self.banks)

    def ports(self) -> list[str]:
        return [
            f"input {span(self.address_bits)}w__address",
            f"input {span(self.data_bits)}w__data",
            "input w__enable",
        ]

    def lines(self) -> list[str]:
        """Verilog lines that lead the port to the banks."""
        out = ["", "  // the write port of the weights"]
        for k, b in enumerate(self.banks):
            size = _address_bits(b)
            address = "w__address" if self.address_bits == 1 else f"w__address[{size - 1}:0]"
            data = "w__data" if self.data_bits == 1 else f"w__data[{b.bits - 1}:0]"
            here = self.address_bits - self.word_bits
            chosen = (
                f" & (w__address[{self.address_bits - 1}:{self.word_bits}] == {here}'d{k})" if here else ""
            )
            out += [
                f"  assign {b.part}__w__address = {address};",
                f"  assign {b.part}__w__data = {data};",
                f"  assign {b.part}__w__enable = w__enable{chosen};",
            ]
        return out

    def connect(self, m: Module, pins: dict[str, Any], address: Any, data: Any, enable: Any) -> None:
        """As `lines`, in Amaranth."""
        for k, b in enumerate(self.banks):
            mine = (
                enable if self.address_bits == self.word_bits else enable & (address[self.word_bits :] == k)
            )
            m.d.comb += [
                pins[f"{b.part}__w__address"].eq(address[: _address_bits(b)]),
                pins[f"{b.part}__w__data"].eq(data[: b.bits]),
                pins[f"{b.part}__w__enable"].eq(mine),
            ]


def _address_bits(bank: Bank) -> int:
    return max(1, (bank.words - 1).bit_length())


def weights_of(network: Network, engines: list[tuple[str, Any, Engine]]) -> Weights | None:
    """The write port for the (block, fold, engine) of a network whose weights can be written; None
    without any."""
    found = [(block, fold, e) for block, fold, e in engines if e.feeder.writable]
    if not found:
        return None
    size = max(max(1, (e.feeder.nest.ticks - 1).bit_length()) for _, _, e in found)
    banks = []
    for k, (block, fold, e) in enumerate(found):
        banks.append(
            Bank(
                block, e.feeder.name, k << size, e.feeder.nest.ticks, e.feeder.w_bits, e.code_bits,
                fold.shape, lambda w, fold=fold, e=e: e.words(fold.arrange(w)),
            )
        )  # fmt: skip
    return Weights(size + (len(banks) - 1).bit_length(), max(b.bits for b in banks), tuple(banks))
