"""FPGA families as data: how Yosys maps to them, what their cells count as, how nextpnr places them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """One chip of a family, as nextpnr knows it.

    arguments   of nextpnr: the chip and a package
    options     of the Yosys command, beyond the target's
    luts        LUT sites, by which the smallest that fits is looked for
    automatic   whether it is looked at when no device is named (slower or special chips are not)
    """

    name: str
    arguments: tuple[str, ...]
    luts: int
    options: str = ""
    automatic: bool = True


@dataclass(frozen=True)
class Target:
    """A family: one Yosys command, cells by class, and the devices that nextpnr can place.

    synth      the Yosys command, which flattens; `-top` is added
               of `Utilization`. A cell may be in several: an adder cell that blocks its LUTs
    free       cell types that take no site of any class: constants, buffers, wide multiplexers
    nextpnr    the place-and-route program and its arguments without the device; empty where there is none
    """

    name: str
    title: str
    synth: str
    classes: Mapping[str, Mapping[str, int]]
    free: frozenset[str]
    nextpnr: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()

    def device(self, name: str) -> Device:
        """The device of that name; ValueError lists those there are."""
        for device in self.devices:
            if device.name == name:
                return device
        if not self.devices:
            raise ValueError(f"device must be None for the target {self.name!r}, not {name!r}")
        names = ", ".join(d.name for d in self.devices)
        raise ValueError(f"device must be one of {names} for the target {self.name!r}, not {name!r}")


def _each(names: str, sites: int = 1) -> dict[str, int]:
    return dict.fromkeys(names.split(), sites)


def _flip_flops(base: str, kinds: str) -> dict[str, int]:
    return {base + kind: 1 for kind in kinds.split(",")}


# A logic cell is a LUT4 with its carry and flip-flop, so a carry takes no site of its own. Only the UltraPlus
# (up5k) has multipliers and large RAM; it is about half as fast, and so never chosen by size.
ICE40 = Target(
    name="ice40",
    title="Lattice iCE40",
    synth="synth_ice40",
    classes={
        "lut": {"SB_LUT4": 1},
        "ff": _flip_flops("SB_DFF", ",E,SR,R,SS,S,ESR,ER,ESS,ES,N,NE,NSR,NR,NSS,NS,NESR,NER,NESS,NES"),
        "carry": {"SB_CARRY": 1},
        "dsp": {"SB_MAC16": 1},
        "bram": _each("SB_RAM40_4K SB_RAM40_4KNR SB_RAM40_4KNW SB_RAM40_4KNRNW SB_SPRAM256KA"),
        "lutram": {},
    },
    free=frozenset({"SB_IO", "SB_GB", "SB_GB_IO"}),
    nextpnr=("nextpnr-ice40", "--freq", "200", "--pcf-allow-unconstrained"),
    devices=(
        Device("hx1k", ("--hx1k", "--package", "tq144"), 1280),
        Device("hx8k", ("--hx8k", "--package", "ct256"), 7680),
        Device("up5k", ("--up5k", "--package", "sg48"), 5280, "-device u -dsp", automatic=False),
    ),
)

# A CCU2C adds two bits and takes the two LUT4 sites that it sits on; a RAM of 16x4 bits takes four, and two
# for its write port.
ECP5 = Target(
    name="ecp5",
    title="Lattice ECP5",
    synth="synth_ecp5",
    classes={
        "lut": {"LUT4": 1, "CCU2C": 2},
        "ff": {"TRELLIS_FF": 1},
        "carry": {"CCU2C": 1},
        "dsp": _each("MULT18X18D MULT9X9D ALU54B ALU24B"),
        "bram": _each("DP16KD PDPW16KD"),
        "lutram": {"TRELLIS_DPR16X4": 6},
    },
    free=frozenset({"PFUMX", "L6MUX21", "VHI", "VLO", "GSR", "DCCA", "TRELLIS_IO"}),
    nextpnr=(
        "nextpnr-ecp5",
        "--freq",
        "200",
        "--speed",
        "6",
        "--package",
        "CABGA381",
        "--lpf-allow-unconstrained",
    ),
    devices=(
        Device("25k", ("--25k",), 24288),
        Device("45k", ("--45k",), 43848),
        Device("85k", ("--85k",), 83640),
    ),
)

# INV is how Yosys writes a LUT1 that inverts. A CARRY4 is four bits, beside four LUTs. Registers in a row
# that nobody reads in between become shift registers in LUTs, up to 32 deep.
XC7 = Target(
    name="xc7",
    title="AMD 7 series",
    synth="synth_xilinx -family xc7 -flatten -noiopad",
    classes={
        "lut": _each("LUT1 LUT2 LUT3 LUT4 LUT5 LUT6 INV"),
        "ff": _each("FDRE FDSE FDCE FDPE FDRE_1 FDSE_1 FDCE_1 FDPE_1 LDCE LDPE"),
        "carry": {"CARRY4": 1},
        "dsp": {"DSP48E1": 1},
        "bram": _each("RAMB18E1 RAMB36E1"),
        "lutram": {
            **_each("SRL16E SRLC32E SRLC16E RAM32X1S RAM64X1S"),
            **_each("RAM16X1D RAM32X1D RAM64X1D RAM128X1S", 2),
            **_each("RAM32M RAM64M RAM128X1D RAM256X1S", 4),
        },
    },
    free=frozenset({"GND", "VCC", "MUXF7", "MUXF8", "BUFG", "IBUF", "OBUF"}),
)

TARGETS: dict[str, Target] = {t.name: t for t in (ICE40, ECP5, XC7)}
"""By name, as the command line offers them."""

CLASSES = ("lut", "ff", "carry", "dsp", "bram", "lutram")
"""Classes of cells, in the order of the tables."""


def target(name: str | Target) -> Target:
    """The target of that name (a Target stands for itself); ValueError lists the names."""
    if isinstance(name, Target):
        return name
    if name not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, not {name!r}")
    return TARGETS[name]
