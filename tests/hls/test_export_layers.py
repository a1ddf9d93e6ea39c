"""Every layer of hls4ml's own that a project uses, in every back end and interface, against the emulator.

One project for each back end and interface holds many short chains of random geometry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hls
from fxsim import Format, Graph, Overflow, Rounding, concat, maximum, minimum, ops, trace
from fxsim.integers import IntArray
from fxsim.trace import Tensor

SPACE = (5, 6, 3)
QUANTIZER = Format(4, 3, True, Rounding.RND_CONV, Overflow.SAT)


def constant(like: Tensor, raw: object, frac: int) -> Tensor:
    return like.builder.apply(ops.Const(IntArray(raw), frac))


def window(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], pads: tuple[int, ...]) -> Tensor:
    n = len(kernel)
    return x._apply(ops.Window(kernel, stride, (1,) * n, pads[:n], pads[n:]))


def conv(
    x: Tensor, rng: np.random.Generator, filters: int, kernel: tuple[int, ...], stride: tuple[int, ...],
    pads: tuple[int, ...], bias: int | None = 4,
) -> Tensor:  # fmt: skip
    rows = window(x, kernel, stride, pads)
    rows = rows.reshape(*rows.shape[: len(kernel)], -1)
    y = rows @ constant(x, rng.integers(-7, 8, (rows.shape[-1], filters)), 2)
    return y if bias is None else y + constant(x, rng.integers(-30, 31, filters), bias)


def depthwise(x: Tensor, rng: np.random.Generator, stride: tuple[int, int]) -> Tensor:
    found = window(x, (3, 2), stride, (0, 0, 0, 0))
    parts = []
    for c in range(x.shape[2]):
        rows = found[..., c : c + 1].reshape(*found.shape[:2], 6)
        parts.append(rows @ constant(x, rng.integers(-7, 8, (6, 1)), 3))
    return concat(parts, axis=2) + constant(x, rng.integers(-9, 10, x.shape[2]), 5)


def max_pool(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    n = len(kernel)
    y = window(x, kernel, stride, (0,) * 2 * n)
    return y.reshape(*y.shape[:n], -1, y.shape[-1]).max(axis=n)


def average_pool(x: Tensor, kernel: tuple[int, ...], power: int) -> Tensor:
    n = len(kernel)
    y = window(x, kernel, kernel, (0,) * 2 * n)
    return y.sum(tuple(range(n, 2 * n)))._apply(ops.Scale(-power))


def chains(rng: np.random.Generator) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Layers over two images (x coarser than y), by the name that the report gives them."""
    return {
        "conv 3x3": lambda x, y: conv(x, rng, 4, (3, 3), (1, 1), (0, 0, 0, 0)).cast(QUANTIZER),
        "conv stride": lambda x, y: conv(y, rng, 2, (2, 3), (2, 3), (0, 0, 0, 0)),
        "conv pads": lambda x, y: conv(x, rng, 3, (3, 2), (2, 1), (1, 0, 2, 1)).relu().cast(QUANTIZER),
        "conv pixel": lambda x, y: conv(y, rng, 4, (1, 1), (1, 1), (0, 0, 0, 0), None),
        "conv rows": lambda x, y: x @ constant(x, rng.integers(-4, 5, (3, 2)), 0),
        "conv flat": lambda x, y: conv(x, rng, 2, (1, 3), (1, 2), (0, 0, 0, 0)),
        "conv flat rows": lambda x, y: conv(x, rng, 2, (1, 3), (2, 1), (0, 0, 0, 0)),
        "conv line": lambda x, y: conv(y.reshape(30, 3), rng, 2, (3,), (2,), (1, 1)),
        "depthwise": lambda x, y: depthwise(x, rng, (1, 1)),
        "depthwise stride": lambda x, y: depthwise(y, rng, (2, 1)),
        "max": lambda x, y: max_pool(x, (2, 3), (2, 3)),
        "max overlap": lambda x, y: max_pool(y, (3, 2), (1, 1)),
        "max all": lambda x, y: max_pool(y, (5, 6), (1, 1)).reshape(-1),
        "max line": lambda x, y: max_pool(x.reshape(30, 3), (4,), (4,)),
        "average": lambda x, y: average_pool(x, (2, 2), 2),
        "average cast": lambda x, y: average_pool(y, (4, 2), 3).cast(QUANTIZER),
        "relu": lambda x, y: x.relu(),
        "leaky": lambda x, y: maximum(x, x._apply(ops.Scale(-3))),
        "add": lambda x, y: x + y,
        "sub": lambda x, y: (y - x).cast(QUANTIZER),
        "mul": lambda x, y: x * y,
        "maximum": lambda x, y: maximum(x, y),
        "minimum": lambda x, y: minimum(x, y),
        "concat channels": lambda x, y: concat([x, y], axis=2),
        "concat rows": lambda x, y: concat([y, x], axis=0),
        "concat vectors": lambda x, y: concat([x.relu().reshape(-1), y.reshape(-1)]),
        "dense": lambda x, y: x.reshape(-1) @ constant(x, rng.integers(-3, 4, (90, 3)), 1),
        "channels first": lambda x, y: conv(
            x.transpose(2, 0, 1).relu().transpose(1, 2, 0), rng, 2, (2, 2), (2, 2), (0, 0, 0, 0)
        ),
        "padded": lambda x, y: conv(
            x._apply(ops.Pad((1, 0, 0), (2, 1, 0), 0)), rng, 1, (2, 2), (2, 2), (0, 0, 0, 0)
        ),
        "turned": lambda x, y: conv(x.transpose(1, 2, 0), rng, 1, (2, 2), (1, 1), (0, 0, 0, 0)),
        "generated": lambda x, y: abs(x) - y,
    }


def graph_of_all(seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    made = chains(rng)

    def network(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        outputs = []
        for name, chain in made.items():
            with x.builder.block("layer", name, [x, y]) as out:
                outputs.append(chain(x, y))
                out.append(outputs[-1])
        return tuple(outputs)

    return trace(network, Format(5, 3), Format(5, 2, False), shape=[SPACE, SPACE], output_names=[*made])


def samples(graph: Graph, n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(*i.type.bounds, (n, *i.type.shape), endpoint=True) for i in graph.inputs]


def different(project: hls.Project, raw: list[np.ndarray]) -> list[str]:
    """Names of the outputs whose codes are not the emulator's."""
    want, got = project.graph.run_raw(*raw), project.predict_raw(*raw)
    pairs = zip(project.graph.output_names, want, got, strict=True)
    return [name for name, a, b in pairs if not np.array_equal(a, b)]


def own(project: hls.Project) -> set[str]:
    """Chains of which the project has a layer of hls4ml's own."""
    names = {r["name"] for r in project.layers() if r["layer"] != "generated"}
    return {re.sub(r"_\d+$", "", n).replace("_", " ") for n in names}


NOT_OWN = {
    ("Vitis", "io_stream"): {"max overlap"},
    ("Vivado", "io_parallel"): set(),
    ("Quartus", "io_parallel"): {"average", "average cast"},
    ("Quartus", "io_stream"): {"average", "average cast", "max overlap"},
    ("Catapult", "io_parallel"): {"average", "average cast"},
    ("Catapult", "io_stream"): {"average", "average cast", "max overlap", "maximum", "minimum"},
}  # fmt: skip
"""Chains that have no layer of hls4ml's own there. The two pairs that are missing share the headers of those
that are here; tests of whole models compile them."""


@pytest.mark.parametrize(("backend", "io_type"), NOT_OWN)
def test_every_layer(backend: str, io_type: str, tmp_path: Path) -> None:
    project = hls.export(graph_of_all(5), tmp_path / "p", backend, "layers", io_type=io_type)
    missing = {n for n in project.graph.output_names if n not in own(project)}
    assert missing - {"generated"} == NOT_OWN[backend, io_type]
    assert different(project, samples(project.graph, 60)) == []
