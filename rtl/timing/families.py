"""The families: delays per primitive as literal numbers, each with its source."""

from __future__ import annotations

from rtl.timing.model import Delay, Family

WIRING = dict.fromkeys(("input", "const", "shr", "shl", "cat"), Delay(0.0))

GENERIC = Family(
    name="generic",
    unit="adders",
    inputs=6,
    overhead=0.0,
    delays={
        **WIRING,
        **dict.fromkeys(("add", "sub", "neg", "lt", "ge", "table"), Delay(1.0)),
        **dict.fromkeys(("eq", "ne", "any", "mux"), Delay(0.5)),
        "clamp": Delay(0.75),
        **dict.fromkeys(("gate", "and", "or", "xor", "not"), Delay(0.25)),
    },
    source="a convention: one adder of any width is 1, which orders designs and predicts no clock",
)

ICE40 = Family(
    name="ice40",
    unit="ns",
    inputs=4,
    overhead=1.2,
    delays={
        **WIRING,
        "add": Delay(1.7, bit=0.15),
        **dict.fromkeys(("sub", "neg"), Delay(2.3, bit=0.15)),  # one LUT more, which inverts
        **dict.fromkeys(("lt", "ge"), Delay(1.9, bit=0.15)),
        **dict.fromkeys(("eq", "ne", "any"), Delay(1.1, level=1.3)),
        **dict.fromkeys(("mux", "gate"), Delay(1.7, bit=0.02)),
        "clamp": Delay(2.8, bit=0.02, level=1.3),  # eq, then mux
        **dict.fromkeys(("and", "or", "xor", "not"), Delay(1.4)),
        "table": Delay(1.2, bit=1.2),
    },
    source="nextpnr 0.11 for the hx8k, by benchmarks/delays.py",
)

ECP5 = Family(
    name="ecp5",
    unit="ns",
    inputs=4,
    overhead=1.5,
    delays={
        **WIRING,
        **dict.fromkeys(("add", "sub"), Delay(2.1, bit=0.036)),
        "neg": Delay(2.7, bit=0.036),
        **dict.fromkeys(("lt", "ge"), Delay(2.9, bit=0.036)),
        **dict.fromkeys(("eq", "ne", "any"), Delay(1.3, level=1.15)),
        **dict.fromkeys(("mux", "gate"), Delay(1.25, bit=0.03)),
        "clamp": Delay(2.55, bit=0.03, level=1.15),  # eq, then mux
        **dict.fromkeys(("and", "or", "xor", "not"), Delay(1.25)),
        "table": Delay(1.3, bit=0.65),
    },
    source="nextpnr 0.11 for the 25k, speed grade 6, by benchmarks/delays.py",
)

FAMILIES = {family.name: family for family in (GENERIC, ICE40, ECP5)}
