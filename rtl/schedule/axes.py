"""Along which axes an input streams: those over which the first window that its elements meet slides."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from fxsim import ops
from fxsim.graph import Graph, Input, Node, Value
from rtl.schedule.reshaping import groups

if TYPE_CHECKING:
    from rtl.schedule.options import Options

Tags = tuple[Mapping[Input, int], ...]  # per axis of a value, which axis of each input it is


def input_axes(graph: Graph, static: Collection[Node], options: Options) -> dict[Input, tuple[int, ...]]:
    """The streamed axes per input: as `options.axes` says, else from windows, else none (a whole sample)."""
    found: dict[Input, tuple[int, ...]] = {}
    tags: dict[Node, Tags] = {}
    for node in graph.values:
        if isinstance(node, Input):
            tags[node] = tuple({node: a} for a in range(node.type.ndim))
            continue
        assert isinstance(node, Value)
        if node in static:
            tags[node] = ({},) * node.type.ndim
            continue
        if isinstance(node.op, ops.Window):
            heads = tags[node.args[0]][: len(node.op.kernel)]
            for source in graph.inputs:
                if all(source in h for h in heads):
                    found.setdefault(source, tuple(h[source] for h in heads))
        tags[node] = _tags(node, [tags[a] for a in node.args])
    out = {}
    for node in graph.inputs:
        given = options.axes.get(node.name) if options.axes is not None else found.get(node, ())
        out[node] = tuple(given or ())
        bad = [a for a in out[node] if not 0 <= a < node.type.ndim]
        if bad or len(set(out[node])) != len(out[node]):
            raise ValueError(
                f"axes of input {node.name!r} must be different axes of {node.type.shape}, not {given!r}"
            )
    return out


def _tags(v: Value, operands: list[Tags]) -> Tags:
    """The tags of a result, where they are plain."""
    n = v.type.ndim
    if isinstance(v.op, ops.Transpose):
        return tuple(operands[0][a] for a in v.op.axes)
    if isinstance(v.op, ops.Reshape):
        out: list[Mapping[Input, int]] = [{}] * n
        for ins, outs in groups(v.args[0].type.shape, v.type.shape):
            if len(ins) == len(outs) == 1:
                out[outs[0]] = operands[0][ins[0]]
        return tuple(out)
    if isinstance(v.op, ops.MatMul):
        return (*operands[0][:-1], {})[:n] if len(operands[0]) == n else ({},) * n
    if isinstance(v.op, (ops.Pad, ops.Slice)):
        return operands[0]
    if isinstance(v.op, ops.Window) or any(len(t) > n for t in operands):
        return ({},) * n
    out = [{}] * n
    for a, t in zip(v.args, operands, strict=True):
        for k in range(len(t)):
            axis = n - len(t) + k
            if a.type.shape[k] == v.type.shape[axis]:
                out[axis] = {**t[k], **out[axis]}
    return tuple(out)
