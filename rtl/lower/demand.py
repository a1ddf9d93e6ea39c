"""Demanded bits: of a sum modulo 2**k, its operands need the low k bits, through whole trees of adders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rtl.lower.net import ADDERS, Net

ALL = 1 << 30
"""Every bit, and the sign above them."""


def demanded(nets: Sequence[Net], outputs: Iterable[tuple[Net, int]], values: bool = False) -> dict[Net, int]:
    """Per net, in 1..width, the number of its low bits that decide `outputs`; the bits above may be anything.

    nets     operands first
    outputs  (net, bits) that are needed of it
    values   a sum that is needed in full needs its operands in full, though they be wider than it is
    """
    need = dict.fromkeys(nets, 1)

    def ask(net: Net, bits: int) -> None:
        if not net.is_constant:
            need[net] = max(need[net], min(bits, net.width))

    for net, bits in outputs:
        ask(net, bits)
    for net in reversed(nets):
        bits = need[net]
        if values and bits == net.width and net.kind in ADDERS:
            bits = ALL
        for a, wanted in _operands(net, bits):
            ask(a, wanted)
    return need


def _operands(net: Net, bits: int) -> Iterator[tuple[Net, int]]:
    """(operand, its low bits) that the low `bits` of a net are made of."""
    args, params = net.args, net.params
    match net.kind:
        case "add" | "sub":
            yield from ((a, bits - k) for a, k in zip(args, params, strict=False))
        case "neg" | "not" | "and" | "or" | "xor":
            yield from ((a, bits) for a in args)
        case "shl":
            yield args[0], bits - params[0]
        case "shr":
            yield args[0], bits + params[0]
        case "cat":
            at = 0
            for a, width in zip(args, params, strict=True):
                yield a, min(width, bits - at)
                at += width
        case "mux" | "gate":
            yield args[0], ALL
            yield from ((a, bits) for a in args[1:])
        case "any":
            yield args[0], params[0]
        case _:
            yield from ((a, ALL) for a in args)
