"""Seconds to build and bytes of Verilog against the size of the image, and against the number of layers."""

from __future__ import annotations

import statistics
import time

import numpy as np

import rtl
from benchmarks.streaming_print import check, table
from fxsim import SQ, UQ, trace
from fxsim.graph import Graph
from fxsim.layers import conv2d

SIDES, LAYERS, RUNS = (8, 28, 56, 112, 224), (1, 2, 4, 8, 16), 3
CODE = UQ(4, 0, rounding="RND_CONV", overflow="SAT")


def network(side: int, layers: int) -> Graph:
    """3 x 3 convolutions of 4 channels, padded, each with ReLU and 4 bits; weights by a fixed seed."""
    rng = np.random.default_rng(layers)
    weights = [rng.integers(-7, 8, (3, 3, 1 if k == 0 else 4, 4)) for k in range(layers)]

    def forward(x):
        for w in weights:
            x = (conv2d(x, w, padding=1).relu() >> 5).cast(CODE)
        return x

    return trace(forward, SQ(4, 0), shape=(side, side, 1), name="cnn")


def row(side: int, layers: int) -> tuple[float, float, float, int]:
    """Seconds of trace, build and Verilog, medians; bytes of Verilog."""
    found = []
    for _ in range(RUNS):
        times = [time.process_time()]
        graph = network(side, layers)
        times.append(time.process_time())
        core = rtl.build(graph, schedule="streamed")
        times.append(time.process_time())
        text = core.verilog()
        times.append(time.process_time())
        found.append(np.diff(times))
    trace_s, build_s, verilog_s = (statistics.median(f[k] for f in found) for k in range(3))
    return trace_s, build_s, verilog_s, len(text.encode())


def run() -> None:
    network(8, 1)
    rtl.build(network(8, 3), schedule="streamed").verilog()  # imports and caches
    print(f"Three convolutions on an image of n x n, processor seconds, medians of {RUNS}")
    sizes = {n: row(n, 3) for n in SIDES}
    head = ("trace s", "build s", "Verilog s", "Verilog bytes")
    print(table(("n", *head), [(n, *_cells(r)) for n, r in sizes.items()]))
    small, large = sizes[SIDES[1]], sizes[SIDES[-1]]
    check(large[3] < 1.03 * small[3], f"bytes at 224 x 224 over those at 28 x 28: {large[3] / small[3]:.4f}")
    check(large[2] < 1.5 * small[2], f"seconds for the Verilog, 224 over 28: {large[2] / small[2]:.2f}")
    for k, what in ((0, "the trace"), (1, "rtl.build")):
        pixel = 1e6 * (large[k] - small[k]) / (SIDES[-1] ** 2 - SIDES[1] ** 2)
        print(f"{what} reads the type of each element: {pixel:.2f} microseconds a pixel beyond 28 x 28")
    print(f"\nLayers on 28 x 28 pixels, processor seconds, medians of {RUNS}")
    depths = {n: row(28, n) for n in LAYERS}
    print(table(("layers", *head), [(n, *_cells(r)) for n, r in depths.items()]))
    for k, what in ((1, "seconds of rtl.build"), (3, "bytes of Verilog")):
        x, y = np.array(LAYERS), np.array([r[k] for r in depths.values()])
        slope, start = np.polyfit(x, y, 1)
        worst = float(np.max(np.abs(slope * x + start - y)) / y.max())
        check(
            worst < 0.1, f"{what}: {slope:.4g} a layer + {start:.4g}, off by at most {worst:.1%} of the most"
        )


def _cells(r: tuple[float, float, float, int]) -> tuple[str, str, str, int]:
    return f"{r[0]:.3f}", f"{r[1]:.3f}", f"{r[2]:.3f}", r[3]
