"""Values as affine forms of the values before them: what proves that two branches of a choice meet."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fxsim import ops
from fxsim.graph import Node, Value
from fxsim.integers import Array
from fxsim.iterate.slopes.scaled import Scaled

Form = dict[Node | None, Array]  # coefficient per value (None: the constant), object arrays of Fractions


def meet(select: Value) -> bool:
    """Is a - b = k (p - q) for Select(Compare(p, q), a, b), with a number k per element?

    Both differences are affine forms, through sums, shifts and constant factors, of values that are not taken
    apart further.
    """
    condition, a, b = select.args
    if not isinstance(condition, Value) or not isinstance(condition.op, ops.Compare):
        return False
    p, q = condition.args
    compared, apart = _minus(_form(p), _form(q)), _minus(_form(a), _form(b))
    shape = select.type.shape
    keys = list(dict.fromkeys([*compared, *apart]))
    zero = np.array(Fraction(0), object)
    rows = [
        (np.broadcast_to(compared.get(k, zero), shape), np.broadcast_to(apart.get(k, zero), shape))
        for k in keys
    ]
    for i in np.ndindex(shape):
        moving = [(e[i], d[i]) for key, (d, e) in zip(keys, rows, strict=True) if key is not None and d[i]]
        if not moving:
            return False
        k = moving[0][0] / moving[0][1]
        if any(e[i] != k * d[i] for d, e in rows):
            return False
    return True


def _form(node: Node, depth: int = 64) -> Form:
    if isinstance(node, Value) and depth:
        op, args = node.op, node.args
        if isinstance(op, ops.Const):
            return {None: _constant(node)}
        if isinstance(op, ops.Add):
            return _plus(_form(args[0], depth - 1), _form(args[1], depth - 1))
        if isinstance(op, ops.Sub):
            return _minus(_form(args[0], depth - 1), _form(args[1], depth - 1))
        if isinstance(op, ops.Neg):
            return _minus({}, _form(args[0], depth - 1))
        if isinstance(op, ops.Shift):
            return _form(args[0], depth - 1)
        if isinstance(op, ops.Scale):
            return _times(_form(args[0], depth - 1), np.array(Fraction(2) ** op.power, object))
        if isinstance(op, ops.Mul):
            for x, y in (args, args[::-1]):
                if isinstance(y, Value) and isinstance(y.op, ops.Const):
                    return _times(_form(x, depth - 1), _constant(y))
    return {node: np.array(Fraction(1), object)}


def _constant(node: Node) -> Array:
    return Scaled(node.type.lo, node.type.frac).fractions()


def _plus(a: Form, b: Form) -> Form:
    return {k: np.asarray(_get(a, k) + _get(b, k), object) for k in (*a, *(k for k in b if k not in a))}


def _minus(a: Form, b: Form) -> Form:
    return _plus(a, _times(b, np.array(Fraction(-1), object)))


def _times(a: Form, c: Array) -> Form:
    return {k: np.asarray(v * c, object) for k, v in a.items()}


def _get(form: Form, key: Node | None) -> Array:
    return form.get(key, np.array(Fraction(0), object))
