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
    """Shift-add form of y = x @ weights * 2**-frac; x raw (..., n_in), weights integers (n_in, n_out).

    Wire w < n_in is input w; wire n_in + k is nodes[k], which reads only earlier wires. Every node is exact:
    nothing is rounded or wraps. `run` gives the raw product x @ weights; its LSB is 2**-frac of the LSB of x.
    Raises ValueError when a node reads a later wire, a shift is negative, a sign is not +-1 or both are -1.
    """

    weights: IntArray
    frac: int
    in_intervals: tuple[Interval, ...]
    nodes: tuple[Adder, ...]
    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        if len(self.in_intervals) != self.n_in:
            raise ValueError(f"in_intervals must have {self.n_in} entries, not {len(self.in_intervals)}")
        if len(self.outputs) != self.n_out:
            raise ValueError(f"outputs must have {self.n_out} entries, not {len(self.outputs)}")
        for k, node in enumerate(self.nodes):
            wire = self.n_in + k
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
    def n_wires(self) -> int:
        return self.n_in + len(self.nodes)

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
        depths = [0] * self.n_in
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
        bounds = [1] * self.n_in
        for node in self.nodes:
            bounds.append((bounds[node.a] << node.shift_a) + (bounds[node.b] << node.shift_b))
        rows = np.zeros((self.n_wires, self.n_in), np.int64 if max(bounds) >> INT64_BITS == 0 else object)
        rows[: self.n_in] = np.eye(self.n_in, dtype=np.int64)
        if rows.dtype == object:
            rows = to_object(rows)
        _evaluate(self.nodes, rows, self.n_in)
        rows.setflags(write=False)
        return rows

    def coefficients(self) -> Array:
        """Exact integers C (n_wires, n_in), read-only: wire w = sum_i C[w, i] * x[i], inputs included."""
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
        return self._intervals_over(low, high)

    @cached_property
    def _intervals(self) -> tuple[Interval, ...]:
        return self._intervals_over([lo for lo, _ in self.in_intervals], [hi for _, hi in self.in_intervals])

    def _intervals_over(self, lo: list[int], hi: list[int]) -> tuple[Interval, ...]:
        low, high = exact(np.array(lo, dtype=object)), exact(np.array(hi, dtype=object))
        up, down = np.maximum(self._rows, 0), np.minimum(self._rows, 0)
        largest = max(magnitude_bits(low), magnitude_bits(high))
        if magnitude_bits(self._rows) + largest + (2 * self.n_in).bit_length() > INT64_BITS:
            up, down, low, high = to_object(up), to_object(down), to_object(low), to_object(high)
        least, greatest = up @ low + down @ high, up @ high + down @ low
        return tuple(zip((int(v) for v in least), (int(v) for v in greatest), strict=True))

    @cached_property
    def bits(self) -> int:
        """Full-adder bits for `in_intervals`: per adder, result width less the low bits that need no adder.

        Below the higher operand's lowest bit the other operand passes through if it is added; if it is
        subtracted, only the zeros below its own lowest bit are free. Widths are those of the exact intervals.
        """
        lows = _low_zeros(self._rows)
        total = 0
        for k, node in enumerate(self.nodes):
            wire = self.n_in + k
            low_a, low_b = lows[node.a] + node.shift_a, lows[node.b] + node.shift_b
            lower_sign = node.sign_a if low_a < low_b else node.sign_b
            free = max(low_a, low_b) if lower_sign > 0 or low_a == low_b else min(low_a, low_b)
            total += max(interval_width(*self._intervals[wire]) - free, 0)
        for wire in self._negated:
            lo, hi = self._intervals[wire]
            total += max(interval_width(-hi, -lo) - lows[wire], 0)
        return total

    def check(self) -> AdderGraph:
        """This graph if each output is exactly its column of weights; ArithmeticError names the first not."""
        rows, weights = self._rows, self.weights.array
        for c, (wire, shift, sign) in enumerate(self.outputs):
            row = [0] * self.n_in if wire is None else [sign * (v << shift) for v in rows[wire].tolist()]
            if row != weights[:, c].tolist():
                raise ArithmeticError(f"column {c} of the adder graph is {row}, not {weights[:, c].tolist()}")
        return self

    def run(self, x: Any) -> Array:
        """x @ weights by the adders alone: integers (..., n_in) -> (..., n_out), object beyond 62 bits.

        Raises TypeError for anything but integers and ValueError for a wrong last axis.
        """
        x = exact(x)
        if x.ndim == 0 or x.shape[-1] != self.n_in:
            raise ValueError(f"x must have shape (..., {self.n_in}), not {x.shape}")
        # No sum of this graph, shifted to its output, can pass sum|coefficient| * max|x|.
        norm = max(sum(abs(int(v)) for v in row) for row in self._rows.tolist())
        shift = max((max(n.shift_a, n.shift_b) for n in self.nodes), default=0)
        shift = max([shift, *(out.shift for out in self.outputs)])
        wide = norm.bit_length() + magnitude_bits(x) + shift + 1 > INT64_BITS
        wires = np.zeros((self.n_wires, x.size // self.n_in), object if wide else np.int64)
        flat = (to_object(x) if wide else x).reshape(-1, self.n_in)
        wires[: self.n_in] = flat.T
        _evaluate(self.nodes, wires, self.n_in)
        columns = np.zeros((flat.shape[0], self.n_out), wires.dtype)
        for c, (wire, shift, sign) in enumerate(self.outputs):
            if wire is not None:
                columns[:, c] = (wires[wire] << shift) * sign
        return exact(columns.reshape(*x.shape[:-1], self.n_out))


def _evaluate(nodes: Sequence[Adder], wires: Array, n_in: int) -> None:
    """Fills wires[n_in:] in place from wires[:n_in]; the caller chose a dtype that holds every sum."""
    for k, node in enumerate(nodes):
        a, b = wires[node.a] << node.shift_a, wires[node.b] << node.shift_b
        if node.sign_b < 0:
            wires[n_in + k] = a - b
        elif node.sign_a < 0:
            wires[n_in + k] = b - a
        else:
            wires[n_in + k] = a + b


def _low_zeros(rows: Array) -> list[int]:
    """Per wire, the low bits that are always 0: trailing zeros of the gcd of its coefficients."""
    if rows.dtype == object:
        merged = [int(np.bitwise_or.reduce(row)) for row in rows]
    else:
        merged = np.bitwise_or.reduce(rows, axis=1).tolist()
    return [(v & -v).bit_length() - 1 if v else 0 for v in merged]


def interval_width(lo: int, hi: int) -> int:
    """Least bits that hold lo..hi: two's complement if lo < 0, else unsigned; 0 for the constant 0."""
    return max(hi, ~lo).bit_length() + 1 if lo < 0 else hi.bit_length()
