"""What a writer of hardware offers: operators on unsigned vectors, signals, registers, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rtl.lower.net import Net


class Writer(Protocol):
    """A description of hardware under construction; vectors (Any) are unsigned and know their width.

    Operands of two-operand operators are of one width, which the result of add, subtract and the bitwise ones
    has too. `less` reads two's complements where `signed`; `pick` is c ? a : b.
    """

    def width(self, v: Any) -> int: ...
    def constant(self, value: int, width: int) -> Any: ...
    def cut(self, v: Any, start: int, stop: int) -> Any: ...
    def join(self, *parts: Any) -> Any: ...
    def repeat(self, bit: Any, count: int) -> Any: ...
    def add(self, a: Any, b: Any) -> Any: ...
    def subtract(self, a: Any, b: Any) -> Any: ...
    def invert(self, a: Any) -> Any: ...
    def bitwise(self, kind: str, a: Any, b: Any) -> Any: ...
    def any(self, a: Any) -> Any: ...
    def all(self, a: Any) -> Any: ...
    def equal(self, a: Any, b: Any) -> Any: ...
    def less(self, a: Any, b: Any, signed: bool) -> Any: ...
    def pick(self, c: Any, a: Any, b: Any) -> Any: ...

    def entry(self, bits: int, index: Any) -> Any:
        """Bit number `index` of the constant `bits`, which has one for each index."""

    def lane(self, offset: int, width: int) -> Any:
        """Bits of the input payload."""

    def signal(self, name: str, net: Net, v: Any) -> Any:
        """A signal of this name, and what it is read as."""

    def register(self, name: str, net: Net, v: Any) -> Any:
        """A register that takes v at each edge where the pipeline advances."""

    def state(self, name: str, net: Net, init: int) -> Any:
        """A register of a machine's state, which reset sets to `init`."""

    def next_state(self, name: str, init: int, v: Any) -> None:
        """The value that this register takes where the pipeline advances and stage 0 holds a sample."""

    def pin(self, name: str, width: int) -> Any:
        """An input port."""

    def drive(self, name: str, v: Any) -> Any:
        """Drives an output port, or a signal that is declared already, and reads it."""

    def wire(self, name: str, v: Any) -> Any:
        """A signal that is no net's."""

    def flop(self, name: str, width: int) -> Any:
        """A register that is no net's."""

    def load(self, name: str, v: Any, enable: Any = ..., reset: bool = False) -> None:
        """What a register of `flop` or `state` takes at each edge where `enable` is 1, or without it at
        every edge; where `reset`, 0 while the module is in reset."""

    def memory(self, name: str, width: int, depth: int, init: Sequence[int] = ()) -> Any:
        """A memory of `depth` >= 2 words, zeros where `init` ends; its read register NAME_data."""

    def access(self, name: str, address: Any, enable: Any, write: tuple[Any, Any, Any] | None = None) -> None:
        """At each edge where `enable`, the read register takes the word at `address` as it was before
        the edge; `write` is (address, word, enable) of the only write port."""

    def rom(self, name: str, net: Net, index: Any) -> Any:
        """Module NAME_rom with the signal NAME_index; a signal called `name`."""

    def helper(self, net: Net, v: Any) -> Any:
        """v, perhaps as a signal of its own, called after the net that it is for: bits of it can be taken."""


def extended(w: Writer, v: Any, signed: bool, width: int) -> Any:
    """v in exactly `width` bits, cut or extended by its own sign."""
    have = w.width(v)
    if have >= width:
        return w.cut(v, 0, width)
    fill = w.repeat(w.cut(v, have - 1, have), width - have) if signed else w.constant(0, width - have)
    return w.join(v, fill)


def up(w: Writer, v: Any, k: int) -> Any:
    """v * 2**k."""
    return w.join(w.constant(0, k), v) if k else v
