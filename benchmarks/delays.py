"""Delays of primitives as nextpnr measures them, the numbers fitted to them, what they predict for layers.

Small registered designs give the delay of each primitive by width, the best that placement can do. Matrix
layers, cut into stages of several depths, then tell how much longer the wires of a filled device are, by a
factor of every fixed part and an overhead per stage. `rtl/timing/families.py` holds the results, rounded.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import fxsim
import rtl
from rtl.synth import fmax
from rtl.timing import FAMILIES, Delay, Family
from rtl.timing.model import CARRY

DEVICES = {"ecp5": "25k", "ice40": "hx8k"}
LANES = 8
WIDTHS = (4, 8, 16, 32)
TABLES = (4, 5, 6, 7)  # from 8 bits of address on, a registered table becomes a block RAM
ALIKE = {
    "ge": "lt", "ne": "eq", "any": "eq", "gate": "mux", "or": "and", "xor": "and", "not": "and",
}  # fmt: skip


class Row(NamedTuple):
    """A design between registers: `count` primitives of `kind` in series, the longest carry of `bits`."""

    kind: str
    count: int
    bits: int
    levels: int
    verilog: str


def lanes(inputs: dict[str, int], width: int, expression: str, steps: str = "") -> str:
    """LANES copies of `expression` of registered inputs (name: width), its result registered."""
    ports = "".join(f", input [{LANES * w - 1}:0] {n}_in" for n, w in inputs.items())
    lines = [f"module m(input clk{ports}, output reg [{LANES * width - 1}:0] out);"]
    lines += [
        f"reg [{LANES * w - 1}:0] {n}_reg; always @(posedge clk) {n}_reg <= {n}_in;"
        for n, w in inputs.items()
    ]
    for k in range(LANES):
        lines.append(f"if (1) begin : lane{k}")
        lines += [f"wire signed [{w - 1}:0] {n} = {n}_reg[{k * w} +: {w}];" for n, w in inputs.items()]
        lines += [steps, f"wire signed [{width - 1}:0] y = {expression};"]
        lines.append(f"always @(posedge clk) out[{k * width} +: {width}] <= y; end")
    return "\n".join([*lines, "endmodule", ""])


def chain(depth: int, width: int, sign: str) -> str:
    """`depth` adders in series, each kept as one."""
    names = [f"x{i}" for i in range(depth + 1)]
    sums = ["x0", *(f"s{i}" for i in range(1, depth + 1))]
    steps = "".join(
        f"(* keep *) wire signed [{width + i - 1}:0] s{i} = {sums[i - 1]} {sign} x{i};"
        for i in range(1, depth + 1)
    )
    return lanes(dict.fromkeys(names, width), width + depth, sums[-1], steps)


def table(bits: int) -> str:
    """Random entries of six bits, so that nothing of them is shared."""
    entries = np.random.default_rng(0).integers(0, 64, size=2**bits)
    cases = "".join(f"{i}: y = {v};" for i, v in enumerate(entries))
    return (
        f"module m(input clk, input [{bits - 1}:0] a, output reg [5:0] out);\n"
        f"reg [{bits - 1}:0] x; reg [5:0] y;\n"
        f"always @(posedge clk) x <= a; always @* case (x) {cases} endcase always @(posedge clk) out <= y;"
        "endmodule\n"
    )


def designs(family: Family) -> list[Row]:
    rows = []
    for sign, kind in (("+", "add"), ("-", "sub")):
        for depth, width in ((1, 8), (1, 16), (1, 32), (2, 8), (3, 16), (4, 8), (4, 16)):
            rows.append(Row(kind, depth, width + depth, 1, chain(depth, width, sign)))
    for w in WIDTHS:
        two = {"a": w, "b": w}
        rows.append(Row("neg", 1, w, 1, lanes({"a": w - 1}, w, "-a")))
        rows.append(Row("lt", 1, w, 1, lanes(two, 1, "a < b")))
        rows.append(Row("lt", 1, w, 1, lanes({"a": w}, 1, f"a < $signed({w}'d{2 ** (w - 1) // 3 | 1})")))
        rows.append(Row("eq", 1, 0, family.levels(2 * w), lanes(two, 1, "a == b")))
        rows.append(Row("eq", 1, 0, family.levels(w), lanes({"a": w}, 1, f"a == {2 ** (w - 1) // 3 | 1}")))
        rows.append(Row("mux", 1, w, 1, lanes({"c": 1, **two}, w, "c ? a : b")))
        rows.append(Row("and", 1, 0, 1, lanes(two, w, "a & b")))
        k = w // 2
        clamp = f"a[{w - 1}] ? {k}'d0 : |a[{w - 2}:{k}] ? {{{k}{{1'b1}}}} : a[{k - 1}:0]"
        rows.append(Row("clamp", 1, k, family.levels(w - k + 1), lanes({"a": w}, k, clamp)))
    rows += [Row("table", 1, max(0, bits - family.inputs), 1, table(bits)) for bits in TABLES]
    return rows


def period(verilog: str, top: str, family: Family, seeds: int) -> float:
    """Nanoseconds, the median of the seeds."""
    found = fmax(verilog, top, family.name, device=DEVICES[family.name], seeds=seeds)
    return statistics.median(1e3 / run.mhz for run in found.runs)


def fit(rows: list[Row], periods: list[float]) -> tuple[float, dict[str, Delay]]:
    """(overhead, delay per kind) with the least squares of period - overhead - delay, none below 0."""
    kinds = sorted({row.kind for row in rows})
    matrix = np.zeros((len(rows), 1 + 3 * len(kinds)))
    matrix[:, 0] = 1
    for values, row in zip(matrix, rows, strict=True):
        at = 1 + 3 * kinds.index(row.kind)
        values[at : at + 3] = row.count, row.bits, row.count * (row.levels - 1)
    found, _ = nnls(matrix, np.array(periods))
    return float(found[0]), {k: Delay(*map(float, found[1 + 3 * i : 4 + 3 * i])) for i, k in enumerate(kinds)}


def layer(n: int, casts: bool) -> fxsim.Graph:
    """n x n random 6-bit weights; with casts, a second layer behind a saturating ReLU."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(-32, 32, size=(2, n, n))
    if not casts:
        return fxsim.trace(lambda x: x @ first, fxsim.SQ(8, 0), shape=(n,), name="layer")
    code = fxsim.UQ(5, 0, overflow="SAT")
    return fxsim.trace(
        lambda x: ((x @ first) * 2**-7).relu().cast(code) @ second, fxsim.SQ(8, 0), shape=(n,), name="layer"
    )


def cores() -> list[rtl.Core]:
    cut = [
        (8, False, 2),
        (8, False, 3),
        (8, False, None),
        (16, False, 2),
        (16, False, 3),
        (8, True, 2),
        (8, True, 4),
    ]
    return [rtl.build(layer(n, casts), max_depth_per_stage=depth) for n, casts, depth in cut]


def path(core: rtl.Core, family: Family) -> tuple[float, float]:
    """(fixed parts, carry) of the slowest stage."""
    fixed = Family(
        "fixed", "ns", family.inputs, 0.0,
        {k: d if k not in CARRY else Delay(d.fixed, 0.0, d.level) for k, d in family.delays.items()}, "",
    )  # fmt: skip
    return max(core.plan.delays(fixed)), max(core.plan.delays(family)) - max(core.plan.delays(fixed))


def calibrate(family: Family, seeds: int) -> None:
    rows = designs(family)
    periods = []
    for row in rows:
        periods.append(period(row.verilog, "m", family, seeds))
        print(
            f"{row.kind:6}{row.count:3} in series{row.bits:4} bits{row.levels:3} levels{periods[-1]:8.2f} ns",
            flush=True,
        )
    overhead, small = fit(rows, periods)
    delays = {**family.delays, **small, **{k: small[v] for k, v in ALIKE.items()}}
    tight = Family(family.name, "ns", family.inputs, overhead, delays, "small designs")
    found = cores()
    measured = [period(core.verilog(), "layer", family, seeds) for core in found]
    parts = np.array([path(core, tight) for core in found])
    matrix = np.column_stack([np.ones(len(found)), parts[:, 0]])
    (stage, factor), _ = nnls(matrix, np.array(measured) - parts[:, 1])
    print(
        f"\noverhead {overhead:.2f} ns in small designs, {stage:.2f} in layers;"
        f" fixed parts there x {factor:.2f}"
    )
    print("kind     fixed    bit  level   in the family: fixed    bit  level")
    for kind, d in small.items():
        own = family.delays[kind]
        fitted = (d.fixed * factor, d.bit if kind in CARRY else d.bit * factor, d.level * factor)
        print(f"{kind:6}" + "".join(f"{v:8.3f}" for v in (*fitted, own.fixed, own.bit, own.level)))
    report(family, found, measured)


def report(family: Family, found: list[rtl.Core], measured: list[float]) -> None:
    print(f"\n{family.name}: layers  stages  adders  predicted MHz  measured MHz  error")
    for core, ns in zip(found, measured, strict=True):
        guess = core.predicted_fmax(family)
        name = f"{core.graph.inputs[0].type.size} inputs"
        figures = f"{core.plan.stages:8}{core.adders:8}{guess:15.1f}{1e3 / ns:14.1f}"
        print(f"{name:>14}{figures}{guess * ns / 1e3 - 1:+7.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=DEVICES, default="ecp5")
    parser.add_argument("--seeds", type=int, default=3, help="placements per design; the median counts")
    parser.add_argument("--layers", action="store_true", help="only compare the model with layers")
    arguments = parser.parse_args()
    family = FAMILIES[arguments.family]
    if arguments.layers:
        found = cores()
        report(family, found, [period(c.verilog(), "layer", family, arguments.seeds) for c in found])
    else:
        calibrate(family, arguments.seeds)


if __name__ == "__main__":
    main()
