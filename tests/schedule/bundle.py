"""Several streamed cores in one module, so that one Verilator build serves all: each beat names its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rtl.bench import frames, native
from rtl.bench.scoreboard import compare
from rtl.layout import Layout, Port
from rtl.verify import vectors


class Found(NamedTuple):
    mismatches: int
    first: Any
    cycles: int
    latency: int


class Bundle:
    """Cores of different names, compiled together; `run` streams through one of them, the others rest.

    The choice is the top bits of the input payload; between a core's ports and the module's are choices
    alone, so that its cycles are its own.
    """

    def __init__(self, cores: Sequence[Any], top: str, compiled: bool = True) -> None:
        self.cores = list(cores)
        self.width = max(c.in_layout.bits for c in cores)
        self.out = max(c.out_layout.bits for c in cores)
        self.number = max(1, (len(cores) - 1).bit_length())
        if not compiled:
            return
        layouts = [Layout((Port("p", (), n, False),)) for n in (self.width + self.number, self.out)]
        self.built = native.build(self.verilog(top), top, *layouts)

    def verilog(self, top: str) -> str:
        n, w = self.number, self.width
        lines = [
            "/* verilator lint_off DECLFILENAME */", "/* verilator lint_off UNUSEDSIGNAL */",
            f"module {top}(input clk, input rst, input [{w + n - 1}:0] i__payload, input i__valid,",
            f"  output reg i__ready, output reg [{self.out - 1}:0] o__payload, output reg o__valid, input "
            "o__ready);",
            f"  wire [{n - 1}:0] chosen = i__payload[{w + n - 1}:{w}];",
            f"  reg [{n - 1}:0] last;",
            f"  wire [{n - 1}:0] now = i__valid ? chosen : last;",
            "  always @(posedge clk) last <= rst ? 0 : now;",
        ]  # fmt: skip
        for k, core in enumerate(self.cores):
            lines += [
                f"  wire ready_{k}, valid_{k}; wire [{core.out_layout.bits - 1}:0] payload_{k};",
                f"  {core.top} core_{k}(.clk(clk), .rst(rst),",
                f"    .i__payload(i__payload[{core.in_layout.bits - 1}:0]), .i__ready(ready_{k}),",
                f"    .i__valid(i__valid & (now == {k})), .o__payload(payload_{k}), .o__valid(valid_{k}),",
                f"    .o__ready(o__ready & (now == {k})));",
            ]
        lines += ["  always @(*) begin", "    i__ready = 0; o__valid = 0; o__payload = 0;"]
        for k in range(len(self.cores)):
            lines += [
                f"    if (now == {k}) begin i__ready = ready_{k}; o__valid = valid_{k};"
                f" o__payload[{self.cores[k].out_layout.bits - 1}:0] = payload_{k}; end"
            ]
        lines += ["  end", "endmodule", *(core.verilog() for core in self.cores)]
        return "\n".join(lines)

    def run(self, k: int, raw: Sequence[np.ndarray], idle: Any, backpressure: Any, seed: int) -> Found:
        """What core k makes of frames, compared with the emulator."""
        core = self.cores[k]
        given, want = vectors(core, *raw, raw=True)
        words = [v | k << self.width for v in core.in_layout.integers(core.in_layout.pack(given))]
        payload = np.empty(len(words), object)
        payload[:] = words
        r = self.built.run(
            [payload], samples=len(want[0]), idle=idle, backpressure=backpressure, seed=seed,
            **frames.run_options(core, len(raw[0])),
        )  # fmt: skip
        size = 4 * core.out_layout.words
        packed = b"".join(int(v).to_bytes(4 * -(-self.out // 32), "little")[:size] for v in r.output)
        out = core.out_layout.unpack(np.frombuffer(packed, "<u4").reshape(len(r.output), -1))
        c = compare(core.out_layout, out, want)
        return Found(c.mismatches, c.first, r.cycles, r.latency)
