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

FAMILIES = {family.name: family for family in (GENERIC,)}
