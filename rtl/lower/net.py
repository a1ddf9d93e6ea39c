"""What lowering writes: nets, scalar signals of proven range, and wires, nets times powers of two."""

from __future__ import annotations

from collections.abc import Sequence

INFINITE = 1 << 30  # trailing zeros of the constant 0

ADDERS = frozenset(("add", "sub", "neg"))


class Net:
    """One signal: primitive `kind` with `params` of the nets `args`, proven to lie in lo..hi.

    Width and sign follow from lo..hi. A modular net agrees with its primitive in its own bits only, of which
    it is the unsigned integer. `level` is the depth from the inputs in adders (family "generic"), as
    if nothing were registered.

    input          params (first bit of its lane,)
    const          the value lo
    add, sub       (a << j) + (b << k), or -; params (j, k). A third argument is a constant that is added
    neg, not       -a, -1 - a
    shl            a << k; params (k,)
    shr            floor(a / 2**k); params (k,). For k = 0 the integer in lo..hi with the low bits of a
    cat            bit fields, the least significant first; params their widths
    lt, ge         (a << j) < (b << k), or >=; params (j, k)
    eq, ne         a == b, a != b
    any            whether one of the low k bits of a is set; params (k,)
    mux, gate      c ? a : b and c ? a : 0
    and, or, xor   bitwise, of two's complements
    clamp          min(max(a, least), most); params (least, most)
    table          params ((code, entry), ...)
    """

    __slots__ = ("args", "hi", "index", "kind", "level", "lo", "modular", "name", "params", "scope")

    def __init__(self, kind: str, params: tuple, args: tuple[Net, ...], lo: int, hi: int) -> None:
        self.kind, self.params, self.args = kind, params, args
        self.lo, self.hi = lo, hi
        self.index = -1
        self.level = 0.0
        self.name = ""
        self.scope = -1
        self.modular = False

    @property
    def signed(self) -> bool:
        return self.lo < 0

    @property
    def width(self) -> int:
        return width_of(self.lo, self.hi)

    @property
    def is_constant(self) -> bool:
        return self.kind == "const"

    def __repr__(self) -> str:
        return f"<Net {self.name or self.kind} {self.lo}..{self.hi}>"


class Wire:
    """The integer net << zeros: what one element of a tensor is in hardware. Low zero bits cost nothing."""

    __slots__ = ("net", "zeros")

    def __init__(self, net: Net, zeros: int = 0) -> None:
        self.net, self.zeros = net, zeros

    @property
    def lo(self) -> int:
        return self.net.lo << self.zeros

    @property
    def hi(self) -> int:
        return self.net.hi << self.zeros

    @property
    def is_constant(self) -> bool:
        return self.net.kind == "const"

    @property
    def value(self) -> int:
        """The raw integer of a constant."""
        return self.net.lo << self.zeros

    @property
    def free_zeros(self) -> int:
        """Low zero bits; the constant 0 fits any alignment."""
        return INFINITE if self.is_constant and not self.net.lo else self.zeros

    def __repr__(self) -> str:
        return f"<Wire {self.net!r} << {self.zeros}>"


def width_of(lo: int, hi: int) -> int:
    """Bits of the two's complement code of lo..hi, or of the unsigned code if lo >= 0; at least 1."""
    if lo < 0:
        return max((-1 - lo).bit_length(), hi.bit_length() if hi > 0 else 0) + 1
    return max(hi.bit_length(), 1)


def trailing_zeros(v: int) -> int:
    return (v & -v).bit_length() - 1 if v else INFINITE


def live(outputs: Sequence[Net]) -> list[Net]:
    """The nets that outputs depend on, constants left out, in the order they were made."""
    seen: set[Net] = set()
    stack = [n for n in outputs if not n.is_constant]
    while stack:
        net = stack.pop()
        if net not in seen:
            seen.add(net)
            stack.extend(a for a in net.args if not a.is_constant)
    return sorted(seen, key=lambda n: n.index)
