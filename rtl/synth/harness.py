"""Registers around a module so that it can be placed without pins, and timed from register to register."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TOP, CORE = "fxsim_bench", "fxsim_core"
"""Names of the harness and of the module in it."""


@dataclass(frozen=True)
class Harness:
    """Verilog of a harness: every input bit from a register, every output bit into one, all on one clock.

    The input registers form a shift register behind the one data pin; those of the outputs are kept though
    nobody reads them. So the netlist has `registers` flip-flops more than the module, and no logic.
    """

    verilog: str
    registers: int


def harness(module: Mapping[str, Any], top: str, clock: str, registered: bool) -> Harness:
    """The harness for a module of Yosys's JSON netlist.

    clock        the port that is connected to the harness's clock; a module without registers may lack it
    registered   whether the module has registers

    Raises ValueError where registers have no such port, for inout ports, and without inputs or outputs.
    """
    declared, connected, inputs, outputs = [], [], 0, 0
    for name, port in module["ports"].items():
        width, direction = len(port["bits"]), port["direction"]
        if direction not in ("input", "output"):
            raise ValueError(f"ports of {top!r} must be inputs or outputs, not {direction} {name!r}")
        declared.append(f"{direction} [{width - 1}:0] \\{name} ")
        if name == clock and direction == "input":
            connected.append(f".\\{name} (clk)")
        elif direction == "input":
            connected.append(f".\\{name} (given[{inputs} +: {width}])")
            inputs += width
        else:
            connected.append(f".\\{name} (result[{outputs} +: {width}])")
            outputs += width
    if registered and module["ports"].get(clock, {}).get("direction") != "input":
        raise ValueError(f"clock must be an input of {top!r}, which has registers, not {clock!r}")
    if not inputs or not outputs:
        raise ValueError(
            f"{top!r} must have inputs besides the clock, and outputs, to be timed, "
            f"not {inputs} and {outputs} bits"
        )
    verilog = f"""(* blackbox *)
module {CORE}({", ".join(declared)});
endmodule

module {TOP}(input clk, input serial);
  reg [{inputs - 1}:0] given;
  (* keep *) reg [{outputs - 1}:0] taken;
  wire [{outputs - 1}:0] result;
  {CORE} core({", ".join(connected)});
  always @(posedge clk) begin
    given <= {{given, serial}};
    taken <= result;
  end
endmodule
"""
    return Harness(verilog, inputs + outputs)
