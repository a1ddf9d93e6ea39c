"""Adders as Yosys maps them to the fewest LUTs: one LUT for each bit that both operands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtl.emit.writer import Writer, extended, up
from rtl.lower.net import Net


def total(w: Writer, net: Net, a: Any, b: Any, *offset: Any) -> Any:
    """An adder where both operands have bits and above; below, one operand's bits pass by."""
    x, y = net.args[:2]
    j, k = net.params
    minus, n = net.kind == "sub", net.width
    if x.is_constant:
        return _constant_less(w, net, x.lo << j, b, k) if minus else _sum_with(w, net, x.lo << j, b, j, k)
    if y.is_constant:
        return _sum_with(w, net, (-y.lo if minus else y.lo) << k, a, k, j)
    if len(net.args) == 3:
        return _coded_sum(w, net, a, b, net.args[2].lo)
    if j and not minus:
        (x, a, j), (y, b, k) = (y, b, k), (x, a, j)
    start = min(k, n) if not j else 0
    p = extended(w, up(w, a, j), x.signed, n)
    q = extended(w, b, y.signed, n - start) if not j else extended(w, up(w, b, k), y.signed, n)
    side_by_side = not minus and not x.signed and x.width <= start
    return _above(w, p, start, lambda v: q if side_by_side else _chain(w, net, v, q, minus))


def _sum_with(w: Writer, net: Net, constant: int, b: Any, zeros: int, k: int) -> Any:
    """constant + (b << k); the constant has `zeros` low zero bits."""
    n = net.width
    other = next(a for a in net.args if not a.is_constant)
    start = min(max(k, zeros), n)
    p = extended(w, up(w, b, k), other.signed, n)
    if not zeros:  # bits below b: the constant's
        p = w.join(w.constant(constant, start), w.cut(p, start, n)) if start < n else w.constant(constant, n)
    high = w.constant(constant >> start, n - start)
    return _above(w, p, start, lambda v: _chain(w, net, v, high, False))


def _constant_less(w: Writer, net: Net, constant: int, b: Any, k: int) -> Any:
    """constant - (b << k), as constant + 1 + ~b from bit k on."""
    n = net.width
    start = min(k, n)
    low = w.constant(constant, start)
    if start == n:
        return low
    q = extended(w, b, net.args[-1].signed, n - start)
    return w.join(low, _short_by_one(w, net, w.constant((constant >> start) + 1, n - start), q))


def negative(w: Writer, net: Net, a: Any) -> Any:
    q = extended(w, a, net.args[0].signed, net.width)
    return _short_by_one(w, net, w.constant(1, net.width), q)


def _coded_sum(w: Writer, net: Net, a: Any, b: Any, constant: int) -> Any:
    """a +- (b << k) + constant, the operands with flipped sign bits, constant bits above their own, and a
    carry."""
    (x, y), (_, k) = net.args[:2], net.params
    minus, n = net.kind == "sub", net.width
    start = min(k, n)
    x_bias, y_bias = (1 << v.width - 1 if v.signed else 0 for v in (x, y))
    fill = constant - x_bias + ((y_bias << k) + (1 << k) if minus else -(y_bias << k))
    fill &= (1 << n) - 1
    assert not fill & (1 << start) - 1, net
    fill >>= start
    p, q = (_flipped(w, v) if u.signed else v for v, u in ((a, x), (b, y)))
    p_top, q_top = max(x.width - start, 0), y.width
    low, high = p_top <= q_top, n - start
    carry = bool(min(p_top, q_top) and fill & 1)
    fill -= carry
    # The constant bits above the lower operand; those of a subtracted one count the other way.
    p = _filled(w, p, start + p_top, fill if low else 0, start, n)
    q = _filled(w, q, q_top, 0 if low else -fill if minus else fill, 0, high)
    if minus:
        return _above(
            w, p, start, lambda v: _chain(w, net, v, q, True) if carry else _short_by_one(w, net, v, q)
        )
    side_by_side = not p_top and not fill
    return _above(w, p, start, lambda v: q if side_by_side else _chain(w, net, v, q, False, carry))


def _filled(w: Writer, v: Any, top: int, fill: int, start: int, width: int) -> Any:
    """v, zeros up to `top`, and the bits of `fill` from there on; `fill` is at the scale of bit `start`."""
    have = w.width(v)
    if have < top:
        v = w.join(v, w.constant(0, top - have))
    if top >= width:
        assert not fill & (1 << width - start) - 1
        return w.cut(v, 0, width)
    assert not fill & (1 << top - start) - 1
    return w.join(v, w.constant(fill >> top - start, width - top))


def _flipped(w: Writer, v: Any) -> Any:
    """v + 2**(width - 1) of a two's complement: its sign bit inverted."""
    top = w.width(v) - 1
    sign = w.invert(w.cut(v, top, top + 1))
    return w.join(w.cut(v, 0, top), sign) if top else sign


def _above(w: Writer, p: Any, start: int, adder: Callable[[Any], Any]) -> Any:
    """The low bits of p as they are, and the adder's result above them."""
    n = w.width(p)
    if start >= n:
        return p
    high = adder(w.cut(p, start, n))
    return w.join(w.cut(p, 0, start), high) if start else high


def _chain(w: Writer, net: Net, p: Any, q: Any, minus: bool, carry: bool = False) -> Any:
    """p + q, p - q, or with a carry p + q + 1.

    One bit more below keeps Yosys from merging an adder into the next one, as an operand is then no more than
    a part of one: it would build the merged sum of three-input compressors, of twice the LUTs.
    """
    n = w.width(p)
    if n == 1:
        total = w.bitwise("xor", p, q)
        return w.invert(total) if carry else total
    below = w.constant(int(carry), 1)
    p, q = w.join(below, p), w.join(below, q)
    total = w.subtract(p, q) if minus else w.add(p, q)
    return w.cut(w.helper(net, total), 1, n + 1)


def _short_by_one(w: Writer, net: Net, p: Any, q: Any) -> Any:
    """p - q - 1 = p + ~q: a borrow comes from one bit below.

    Yosys would compute the lowest bit of p - q once more beside the carry chain; and see `_chain`.
    """
    n = w.width(p)
    if n == 1:
        return w.invert(w.bitwise("xor", p, q))
    total = w.subtract(w.join(w.constant(0, 1), p), w.join(w.constant(1, 1), q))
    return w.cut(w.helper(net, total), 1, n + 1)
