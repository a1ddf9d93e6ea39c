"""Machine: a graph with state, (state, input) -> (state, output), run over an explicit time axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim.emulate.feed import check_raw
from fxsim.graph import Graph
from fxsim.integers import Array, IntArray


@dataclass(frozen=True)
class Machine:
    """`step`'s first len(init) inputs and outputs are the state; the others are the input and output at one
    time.

    Batch rows are independent streams. Each state tensor begins as `init` (raw, broadcast to its shape) in
    every stream, and a new state must belong to the type of the state input, which is what makes the machine
    closed.

    Raises ValueError where the state does not fit.
    """

    init: tuple[IntArray, ...]
    step: Graph

    def __post_init__(self) -> None:
        if not isinstance(self.init, (tuple, list)):
            raise TypeError(f"init must be a tuple of arrays, one per state tensor, not {self.init!r}")
        object.__setattr__(self, "init", tuple(IntArray(i) for i in self.init))
        n = len(self.init)
        if not n or n > len(self.step.inputs) or n > len(self.step.outputs):
            raise ValueError(
                f"init must hold one array per state tensor, at least 1 and at most the step's "
                f"{len(self.step.inputs)} inputs and {len(self.step.outputs)} outputs, not {n}"
            )
        for start, node, new in zip(self.init, self.step.inputs, self.step.outputs, strict=False):
            value = np.broadcast_to(start.array, node.type.shape) if _fits(start, node.type.shape) else None
            if value is None:
                raise ValueError(
                    f"init of state {node.name!r} must have shape {node.type.shape}, not {start.shape}"
                )
            if not np.all(node.type.contains(value)):
                raise ValueError(f"init of state {node.name!r} must lie in its type {node.type}")
            if not node.type.covers(new.type):
                raise ValueError(
                    f"the new state of {node.name!r} has type {new.type}, which {node.type} does not cover; "
                    f"cast it to the state's format in the step"
                )

    @property
    def states(self) -> int:
        """Number of state tensors."""
        return len(self.init)

    def run_raw(self, *inputs: Any) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """(outputs, final states) for raw inputs of shape (batch, time, *input shape).

        Each output has shape (batch, time, *output shape), each state (batch, *state shape). A machine
        without inputs needs `free_run`.
        """
        if len(inputs) != len(self.step.inputs) - self.states:
            raise TypeError(
                f"the machine has {len(self.step.inputs) - self.states} inputs, not {len(inputs)}"
            )
        if not inputs:
            raise TypeError("a machine without inputs runs by free_run(batch, time)")
        arrays = [np.asarray(x) for x in inputs]
        for a, node in zip(arrays, self.step.inputs[self.states :], strict=True):
            if a.ndim != node.type.ndim + 2 or a.shape[2:] != node.type.shape:
                raise ValueError(
                    f"input {node.name!r} must have shape {('batch', 'time', *node.type.shape)}, "
                    f"not {a.shape}"
                )
        if len({a.shape[:2] for a in arrays}) > 1:
            raise ValueError(f"inputs must share batch and time, not {[a.shape[:2] for a in arrays]}")
        for a, node in zip(arrays, self.step.inputs[self.states :], strict=True):
            check_raw(a, node)  # here, where a bad index has its time
        batch, time = arrays[0].shape[:2]
        return self._run(batch, time, [[a[:, t] for a in arrays] for t in range(time)])

    def free_run(self, batch: int, time: int) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """As `run_raw`, for a machine whose step reads its state only."""
        if len(self.step.inputs) != self.states:
            raise TypeError(f"the machine has {len(self.step.inputs) - self.states} inputs; use run_raw")
        return self._run(batch, time, [[] for _ in range(time)])

    def _run(
        self, batch: int, time: int, inputs: list[list[Array]]
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        state = [
            np.broadcast_to(i.array, (batch, *n.type.shape))
            for i, n in zip(self.init, self.step.inputs, strict=False)
        ]
        rows: list[list[Array]] = []
        for x in inputs:
            result = self.step.run_raw(*state, *x)
            out = list(result) if isinstance(result, tuple) else [result]
            state = out[: self.states]
            rows.append(out[self.states :])
        outputs = []
        for k, node in enumerate(self.step.outputs[self.states :]):
            empty = np.zeros((batch, 0, *node.type.shape), np.int64)
            outputs.append(np.stack([r[k] for r in rows], axis=1) if rows else empty)
        return tuple(outputs), tuple(np.array(s) for s in state)


def _fits(start: IntArray, shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(start.shape, shape) == shape
    except ValueError:
        return False
