"""Where a float reference may give another code than exact arithmetic: near ties of sums and functions."""

from __future__ import annotations

from dataclasses import dataclass

from fxsim.graph import Graph


@dataclass(frozen=True)
class Place:
    """A step of a rescale or curve block with reachable accumulators first..last within float noise of it.

    The exact code below the step is `code` - 1, above it `code`; a float32 reference may give either one.
    """

    block: str
    channel: int
    code: int
    first: int
    last: int


def places(graph: Graph) -> tuple[Place, ...]:
    """All of them, in the graph's order; none where scales are powers of two."""
    return tuple(
        Place(b.name, *map(int, row))
        for b in graph.blocks
        if b.kind in ("rescale", "curve") and "near_ties" in b.params
        for row in b.params["near_ties"].array.tolist()
    )
