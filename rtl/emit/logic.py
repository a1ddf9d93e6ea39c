"""Each primitive as a vector expression, written once for all writers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtl.emit.adders import negative, total
from rtl.emit.writer import Writer, extended, up
from rtl.lower.net import Net


def _right(w: Writer, net: Net, a: Any) -> Any:
    size = w.width(a)
    high = w.cut(a, min(net.params[0], size - 1), size)
    return extended(w, high, net.args[0].signed, net.width)


def _left(w: Writer, net: Net, a: Any) -> Any:
    return extended(w, up(w, a, net.params[0]), net.args[0].signed, net.width)


def _fields(w: Writer, net: Net, *parts: Any) -> Any:
    fields = [extended(w, v, a.signed, n) for v, a, n in zip(parts, net.args, net.params, strict=True)]
    return extended(w, w.join(*fields), False, net.width)


def _bitwise(w: Writer, net: Net, a: Any, b: Any) -> Any:
    x, y = (extended(w, v, n.signed, net.width) for v, n in zip((a, b), net.args, strict=True))
    return w.bitwise(net.kind, x, y)


def _choice(w: Writer, net: Net, c: Any, a: Any, b: Any = None) -> Any:
    x = extended(w, a, net.args[1].signed, net.width)
    y = w.constant(0, net.width) if b is None else extended(w, b, net.args[2].signed, net.width)
    return w.pick(c, x, y)


def _equality(w: Writer, net: Net, a: Any, b: Any) -> Any:
    x, y = _common(w, net, a, b)
    same = w.equal(x, y)
    return same if net.kind == "eq" else w.invert(same)


def _order(w: Writer, net: Net, a: Any, b: Any) -> Any:
    x, y = _common(w, net, up(w, a, net.params[0]), up(w, b, net.params[1]))
    less = w.less(x, y, any(a.signed for a in net.args))
    return less if net.kind == "lt" else w.invert(less)


def _common(w: Writer, net: Net, a: Any, b: Any) -> tuple[Any, Any]:
    """Both operands in the width that holds either, with a sign bit if one of them has one."""
    signs = [n.signed for n in net.args]
    widths = [w.width(v) + (any(signs) and not s) for v, s in zip((a, b), signs, strict=True)]
    x, y = (extended(w, v, s, max(widths)) for v, s in zip((a, b), signs, strict=True))
    return x, y


def _clamp(w: Writer, net: Net, a: Any) -> Any:
    """min(max(a, least), most): between powers of two, the sign and the bits from `most` on tell."""
    (source,), (least, most) = net.args, net.params
    under, over = source.lo < least, source.hi > most
    out = extended(w, a, source.signed, net.width)
    size, high, low = w.width(a), max(most, 0).bit_length(), (-1 - least).bit_length()
    sign = w.cut(a, size - 1, size)
    high_power, low_power = most == (1 << high) - 1 and over, least == -(1 << low) and under
    if high_power and low_power and high == low:
        above = w.cut(a, high, size)
        inside = w.bitwise("or", w.all(above), w.invert(w.any(above)))
        end = w.join(w.repeat(w.invert(sign), high), sign)
        return w.pick(inside, out, extended(w, end, True, net.width))
    if over:
        if high_power:
            flag = w.any(w.cut(a, high, size - source.signed))
            if source.signed and least < 0:
                flag = w.bitwise("and", flag, w.invert(sign))
        else:
            flag = _below(w, most, False, a, source)
        out = w.pick(flag, w.constant(most, net.width), out)
    if under:
        if least == 0:
            flag = sign
        elif low_power:
            flag = w.bitwise("and", sign, w.invert(w.all(w.cut(a, low, size))))
        else:
            flag = _below(w, least, True, a, source)
        out = w.pick(flag, w.constant(least, net.width), out)
    return out


def _below(w: Writer, value: int, swapped: bool, a: Any, source: Net) -> Any:
    """Whether value < a or, if `swapped`, a < value."""
    other = Net("const", (), (), value, value)
    nets, vectors = (other, source), (w.constant(value, other.width), a)
    if swapped:
        nets, vectors = nets[::-1], vectors[::-1]
    return _order(w, Net("lt", (0, 0), nets, 0, 1), *vectors)


LUT_INPUTS = 6
"""A table of no more inputs is one LUT per bit."""


def _table(w: Writer, net: Net, index: Any) -> Any:
    """Per output bit the column of the table; codes that cannot come have the bits of the commonest entry."""
    size = w.width(index)
    _, rest = cases_of(net)
    entries = [rest] * (1 << size)
    for code, entry in net.params:
        entries[code & (1 << size) - 1] = entry
    columns = (sum((e >> k & 1) << i for i, e in enumerate(entries)) for k in range(net.width))
    return w.join(*(w.entry(bits, index) for bits in columns))


def cases_of(net: Net) -> tuple[list[tuple[int, list[int]]], int]:
    """The entries of a table by value, each with its codes, and the commonest entry, which has no codes.

    The commonest one also stands for codes that cannot come.
    """
    cases: dict[int, list[int]] = {}
    for code, entry in net.params:
        cases.setdefault(entry, []).append(code)
    rest = max(cases, key=lambda e: (len(cases[e]), -e))
    return sorted((e, c) for e, c in cases.items() if e != rest), rest


EXPRESSION: dict[str, Callable[..., Any]] = {
    "shr": _right,
    "shl": _left,
    "cat": _fields,
    "add": total,
    "sub": total,
    "neg": negative,
    "lt": _order,
    "ge": _order,
    "eq": _equality,
    "ne": _equality,
    "any": lambda w, net, a: w.any(w.cut(a, 0, min(net.params[0], w.width(a)))),
    "mux": _choice,
    "gate": _choice,
    "clamp": _clamp,
    "table": _table,
    "and": _bitwise,
    "or": _bitwise,
    "xor": _bitwise,
    "not": lambda w, net, a: w.invert(extended(w, a, net.args[0].signed, net.width)),
}
"""kind -> vector of net.width bits, from (writer, net, *operand vectors)."""
