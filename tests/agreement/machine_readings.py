"""Machines in all readings: the NumPy table step by step, the emulator, the C++ class, and Verilator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fxsim import Machine
from fxsim.emulate import evaluate
from fxsim.graph import Graph, Node
from fxsim.integers import Array, IntArray, exact
from fxsim.ops import Cast, Const
from fxsim.trace import Builder, Tensor, maximum, minimum

Result = tuple[list[Array], list[Array]]  # outputs (streams, time, *shape), final states (streams, *shape)


def reference(machine: Machine, inputs: Sequence[Array], streams: int, time: int) -> Result:
    """One exact rule per value, step by step; every new state is checked against its type on the way."""
    step, n = machine.step, machine.states
    state = [
        np.broadcast_to(i.array, (streams, *node.type.shape))
        for i, node in zip(machine.init, step.inputs, strict=False)
    ]
    rows: list[list[Array]] = []
    for t in range(time):
        env = evaluate(step, [*state, *(x[:, t] for x in inputs)])
        found = [np.broadcast_to(env[o], (streams, *o.type.shape)) for o in step.outputs]
        state, out = found[:n], found[n:]
        assert all(np.all(i.type.contains(s)) for i, s in zip(step.inputs, state, strict=False))
        rows.append(out)
    return [exact(np.stack([r[k] for r in rows], 1)) for k in range(len(step.outputs) - n)], state


def check(
    machine: Machine, *inputs: Array, shape: tuple[int, int] = (1, 1), simulator: str = "native"
) -> Result:
    """Assert that every reading gives the table's integers in every stream; returns them.

    inputs   raw codes (streams, time, *shape); a machine without inputs runs `shape` = (streams, time)
    """
    import rtl
    from hls import compile_machines

    streams, time = np.shape(inputs[0])[:2] if inputs else shape
    want = reference(machine, inputs, streams, time)
    compiled = compile_machines([machine], optimize=1)[0]
    for reading in (machine, compiled):
        got = reading.run_raw(*inputs) if inputs else reading.free_run(streams, time)
        for theirs, ours in zip(want, got, strict=True):
            for a, b in zip(theirs, ours, strict=True):
                np.testing.assert_array_equal(a, b)
    stimulus = inputs or (np.zeros((streams, time), np.int64),)
    found = rtl.verify(machine, *stimulus, raw=True, simulator=simulator, idle=0.1, backpressure=0.1, seed=1)
    assert found, found.first_difference
    assert found.vectors == streams * time
    return want


def parallel(machines: dict[str, Machine], name: str = "machines") -> Machine:
    """All machines side by side as one, so that they share builds: states first, then inputs, in order.

    Tensors are called after their machine, outputs in the machines' order.
    """
    b = Builder(name)
    env: dict[tuple[str, Node], Tensor] = {}
    for states in (True, False):
        for key, m in machines.items():
            for k, node in enumerate(m.step.inputs):
                if (k < m.states) == states:
                    env[key, node] = b.input(f"{key}_{node.name}", node.type, m.step.encoders[k])
    for key, m in machines.items():
        for v in m.step.values:
            if (key, v) not in env:
                env[key, v] = b.apply(v.op, *(env[key, a] for a in v.args))
    new = [env[key, o] for key, m in machines.items() for o in m.step.outputs[: m.states]]
    out = [env[key, o] for key, m in machines.items() for o in m.step.outputs[m.states :]]
    init: list[IntArray] = [i for m in machines.values() for i in m.init]
    return Machine(tuple(init), b.finish([*new, *out]))


def looped(graph: Graph) -> Machine:
    """A machine of any graph: its first input is the state, the next one is made of its first output.

    The elements of that output, as often as needed, are cast by wrapping, then clamped into the state's sets.
    """
    b = Builder(graph.name)
    env: dict[Node, Tensor] = {}
    for node, encoder in zip(graph.inputs, graph.encoders, strict=True):
        env[node] = b.input(node.name, node.type, encoder)
    for v in graph.values:
        if v not in env:
            env[v] = b.apply(v.op, *(env[a] for a in v.args))
    state, source = graph.inputs[0].type, env[graph.outputs[0]]
    places = np.arange(state.size).reshape(state.shape) % source.type.size
    new = source.reshape(-1).take(places)
    stride = np.where(state.is_constant, 0, state.stride)
    width = np.maximum(state.width - stride, 1)
    cast = Cast(IntArray(state.frac - stride), IntArray(width), IntArray(state.signed), "RND", "WRAP")
    new = b.apply(cast, new)
    ends = (b.apply(Const(IntArray(end), state.frac)) for end in (state.lo, state.hi))
    new = minimum(maximum(new, next(ends)), next(ends))
    start = np.where(state.is_constant, state.lo, state.hi)
    return Machine((IntArray(start),), b.finish([new, *(env[o] for o in graph.outputs)]))
