"""Samples per second of three benches on one 16 x 16 product of 6-bit integers: naive cocotb, ours, native.

All three check every output, in one interleaved run; figures are medians of processor time, the benches' own
conversions, reference and comparison included, builds not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # processor time is compared: no thread may spin beside

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from fxsim import cache  # noqa: E402
from rtl.bench import cocotb_bench, native, tools  # noqa: E402
from rtl.bench.scoreboard import compare  # noqa: E402
from rtl.layout import Layout, Port  # noqa: E402

BITS, LANES = 6, 16


class Product(wiring.Component):
    """y = x @ weights by shifts and adds, three registers deep, one sample a clock; plain vector payloads."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights
        rows, columns = weights.shape
        bound = int(np.abs(weights).sum(axis=0).max()) << (BITS - 1)
        self.in_layout = Layout((Port("x", (rows,), BITS),))
        self.out_layout = Layout((Port("y", (columns,), bound.bit_length() + 1),))
        super().__init__(
            {
                "i": In(stream.Signature(self.in_layout.bits)),
                "o": Out(stream.Signature(self.out_layout.bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.out_layout.ports[0].width
        valid, advance = Signal(3), Signal()
        m.d.comb += [
            advance.eq(~valid[2] | self.o.ready),
            self.i.ready.eq(advance),
            self.o.valid.eq(valid[2]),
        ]
        held = Signal(len(self.i.payload))
        with m.If(advance):
            m.d.sync += [valid.eq(Cat(self.i.valid, valid[:2])), held.eq(self.i.payload)]
        x = [held.word_select(k, BITS).as_signed() for k in range(LANES)]
        results = []
        for column in range(LANES):
            quarters = []
            for first in range(0, LANES, 4):
                partial = Signal(signed(width), name=f"partial_{column}_{first}")
                terms = 0
                for k in range(first, first + 4):
                    for sign, shift in signed_digits(int(self.weights[k, column])):
                        terms = terms + (x[k] << shift) if sign > 0 else terms - (x[k] << shift)
                with m.If(advance):
                    m.d.sync += partial.eq(terms)
                quarters.append(partial)
            result = Signal(signed(width), name=f"y_{column}")
            with m.If(advance):
                m.d.sync += result.eq((quarters[0] + quarters[1]) + (quarters[2] + quarters[3]))
            results.append(result)
        m.d.comb += self.o.payload.eq(Cat(results))
        return m


def signed_digits(value: int) -> list[tuple[int, int]]:
    """(sign, shift) with value = sum sign * 2**shift and no two neighbouring shifts."""
    digits, shift = [], 0
    while value:
        if value & 1:
            sign = 2 - (value & 3)
            digits.append((sign, shift))
            value -= sign
        value >>= 1
        shift += 1
    return digits


def naive_top(core: Product) -> str:
    """A module with one signed port per lane around the core, as the naive bench expects."""
    width = core.out_layout.ports[0].width
    ports = [f"input signed [{BITS - 1}:0] x{k}" for k in range(LANES)]
    ports += [f"output signed [{width - 1}:0] y{k}" for k in range(LANES)]
    x = ", ".join(f"x{k}" for k in reversed(range(LANES)))
    y = ", ".join(f"y{k}" for k in reversed(range(LANES)))
    return f"""
module naive(input clk, input rst, input i__valid, output i__ready, output o__valid, input o__ready,
             {", ".join(ports)});
  core core(.clk(clk), .rst(rst), .i__valid(i__valid), .i__ready(i__ready), .i__payload({{{x}}}),
            .o__valid(o__valid), .o__ready(o__ready), .o__payload({{{y}}}));
endmodule
"""


def build_naive(text: str) -> Path:
    """The simulator as cocotb's runner builds it by default, from the cache if it is there."""
    from cocotb_tools.runner import get_runner

    with cache.entry("naive", cache.digest(tools.verilator().version, text)) as draft:
        if not draft.ready:
            (draft.path / "naive.v").write_text(text)
            with environment(tools.verilator().environment):
                get_runner("verilator").build(
                    sources=[draft.path / "naive.v"],
                    hdl_toplevel="naive",
                    build_dir=draft.path,
                    build_args=["-Wno-fatal", "-Wno-lint", "-Wno-style"],
                    timescale=("1ns", "1ps"),
                    log_file=draft.path / "build.log",
                )
        return draft.publish()


@contextlib.contextmanager
def environment(values: dict[str, str]):
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_naive(folder: Path, x: np.ndarray, weights: np.ndarray) -> float:
    from cocotb_tools.runner import get_runner

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        np.savez(work / "data.npz", x=x, weights=weights)
        sys.path.insert(0, str(HERE))
        try:
            get_runner("verilator").test(
                test_module="naive_cocotb",
                hdl_toplevel="naive",
                hdl_toplevel_lang="verilog",
                build_dir=folder,
                test_dir=work,
                results_xml=str(work / "results.xml"),
                log_file=work / "log",
                extra_env={"NAIVE_DATA": str(work / "data.npz"), "NAIVE_RESULT": str(work / "result.json")},
            )
        finally:
            sys.path.remove(str(HERE))
        return float(json.loads((work / "result.json").read_text())["cpu_seconds"])


def reference_codes(core: Product, x: np.ndarray) -> np.ndarray:
    """x @ weights; below 2**53 the float64 product is exact whatever the order of its sums."""
    return (x.astype(np.float64) @ core.weights.astype(np.float64)).astype(np.int64)


def run_cocotb(core: Product, text: str, x: np.ndarray) -> float:
    start = time.process_time()
    want = reference_codes(core, x)
    reference = time.process_time() - start
    result = cocotb_bench.run(text, "core", core.in_layout, core.out_layout, x, want, latency=3)
    assert not result.mismatches, result.first_difference
    return reference + result.cpu_seconds


def run_native(core: Product, library: native.Core, x: np.ndarray) -> float:
    start = time.process_time()
    result = library.run(x)
    comparison = compare(core.out_layout, result.outputs, reference_codes(core, x))
    seconds = time.process_time() - start
    assert comparison, comparison
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="interleaved runs of each bench (default 5)")
    parser.add_argument(
        "--samples", type=int, default=10_000, help="samples of each cocotb run (default 10000)"
    )
    parser.add_argument("--native-samples", type=int, default=100_000, help="samples of each native run")
    parser.add_argument("--json", action="store_true", help="print one JSON object only")
    options = parser.parse_args()

    rng = np.random.default_rng(1)
    low, high = -(1 << (BITS - 1)), 1 << (BITS - 1)
    core = Product(rng.integers(low, high, (LANES, LANES)))
    text = verilog.convert(core, name="core", emit_src=False, strip_internal_attrs=True)
    few = rng.integers(low, high, (options.samples, LANES))
    many = rng.integers(low, high, (options.native_samples, LANES))

    builds = {}
    start = time.perf_counter()
    folder = build_naive(text + naive_top(core))
    builds["naive"] = time.perf_counter() - start
    start = time.perf_counter()
    library = native.build(text, "core", core.in_layout, core.out_layout)
    builds["native"] = time.perf_counter() - start
    start = time.perf_counter()
    run_cocotb(core, text, few[:100])
    builds["cocotb"] = time.perf_counter() - start
    for _ in range(2):
        run_native(core, library, many)  # the first touch of fresh memory is slow on virtual machines

    rates: dict[str, list[float]] = {"naive": [], "cocotb": [], "native": []}
    for _ in range(options.rounds):
        rates["naive"].append(len(few) / run_naive(folder, few, core.weights))
        rates["cocotb"].append(len(few) / run_cocotb(core, text, few))
        rates["native"] += [len(many) / run_native(core, library, many) for _ in range(3)]
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratios = {name: medians[name] / medians["naive"] for name in ("cocotb", "native")}
    floors = {"cocotb": 1.8, "native": 40.0}
    if options.json:
        print(
            json.dumps(
                {
                    "samples_per_second": medians,
                    "ratio_to_naive": ratios,
                    "floors": floors,
                    "all_samples_per_second": rates,
                    "build_seconds": builds,
                },
                indent=1,
            )
        )
    else:
        print(f"{'bench':8} {'samples/s':>12} {'vs naive':>9} {'floor':>6} {'build s':>8}")
        for name, rate in medians.items():
            ratio, floor = rate / medians["naive"], floors.get(name)
            wanted = f"{floor:g}x" if floor else ""
            print(f"{name:8} {rate:12,.0f} {ratio:8.1f}x {wanted:>6} {builds[name]:8.1f}")
    return 0 if all(ratios[name] >= floors[name] for name in floors) else 1


if __name__ == "__main__":
    sys.exit(main())
