"""Low bits that nobody reads: adders pass them on from an operand, so that whole chains of them can go."""

from __future__ import annotations

from collections.abc import Sequence

from rtl.lower.net import Net

NONE = 1 << 30  # the lowest bit read of a net that nobody has read yet


def without_low_bits(nets: Sequence[Net], outputs: set[Net]) -> list[Net]:
    """The nets with adders that start at the lowest bit that is read of them; changes them in place.

    nets     operands first
    outputs  those that are read in full

    What an adder passes by below its carry chain it takes as a slice of its operand.
    """
    passing = _passing(nets, outputs)
    dropped: dict[Net, int] = {}
    slices: dict[tuple[Net, int], Net] = {}
    out: list[Net] = []
    for net in nets:
        passed = passing[net]
        if net.kind == "shr":
            net.params = (net.params[0] + passed - dropped.get(net.args[0], 0),)
            net.lo, net.hi = net.lo >> passed, net.hi >> passed
            dropped[net] = passed
        elif passed:
            x = net.args[0]
            k = passed - dropped.get(x, 0)
            if k and (x, k) not in slices:
                part = slices[x, k] = Net("shr", (k,), (x,), x.lo >> k, x.hi >> k)
                part.level, part.scope, part.name = x.level, x.scope, f"{x.name}_high"
                out.append(part)
            rest = [Net("const", (), (), c.lo >> passed, c.lo >> passed) for c in net.args[2:]]
            net.args = (slices[x, k] if k else x, net.args[1], *rest)
            net.params = (0, net.params[1] - passed)
            net.lo, net.hi = net.lo >> passed, net.hi >> passed
            dropped[net] = passed
        out.append(net)
    for index, net in enumerate(out):
        net.index = index
    return out


def _passing(nets: Sequence[Net], outputs: set[Net]) -> dict[Net, int]:
    """How many bits that nobody reads each adder passes by, or each slice has at its lower end."""
    lowest = {net: 0 if net in outputs else NONE for net in nets}  # bit that is read
    passing: dict[Net, int] = {}
    for net in reversed(nets):
        passed = passing[net] = _passed(net, lowest[net])
        for position, a in enumerate(net.args):
            if a.is_constant:
                continue
            bit = net.params[0] + passed if net.kind == "shr" else 0 if position else passed
            lowest[a] = min(lowest[a], bit)
    return passing


def _passed(net: Net, lowest: int) -> int:
    """How many bits below `lowest` an adder takes from its first operand as they are, or a slice can lack."""
    if net.kind == "shr":
        return lowest if lowest < net.width else 0
    if net.kind not in ("add", "sub") or net.params[0] or net.args[0].is_constant:
        return 0
    passed = min(net.params[1], lowest)
    return passed if passed < min(net.width, net.args[0].width) else 0
