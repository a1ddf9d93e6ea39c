"""Lookups in hardware: threshold search, leading one, tables over the codes that an element can take."""

from __future__ import annotations

from collections.abc import Callable

from rtl.lower.netlist import Netlist, Wire

SMALL_CODES = 64  # a function of six bits is one LUT per output bit
FLASH_LEVELS = 15  # up to this many thresholds, one comparator each; beyond, a binary search


def by_code(
    nl: Netlist,
    a: Wire,
    function: Callable[[int], int],
    bounds: tuple[int, int],
    codes: tuple[int, int] | None = None,
) -> Wire:
    """A table of function(raw a) over every code of a's range, or the part `codes` that can come.

    A wire's range may be wider than what its type proves, where that saves no bit.
    """
    lo, hi = codes or (a.lo, a.hi)
    reached = range(max(a.net.lo, -(-lo >> a.zeros)), min(a.net.hi, hi >> a.zeros) + 1)
    return nl.table(a, {c: function(c << a.zeros) for c in reached}, bounds)


def search(nl: Netlist, a: Wire, steps: list[int], codes: list[int], bounds: tuple[int, int]) -> Wire:
    """codes[#{j : a >= steps[j]}] for strictly ascending steps; len(codes) == len(steps) + 1."""
    unit = 1 << a.zeros
    steps = [-(-s // unit) for s in steps]  # on the net's own grid, where steps may coincide
    kept_steps, kept_codes = [], [codes[0]]
    for step, code in zip(steps, codes[1:], strict=True):
        if step <= a.net.lo:
            kept_codes = [code]
        elif step > a.net.hi:
            break
        elif kept_steps and kept_steps[-1] == step:
            kept_codes[-1] = code
        else:
            kept_steps.append(step)
            kept_codes.append(code)
    net = Wire(a.net)
    if not kept_steps:
        return nl.const(kept_codes[0])
    if a.net.hi - a.net.lo < SMALL_CODES and len(kept_steps) > 1:
        entry, at = {}, 0
        for c in range(a.net.lo, a.net.hi + 1):
            while at < len(kept_steps) and c >= kept_steps[at]:
                at += 1
            entry[c] = kept_codes[at]
        return nl.table(net, entry, bounds)
    if len(kept_steps) <= FLASH_LEVELS:
        reached = [nl.at_least(net, nl.const(s)) for s in kept_steps]
        return _flash(nl, reached, kept_codes)
    return _binary(nl, net, kept_steps, kept_codes, bounds)


def _flash(nl: Netlist, reached: list[Wire], codes: list[int]) -> Wire:
    """The code behind a thermometer of comparators: the middle one halves the choice."""
    if not reached:
        return nl.const(codes[0])
    middle = len(reached) // 2
    upper = _flash(nl, reached[middle + 1 :], codes[middle + 1 :])
    lower = _flash(nl, reached[:middle], codes[: middle + 1])
    return nl.mux(reached[middle], upper, lower)


def _binary(nl: Netlist, a: Wire, steps: list[int], codes: list[int], bounds: tuple[int, int]) -> Wire:
    """One comparator per bit of the index: the bits found so far select the next threshold."""
    bits = len(steps).bit_length()
    padded = [*steps, *[a.net.hi + 1] * ((1 << bits) - 1 - len(steps))]
    found: list[Wire] = []  # most significant first
    for k in reversed(range(bits)):
        levels = {p: padded[(p << k + 1) + (1 << k) - 1] for p in range(1 << bits - 1 - k)}
        if found:
            index = nl.cat([(b, 1) for b in reversed(found)], False)
            level = nl.table(index, levels, (min(levels.values()), max(levels.values())))
        else:
            level = nl.const(levels[0])
        found.append(nl.at_least(a, level))
    index = nl.cat([(b, 1) for b in reversed(found)], False)
    if codes == list(range(len(codes))):
        return nl.fit(index, *bounds)
    return nl.table(index, {i: codes[min(i, len(codes) - 1)] for i in range(1 << bits)}, bounds)


def significant_bits(nl: Netlist, a: Wire, bounds: tuple[int, int]) -> Wire:
    """floor(log2 a) + 1, and 0 for a = 0: halves by "any bit above", tables of six bits at the leaves."""

    def count(part: Wire, offset: int) -> Wire:
        width = part.net.width
        if part.is_constant or width <= 6:
            return by_code(nl, part, lambda c: c.bit_length() + offset if c else 0, (0, width + offset))
        half = 1 << (width - 1).bit_length() - 1
        high, low = nl.floor(part, half), nl.low(part, half)
        return nl.mux(nl.any_low(high, high.net.width), count(high, offset + half), count(low, offset))

    if a.is_constant:
        return nl.const(a.value.bit_length())
    return nl.fit(count(Wire(a.net), a.zeros), *bounds)
