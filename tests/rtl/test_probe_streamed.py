"""Probes in the hardware that `rtl.build` streams and folds: every link, and a fault between two blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fxsim
import rtl
from fxsim import layers

OUT = fxsim.Format(4, 2, False, fxsim.Rounding.TRN, fxsim.Overflow.SAT)
SCHEDULES: dict[str, Any] = {"streamed": "streamed", "folded": {"*": "streamed", "conv": "folded(2)"}}


def network() -> fxsim.Graph:
    rng = np.random.default_rng(8)
    conv, dense = rng.integers(-4, 4, (3, 3, 2, 4)), rng.integers(-4, 4, (16, 3))

    def forward(x: Any) -> Any:
        y = layers.conv2d(x, conv / 4, np.arange(4) / 4, padding=1, out=OUT, name="conv")
        y = layers.max_pool(y, 2, name="pool")
        return layers.dense(y.reshape(16), dense / 4, name="dense")

    return fxsim.trace(forward, fxsim.UQ(0, 3), shape=(4, 4, 2))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_link_and_a_fault(schedule: str, rng: np.random.Generator, monkeypatch: Any) -> None:
    core = rtl.build(network(), schedule=SCHEDULES[schedule])
    x = rng.integers(0, 8, (20, 4, 4, 2))
    with_codes = [link for link in core.network.links if link.carries is not None]
    for pauses in ({}, {"idle": 0.3, "backpressure": 0.4, "seed": 1}):
        v = rtl.verify(core, x, raw=True, simulator="native", probe=True, check_cycles=True, **pauses)
        assert v and v.links == len(with_codes) >= 6
        assert v.cycles == v.predicted_cycles

    # The block after the convolution reads a bit that is wrong; the convolution itself gives what it must.
    source = next(p for p in core.network.parts if p.name == "conv")
    link = next(k for k in core.network.links if k.source is source)
    right = type(core).verilog
    old = f".{link.target_port}__payload({link.wire}__payload)"

    def wrong(self: Any, probe: bool = False) -> str:
        text = right(self, probe)
        assert text.count(old) == 1
        return text.replace(old, f".{link.target_port}__payload({link.wire}__payload ^ 1)")

    monkeypatch.setattr(type(core), "verilog", wrong)
    found = rtl.verify(core, x, raw=True, simulator="native", probe=True).first_probe
    assert found is not None
    names = [p.name for p in core.network.parts]
    assert names.index("conv") < names.index(found.part) <= names.index("pool")
    assert found.sample == 0 and found.got != found.want
