"""The netlist as it is built: only demanded bits, and sums as codes where those take fewer LUTs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rtl.lower import spare
from rtl.lower.codes import Code, Sum, combine, cost_of_net, cost_of_value
from rtl.lower.demand import demanded
from rtl.lower.low import without_low_bits
from rtl.lower.net import ADDERS, Net, Wire, live, trailing_zeros
from rtl.lower.netlist import Netlist

_DERIVED = re.compile(r"(^lut\d+_[0-9a-f]+|_(s\d+|sum|rom|index))$")

COMPARISONS = frozenset(("lt", "ge", "eq", "ne"))


def encode(source: Netlist, outputs: Sequence[tuple[Wire, int]]) -> list[Wire]:
    """Rewrites the nets of `source` that `outputs`, (wire, bits of its lane), need; returns the new outputs.

    Nets keep names and scopes; a value that is only built as a code has its name with `_code` behind it.
    """
    nets = live([w.net for w, _ in outputs])
    _narrow(nets, [(w.net, bits - w.zeros) for w, bits in outputs], values=True)
    rewriter = _Rewriter(nets, {w.net for w, _ in outputs})
    values = [rewriter.wire(w) for w, _ in outputs]
    kept = live([w.net for w in values])
    _narrow(kept, [(w.net, bits - w.zeros) for w, (_, bits) in zip(values, outputs, strict=True)])
    source.nets = without_low_bits(kept, {w.net for w in values})
    _distinct(source.nets)
    return values


def _narrow(nets: Sequence[Net], outputs: Sequence[tuple[Net, int]], values: bool = False) -> None:
    """Every net as wide as its readers need; one that loses bits is unsigned from then on."""
    need = demanded(nets, outputs, values)
    for net in nets:
        if need[net] < net.width:
            net.lo, net.hi = 0, (1 << need[net]) - 1
            net.modular = True


def _distinct(nets: Sequence[Net]) -> None:
    """No two nets of one name, and none like a constant, or the register or helper of another net."""
    taken: set[str] = set()
    for net in nets:
        while net.name in taken or _DERIVED.search(net.name):
            net.name += "_"
        taken.add(net.name)


class _Rewriter:
    """Makes the nets of one netlist again in another, in order.

    wires  per net of a plain value, its wire
    codes  per net of a sum that is kept as a code, the code and its net
    """

    def __init__(self, nets: Sequence[Net], outputs: set[Net]) -> None:
        self.target = Netlist()
        self.wires: dict[Net, Wire] = {}
        self.codes: dict[Net, tuple[Code, Net]] = {}
        self.plain = _read_as_values(nets, outputs)
        self.coded = _choose(nets, self.plain)
        self.readers = Counter(a for net in nets for a in net.args)
        for net in nets:
            self.target.scope, self.target.prefix = net.scope, net.name
            before = len(self.target.nets)
            self._rewrite(net)
            self._name(net, before)

    def wire(self, a: Wire) -> Wire:
        if a.is_constant:
            return a
        w = self.wires[a.net]
        return self.target.const(w.value << a.zeros) if w.is_constant else Wire(w.net, w.zeros + a.zeros)

    def _plain(self, net: Net) -> Wire:
        return self.wire(Wire(net)) if not net.is_constant else self.target.const(net.lo)

    def _code(self, net: Net) -> tuple[Code, Net]:
        """The code of an operand of a sum: what is no sum is its own."""
        if net in self.codes:
            return self.codes[net]
        w = self._plain(net)
        return Code(w.net.lo, w.net.hi, w.zeros), w.net

    def _rewrite(self, net: Net) -> None:
        if net.kind not in ADDERS:
            self.wires[net] = self._value(net)
        elif net not in self.coded:
            self.wires[net] = self._adder(net)
        else:
            code, made = self._sum(net)
            self.codes[net] = code, made
            if net in self.plain:
                joined = self._with_constant(net, code)
                self.wires[net] = joined or self._decoded(net, code, made)

    # ---- sums -----------------------------------------------------------------------------------------

    def _sum(self, net: Net) -> tuple[Code, Net]:
        t = self.target
        operands = [self._code(a) for a in net.args]
        plan = _plan(net, [code for code, _ in operands], net in self.plain)
        nets = [made for code, made in operands if not code.is_constant]
        if isinstance(plan, Code):  # a constant more, or the sign: the same net
            return plan, nets[0] if nets else t.constant_net(0)
        return plan.code, self._made(plan, nets)

    def _made(self, plan: Sum, operands: Sequence[Net]) -> Net:
        p, q = reversed(operands) if plan.swapped else operands
        args = [p, q] if not plan.constant else [p, q, self.target.constant_net(plan.constant)]
        kind = "sub" if plan.minus else "add"
        return self.target.net(kind, (0, plan.shift), args, plan.code.lo, plan.code.hi)

    def _with_constant(self, net: Net, code: Code) -> Wire | None:
        """The value of a sum whose constant was added on the way; None if behind it is better."""
        t = self.target
        if self.readers[net] or not (code.sign < 0 or code.offset & (1 << net.width) - 1):
            return None
        place = spare.find(net, self._code, self._private)
        if place is None:
            return None
        more = place.cost - spare.cost_so_far(place, self._code)
        if more > cost_of_value(code, net.width) + spare.WORTH:
            return None
        made = self._raised(place)
        plans = iter(place.plans)
        for step in place.steps:
            if step.adds:
                made = self._made(next(plans), (made, step.made)[:: -1 if step.operand else 1])
        if place.result.sign < 0:
            made = t.net("not", (), (made,), -1 - made.hi, -1 - made.lo)
        return t.read(Wire(made, place.result.zeros), net.lo, net.hi)

    def _raised(self, place: spare.Spare) -> Net:
        """The operand of the first step with the constant."""
        t = self.target
        wire = Wire(place.made, place.shift)
        if not place.constant:
            return t.code(wire, 0)
        constant = t.const(place.constant)
        zeros, shifts = t.align(wire, constant)
        made = t.net("add", tuple(shifts), (wire.net, constant.net), 0, (1 << place.width - zeros) - 1)
        return t.code(Wire(made, zeros), 0)

    def _private(self, net: Net) -> bool:
        return net in self.codes and net not in self.plain and self.readers[net] == 1

    def _decoded(self, net: Net, code: Code, made: Net) -> Wire:
        """The value of a code: one adder with a constant, or none where that moves no bit but the top one."""
        t = self.target
        a, constant = Wire(made, code.zeros), -code.sign * code.offset
        if made.is_constant:
            return t.read(t.const(code.sign * a.value + constant), net.lo, net.hi)
        constant &= (1 << net.width) - 1
        if code.sign < 0:
            return self._added("sub", t.const(constant), a, net) if constant else self._negated(a, net)
        if not constant:
            return t.read(a, net.lo, net.hi)
        return self._added("add", a, t.const(constant), net)

    def _adder(self, net: Net) -> Wire:
        """A sum of plain values."""
        if net.kind == "neg":
            return self._negated(self._plain(net.args[0]), net)
        a, b = (self.target.shift(self._plain(a), k) for a, k in zip(net.args, net.params, strict=True))
        return self._added(net.kind, a, b, net)

    def _negated(self, a: Wire, net: Net) -> Wire:
        made = self.target.net("neg", (), (a.net,), *_scaled(net, a.zeros))
        return self.target.const(made.lo << a.zeros) if made.is_constant else Wire(made, a.zeros)

    def _added(self, kind: str, a: Wire, b: Wire, net: Net) -> Wire:
        """a + b or a - b in the bits of `net`."""
        t = self.target
        zeros, shifts = t.align(a, b)
        lo, hi = _scaled(net, zeros)
        made = t.net(kind, tuple(shifts), (a.net, b.net), lo, hi)
        return t.const(made.lo << zeros) if made.is_constant else Wire(made, zeros)

    # ---- all else -------------------------------------------------------------------------------------

    def _value(self, net: Net) -> Wire:
        t, args, (lo, hi) = self.target, net.args, (net.lo, net.hi)
        if net.kind in COMPARISONS and args[1].is_constant:
            return self._compared(net)
        if net.kind == "table" and net.args[0] in self.codes and net.args[0] not in self.plain:
            return self._looked_up(net)
        wires = [self._plain(a) for a in args]
        if net.kind == "shl":
            return t.shift(wires[0], net.params[0])
        if net.kind == "shr":
            (a,), (k,) = wires, net.params
            if a.is_constant:
                return t.read(t.floor(a, k), lo, hi)
            if a.zeros > k:
                return t.read(Wire(a.net, a.zeros - k), lo, hi)
            k -= a.zeros
            if not k and lo <= a.net.lo and a.net.hi <= hi:
                return Wire(a.net)
            return Wire(t.net("shr", (k,), (a.net,), lo, hi))
        if net.kind == "clamp" and not any(a.is_constant for a in wires):
            clamped = t.clamp(wires[0], *net.params)
            return t.read(clamped, lo, hi) if net.modular else t.fit(clamped, lo, hi)
        made = t.net(net.kind, net.params, [t.code(a, 0) for a in wires], lo, hi)
        return t.const(made.lo) if made.is_constant else Wire(made)

    def _compared(self, net: Net) -> Wire:
        """A comparison with a constant: of the code itself, where nothing else needs the value."""
        t, (a, b), kind = self.target, net.args, net.kind
        bound = b.lo
        if a in self.codes and a not in self.plain:
            code, made = self.codes[a]
            w, sign, offset = Wire(made, code.zeros), code.sign, code.offset
            if kind in ("eq", "ne"):
                return t.equal(w, t.const(sign * bound + offset), different=kind == "ne")
            if sign < 0:  # offset - w < b where w >= offset - b + 1
                kind, bound = ("ge" if kind == "lt" else "lt"), 1 - bound
            bound += offset
        else:
            w = self._plain(a)
            if kind in ("eq", "ne"):
                return t.equal(w, t.const(bound), different=kind == "ne")
        return _ordered(t, kind, w, bound)

    def _looked_up(self, net: Net) -> Wire:
        code, made = self.codes[net.args[0]]
        unit = 1 << code.zeros  # values between the codes do not come
        places = ((divmod(code.sign * v + code.offset, unit), entry) for v, entry in net.params)
        return self.target.table(Wire(made), {k: e for (k, rest), e in places if not rest}, (net.lo, net.hi))

    # ---- names ----------------------------------------------------------------------------------------

    def _name(self, net: Net, before: int) -> None:
        """The net that has the value of `net` gets its name, others names made of it."""
        value, code = self.wires.get(net), self.codes.get(net)
        if value is not None and value.net.index >= before:
            value.net.name = net.name
        if code is not None and code[1].index >= before and (value is None or value.net is not code[1]):
            code[1].name = f"{net.name}_code"


def _scaled(net: Net, zeros: int) -> tuple[int, int]:
    return -(-net.lo >> zeros), net.hi >> zeros


def _read_as_values(nets: Sequence[Net], outputs: set[Net]) -> set[Net]:
    """The sums whose value itself is read: not only by sums, comparisons with constants and tables."""
    plain = {n for n in outputs if n.kind in ADDERS}
    for net in nets:
        codes = net.kind in ADDERS or net.kind == "table"
        if codes or (net.kind in COMPARISONS and net.args[1].is_constant):
            continue
        plain.update(a for a in net.args if a.kind in ADDERS)
    return plain


def estimate(outputs: Sequence[Wire], first: int) -> float:
    """LUTs of the sums and small tables behind `outputs`, as `codes` counts them, from net `first` on."""
    nets = [n for n in live([w.net for w in outputs]) if n.index >= first]
    plain = {w.net for w in outputs if w.net.kind in ADDERS}
    functions = {f for n in nets if n.kind == "table" for f in _functions(n)}
    return len(functions) + sum(min(_costs(group, plain)) for group in _groups(nets))


def _functions(table: Net) -> Iterable[tuple[Net, int]]:
    """The functions of a table's bits that need a LUT, each and its complement in one form."""
    size = 1 << table.args[0].width
    inputs = [sum(1 << i for i in range(size) if i >> k & 1) for k in range(table.args[0].width)]
    for k in range(table.width):
        bits = sum((entry >> k & 1) << code for code, entry in table.params)
        bits = min(bits, (1 << size) - 1 - bits)
        if bits and bits not in inputs and (1 << size) - 1 - bits not in inputs:
            yield table.args[0], bits


def _choose(nets: Sequence[Net], plain: set[Net]) -> set[Net]:
    """The sums that are kept as codes: those of connected sums for which that is cheaper."""
    chosen: set[Net] = set()
    for group in _groups(nets):
        codes, values = _costs(group, plain)
        if codes < values:
            chosen.update(group)
    return chosen


def _groups(nets: Sequence[Net]) -> Iterable[list[Net]]:
    """The sums that are connected, operands first."""
    root: dict[Net, Net] = {n: n for n in nets if n.kind in ADDERS}

    def find(n: Net) -> Net:
        while root[n] is not n:
            root[n] = root[root[n]]
            n = root[n]
        return n

    for net in root:
        for a in net.args:
            if a in root:
                root[find(a)] = find(net)
    groups: dict[Net, list[Net]] = {}
    for net in root:
        groups.setdefault(find(net), []).append(net)
    return groups.values()


def _costs(group: Sequence[Net], plain: set[Net]) -> tuple[float, float]:
    """What the sums of a group cost as codes, the values that are read included, and as plain values."""
    codes: dict[Net, Code] = {}
    cost = 0.0
    for net in group:
        plan = _plan(net, [codes.get(a, Code(a.lo, a.hi)) for a in net.args], net in plain)
        if isinstance(plan, Code):
            codes[net] = plan
        else:
            codes[net] = plan.code
            cost += plan.cost
        if net in plain:
            cost += cost_of_value(codes[net], net.width)
    return cost, sum(cost_of_net(net, net.width) for net in group)


def _plan(net: Net, operands: Sequence[Code], positive: bool) -> Sum | Code:
    """How a sum becomes a code: an adder, or the code of its only operand, its sign and offset changed."""
    signs = (-1,) if net.kind == "neg" else (1, 1) if net.kind == "add" else (1, -1)
    varying, constant = [], 0
    for code, shift, sign in zip(operands, net.params or (0,), signs, strict=True):
        if code.is_constant:
            constant += sign * code.value << shift
        else:
            varying.append(code.shifted(shift, sign))
    if not varying:
        return Code(0, 0, offset=-constant)
    if len(varying) == 1:
        return varying[0].plus(constant)
    bits = net.width if net.modular else None
    return combine(varying[0], varying[1], net.lo, net.hi, bits, positive)


def _ordered(t: Netlist, kind: str, a: Wire, bound: int) -> Wire:
    """a < bound or a >= bound by the bits that decide."""
    bound = -(-bound >> a.zeros)
    a = Wire(a.net)
    if a.is_constant or a.hi < bound or a.lo >= bound:
        return t.const(int((a.lo >= bound) == (kind == "ge")))
    if not bound:
        sign = t.bit(a, a.net.width - 1)
        return sign if kind == "lt" else t.flip(sign)
    # Below the bound's last one bit nothing decides: a < c * 2**k is floor(a / 2**k) < c.
    zeros = trailing_zeros(bound)
    high, bound = t.floor(a, zeros), bound >> zeros
    if high.hi == bound:  # two values of the high part decide
        return t.equal(high, t.const(bound), different=kind == "lt")
    if high.lo == bound - 1:
        return t.equal(high, t.const(bound - 1), different=kind == "ge")
    return Wire(t.net(kind, (0, 0), (high.net, t.constant_net(bound)), 0, 1))
