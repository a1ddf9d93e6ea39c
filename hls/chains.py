"""Chains of values that one layer of hls4ml's own computes exactly, and that layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format
from fxsim.graph import Graph, Node, Value
from fxsim.integers import Array, magnitude_bits
from hls.kinds import (
    DOUBLE_BITS,
    Layer,
    assignable,
    fitting,
    geometry,
    is_channel,
    is_constant,
    slope_of,
)
from hls.target import Target

MERGES = {ops.Add: "add", ops.Sub: "subtract", ops.Mul: "multiply", ops.Max: "maximum", ops.Min: "minimum"}
OPEN = frozenset(
    """
    add sub mul multiply concat conv1d conv2d conv3d dense matmul relu leaky_relu prelu quantize flatten
    max_pool average_pool pad resize shortcut downsample batch_norm layer
    """.split()  # noqa: SIM905
)
"""Kinds of blocks whose pointwise ops may be layers; a function such as softmax stays one generated layer."""
WIRES = ("reshape", "transpose", "pad")
"""Kinds that move elements only: they are worth a layer between layers of hls4ml's own."""


Match = tuple[Layer, list[Value]]


class Chains:
    """What begins at a value: `match` gives the layer and the values that it stands for."""

    def __init__(self, graph: Graph, target: Target) -> None:
        self.graph = graph
        self.target = target
        self.readers: dict[Node, list[Value]] = {v: [] for v in graph.values}
        for v in graph.values:
            for a in dict.fromkeys(v.args if isinstance(v, Value) else ()):
                self.readers[a].append(v)  # type: ignore[arg-type]
        self.formats: dict[Node, Format] = {i: target.lane(i.type) for i in graph.inputs}
        closed = [b for b in graph.blocks if b.kind not in OPEN]
        self.closed = {v for b in closed for v in graph.values[b.start : b.stop]}

    def match(self, v: Value) -> Match | None:
        """The layer whose chain begins at v, if there is one. None for wires, see `wire`."""
        if isinstance(v.op, ops.Window):
            return self.convolution(v) or self.depthwise(v) or self.pool(v)
        if isinstance(v.op, ops.MatMul):
            return self.matmul(v)
        if v in self.closed:
            return None
        if isinstance(v.op, ops.Max):
            return self.relu(v) or self.leaky_relu(v) or self.merge(v)
        return self.concat(v) if isinstance(v.op, ops.Concat) else self.merge(v)

    def wire(self, v: Value) -> Match | None:
        """A layer that moves elements, where every reader is a layer of hls4ml's own."""
        readers = self.readers[v]
        if v in self.graph.outputs or v in self.closed or not readers or not v.type.ndim:
            return None
        found = [self.match(r) or self.match_ahead(r) for r in readers]
        if not all(found):
            return None
        x, op = v.args[0], v.op
        sizes: dict[str, Any] = {}
        if isinstance(op, ops.Reshape):
            kind = "reshape"
            if self.target.stream and not self.repacks(x, v, found):
                return None
        elif isinstance(op, ops.Transpose) and v.type.ndim in (2, 3):
            if self.target.stream and self.target.types == "ac":
                return None  # hls4ml's code for it does not compile
            kind, sizes = "transpose", {"perm": [a % v.type.ndim for a in op.axes]}
        elif isinstance(op, ops.Pad) and op.fill == 0 and v.type.ndim == 3 and not op.before[2] + op.after[2]:
            kind, sizes = "pad", {"before": op.before[:2], "after": op.after[:2]}
        else:
            return None
        return Layer(kind, "", (x,), (v,), (self.format(x),), sizes), [v]

    def repacks(self, x: Node, v: Value, found: Sequence[Match | None]) -> bool:
        """Does hls4ml reshape this stream exactly?

        It gives a clone of what it reshapes another type, leaves a vector in the packs it had, which Dense
        alone takes as they come, and turns packs of one size into others by whole packs.
        """
        if len(found) > 1 or found[0] is None:
            return False
        if v.type.ndim == 1:
            return found[0][0].kind == "dense"
        sizes = sorted(n.type.shape[-1] if n.type.ndim else 1 for n in (x, v))
        return sizes[1] % sizes[0] == 0

    def match_ahead(self, v: Value) -> Match | None:
        """What begins behind a Shift that aligns an operand."""
        reader = self.aligns(v)
        return None if reader is None else self.match(reader)

    def aligns(self, v: Node) -> Value | None:
        """The layer's value that reads v, where v only moves an operand of it to a finer point."""
        if not (isinstance(v, Value) and isinstance(v.op, ops.Shift) and v.op.bits >= 0):
            return None
        reader = self.next(v)
        if reader is None or not isinstance(reader.op, (*MERGES, ops.Concat)):
            return None
        found = self.match(reader)
        return reader if found and v in found[1] else None

    def format(self, x: Node) -> Format:
        """The type that hls4ml is given for x; an open run will have lanes."""
        found: Format = self.formats.get(x) or self.target.lane(x.type)
        return found

    def next(self, v: Node) -> Value | None:
        """The only reader of v, unless v is an output as well."""
        readers = self.readers[v]
        return readers[0] if len(readers) == 1 and v not in self.graph.outputs else None

    def follow(self, used: list[Value], kind: type[ops.Shift] | type[ops.Cast]) -> Value | None:
        """The next value of the chain, if it is of this kind."""
        v = self.next(used[-1])
        return v if v is not None and isinstance(v.op, kind) else None

    def shifts(self, used: list[Value]) -> None:
        """Shifts to a finer point, which no value changes by."""
        while (v := self.follow(used, ops.Shift)) is not None and v.op.bits >= 0:  # type: ignore[attr-defined]
            used.append(v)

    def quantized(self, used: list[Value], source: Format) -> tuple[Value, Format]:
        """The end of the chain, with a cast that the assignment of a `source` does exactly; its type."""
        v = self.follow(used, ops.Cast)
        fmt = None if v is None else assignable(v, source, self.target)
        if v is None or fmt is None:
            return used[-1], self.target.lane(used[-1].type)
        used.append(v)
        return v, fmt

    def operand(self, a: Node, used: list[Value]) -> Node:
        """What an aligning Shift of an operand reads."""
        if isinstance(a, Value) and isinstance(a.op, ops.Shift) and a.op.bits >= 0 and self.next(a):
            used.append(a)
            return a.args[0]
        return a

    def weighted(
        self,
        kind: str,
        x: Node,
        v: Value,
        used: list[Value],
        weight: Array,
        fmt: Format,
        sizes: dict[str, Any],
    ) -> Match | None:
        """The layer of a product that ends in v: [+ constant] [cast]; weights as hls4ml keeps them."""
        bias, bias_format, n = None, None, v.type.shape[-1]
        self.shifts(used)
        after = self.next(used[-1])
        if after is not None and isinstance(after.op, ops.Add) and after.type.shape == v.type.shape:
            constant = next((a for a in after.args if is_constant(a)), None)
            if constant is not None and constant.type.size in (1, *constant.type.shape[-1:]):
                bias = np.broadcast_to(constant.type.lo.reshape(-1), (n,))
                bias_format = self.target.lane(constant.type)
                used.append(after)
                self.shifts(used)
        total = self.target.lane(used[-1].type)
        end, result = self.quantized(used, total)
        if bias is None or bias_format is None:
            bias, bias_format = np.zeros(n, np.int64), self.target.fitted(Format(1, 1, False))
        if max(magnitude_bits(weight), magnitude_bits(bias)) > DOUBLE_BITS:  # weights cross as doubles
            return None
        return Layer(
            kind, "", (x,), (end,), (result,), sizes,
            weight, self.target.fitted(fmt), bias, bias_format, total,
        ), used  # fmt: skip

    def matmul(self, v: Value) -> Match | None:
        """x @ constant [+ constant] [cast]: Dense, or a convolution of one pixel where x has more axes."""
        x, w = v.args
        if is_constant(x) or not is_constant(w) or w.type.ndim != 2 or not 1 <= x.type.ndim <= 3:
            return None
        fmt, n = w.type.lane(), x.type.ndim - 1
        if n == 0:
            return self.weighted("dense", x, v, [v], w.type.lo, fmt, {})
        weight = w.type.lo.reshape((1,) * n + w.type.shape)
        sizes = geometry(x, (1,) * n, (1,) * n, (0,) * n, (0,) * n)
        return self.weighted("conv", x, v, [v], weight, fmt, sizes)

    def windows(self, v: Value) -> dict[str, Any] | None:
        """Sizes of a window that hls4ml has: one or two spatial axes before the channels, no dilation."""
        op: Any = v.op
        x, n = v.args[0], len(op.kernel)
        wide = any(d > 1 and k > 1 for d, k in zip(op.dilation, op.kernel, strict=True))
        padded = any(op.before) or any(op.after)
        # Streams of flat windows take every row.
        if self.target.stream and n == 2 and op.kernel[0] == 1 and op.stride[0] > 1 and op.kernel[1] > 1:
            return None
        if wide or n > 2 or x.type.ndim != n + 1 or (padded and op.fill):
            return None
        return geometry(x, op.kernel, op.stride, op.before, op.after)

    def convolution(self, v: Value) -> Match | None:
        """Window, Reshape, @ constant [+ constant] [cast]."""
        sizes, rows = self.windows(v), self.next(v)
        if sizes is None or rows is None or not isinstance(rows.op, ops.Reshape):
            return None
        n, y = len(sizes["window"]), self.next(rows)
        if (
            y is None
            or not isinstance(y.op, ops.MatMul)
            or y.args[0] is not rows
            or not is_constant(y.args[1])
        ):
            return None
        w = y.args[1]
        if rows.type.shape != (*v.type.shape[:n], w.type.shape[0]) or w.type.ndim != 2:
            return None
        weight = w.type.lo.reshape(*sizes["window"], -1, w.type.shape[1])
        return self.weighted("conv", v.args[0], y, [v, rows, y], weight, w.type.lane(), sizes)

    def depthwise(self, v: Value) -> Match | None:
        """Window, per channel a Slice, Reshape and @ constant column, then Concat [+ constant] [cast]."""
        sizes = self.windows(v)
        if sizes is None or self.target.types != "ap":  # the others leave the channels of a stride unread
            return None
        n, channels = len(sizes["window"]), v.args[0].type.shape[-1]
        used, columns, ends = [v], [], []
        if n != 2 or len(self.readers[v]) != channels or v in self.graph.outputs or channels < 2:
            return None
        for k, part in enumerate(self.readers[v]):
            rows = self.next(part)
            y = None if rows is None else self.next(rows)
            if rows is None or y is None or not is_channel(part, k) or not isinstance(rows.op, ops.Reshape):
                return None
            if not isinstance(y.op, ops.MatMul) or y.args[0] is not rows or not is_constant(y.args[1]):
                return None
            if y.args[1].type.shape[1:] != (1,) or self.next(y) is None:
                return None
            columns.append(y.args[1].type)
            ends.append(y)
            used += [part, rows, y]
        joined = self.next(ends[0])
        if joined is None or joined.args != tuple(ends) or not isinstance(joined.op, ops.Concat):
            return None
        if joined.op.axis % joined.type.ndim != n or len({c.frac for c in columns}) > 1:
            return None
        raw = np.stack([c.lo[:, 0] for c in columns], axis=1)
        fmt = fitting(raw, columns[0].frac)
        weight = raw.reshape(*sizes["window"], channels, 1)
        return self.weighted("depthwise", v.args[0], joined, [*used, joined], weight, fmt, sizes)

    def pool(self, v: Value) -> Match | None:
        """Window, Reshape, ReduceMax; or Window, Sum and a division by a power of two [cast]."""
        sizes, y = self.windows(v), self.next(v)
        if sizes is None or y is None or any(sizes["before"]) or any(sizes["after"]):
            return None
        n = len(sizes["window"])
        # Streams have windows that do not overlap; a single one may be called so.
        stride = [
            k if m == 1 else s
            for k, s, m in zip(sizes["window"], sizes["stride"], v.type.shape, strict=False)
        ]
        if self.target.stream and stride != list(sizes["window"]):
            return None
        sizes = sizes | {"stride": tuple(stride)}
        x, size = v.args[0], int(np.prod(sizes["window"]))
        if isinstance(y.op, ops.Reshape):
            best = self.next(y)
            shape = (*v.type.shape[:n], size, v.type.shape[-1])
            if y.type.shape != shape or best is None or not isinstance(best.op, ops.ReduceMax):
                return None
            if best.op.axis % y.type.ndim != n:
                return None
            fmt = self.format(x)
            return Layer("max_pool", "", (x,), (best,), (fmt,), sizes, accumulator=fmt), [v, y, best]
        if not isinstance(y.op, ops.Sum) or {a % v.type.ndim for a in y.op.axes} != set(range(n, 2 * n)):
            return None
        scaled = self.next(y)
        if scaled is None or not isinstance(scaled.op, ops.Scale) or self.target.types != "ap":
            return None  # ac_fixed pools in the type of what it reads
        power = -scaled.op.power
        if size != 1 << max(power, 0) or power < 1:
            return None
        used = [v, y, scaled]
        source = scaled.type.lane()
        total = y.type.lane()
        accumulator = Format(total.width + power, total.int_bits, total.signed)
        end, fmt = self.quantized(used, source)
        return Layer("average_pool", "", (x,), (end,), (fmt,), sizes, accumulator=accumulator), used

    def relu(self, v: Value) -> Match | None:
        """max(x, 0) [cast]."""
        x = next((a for a in v.args if not is_constant(a)), None)
        zeros = [a for a in v.args if is_constant(a) and not np.any(a.type.lo)]
        if x is None or not zeros or x.type.shape != v.type.shape or not v.type.ndim:
            return None
        used = [v]
        self.shifts(used)
        end, fmt = self.quantized(used, self.format(x))
        return Layer("relu", "", (x,), (end,), (fmt,)), used

    def leaky_relu(self, v: Value) -> Match | None:
        """max(x, x * slope) [cast] for a constant slope below 1."""
        used: list[Value] = [v]
        found = [self.operand(a, used) for a in v.args]
        for x, y in (found, found[::-1]):
            slope = slope_of(x, y)
            if slope is None or not isinstance(y, Value):
                continue
            if self.next(y) is None or x.type.shape != v.type.shape or not v.type.ndim:
                return None
            width = max(slope[0].bit_length(), 2)
            sizes = {"slope": slope, "param": Format(width, width - slope[1], False)}
            return self.with_cast(v, used, "leaky_relu", (x,), sizes, [y])
        return None

    def merge(self, v: Value) -> Match | None:
        """Sum, difference, product or extreme of two tensors of one shape [cast]."""
        name = MERGES.get(type(v.op))
        if name is None or any(is_constant(a) for a in v.args) or not 1 <= v.type.ndim <= 3:
            return None
        used: list[Value] = [v]
        a, b = (self.operand(x, used) for x in v.args)
        if a is b or not a.type.shape == b.type.shape == v.type.shape:
            return None
        if self.target.stream and self.target.backend == "Catapult" and name in ("maximum", "minimum"):
            return None  # hls4ml's code for it does not compile
        return self.with_cast(v, used, "merge", (a, b), {"op": name})

    def with_cast(
        self, v: Value, used: list[Value], kind: str, inputs: tuple[Node, ...], sizes: dict[str, Any],
        before: Sequence[Value] = (),
    ) -> Match:  # fmt: skip
        """A layer of two operands whose result, at least as wide as v's lanes, may be cast."""
        chain = [v]
        end, fmt = self.quantized(chain, v.type.lane())
        return Layer(kind, "", inputs, (end,), (fmt,), sizes), [*before, *used[1:], *chain]

    def concat(self, v: Value) -> Match | None:
        """Two tensors, one behind the other on an axis."""
        if len(v.args) != 2 or any(is_constant(a) for a in v.args) or not 1 <= v.type.ndim <= 3:
            return None
        used: list[Value] = [v]
        a, b = (self.operand(x, used) for x in v.args)
        if a is b or not a.type.size or not b.type.size:
            return None
        if self.target.stream and self.target.backend == "Catapult" and v.type.ndim == 1:
            return None  # it takes each operand for a whole result
        sizes = {"axis": v.op.axis % v.type.ndim}  # type: ignore[attr-defined]
        return Layer("concat", "", (a, b), (v,), (self.target.lane(v.type),), sizes), [*used[1:], v]
