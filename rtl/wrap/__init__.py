"""What stands around a core on a chip: AXI ports and registers, constraints, a board."""

from rtl.wrap.axis import AxiStream, axi_stream
from rtl.wrap.board import BOARDS, Bitstream, BoardDesign, board
from rtl.wrap.constraints import constraints
from rtl.wrap.lanes import Beat
from rtl.wrap.line import SimulatedLine
from rtl.wrap.registers import Field, Register, Window
from rtl.wrap.serial import Serial

__all__ = [
    "BOARDS",
    "AxiStream",
    "Beat",
    "Bitstream",
    "BoardDesign",
    "Field",
    "Register",
    "Serial",
    "SimulatedLine",
    "Window",
    "axi_stream",
    "board",
    "constraints",
]
