"""What was built: an immutable graph of two-input adders over shifted wires, with exact readings of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fxsim.integers import INT64_BITS, Array, IntArray, exact, magnitude_bits, to_object

from .problem import Interval


class Adder(NamedTuple):
    """sign_a * (wire a << shift_a) + sign_b * (wire b << shift_b); wires are the inputs, then the nodes."""

    a: int
    b: int
    shift_a: int
    shift_b: int
    sign_a: int
    sign_b: int


class Output(NamedTuple):
    """sign * (wire << shift); wire None is the constant 0. sign -1 costs one more adder."""

    wire: int | None
    shift: int
    sign: int


@dataclass(frozen=True)
class AdderGraph:
    """Shift-add form of y = (x @ weights + offsets) * 2**-frac; x raw (..., n_in), weights integers (n_in,
    n_out).

    Wire w < n_in is input w; then come the constants, integers; wire first_node + k is nodes[k], which reads
    only earlier wires. `run` gives the raw result; its LSB is 2**-frac of the LSB of x. Nothing is rounded. A
    column with wraps[c] = (lo, hi), the range of a two's complement or unsigned code, is needed modulo hi -
    lo + 1 only: its weights are right modulo that, and `run` wraps it; the other columns are exact.
    Raises ValueError when a node reads a later wire, a shift is negative, a sign is not +-1 or both are -1.
    """

    weights: IntArray
    frac: int
    in_intervals: tuple[Interval, ...]
    nodes: tuple[Adder, ...]
    outputs: tuple[Output, ...]
    constants: tuple[int, ...] = ()
    offsets: tuple[int, ...] = ()
    wraps: tuple[Interval | None, ...] = ()

    def __post_init__(self) -> None:
        if len(self.in_intervals) != self.n_in:
            raise ValueError(f"in_intervals must have {self.n_in} entries, not {len(self.in_intervals)}")
        if len(self.outputs) != self.n_out:
            raise ValueError(f"outputs must have {self.n_out} entries, not {len(self.outputs)}")
        for name, blank in (("offsets", 0), ("wraps", None)):
            if not getattr(self, name):
                object.__setattr__(self, name, (blank,) * self.n_out)
            if len(getattr(self, name)) != self.n_out:
                raise ValueError(f"{name} must have {self.n_out} entries, not {len(getattr(self, name))}")
        for wire, node in enumerate(self.nodes, self.first_node):
            if not (0 <= node.a < wire and 0 <= node.b < wire):
                raise ValueError(f"node {wire} must read wires in 0..{wire - 1}, not {node!r}")
            if node.shift_a < 0 or node.shift_b < 0:
                raise ValueError(f"node {wire} must have shifts >= 0, not {node!r}")
            if (node.sign_a, node.sign_b) not in ((1, 1), (1, -1), (-1, 1)):
                raise ValueError(f"node {wire} must have signs +-1, at most one of them -1, not {node!r}")
        for c, out in enumerate(self.outputs):
            if out.wire is not None and not 0 <= out.wire < self.n_wires:
                raise ValueError(f"output {c} must name a wire in 0..{self.n_wires - 1}, not {out.wire!r}")
            if out.shift < 0 or out.sign not in (1, -1):
                raise ValueError(f"output {c} must have shift >= 0 and sign +-1, not {out!r}")

    def __repr__(self) -> str:
        return (
            f"AdderGraph({self.n_in} -> {self.n_out}, adders={self.adders}, depth={self.depth},"
            f" bits={self.bits}, frac={self.frac})"
        )

    @property
    def n_in(self) -> int:
        return int(self.weights.shape[0])

    @property
    def n_out(self) -> int:
        return int(self.weights.shape[1])

    @property
    def first_node(self) -> int:
        """The wire of nodes[0]."""
        return self.n_in + len(self.constants)

    @property
    def n_wires(self) -> int:
        return self.first_node + len(self.nodes)

    @cached_property
    def moduli(self) -> tuple[int | None, ...]:
        """Per column, the low bits that are needed; None: all."""
        return tuple(None if w is None else (w[1] - w[0]).bit_length() for w in self.wraps)

    @cached_property
    def adders(self) -> int:
        """Two-input adders and subtractors, and one negator for each wire that outputs take with sign -1."""
        return len(self.nodes) + len(self._negated)

    @cached_property
    def _negated(self) -> frozenset[int]:
        return frozenset(out.wire for out in self.outputs if out.wire is not None and out.sign < 0)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """Per wire, the adders on its longest path from an input."""
        depths = [0] * self.first_node
        for node in self.nodes:
            depths.append(max(depths[node.a], depths[node.b]) + 1)
        return tuple(depths)

    @cached_property
    def depth(self) -> int:
        """Adders on the longest path from an input to an output, its negator included."""
        used = [self.depths[out.wire] + (out.sign < 0) for out in self.outputs if out.wire is not None]
        return max(used, default=0)

    @cached_property
    def _rows(self) -> Array:
        from .compiled import entry

        small = all(node.shift_a < INT64_BITS and node.shift_b < INT64_BITS for node in self.nodes)
        nodes = np.array(self.nodes if small else [], np.int64).reshape(-1, 6)
        rows: Array = entry.rows(nodes, self.first_node)[0] if small else nodes
        if not len(rows):
            rows = to_object(np.zeros((self.n_wires, self.first_node), np.int64))
            for w in range(self.first_node):
                rows[w, w] = 1
            _evaluate(self.nodes, rows, self.first_node)
        rows.setflags(write=False)
        return rows

    def coefficients(self) -> Array:
        """Exact integers C (n_wires, first_node), read-only: wire w = sum_i C[w, i] * wire i, over inputs,
        constants."""
        return self._rows

    def intervals(
        self, lo: int | Sequence[int] | None = None, hi: int | Sequence[int] | None = None
    ) -> tuple[Interval, ...]:
        """Per wire, the least and greatest raw value when every input i takes lo[i]..hi[i] independently.

        Both ends are reached: the sum of c*lo or c*hi by the sign of c. Default: `in_intervals`.
        """
        if lo is None or hi is None:
            if lo is not hi:
                raise ValueError("intervals must be given both lo and hi, or neither")
            return self._intervals
        low, high = ([int(v) for v in np.broadcast_to(to_object(exact(e)), (self.n_in,))] for e in (lo, hi))
        for i, (a, b) in enumerate(zip(low, high, strict=True)):
            if a > b:
                raise ValueError(f"lo must be <= hi, not {a} > {b} at input {i}")
        low, high = low + list(self.constants), high + list(self.constants)
        return self._intervals_over(low, high)

    @cached_property
    def _intervals(self) -> tuple[Interval, ...]:
        ends = [*self.in_intervals, *((v, v) for v in self.constants)]
        return self._intervals_over([lo for lo, _ in ends], [hi for _, hi in ends])

    def _intervals_over(self, lo: list[int], hi: list[int]) -> tuple[Interval, ...]:
        low, high = exact(np.array(lo, dtype=object)), exact(np.array(hi, dtype=object))
        up, down = np.maximum(self._rows, 0), np.minimum(self._rows, 0)
        largest = max(magnitude_bits(low), magnitude_bits(high))
        if magnitude_bits(self._rows) + largest + (2 * self.first_node).bit_length() > INT64_BITS:
            up, down, low, high = to_object(up), to_object(down), to_object(low), to_object(high)
        least, greatest = up @ low + down @ high, up @ high + down @ low
        return tuple(zip((int(v) for v in least), (int(v) for v in greatest), strict=True))

    @cached_property
    def demanded(self) -> tuple[int | None, ...]:
        """Per wire, how many of its low bits a later wire or a column needs; None: all of them."""
        need: list[int | None] = [0] * self.n_wires

        def read(wire: int, shift: int, bits: int | None) -> None:
            seen = need[wire]
            need[wire] = None if bits is None or seen is None else max(seen, bits - shift)

        for out, bits in zip(self.outputs, self.moduli, strict=True):
            if out.wire is not None:
                read(out.wire, out.shift, bits)
        for k in range(len(self.nodes) - 1, -1, -1):
            node, bits = self.nodes[k], need[self.first_node + k]
            read(node.a, node.shift_a, bits)
            read(node.b, node.shift_b, bits)
        return tuple(need)

    @cached_property
    def bits(self) -> int:
        """Full-adder bits for `in_intervals`: per adder, result width less the low bits that need no adder.

        Below the higher operand's lowest bit the other operand passes through if it is added; if it is
        subtracted, only the zeros below its own lowest bit are free. Widths are those of the exact intervals,
        and no more than what is demanded.
        """
        lows = _low_zeros(self._rows)
        total = 0
        for wire, node in enumerate(self.nodes, self.first_node):
            low_a, low_b = lows[node.a] + node.shift_a, lows[node.b] + node.shift_b
            lower_sign = node.sign_a if low_a < low_b else node.sign_b
            free = max(low_a, low_b) if lower_sign > 0 or low_a == low_b else min(low_a, low_b)
            total += max(self._width(wire) - free, 0)
        for wire in self._negated:
            lo, hi = self._intervals[wire]
            total += max(interval_width(-hi, -lo) - lows[wire], 0)
        return total

    def _width(self, wire: int) -> int:
        width, need = interval_width(*self._intervals[wire]), self.demanded[wire]
        return width if need is None else min(width, need)

    def check(self) -> AdderGraph:
        """This graph if each output is exactly its column; ArithmeticError names the first that is not."""
        rows = self._rows
        wanted = self.weights.array.T.tolist()
        for c, (wire, shift, sign) in enumerate(self.outputs):
            row = (
                [0] * self.first_node if wire is None else [sign * (v << shift) for v in rows[wire].tolist()]
            )
            column, offset = row[: self.n_in], 0
            for k, value in enumerate(self.constants):
                offset += row[self.n_in + k] * value
            bits = self.moduli[c]
            if bits is None:
                right = column == wanted[c] and offset == self.offsets[c]
            else:
                both = zip([*column, offset], [*wanted[c], self.offsets[c]], strict=True)
                right = all((v - w) & (1 << bits) - 1 == 0 for v, w in both)
            if not right:
                is_not = f"{column} + {offset}, not {wanted[c]} + {self.offsets[c]}"
                raise ArithmeticError(f"column {c} of the adder graph is {is_not}")
        return self

    def run(self, x: Any) -> Array:
        """x @ weights + offsets by the adders alone: integers (..., n_in) -> (..., n_out), object beyond 62
        bits.

        Columns with `wraps` are wrapped into that range. Raises TypeError for anything but integers and
        ValueError for a wrong last axis.
        """
        x = exact(x)
        if x.ndim == 0 or x.shape[-1] != self.n_in:
            raise ValueError(f"x must have shape (..., {self.n_in}), not {x.shape}")
        # No sum of this graph, shifted to its output, can pass sum|coefficient| * the largest |x| or
        # constant.
        norm = max(sum(abs(int(v)) for v in row) for row in self._rows.tolist())
        shift = max((max(n.shift_a, n.shift_b) for n in self.nodes), default=0)
        shift = max([shift, *(out.shift for out in self.outputs)])
        largest = max([magnitude_bits(x), *(v.bit_length() for v in self.constants)])
        wide = norm.bit_length() + largest + shift + 1 > INT64_BITS
        wires = np.zeros((self.n_wires, x.size // self.n_in), object if wide else np.int64)
        flat = (to_object(x) if wide else x).reshape(-1, self.n_in)
        wires[: self.n_in] = flat.T
        for k, value in enumerate(self.constants):
            wires[self.n_in + k] = value
        _evaluate(self.nodes, wires, self.first_node)
        columns = np.zeros((flat.shape[0], self.n_out), wires.dtype)
        for c, (wire, shift, sign) in enumerate(self.outputs):
            if wire is not None:
                columns[:, c] = (wires[wire] << shift) * sign
            if (wrap := self.wraps[c]) is not None:
                lo, hi = wrap
                columns[:, c] = (columns[:, c] - lo) % (hi - lo + 1) + lo
        return exact(columns.reshape(*x.shape[:-1], self.n_out))


def _evaluate(nodes: Sequence[Adder], wires: Array, first: int) -> None:
    """Fills wires[first:] in place from wires[:first]; the caller chose a dtype that holds every sum."""
    for k, node in enumerate(nodes):
        a, b = wires[node.a] << node.shift_a, wires[node.b] << node.shift_b
        if node.sign_b < 0:
            wires[first + k] = a - b
        elif node.sign_a < 0:
            wires[first + k] = b - a
        else:
            wires[first + k] = a + b


def _low_zeros(rows: Array) -> list[int]:
    """Per wire, the low bits that are always 0: trailing zeros of the gcd of its coefficients; constants are
    odd."""
    if rows.dtype == object:
        merged = [int(np.bitwise_or.reduce(row)) for row in rows]
    else:
        merged = np.bitwise_or.reduce(rows, axis=1).tolist()
    return [(v & -v).bit_length() - 1 if v else 0 for v in merged]


def interval_width(lo: int, hi: int) -> int:
    """Least bits that hold lo..hi: two's complement if lo < 0, else unsigned; 0 for the constant 0."""
    return max(hi, ~lo).bit_length() + 1 if lo < 0 else hi.bit_length()
