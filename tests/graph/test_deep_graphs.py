"""Long graphs: building, planning, printing and identity take no recursion and no exponential text."""

from __future__ import annotations

import numpy as np

import fxsim
from fxsim import SQ, Graph
from fxsim.trace import Tensor


def chain(n: int) -> Graph:
    def fn(x: Tensor) -> Tensor:
        for _ in range(n):
            x = (x + x + 1).cast(SQ(8, 0))
        return x.named("end")

    return fxsim.trace(fn, SQ(8, 0), shape=(2,), name="chain")


def test_a_chain_of_thousands_of_ops() -> None:
    g = chain(1500)
    expected = np.array([3, -7])
    for _ in range(1500):
        expected = (2 * expected + 1 + 128) % 256 - 128
    assert g.run_raw([3, -7]).tolist() == expected.tolist()
    assert g == chain(1500)
    assert str(g).count("\n") > 4500


def test_the_text_of_a_value_does_not_hold_its_operands() -> None:
    g = chain(1500)
    assert repr(g.outputs[0]).startswith("<Cast(") and len(repr(g.outputs[0])) < 200
    assert repr(g.inputs[0]) == "<Input x: 2 s8 frac 0 raw -128..127>"
    assert len(repr(g.names)) < 1000
    assert len(str(g.blocks)) < 100
