"""Tiny Verilog with known cells, and a tool that does what a test asks of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import fxsim
import rtl
from rtl.synth import tools

ADDER = """
module adder(input clk, input [7:0] a, b, output reg [7:0] y);
  always @(posedge clk) y <= a + b;
endmodule
"""

# Several modules in one text; `other` is not used. Outputs of one multiplier, one memory, one adder.
MIXED = """
module mac(input clk, input [15:0] a, b, output reg [31:0] y);
  always @(posedge clk) y <= a * b;
endmodule
module memory(input clk, we, input [7:0] at, from, input [15:0] d, output reg [15:0] q);
  reg [15:0] m[0:255];
  always @(posedge clk) begin
    if (we) m[at] <= d;
    q <= m[from];
  end
endmodule
module other(input [63:0] a, b, output [63:0] y);
  assign y = a * b;
endmodule
module mixed(input clk, we, input [15:0] a, b, output [31:0] y, output [15:0] q, output reg [16:0] s);
  mac u(.clk(clk), .a(a), .b(b), .y(y));
  memory v(.clk(clk), .we(we), .at(a[7:0]), .from(b[7:0]), .d(b), .q(q));
  always @(posedge clk) s <= a + b;
endmodule
"""

TWO_CLOCKS = """
module two(input clk, slow, a, output reg y, z);
  always @(posedge clk) y <= a;
  always @(posedge slow) z <= y;
endmodule
"""

SHIFT = """
module shift(input clk, d, output q);
  reg [1299:0] s;
  always @(posedge clk) s <= {s, d};
  assign q = s[1299];
endmodule
"""

# 32 block RAMs of ice40: as many as hx8k has, twice as many as hx1k.
STORE = """
module store(input clk, we, input [12:0] a, input [15:0] d, output reg [15:0] y);
  reg [15:0] m[0:8191];
  always @(posedge clk) begin
    if (we) m[a] <= d;
    y <= m[a];
  end
endmodule
"""


def small_core() -> rtl.Core:
    """Products, a cast that saturates, four stages; every register bit survives synthesis."""

    def net(x: fxsim.Tensor) -> fxsim.Tensor:
        hidden = (x @ [[3, 5], [-7, 9], [1, 11]]).relu().cast(fxsim.UQ(2, 2, overflow="SAT"))
        return hidden @ [[5], [7]]

    graph = fxsim.trace(net, fxsim.SQ(1, 3), shape=(3,), name="tiny_net")
    return rtl.build(graph, max_depth_per_stage=2)


def fake_tool(folder: Path, patch: pytest.MonkeyPatch, body: str) -> tools.Tool:
    """A tool whose program is the Python `body`, found as the real ones are."""
    package = folder / "packages" / "fake_tool"
    package.mkdir(parents=True)
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (package / "__init__.py").write_text(f"import os, sys, time\n\n\ndef run(argv):\n{lines}    return 0\n")
    patch.syspath_prepend(str(package.parent))
    patch.setenv("PYTHONPATH", str(package.parent))
    patch.setenv(tools.YOWASP_CACHE, str(folder / "compiled"))
    return tools.Tool("fake", "fake_tool", "run")
