"""Node by node: a graph's integer codes against those of the framework that the model file comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.compare.places import Place, places
from fxsim.compare.reference import CODES, OFF_GRID, choose, decode, runner
from fxsim.graph import Block, Graph, Node
from fxsim.integers import Array


@dataclass(frozen=True)
class Tensor:
    """One named tensor: how many codes were compared, how many differ, and how many samples hold them.

    `noise` is the largest distance of the reference's floats from a code, in codes (0 for exact floats).
    """

    name: str
    codes: int
    mismatches: int
    samples: int
    noise: float


@dataclass(frozen=True, eq=False)
class Difference:
    """The first difference in the graph's order: where, both codes, and what the tensor was computed from.

    `element` is the index within the sample, in the file's axis order. `inputs` are (what, raw codes) of the
    block's operands for this sample. `near_tie` says that an accumulator lies so close to a step that
    rounding in the reference's floats decides.
    """

    tensor: str
    sample: int
    element: tuple[int, ...]
    code: int
    reference: int
    on_grid: bool
    block: str
    inputs: tuple[tuple[str, Array], ...]
    near_tie: str = ""


@dataclass(frozen=True, eq=False)
class Check:
    """The outcome of `check`: per tensor, the first difference, and where floats may decide otherwise."""

    reference: str
    samples: int
    tensors: tuple[Tensor, ...]
    unknown: tuple[str, ...]
    first: Difference | None
    places: tuple[Place, ...]

    @property
    def codes(self) -> int:
        return sum(t.codes for t in self.tensors)

    @property
    def mismatches(self) -> int:
        return sum(t.mismatches for t in self.tensors)


def check(source: Any, graph: Graph, x: Sequence[Array], reference: str | None = None) -> Check:
    """Compare every named tensor's integer codes with the framework's own, for real samples of every input.

    source     the model file, or the live torch module, that `graph` was loaded from
    x          one array per input of the graph, (samples, *shape), real values
    reference  "qonnx", "onnxruntime", "keras", "litert" or "torch"; None: by the source

    Integers are compared: the reference's real values are mapped to the nearest code first, and a value that
    is farther than a quarter from every code counts as a difference. Tensors that the reference does not
    have, or that were folded away here, are in `unknown`. Raises ValueError for a file without a reference
    and if nothing could be compared, ImportError without the extra `reference`.
    """
    name = reference or choose(source)
    samples = len(x[0])
    found = runner(name)(Path(source) if isinstance(source, (str, os.PathLike)) else source, graph, x)
    own = graph.codes(*x)
    order = graph.index
    known = [
        (k, n)
        for k, n in graph.names.items()
        if n.value is not None and k in found and found[k].size == samples * n.value.type.size
    ]
    if not known:
        raise ValueError(f"{graph.name} has no tensor that both the graph and {name} name")
    known.sort(key=lambda pair: order[pair[1].value])  # type: ignore[index]
    tensors, first = [], None
    for tensor, entry in known:
        if name in CODES and found[tensor].dtype.kind in "iu":
            theirs = found[tensor].reshape(own[tensor].shape).astype(np.int64)
            off = np.zeros(theirs.shape)
        else:
            theirs, off = decode(tensor, entry, found[tensor], samples)
        wrong = (theirs != own[tensor]) | (off > OFF_GRID)
        rows = int(wrong.reshape(samples, -1).any(axis=1).sum())
        tensors.append(Tensor(tensor, wrong.size, int(wrong.sum()), rows, float(off.max(initial=0.0))))
        if first is None and wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            here = int(own[tensor][at]), int(theirs[at]), bool(off[at] <= OFF_GRID)
            first = _difference(graph, tensor, entry.value, at, here, x, entry.axes)
    compared = {t.name for t in tensors}
    unknown = tuple(k for k in graph.names if k not in compared)
    return Check(name, samples, tuple(tensors), unknown, first, places(graph))


def _difference(
    graph: Graph, tensor: str, node: Node | None, at: tuple[int, ...], codes: tuple[int, int, bool],
    x: Sequence[Array], axes: tuple[int, ...] | None,
) -> Difference:  # fmt: skip
    """What the differing element was computed from."""
    from fxsim.emulate import evaluate

    assert node is not None
    block = _innermost(graph, node)
    sample = [a[at[0] : at[0] + 1] for a in x]
    raw = [e.encode(a, i.name) for e, a, i in zip(graph.encoders, sample, graph.inputs, strict=True)]
    env = evaluate(graph, raw)
    names = {n.value: k for k, n in graph.names.items() if n.value is not None}
    operands = block.inputs if block is not None else getattr(node, "args", ())
    inputs = tuple((names.get(o, str(o.type)), env[o][0]) for o in operands)
    own = list(at[1:])
    if axes is not None:
        for place, axis in enumerate(axes):
            own[axis] = at[1 + place]
    near = ""
    if block is not None and block.kind == "rescale":
        near = near_tie(block, env[block.inputs[0]][0][tuple(own)], tuple(own))
    label = f"{block.kind} {block.name}" if block is not None else type(getattr(node, "op", node)).__name__
    return Difference(tensor, at[0], at[1:], *codes, label, inputs, near)


def near_tie(block: Block, accumulator: int, element: tuple[int, ...]) -> str:
    """In words, if this accumulator of a rescale block is one of its recorded near ties, else nothing."""
    axis = block.params["axis"]
    channel = 0 if axis is None else element[axis]
    for c, code, first, last in block.params["near_ties"].array.tolist():
        if c == channel and first <= accumulator <= last:
            return f"accumulator {accumulator} lies within float noise of the step to code {code}"
    return ""


def _innermost(graph: Graph, node: Node) -> Block | None:
    """The shortest block that makes the value."""
    making = [b for b in graph.blocks if node in b.outputs]
    return min(making, key=lambda b: b.stop - b.start, default=None)


def random_reals(graph: Graph, samples: int, seed: int) -> list[Array]:
    """Uniform real samples over the span of every input's encoder, not only on its grid, as float32.

    ValueError for an input whose encoder knows no span.
    """
    rng = np.random.default_rng(seed)
    out = []
    for node, encoder in zip(graph.inputs, graph.encoders, strict=True):
        try:
            lo, hi = encoder.span(node.type.ndim)
        except (NotImplementedError, ValueError) as e:
            raise ValueError(f"input {node.name!r} needs data, not random samples: {e}") from e
        u = rng.random((samples, *node.type.shape))
        out.append((lo + u * (hi - lo)).astype(np.float32))
    return out


def as_table(tensors: Sequence[Tensor]) -> list[Mapping[str, Any]]:
    """One row a tensor."""
    return [
        {
            "tensor": t.name,
            "codes": t.codes,
            "mismatches": t.mismatches,
            "samples": t.samples,
            "noise": t.noise,
        }
        for t in tensors
    ]
