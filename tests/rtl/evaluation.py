"""A third writer of hardware, which computes: a core's nets on many samples at once, without a simulator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtl.core import Core
from rtl.design import with_elements
from rtl.emit import At, cases_of, emit, lanes
from rtl.lower.net import Net


class Vector(NamedTuple):
    """Per sample an unsigned integer below 2**width."""

    values: np.ndarray
    width: int


class Evaluation:
    """`rtl.emit.Writer` on arrays of Python integers; registers pass their value on."""

    def __init__(self, payload: np.ndarray) -> None:
        self.payload = payload
        self.zero = payload * 0

    def _made(self, values: np.ndarray, width: int) -> Vector:
        return Vector(values & (1 << width) - 1, width)

    def width(self, v: Vector) -> int:
        return v.width

    def constant(self, value: int, width: int) -> Vector:
        return self._made(self.zero + value, width)

    def cut(self, v: Vector, start: int, stop: int) -> Vector:
        assert 0 <= start <= stop <= v.width
        return self._made(v.values >> start, stop - start)

    def join(self, *parts: Vector) -> Vector:
        total, at = self.zero, 0
        for p in parts:
            total, at = total | p.values << at, at + p.width
        return Vector(total, at)

    def repeat(self, bit: Vector, count: int) -> Vector:
        assert bit.width == 1
        return Vector(bit.values * ((1 << count) - 1), count)

    def _equal_widths(self, a: Vector, b: Vector) -> int:
        assert a.width == b.width
        return a.width

    def add(self, a: Vector, b: Vector) -> Vector:
        return self._made(a.values + b.values, self._equal_widths(a, b))

    def subtract(self, a: Vector, b: Vector) -> Vector:
        return self._made(a.values - b.values, self._equal_widths(a, b))

    def invert(self, a: Vector) -> Vector:
        return self._made(~a.values, a.width)

    def bitwise(self, kind: str, a: Vector, b: Vector) -> Vector:
        self._equal_widths(a, b)
        values = {"and": a.values & b.values, "or": a.values | b.values, "xor": a.values ^ b.values}
        return Vector(values[kind], a.width)

    def _flag(self, values: np.ndarray) -> Vector:
        return Vector(self.zero + values, 1)

    def any(self, a: Vector) -> Vector:
        return self._flag(a.values != 0)

    def all(self, a: Vector) -> Vector:
        return self._flag(a.values == (1 << a.width) - 1)

    def equal(self, a: Vector, b: Vector) -> Vector:
        self._equal_widths(a, b)
        return self._flag(a.values == b.values)

    def less(self, a: Vector, b: Vector, signed: bool) -> Vector:
        flip = 1 << self._equal_widths(a, b) - 1 if signed else 0
        return self._flag((a.values ^ flip) < (b.values ^ flip))

    def pick(self, c: Vector, a: Vector, b: Vector) -> Vector:
        assert c.width == 1
        return Vector(np.where(c.values == 1, a.values, b.values), self._equal_widths(a, b))

    def entry(self, bits: int, index: Vector) -> Vector:
        return self._made(bits >> index.values, 1)

    def lane(self, offset: int, width: int) -> Vector:
        return self._made(self.payload >> offset, width)

    def signal(self, name: str, net: Net, v: Vector) -> Vector:
        assert v.width == net.width
        return v

    register = signal

    def helper(self, net: Net, v: Vector) -> Vector:
        return v

    def rom(self, name: str, net: Net, index: Vector) -> Vector:
        cases, rest = cases_of(net)
        mask = (1 << index.width) - 1
        entries = {c & mask: e for e, codes in cases for c in codes}
        values = np.array([entries.get(i, rest) for i in index.values] + [None], object)[:-1]
        return self._made(values, net.width)


def evaluate(core: Core, *raw: np.ndarray) -> list[np.ndarray]:
    """The core's outputs for raw integers (samples, *shape), per output with elements."""
    given = core.in_layout.integers(core.in_layout.pack(with_elements(raw, core.graph.inputs)))
    w = Evaluation(np.array([*given, None], object)[:-1])
    at: At = {}
    emit(w, core.plan, core.plan.nets, at)
    total = w.join(*lanes(w, core.outputs, core.plan, at))
    layout = core.out_layout
    packed = b"".join(int(v).to_bytes(4 * layout.words, "little") for v in total.values)
    words = np.frombuffer(packed, "<u4").astype(np.uint32)
    return layout.unpack(words.reshape(len(total.values), layout.words))
