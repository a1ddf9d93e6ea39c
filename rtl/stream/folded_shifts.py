"""Weights as sums of signed powers of two: a product is a few shifts and sums, without partial products."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fxsim.integers import Array
from rtl.shift_add.problem import signed_digits


class Fields(NamedTuple):
    """weights = present * sum over the last axis of (1 + 2 * sign) * 2**shift, element by element.

    shift     (..., terms), 0 or more
    sign      (..., terms), 0 or -1
    present   (...), 0 where a weight of one term is 0, else 1: more terms make 0 by themselves
    """

    shift: Array
    sign: Array
    present: Array


def terms_of(weights: Array) -> int:
    """The most nonzero digits of a weight's canonical signed form, at least 1."""
    return max(1, *(len(signed_digits(v)) for v in np.unique(weights).tolist()))


def fields(weights: Array) -> Fields:
    """The weights (ticks, ...) in as many terms each as the longest needs."""
    terms = terms_of(weights)
    values, places = np.unique(weights, return_inverse=True)
    found = np.array([_terms(v, terms) for v in values.tolist()])[places.reshape(weights.shape)]
    shift, sign, present = found[..., 0], found[..., 1], np.ones(weights.shape, np.int64)
    if terms == 1:  # a weight of 0 has a shift that others of its lane have too
        present = (weights != 0).astype(np.int64)
        some = np.where(weights != 0, shift[..., 0], shift.max()).min(axis=0)
        shift = np.where(weights != 0, shift[..., 0], some)[..., None]
    return Fields(shift, sign, present)


def _terms(value: int, count: int) -> list[tuple[int, int]]:
    """(shift, sign) of `count` signed powers of two that add up to value, the greatest first."""
    digits = [(shift, -1 if digit < 0 else 0) for shift, digit in signed_digits(value)]
    if not digits:
        digits = [(0, 0), (0, -1)] if count > 1 else [(0, 0)]
    while len(digits) < count:
        # A power is twice the next lower one; 1, which has none, is 2 - 1.
        shift, sign = digits.pop(max(range(len(digits)), key=lambda k: digits[k]))
        digits += [(shift - 1, sign)] * 2 if shift else [(1, sign), (0, -1 - sign)]
    return sorted(digits, reverse=True)


def product(x: Any, shift: Any, sign: Any, present: Any) -> Any:
    """x (pi,) @ weights (pi, po) of these fields, a traced tensor (po,); weights (pi,): x * weights, (pi,).

    Fields are traced tensors, or arrays where they never change.
    """
    dense = shift.ndim == 3
    x = x.reshape(-1, 1) if dense else x
    if not (isinstance(present, np.ndarray) and present.all()):
        x = x * present
    terms = []
    for k in range(shift.shape[-1]):
        n, s = shift[..., k], sign[..., k]
        t = x * (1 + 2 * s) if isinstance(s, np.ndarray) else (x ^ s) - s  # before it has more bits
        terms.append(t * (1 << n) if isinstance(n, np.ndarray) else t << n)
    total = terms[0]
    for t in terms[1:]:
        total = total + t
    return total.sum(0) if dense else total
