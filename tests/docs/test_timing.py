"""The drawing of the handshake in docs/hardware.md is what a core does, cycle by cycle."""

from __future__ import annotations

import re
from pathlib import Path

from amaranth.sim import Simulator

import fxsim
import rtl

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hardware.md"


def drawing() -> dict[str, list[str]]:
    """The rows of the text block that begins with `cycle`: name -> one entry per cycle."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(r"^```text\n(cycle .*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found
    return {name: cells for name, *cells in (line.split() for line in found[1].splitlines() if line)}


def test_the_core_does_what_is_drawn() -> None:
    rows = drawing()
    core = rtl.build(fxsim.trace(lambda x: x + 1, fxsim.UQ(4, 0)), max_depth_per_stage=None)
    assert core.latency == 2
    seen: dict[str, list[str]] = {name: [] for name in ("i__ready", "o__valid", "o__payload")}

    async def testbench(context) -> None:
        for valid, payload, ready in zip(rows["i__valid"], rows["i__payload"], rows["o__ready"], strict=True):
            context.set(core.i.valid, int(valid))
            context.set(core.i.payload, int(payload.replace(".", "0")))
            context.set(core.o.ready, int(ready))
            offered = context.get(core.o.valid)
            seen["i__ready"].append(str(context.get(core.i.ready)))
            seen["o__valid"].append(str(offered))
            seen["o__payload"].append(str(context.get(core.o.payload)) if offered else ".")
            await context.tick()

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert seen == {name: rows[name] for name in seen}
    assert rows["cycle"] == [str(k) for k in range(len(rows["cycle"]))]
