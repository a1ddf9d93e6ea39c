"""Units of several number systems in one graph, so that they share one simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from fxsim import Format, Graph, trace
from fxsim.integers import Array


@dataclass(frozen=True)
class Unit:
    """One unit with inputs of its own.

    inputs     (format, shape) of each
    build      the tensors of its outputs
    reference  the raw outputs of raw inputs, batch first, from the formulas alone
    rows       its raw inputs, batch first; shorter ones are repeated
    """

    name: str
    inputs: tuple[tuple[Format, tuple[int, ...]], ...]
    build: Callable[..., Sequence[object]]
    reference: Callable[..., Sequence[Array]]
    rows: tuple[Array, ...]


def every(bits: int) -> Array:
    """All codes of `bits` one-bit inputs, the last changes fastest."""
    return np.array(list(product((0, 1), repeat=bits)))


def pairs(a: Array, b: Array) -> tuple[Array, Array]:
    """Every a with every b."""
    return np.repeat(a, len(b), axis=0), np.tile(b, (len(a), *(1,) * (b.ndim - 1)))


def with_corners(low: int, high: int, shape: tuple[int, ...], count: int, rng: np.random.Generator) -> Array:
    """Random codes; before them all least, all greatest, all 0 and all -1, and mixtures of the ends."""
    corners = [np.full(shape, v) for v in (low, high, 0, -1) if low <= v <= high]
    ends = rng.choice([low, high], size=(64, *shape))
    return np.concatenate([np.array(corners), ends, rng.integers(low, high + 1, size=(count, *shape))])


def together(units: Sequence[Unit], name: str) -> tuple[Graph, list[Array], list[Array]]:
    """(one graph of all units, its raw inputs, the references' outputs)."""
    formats = [f for u in units for f, _ in u.inputs]
    shapes = [s for u in units for _, s in u.inputs]
    count = max(len(r) for u in units for r in u.rows)
    raw = [[np.resize(r, (count, *r.shape[1:])) for r in u.rows] for u in units]

    def build(*tensors):
        left = list(tensors)
        outputs = []
        for u in units:
            mine, left = left[: len(u.inputs)], left[len(u.inputs) :]
            outputs += u.build(*mine)
        return tuple(outputs)

    graph = trace(build, *formats, shape=shapes, name=name)
    wanted = [np.asarray(y) for u, r in zip(units, raw, strict=True) for y in u.reference(*r)]
    return graph, [a for r in raw for a in r], wanted


def same(found: Sequence[Array], wanted: Sequence[Array]) -> None:
    """Assert that the outputs are equal in shape and in every element."""
    assert len(found) == len(wanted)
    for i, (have, want) in enumerate(zip(found, wanted, strict=True)):
        assert have.shape == want.shape, f"output {i} has shape {have.shape}, not {want.shape}"
        bad = np.argwhere(have != want)
        if len(bad):
            at = tuple(bad[0])
            raise AssertionError(f"output {i} is {have[at]}, not {want[at]}, at {at}")
