"""Clock and pins of a module as a constraint file: LPF for ECP5, PCF for iCE40, XDC for AMD."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from rtl.wrap.axis import AxiStream
from rtl.wrap.parts import pins_of

SITE = re.compile(r"[A-Za-z0-9_]+")

Placed = Sequence[tuple[str, str]]
"""Ports, of vectors bit by bit, and their sites."""


def ports_of(design: Any) -> dict[str, int]:
    """Name -> bits of every port of the Verilog module of a core or of a wrapped core."""
    if isinstance(design, AxiStream):
        return {name: width for name, (_, width) in design.ports.items()}
    return {"clk": 1, "rst": 1, **{name: pin.width for name, pin in pins_of(design).items()}}


def constraints(
    design: Any,
    target: str,
    clock_mhz: float,
    pins: Mapping[str, str | Sequence[str]] | None = None,
    *,
    standard: str | None = None,
) -> str:
    """The text of a constraint file for the module of `design`.

    design     a core, or a core with AXI ports
    target     "ecp5": LPF; "ice40": PCF; "xilinx": XDC
    clock_mhz  of its clock port, clk or aclk
    pins       port -> site, of a vector a sequence of sites, bit 0 first. All ports or none; with none, as
               for a module within a design, the text has the clock only. For "ice40" there must be pins, as
               nextpnr places every port
    standard   of all pins: "ecp5" IO_TYPE, "xilinx" IOSTANDARD, by default LVCMOS33; "ice40" has no standards

    Raises ValueError for another target, a clock that is not positive, ports that are not there or lack a
    site, a wrong number of sites, a site that is no word or is given twice; TypeError for sites that are no
    text.
    """
    if target not in FORMS:
        raise ValueError(f"target must be one of {', '.join(FORMS)}, not {target!r}")
    if isinstance(clock_mhz, bool) or not isinstance(clock_mhz, Real) or not 0 < clock_mhz < math.inf:
        raise ValueError(f"clock_mhz must be a positive number, not {clock_mhz!r}")
    if target == "ice40" and standard is not None:
        raise ValueError(f"standard must be None for ice40, whose PCF has none, not {standard!r}")
    standard = "LVCMOS33" if standard is None else standard
    if not isinstance(standard, str) or not SITE.fullmatch(standard):
        raise ValueError(f"standard must be a word, not {standard!r}")
    ports = ports_of(design)
    clock = "aclk" if "aclk" in ports else "clk"
    placed = _placed(ports, pins or {})
    if target == "ice40" and not placed:
        raise ValueError("pins must place every port for ice40, not be empty")
    head = f"# {design.top}: {float(clock_mhz):g} MHz; written by fxsim"
    return "\n".join([head, *FORMS[target](clock, float(clock_mhz), placed, standard), ""])


def _placed(ports: Mapping[str, int], pins: Mapping[str, str | Sequence[str]]) -> list[tuple[str, str]]:
    """Every bit of every port with its site, in the order of the ports."""
    unknown = [name for name in pins if name not in ports]
    if unknown:
        raise ValueError(f"pins must be of the ports {', '.join(ports)}, not {', '.join(map(repr, unknown))}")
    missing = [name for name in ports if name not in pins]
    if pins and missing:
        raise ValueError(f"pins must place every port, and so {', '.join(missing)} too")
    out: list[tuple[str, str]] = []
    for name, width in ports.items() if pins else ():
        given = pins[name]
        sites = [given] if isinstance(given, str) else list(given)
        for site in sites:
            if not isinstance(site, str):
                raise TypeError(f"sites of {name!r} must be text, not {site!r}")
            if not SITE.fullmatch(site):
                raise ValueError(f"sites of {name!r} must be words of letters and digits, not {site!r}")
        if len(sites) != width:
            raise ValueError(f"pins of {name!r} must be {width} site(s), not {len(sites)}")
        vector = width > 1
        out += [(f"{name}[{k}]" if vector else name, site) for k, site in enumerate(sites)]
    first: dict[str, str] = {}
    for port, site in out:
        if site in first:
            raise ValueError(f"site {site!r} must be given once, not for {first[site]} and {port}")
        first[site] = port
    return out


def _lpf(clock: str, mhz: float, placed: Placed, standard: str) -> list[str]:
    rows = [f'FREQUENCY PORT "{clock}" {mhz:g} MHZ;']
    for port, site in placed:
        rows += [f'LOCATE COMP "{port}" SITE "{site}";', f'IOBUF PORT "{port}" IO_TYPE={standard};']
    return rows


def _pcf(clock: str, mhz: float, placed: Placed, standard: str) -> list[str]:
    return [f"set_frequency {clock} {mhz:g}", *(f"set_io {port} {site}" for port, site in placed)]


def _xdc(clock: str, mhz: float, placed: Placed, standard: str) -> list[str]:
    # A period rounded up would be a slower clock than asked for.
    period = math.floor(1e6 / mhz) / 1000
    rows = [f"create_clock -period {period:.3f} -name {clock} [get_ports {{{clock}}}]"]
    for port, site in placed:
        rows.append(f"set_property -dict {{PACKAGE_PIN {site} IOSTANDARD {standard}}} [get_ports {{{port}}}]")
    return rows


FORMS: dict[str, Callable[[str, float, Placed, str], list[str]]] = {
    "ecp5": _lpf,
    "ice40": _pcf,
    "xilinx": _xdc,
}
