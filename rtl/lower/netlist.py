"""The scalar netlist that lowering writes: every method returns an exact wire of the least proven width."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rtl.lower.net import ADDERS, INFINITE, Net, Wire, trailing_zeros, width_of
from rtl.timing import GENERIC

__all__ = ["ADDERS", "Net", "Netlist", "Wire"]


@dataclass
class Netlist:
    """A combinational netlist under construction; methods return exact wires of the least proven width.

    Nets are hashed by structure, so that equal logic is built once. `adder_depth`, `effort` and
    `objective` are what constant matrix products are searched with (`rtl.shift_add.solve`).
    """

    adder_depth: int | str | None = "min"
    effort: float | str = "fast"
    objective: str = "adders"
    nets: list[Net] = field(default_factory=list)
    scope: int = -1
    prefix: str = "t"
    _seen: dict[tuple, Net] = field(default_factory=dict)
    _constants: dict[int, Net] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)
    _counts: dict[str, int] = field(default_factory=dict)
    _named: set[Net] = field(default_factory=set)

    # ---- nets -----------------------------------------------------------------------------------------

    def net(self, kind: str, params: tuple, args: Sequence[Net], lo: int, hi: int) -> Net:
        """The net of this primitive; a constant if its range has one value."""
        if lo == hi:
            return self.constant_net(lo)
        key = (kind, params, lo, hi, *(("c", a.lo) if a.kind == "const" else a.index for a in args))
        net = self._seen.get(key)
        if net is None:
            net = self._seen[key] = Net(kind, params, tuple(args), lo, hi)
            net.index, net.scope = len(self.nets), self.scope
            net.level = GENERIC.delays[kind].fixed + max((a.level for a in args), default=0)
            number = self._counts[self.prefix] = self._counts.get(self.prefix, -1) + 1
            net.name = f"{self.prefix}_{kind}{number}"
            self.nets.append(net)
        return net

    def constant_net(self, value: int) -> Net:
        net = self._constants.get(value)
        if net is None:
            net = self._constants[value] = Net("const", (), (), value, value)
        return net

    def rename(self, net: Net, name: str) -> None:
        """Give a net its tensor's name; the first name stays where several tensors share the net."""
        if not net.is_constant and net not in self._named and name not in self._names:
            self._names.add(name)
            self._named.add(net)
            net.name = name

    # ---- wires ----------------------------------------------------------------------------------------

    def const(self, value: int) -> Wire:
        """The literal `value`, its trailing zeros taken out."""
        value = int(value)
        if not value:
            return Wire(self.constant_net(0))
        zeros = trailing_zeros(value)
        return Wire(self.constant_net(value >> zeros), zeros)

    def input(self, offset: int, lo: int, hi: int) -> Wire:
        """The element of the input payload whose lane begins at bit `offset`."""
        if lo == hi:
            return self.const(lo)
        return Wire(self.net("input", (offset,), (), lo, hi))

    def shift(self, a: Wire, k: int) -> Wire:
        """a * 2**k, exact: for k < 0 the low -k bits of a must be zero."""
        if a.is_constant:
            return self.const(a.value << k if k >= 0 else a.value >> -k)
        if a.zeros + k >= 0:
            return Wire(a.net, a.zeros + k)
        return Wire(self._shr(a.net, -(a.zeros + k)))

    def fit(self, a: Wire, lo: int, hi: int, zeros: int = 0) -> Wire:
        """The same integer, proven to be a multiple of 2**zeros in lo..hi: idle bits are dropped.

        The net keeps what is proven of it, for all that read it.
        """
        if lo == hi:
            return self.const(lo)
        if a.is_constant:
            return a
        if zeros > a.zeros:
            a = Wire(self._shr(a.net, zeros - a.zeros), zeros)
            if a.is_constant:
                return a
        lo, hi = max(a.net.lo, -(-lo >> a.zeros)), min(a.net.hi, hi >> a.zeros)
        if lo == hi:
            return Wire(self.constant_net(lo), a.zeros)
        a.net.lo, a.net.hi = lo, hi
        return a

    def read(self, a: Wire, lo: int, hi: int) -> Wire:
        """The integer in lo..hi that agrees with a in the bits of a code of lo..hi; low zero bits stay."""
        if lo <= a.lo and a.hi <= hi:
            return a
        if lo == hi:
            return self.const(lo)
        if a.is_constant:
            low = a.value & (1 << width_of(lo, hi)) - 1
            return self.const(low - (1 << width_of(lo, hi)) if low > hi else low)
        if lo == 0 and hi >> a.zeros == 0:
            return self.const(0)
        return Wire(self.net("shr", (0,), (a.net,), -(-lo >> a.zeros), hi >> a.zeros), a.zeros)

    def align(self, *wires: Wire) -> tuple[int, list[int]]:
        """(common zeros, left shift of each net relative to them)."""
        zeros = min(w.free_zeros for w in wires)
        zeros = 0 if zeros == INFINITE else zeros
        return zeros, [w.zeros - zeros if w.net.lo or not w.is_constant else 0 for w in wires]

    def code(self, a: Wire, zeros: int) -> Net:
        """The net of a >> zeros for zeros <= a.zeros: low zero bits are written out."""
        k = a.zeros - zeros
        if a.is_constant:
            return self.constant_net(a.net.lo << k if k >= 0 else 0)
        if not k:
            return a.net
        return self.net("shl", (k,), (a.net,), a.net.lo << k, a.net.hi << k)

    def _shr(self, net: Net, k: int) -> Net:
        """Floor of net / 2**k."""
        if net.is_constant:
            return self.constant_net(net.lo >> k)
        return net if k == 0 else self.net("shr", (k,), (net,), net.lo >> k, net.hi >> k)

    # ---- arithmetic -----------------------------------------------------------------------------------

    def add(self, a: Wire, b: Wire, bounds: tuple[int, int] | None = None) -> Wire:
        """a + b; `bounds` are proven ends of it, if tighter than those of independent operands."""
        if a.is_constant:
            a, b = b, a
        if b.is_constant:
            return self._plus(a, 1, b.value, bounds)
        return self._sum("add", a, b, (a.lo + b.lo, a.hi + b.hi), bounds)

    def sub(self, a: Wire, b: Wire, bounds: tuple[int, int] | None = None) -> Wire:
        if b.is_constant:
            return self._plus(a, 1, -b.value, bounds)
        if a.is_constant:
            return self._plus(b, -1, a.value, bounds)
        return self._sum("sub", a, b, (a.lo - b.hi, a.hi - b.lo), bounds)

    def neg(self, a: Wire) -> Wire:
        return self._plus(a, -1, 0, None)

    def _plus(self, a: Wire, sign: int, offset: int, bounds: tuple[int, int] | None) -> Wire:
        """sign * a + offset; an offset that a already carries is added to this one."""
        if a.is_constant:
            return self.const(sign * a.value + offset)
        net, scale, more = self.affine(a)
        offset += sign * more
        a, sign = Wire(net, trailing_zeros(scale)), sign if scale > 0 else -sign
        if not offset:
            if sign > 0:
                return a
            return Wire(self.net("neg", (), (a.net,), -a.net.hi, -a.net.lo), a.zeros)
        if sign > 0:
            return self._sum("add", a, self.const(offset), (a.lo + offset, a.hi + offset), bounds)
        return self._sum("sub", self.const(offset), a, (offset - a.hi, offset - a.lo), bounds)

    def affine(self, a: Wire) -> tuple[Net, int, int]:
        """(net, scale, offset): a is scale * net + offset, with |scale| a power of two."""
        net, unit = a.net, 1 << a.zeros
        if net.kind == "add" and net.args[1].is_constant:
            return net.args[0], unit << net.params[0], unit * (net.args[1].lo << net.params[1])
        if net.kind == "sub" and net.args[0].is_constant:
            return net.args[1], -(unit << net.params[1]), unit * (net.args[0].lo << net.params[0])
        if net.kind == "neg":
            return net.args[0], -unit, 0
        return net, unit, 0

    def _sum(
        self, kind: str, a: Wire, b: Wire, ends: tuple[int, int], bounds: tuple[int, int] | None
    ) -> Wire:
        zeros, shifts = self.align(a, b)
        lo, hi = ends if bounds is None else (max(ends[0], bounds[0]), min(ends[1], bounds[1]))
        lo, hi = -(-lo >> zeros), hi >> zeros
        args = [a.net, b.net]
        if kind == "add" and 0 <= b.net.index < a.net.index:  # one form of a commutative sum
            args, shifts = args[::-1], shifts[::-1]
        net = self.net(kind, tuple(shifts), args, lo, hi)
        return self.const(lo << zeros) if net.is_constant else Wire(net, zeros)

    def sum(self, terms: Iterable[tuple[Wire, int]], bounds: tuple[int, int] | None = None) -> Wire:
        """Sum of sign * wire by two-input adders, shallowest operands first; `bounds` of the whole sum."""
        offset = 0
        heap: list[tuple[float, int, Wire, int]] = []
        for wire, sign in terms:
            if wire.is_constant:
                offset += sign * wire.value
            else:
                heap.append((wire.net.level, len(heap), wire, sign))
        if offset or not heap:
            heap.append((0.0, len(heap), self.const(offset), 1))
        heapq.heapify(heap)
        count = len(heap)
        while len(heap) > 1:
            _, _, a, s = heapq.heappop(heap)
            _, _, b, t = heapq.heappop(heap)
            last = bounds if not heap else None
            if s == t:
                ends = last if s > 0 or last is None else (-last[1], -last[0])
                out, sign = self.add(a, b, ends), s
            else:
                out, sign = (self.sub(a, b, last) if s > 0 else self.sub(b, a, last)), 1
            heapq.heappush(heap, (out.net.level, count, out, sign))
            count += 1
        _, _, out, sign = heap[0]
        return out if sign > 0 else self.neg(out)

    # ---- bits -----------------------------------------------------------------------------------------

    def floor(self, a: Wire, k: int) -> Wire:
        """Floor of a / 2**k."""
        if a.is_constant:
            return self.const(a.value >> k)
        return Wire(a.net, a.zeros - k) if a.zeros >= k else Wire(self._shr(a.net, k - a.zeros))

    def bit(self, a: Wire, k: int) -> Wire:
        """Bit k of the two's complement of a."""
        if a.is_constant:
            return self.const(a.value >> k & 1)
        k -= a.zeros
        if k < 0:
            return self.const(0)
        net = a.net
        if k >= net.width:
            if not net.signed:
                return self.const(0)
            k = net.width - 1
        high_lo, high_hi = net.lo >> k, net.hi >> k
        if high_lo == high_hi:
            return self.const(high_lo & 1)
        return Wire(net) if net.width == 1 and not net.signed else Wire(self.net("shr", (k,), (net,), 0, 1))

    def low(self, a: Wire, width: int, signed: bool = False) -> Wire:
        """a mod 2**width, read as unsigned or as two's complement."""
        lo, hi = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
        return self.read(a, lo, hi)

    def any_low(self, a: Wire, width: int) -> Wire:
        """1 where one of the low `width` bits of a is set."""
        n = width - a.zeros
        if a.is_constant:
            return self.const(int(a.value & (1 << width) - 1 != 0))
        if n <= 0:
            return self.const(0)
        if n == 1:
            return self.bit(a, a.zeros)
        return Wire(self.net("any", (min(n, a.net.width),), (a.net,), 0, 1))

    def cat(self, parts: Sequence[tuple[Wire, int]], signed: bool) -> Wire:
        """Bit fields (wire, width), least significant first, read as one integer."""
        width = sum(w for _, w in parts)
        if all(p.is_constant for p, _ in parts):
            total = at = 0
            for p, w in parts:
                total |= (p.value & (1 << w) - 1) << at
                at += w
            return self.const(total - (1 << width) if signed and total >> (width - 1) else total)
        nets = [self.code(p, 0) for p, w in parts if w]
        lo, hi = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
        return Wire(self.net("cat", tuple(w for _, w in parts if w), nets, lo, hi))

    def logic(self, kind: str, a: Wire, b: Wire, bounds: tuple[int, int]) -> Wire:
        """Bitwise and, or, xor of two's complements; `bounds` of the result."""
        zeros, _ = self.align(a, b)
        nets = [self.code(a, zeros), self.code(b, zeros)]
        return Wire(self.net(kind, (), nets, -(-bounds[0] >> zeros), bounds[1] >> zeros), zeros)

    def both(self, a: Wire, b: Wire) -> Wire:
        """a and b of two flags."""
        for x, y in ((a, b), (b, a)):
            if x.is_constant:
                return y if x.value else self.const(0)
        return a if a.net is b.net else self.logic("and", a, b, (0, 1))

    def either(self, a: Wire, b: Wire) -> Wire:
        for x, y in ((a, b), (b, a)):
            if x.is_constant:
                return self.const(1) if x.value else y
        return a if a.net is b.net else self.logic("or", a, b, (0, 1))

    def differ(self, a: Wire, b: Wire) -> Wire:
        for x, y in ((a, b), (b, a)):
            if x.is_constant:
                return self.flip(y) if x.value else y
        return self.const(0) if a.net is b.net else self.logic("xor", a, b, (0, 1))

    def flip(self, a: Wire) -> Wire:
        """not a, of a flag."""
        if a.is_constant:
            return self.const(1 - a.value)
        return Wire(self.net("eq", (), (a.net, self.constant_net(0)), 0, 1))

    def invert(self, a: Wire) -> Wire:
        """-1 - a."""
        if a.is_constant:
            return self.const(-1 - a.value)
        net = self.code(a, 0)
        return Wire(self.net("not", (), (net,), -1 - net.hi, -1 - net.lo))

    # ---- comparison and choice ------------------------------------------------------------------------

    def at_least(self, a: Wire, b: Wire) -> Wire:
        """1 where a >= b."""
        return self._order("ge", a, b)

    def less(self, a: Wire, b: Wire) -> Wire:
        """1 where a < b."""
        return self._order("lt", a, b)

    def _order(self, kind: str, a: Wire, b: Wire) -> Wire:
        if a.lo >= b.hi:
            return self.const(int(kind == "ge"))
        if a.hi < b.lo:
            return self.const(int(kind == "lt"))
        if a.is_constant:  # a < b is b >= a + 1: the constant to the right
            return self._order("ge" if kind == "lt" else "lt", b, self.const(a.value + 1))
        if b.is_constant:
            bound = self.constant_net(-(-b.value >> a.zeros))
            return Wire(self.net(kind, (0, 0), (a.net, bound), 0, 1))
        _, shifts = self.align(a, b)
        return Wire(self.net(kind, tuple(shifts), (a.net, b.net), 0, 1))

    def _flag(self, kind: str, net: Net, constant: Net) -> Wire:
        if net.lo == 0 and net.hi == 1:
            return Wire(net) if (constant.lo == 1) == (kind == "eq") else self.flip(Wire(net))
        return Wire(self.net(kind, (), (net, constant), 0, 1))

    def equal(self, a: Wire, b: Wire, different: bool = False) -> Wire:
        """1 where a == b (or, if `different`, where they are not)."""
        if a.hi < b.lo or b.hi < a.lo:
            return self.const(int(different))
        if a.is_constant and b.is_constant:
            return self.const(int((a.value == b.value) != different))
        if a.is_constant:
            a, b = b, a
        if b.is_constant and b.value & (1 << a.zeros) - 1:
            return self.const(int(different))
        kind = "ne" if different else "eq"
        if b.is_constant:
            return self._flag(kind, a.net, self.constant_net(b.value >> a.zeros))
        zeros, _ = self.align(a, b)
        return Wire(self.net(kind, (), (self.code(a, zeros), self.code(b, zeros)), 0, 1))

    def clamp(self, a: Wire, lo: int, hi: int) -> Wire:
        """min(max(a, lo), hi) for lo <= hi."""
        if a.net.kind == "clamp":  # a was clamped already: only the tighter ends are left
            least, most = (e << a.zeros for e in a.net.params)
            inner = Wire(a.net.args[0], a.zeros)
            return self.clamp(inner, min(max(least, lo), hi), min(max(most, lo), hi))
        if lo <= a.lo and a.hi <= hi:
            return a
        if a.is_constant or a.hi <= lo or hi <= a.lo:
            return self.const(min(max(a.lo, lo), hi))
        lo, hi = max(a.lo, lo), min(a.hi, hi)
        if lo == hi:
            return self.const(lo)
        zeros = min(a.zeros, trailing_zeros(lo), trailing_zeros(hi))
        lo, hi = lo >> zeros, hi >> zeros
        return Wire(self.net("clamp", (lo, hi), (self.code(a, zeros),), lo, hi), zeros)

    def unclamped(self, a: Wire) -> tuple[Wire, int, int]:
        """(b, lo, hi) with a = min(max(b, lo), hi)."""
        if a.net.kind != "clamp":
            return a, a.lo, a.hi
        net = a.net.args[0]
        b = Wire(net.args[0], net.params[0]) if net.kind == "shl" else Wire(net)
        lo, hi = (e << a.zeros for e in a.net.params)
        return Wire(b.net, b.zeros + a.zeros), lo, hi

    def mux(self, condition: Wire, a: Wire, b: Wire, bounds: tuple[int, int] | None = None) -> Wire:
        """a where condition is 1, else b."""
        if condition.is_constant:
            return a if condition.value else b
        if a.net is b.net and a.zeros == b.zeros:
            return a
        zeros, _ = self.align(a, b)
        lo, hi = (min(a.lo, b.lo), max(a.hi, b.hi)) if bounds is None else bounds
        x, y = self.code(a, zeros), self.code(b, zeros)
        lo, hi = -(-lo >> zeros), hi >> zeros
        if x.is_constant and y.is_constant and (x.lo, y.lo) == (1, 0):
            return Wire(condition.net, zeros)
        if y.is_constant and not y.lo:
            return Wire(self.net("gate", (), (condition.net, x), lo, hi), zeros)
        return Wire(self.net("mux", (), (condition.net, x, y), lo, hi), zeros)

    def table(self, a: Wire, entry: dict[int, int], bounds: tuple[int, int]) -> Wire:
        """entry[net code of a], for every code that a can take."""
        if a.is_constant:
            return self.const(entry[a.net.lo])
        values = sorted(set(entry.values()))
        if len(values) == 1:
            return self.const(values[0])
        zeros = min(trailing_zeros(v) for v in values)
        items = tuple((k, v >> zeros) for k, v in sorted(entry.items()))
        return Wire(self.net("table", items, (a.net,), bounds[0] >> zeros, bounds[1] >> zeros), zeros)
