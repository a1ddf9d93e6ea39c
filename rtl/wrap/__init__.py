"""What stands around a core on a chip: AXI ports and registers, constraints, a board."""

from rtl.wrap.axis import AxiStream, axi_stream
from rtl.wrap.lanes import Beat
from rtl.wrap.registers import Field, Register, Window

__all__ = ["AxiStream", "Beat", "Field", "Register", "Window", "axi_stream"]
