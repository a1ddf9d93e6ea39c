"""Blocks with a schedule of their own: what is asked of a block happens, or is refused by its name."""

from __future__ import annotations

import numpy as np
import pytest

import rtl
from fxsim import UQ, trace
from fxsim.graph import Graph
from fxsim.layers import conv2d, dense, max_pool
from rtl.stream.folded_feeder import Feeder

CODE = UQ(0, 4, rounding="RND_CONV", overflow="SAT")


def network() -> Graph:
    rng = np.random.default_rng(0)
    kernel, matrix = rng.integers(-3, 4, (3, 3, 1, 4)), rng.integers(-3, 4, (36, 3))

    def forward(x):
        y = max_pool(conv2d(x, kernel / 8, out=CODE, name="conv"), 2, name="pool")
        return dense(y.reshape(36), matrix / 4, name="dense")

    return trace(forward, UQ(0, 4), shape=(8, 8, 1), name="blocks")


@pytest.mark.parametrize("rest", ["streamed", "folded(1)"])
def test_a_block_without_products_is_not_folded(rest: str) -> None:
    with pytest.raises(ValueError, match=r"block 'pool' must not be folded\(2\): no product with constants"):
        rtl.build(network(), schedule={"pool": "folded(2)", "*": rest})


def test_the_blocks_that_are_named_are_folded() -> None:
    def folded(schedule) -> list[str]:
        core = rtl.build(network(), schedule=schedule)
        return [core.block_of[p.name] for p in core.network.parts if isinstance(p, Feeder)]

    assert folded({"conv": "folded(4)", "dense": "unrolled", "*": "streamed"}) == ["conv"]
    assert folded({"dense": "folded(3)", "*": "streamed"}) == ["dense"]
    assert folded("folded(4)") == ["conv", "dense"]  # and the pool streams
