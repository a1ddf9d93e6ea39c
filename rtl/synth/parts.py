"""Cells per part of a streamed core: every part is a module of its own in the Verilog, mapped as such."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fxsim import cache
from rtl.synth import mapping, tools
from rtl.synth.layers import CONTROL, Layer, target
from rtl.synth.targets import Target

if TYPE_CHECKING:
    from rtl.schedule.core import StreamCore


def parts(
    core: StreamCore,
    target: str | Target = "ecp5",
    *,
    device: str | None = None,
    timeout: float = mapping.TIMEOUT,
) -> list[Layer]:
    """What each part of the network takes, in the order of the stream; last, where there is any, the logic
    between them.

    The whole is mapped once with the borders of the parts kept: nothing is shared, simplified or packed
    across one, so that the parts need not sum to the cells of the whole.

    Raises what `synthesize` does.
    """
    family = _family(target)
    network = core.network
    names = {network.module_of(p): p for p in network.parts}
    command = mapping.command(family, device)
    script = (
        f"read_verilog design.v; hierarchy -check -top {core.top}; "
        f"setattr -mod -set keep_hierarchy 1 {' '.join(names)}; {command} -top {core.top}; "
        "tee -q -o stat.json stat -json"
    )
    verilog = core.verilog()
    with cache.entry("parts", cache.digest(verilog, script, tools.YOSYS.version)) as draft:
        if not draft.ready:
            (draft.path / "design.v").write_text(verilog, encoding="utf-8")
            mapping.yosys(script, core.top, draft.path, timeout)
            (draft.path / "design.v").unlink()
        stat = json.loads((draft.publish() / "stat.json").read_text())
    modules = {k.lstrip("\\"): entry["num_cells_by_type"] for k, entry in stat["modules"].items()}
    rows = []
    for module, row in zip(names, core.report(), strict=True):
        used = mapping.Utilization.of(modules.get(module, {}), family)
        rows.append(
            Layer(
                row["block"] or "(core)", row["kind"], None, None, row["adders"], row["registers"], used,
                part=row["name"], memory=row["memory"],
            )
        )  # fmt: skip
    own = {k: n for k, n in modules[core.top].items() if k.lstrip("\\") not in modules}
    between = mapping.Utilization.of(own, family)
    if not family.free.issuperset(between.cells):
        rows.append(Layer(CONTROL, "", None, None, 0, 0, between, part="", memory=0))
    return rows


_family = target  # the function, where a parameter has its name
