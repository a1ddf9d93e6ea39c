"""Einsum of two operands as one matrix product: axes are grouped, no element is copied."""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np

from fxsim.trace import Tensor


@dataclass(frozen=True)
class Equation:
    """Letters of the operands and the result without the batch axis, which must lead both of them."""

    first: str
    second: str
    result: str

    @classmethod
    def of(cls, text: str, first: int, second: int | None = None) -> Equation:
        """The equation for operands of these ranks (with their batch; `second` is None for weights).

        ValueError where the batch axis is summed, moved or shared with weights, or where a letter repeats.
        """
        both, arrow, result = text.replace(" ", "").partition("->")
        parts = both.split(",")
        if not arrow or len(parts) != 2:
            raise ValueError(f"equation must be 'a,b->c', not {text!r}")
        free = [c for c in string.ascii_letters if c not in text]
        spare = max(first - len(parts[0].replace("...", "")), 0) if "..." in parts[0] else 0
        if second is not None and "..." in parts[1]:
            spare = max(spare, second - len(parts[1].replace("...", "")))
        dots = "".join(free[:spare])
        a, b, c = (p.replace("...", dots) for p in (*parts, result))
        if len(a) != first or (second is not None and len(b) != second):
            raise ValueError(f"equation {text!r} does not fit operands of {first} and {second} axes")
        if (
            not a
            or not c
            or a[0] != c[0]
            or (a[0] in b) != (second is not None)
            or (second is not None and b[0] != a[0])
        ):
            raise ValueError(
                f"equation {text!r} must keep the batch as the first axis of its data and result"
            )
        repeated = any(len(set(p)) != len(p) for p in (a, b, c))
        if repeated or not set(c) <= set(a) | set(b):
            raise ValueError(f"equation {text!r} repeats a letter or makes one up")
        return cls(a[1:], b[1:] if second is not None else b, c[1:])


def einsum(equation: Equation, x: Tensor, y: Tensor) -> Tensor:
    """The exact sum of products, by transposing to (shared, own, summed) @ (shared, summed, own)."""
    a, b, c = equation.first, equation.second, equation.result
    sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
    for letters, t in ((a, x), (b, y)):
        for letter, n in zip(letters, t.shape, strict=True):
            if sizes[letter] != n:
                raise ValueError(f"axis {letter!r} has the sizes {sizes[letter]} and {n}")
    x, a = _summed(x, a, set(b) | set(c))
    y, b = _summed(y, b, set(a) | set(c))
    shared = [v for v in a if v in b and v in c]
    inner = [v for v in a if v in b and v not in c]
    left, right = [v for v in a if v not in b], [v for v in b if v not in a]

    def group(letters: list[str]) -> int:
        return int(np.prod([sizes[v] for v in letters], dtype=np.int64))

    x = _ordered(x, a, shared + left + inner).reshape(*(sizes[v] for v in shared), group(left), group(inner))
    y = _ordered(y, b, shared + inner + right).reshape(
        *(sizes[v] for v in shared), group(inner), group(right)
    )
    z = (x @ y).reshape(*(sizes[v] for v in shared + left + right))
    return _ordered(z, "".join(shared + left + right), list(c))


def _summed(t: Tensor, letters: str, kept: set[str]) -> tuple[Tensor, str]:
    """Axes that only this operand has and the result has not, summed away."""
    gone = tuple(i for i, v in enumerate(letters) if v not in kept)
    if not gone:
        return t, letters
    return t.sum(axis=gone), "".join(v for v in letters if v in kept)


def _ordered(t: Tensor, letters: str, order: list[str]) -> Tensor:
    axes = tuple(letters.index(v) for v in order)
    return t if axes == tuple(range(len(axes))) else t.transpose(*axes)
