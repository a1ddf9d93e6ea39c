"""Two ways to write exact integers for z3: bit vectors that grow, and unbounded integers."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

# An element of a symbolic tensor: a Python int where it is constant, else what the algebra makes.
Term = Any
# A z3 Boolean, or a Python bool where it is decided.
Truth = Any


def import_z3() -> ModuleType:
    """The z3 module; ModuleNotFoundError names the extra to install."""
    try:
        import z3
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("proofs need z3; install it with: pip install 'fxsim-hdl[smt]'") from error
    return z3  # type: ignore[no-any-return]


class Algebra:
    """Exact integer arithmetic on terms: Python ints are computed here, subclasses write the rest."""

    name: str

    def __init__(self) -> None:
        self.z3 = import_z3()

    def variable(self, name: str, lo: int, hi: int, stride: int) -> tuple[Term, list[Truth]]:
        """A fresh integer and what confines it to the multiples of 2**stride in lo..hi."""
        raise NotImplementedError

    def narrow(self, a: Term, lo: int, hi: int) -> Term:
        """a, known to lie in lo..hi, in no more bits than that takes."""
        return a

    def value(self, model: Any, a: Term) -> int:
        """The integer that a model gives a."""
        raise NotImplementedError

    def add(self, a: Term, b: Term) -> Term:
        return a + b if _ints(a, b) else self._add(a, b)

    def sub(self, a: Term, b: Term) -> Term:
        return self.add(a, self.neg(b))

    def neg(self, a: Term) -> Term:
        return -a if _ints(a) else self._neg(a)

    def mul(self, a: Term, b: Term) -> Term:
        if _ints(a, b):
            return a * b
        if 0 in [v for v in (a, b) if isinstance(v, int)]:
            return 0
        return self._mul(a, b)

    def shift_left(self, a: Term, k: int) -> Term:
        """a * 2**k."""
        return a << k if _ints(a) else self._shift_left(a, k) if k else a

    def floor(self, a: Term, k: int) -> Term:
        """floor(a / 2**k)."""
        return a >> k if _ints(a) else self._floor(a, k) if k else a

    def low(self, a: Term, k: int) -> Term:
        """a mod 2**k, in 0..2**k - 1."""
        return a % (1 << k) if _ints(a) else self._low(a, k) if k else 0

    def divide(self, a: Term, b: Term) -> Term:
        """a / b toward zero, 0 where b is 0."""
        if _ints(b) and b == 0:
            return 0
        if _ints(a, b):
            return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return self.choose(self.equal(b, 0), 0, self._divide(a, b))

    def less(self, a: Term, b: Term) -> Truth:
        return a < b if _ints(a, b) else self._less(a, b)

    def equal(self, a: Term, b: Term) -> Truth:
        return a == b if _ints(a, b) else self._equal(a, b)

    def choose(self, condition: Truth, a: Term, b: Term) -> Term:
        """a where the condition holds, else b."""
        if isinstance(condition, bool):
            return a if condition else b
        return a if _ints(a, b) and a == b else self._choose(condition, a, b)

    def bitwise(self, kind: str, a: Term, b: Term) -> Term:
        """Two's complement "and", "or", "xor"."""
        if _ints(a, b):
            return {"and": a & b, "or": a | b, "xor": a ^ b}[kind]
        return self._bitwise(kind, a, b)

    def negate(self, t: Truth) -> Truth:
        return not t if isinstance(t, bool) else self.z3.Not(t)

    def either(self, *truths: Truth) -> Truth:
        if any(t is True for t in truths):
            return True
        rest = [t for t in truths if t is not False]
        return self.z3.Or(rest) if rest else False

    def both(self, *truths: Truth) -> Truth:
        if any(t is False for t in truths):
            return False
        rest = [t for t in truths if t is not True]
        return self.z3.And(rest) if rest else True

    def at_least(self, a: Term, b: Term) -> Truth:
        return self.negate(self.less(a, b))

    def outside(self, a: Term, lo: int, hi: int, stride: int = 0) -> Truth:
        """Is a below lo, above hi, or no multiple of 2**stride?"""
        coarse = self.negate(self.equal(self.low(a, stride), 0)) if stride and lo != hi else False
        return self.either(self.less(a, lo), self.less(hi, a), coarse)

    def _add(self, a: Term, b: Term) -> Term:
        raise NotImplementedError

    def _neg(self, a: Term) -> Term:
        raise NotImplementedError

    def _mul(self, a: Term, b: Term) -> Term:
        raise NotImplementedError

    def _shift_left(self, a: Term, k: int) -> Term:
        raise NotImplementedError

    def _floor(self, a: Term, k: int) -> Term:
        raise NotImplementedError

    def _low(self, a: Term, k: int) -> Term:
        raise NotImplementedError

    def _divide(self, a: Term, b: Term) -> Term:
        raise NotImplementedError

    def _less(self, a: Term, b: Term) -> Truth:
        raise NotImplementedError

    def _equal(self, a: Term, b: Term) -> Truth:
        raise NotImplementedError

    def _choose(self, condition: Truth, a: Term, b: Term) -> Term:
        raise NotImplementedError

    def _bitwise(self, kind: str, a: Term, b: Term) -> Term:
        raise NotImplementedError


def _ints(*terms: Term) -> bool:
    return all(isinstance(t, int) for t in terms)


def signed_width(v: int) -> int:
    """Bits of v in two's complement with a sign bit."""
    return (v if v >= 0 else ~v).bit_length() + 1


@dataclass(frozen=True)
class Word:
    """A two's complement integer held in a z3 bit vector of `width` bits, sign bit included."""

    bits: Any
    width: int


class Bits(Algebra):
    """Words that grow with every operation, so that nothing wraps unseen: for products, casts and bit ops."""

    name = "bits"

    def variable(self, name: str, lo: int, hi: int, stride: int) -> tuple[Term, list[Truth]]:
        width = max(signed_width(lo), signed_width(hi))
        word = Word(self.z3.BitVec(name, width), width)
        outside = self.outside(word, lo, hi, stride)
        return word, [] if outside is False else [self.negate(outside)]

    def narrow(self, a: Term, lo: int, hi: int) -> Term:
        width = max(signed_width(lo), signed_width(hi))
        if _ints(a) or a.width <= width:
            return a
        return Word(self.z3.Extract(width - 1, 0, a.bits), width)

    def value(self, model: Any, a: Term) -> int:
        return a if _ints(a) else model.eval(a.bits, model_completion=True).as_signed_long()  # type: ignore[no-any-return]

    def _extended(self, a: Term, width: int) -> Any:
        if _ints(a):
            return self.z3.BitVecVal(a, width)
        return self.z3.SignExt(width - a.width, a.bits) if width > a.width else a.bits

    def _width(self, *terms: Term) -> int:
        return max(signed_width(t) if isinstance(t, int) else t.width for t in terms)

    def _add(self, a: Term, b: Term) -> Term:
        width = self._width(a, b) + 1
        return Word(self._extended(a, width) + self._extended(b, width), width)

    def _neg(self, a: Term) -> Term:
        width = a.width + 1
        return Word(-self._extended(a, width), width)

    def _mul(self, a: Term, b: Term) -> Term:
        width = self._width(a) + self._width(b)
        return Word(self._extended(a, width) * self._extended(b, width), width)

    def _shift_left(self, a: Term, k: int) -> Term:
        return Word(self.z3.Concat(a.bits, self.z3.BitVecVal(0, k)), a.width + k)

    def _floor(self, a: Term, k: int) -> Term:
        k = min(k, a.width - 1)  # what is left of a word shifted out is its sign bit
        return Word(self.z3.Extract(a.width - 1, k, a.bits), a.width - k)

    def _low(self, a: Term, k: int) -> Term:
        bits = self.z3.Extract(k - 1, 0, self._extended(a, max(k, a.width)))
        return Word(self.z3.ZeroExt(1, bits), k + 1)

    def _divide(self, a: Term, b: Term) -> Term:
        width = self._width(a, b) + 1
        return Word(self._extended(a, width) / self._extended(b, width), width)

    def _less(self, a: Term, b: Term) -> Truth:
        width = self._width(a, b)
        return self._extended(a, width) < self._extended(b, width)

    def _equal(self, a: Term, b: Term) -> Truth:
        width = self._width(a, b)
        return self._extended(a, width) == self._extended(b, width)

    def _choose(self, condition: Truth, a: Term, b: Term) -> Term:
        width = self._width(a, b)
        return Word(self.z3.If(condition, self._extended(a, width), self._extended(b, width)), width)

    def _bitwise(self, kind: str, a: Term, b: Term) -> Term:
        width = self._width(a, b)
        x, y = self._extended(a, width), self._extended(b, width)
        return Word({"and": x & y, "or": x | y, "xor": x ^ y}[kind], width)


class Integers(Algebra):
    """z3's unbounded integers: linear graphs, however wide, are decided at once; it has no bit ops."""

    name = "integers"

    def variable(self, name: str, lo: int, hi: int, stride: int) -> tuple[Term, list[Truth]]:
        if stride and lo != hi:
            whole = self.z3.Int(name)
            return whole * (1 << stride), [whole >= lo >> stride, whole <= hi >> stride]
        v = self.z3.Int(name)
        return v, [v >= lo, v <= hi]

    def value(self, model: Any, a: Term) -> int:
        return a if _ints(a) else model.eval(a, model_completion=True).as_long()  # type: ignore[no-any-return]

    def _add(self, a: Term, b: Term) -> Term:
        return a + b

    def _neg(self, a: Term) -> Term:
        return -a

    def _mul(self, a: Term, b: Term) -> Term:
        return a * b

    def _shift_left(self, a: Term, k: int) -> Term:
        return a * (1 << k)

    def _floor(self, a: Term, k: int) -> Term:
        return a / (1 << k)  # z3's integer division by a positive number floors

    def _low(self, a: Term, k: int) -> Term:
        return a % (1 << k)

    def _divide(self, a: Term, b: Term) -> Term:
        size_a, size_b = (self.choose(self.less(v, 0), self.neg(v), v) for v in (a, b))
        quotient = self.z3.IntVal(size_a) / size_b if _ints(size_a) else size_a / size_b
        a_negative, b_negative = self.less(a, 0), self.less(b, 0)
        differ = self.either(
            self.both(a_negative, self.negate(b_negative)), self.both(self.negate(a_negative), b_negative)
        )
        return self.choose(differ, -quotient, quotient)

    def _less(self, a: Term, b: Term) -> Truth:
        return a < b

    def _equal(self, a: Term, b: Term) -> Truth:
        return a == b

    def _choose(self, condition: Truth, a: Term, b: Term) -> Term:
        return self.z3.If(condition, self._term(a), self._term(b))

    def _term(self, a: Term) -> Any:
        return self.z3.IntVal(a) if _ints(a) else a
