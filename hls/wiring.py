"""Which hls4ml variable each layer of a plan reads and writes; a stream has one reader."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from fxsim.graph import Node
from hls.kinds import Layer
from hls.plan import Plan


@dataclass(frozen=True)
class Wires:
    """Per layer: names of the variables it reads, and (name, output number) of those it writes."""

    inputs: tuple[tuple[str, ...], ...]
    outputs: tuple[tuple[tuple[str, int], ...], ...]


def wires(plan: Plan) -> Wires:
    """The variables of the plan. In streams a generated layer writes each tensor once for every reader.

    Tensors of other layers keep one name, which hls4ml's Clone takes apart. Copies at the end do not rename
    what they copy.
    """
    source: dict[Node, Layer | None] = dict.fromkeys(plan.nodes)
    for layer in plan.layers:
        for o in layer.outputs:
            if o not in source or layer.sizes.get("fork"):
                source[o] = layer
    readers: dict[Node, list[int]] = defaultdict(list)
    for k, layer in enumerate(plan.layers):
        for x in layer.inputs:
            if source[x] is not layer:
                readers[x].append(k)
    names: dict[Node, str] = dict(zip(plan.nodes, plan.inputs, strict=True))
    found: dict[tuple[Node, int], str] = {}
    outputs = []
    for layer in plan.layers:
        made = [(n, o) for n, o in enumerate(layer.outputs)]
        split = plan.target.stream and layer.kind == "custom"
        written: list[tuple[str, int]] = []
        for n, o in made:
            mine = readers[o] if source[o] is layer else []
            copies = max(len(mine), 1) if split else 1
            single = len(made) == 1 and copies == 1
            for c in range(copies):
                text = layer.name if single else f"{layer.name}__{len(written)}"
                written.append((text, n))
                if split and mine:
                    found[o, mine[c]] = text
                elif source[o] is layer:
                    names[o] = text
        outputs.append(tuple(written))
    inputs = []
    for k, layer in enumerate(plan.layers):
        own = [
            plan_input(plan, x) if source[x] is layer else found.get((x, k), names.get(x, ""))
            for x in layer.inputs
        ]
        inputs.append(tuple(own))
    return Wires(tuple(inputs), tuple(outputs))


def plan_input(plan: Plan, x: Node) -> str:
    """What a fork reads: the tensor under its first name."""
    for node, name in zip(plan.nodes, plan.inputs, strict=True):
        if node is x:
            return name
    return next(layer.name for layer in plan.layers if x in layer.outputs)
