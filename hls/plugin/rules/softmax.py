"""Softmax in hls4ml's four implementations, along the elements that it takes as one slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format
from fxsim.integers import Array, IntArray, exact
from fxsim.trace import Tensor, concat
from hls.plugin.rules import clibrary
from hls.plugin.rules.lookup import bounded, fitted, picked, whole
from hls.plugin.translate import Translation, rule

# Type of the legacy tables and sums, and their size in a stream: the header's own, since the configuration
# that hls4ml generates for a softmax does not name them.
LEGACY, LEGACY_SIZE = Format(18, 8), 1024


@dataclass(frozen=True)
class Slices:
    """How hls4ml cuts a tensor: `outer` x `length` x `inner`; each column of `length` is one softmax."""

    outer: int
    length: int
    inner: int


@dataclass(frozen=True)
class Tables:
    """The sizes and types of a softmax as the generated C++ has them."""

    exp_size: int
    inv_size: int
    exp: Format
    inv: Format
    sum: Format  # of the terms and of every partial sum
    inv_input: Format
    norm: Format  # of max - x
    scale: float


@rule("Softmax")
def softmax(t: Translation, layer: Any, operands: list[Tensor]) -> Tensor:
    """Implementations stable, latency, legacy and argmax of nnet_activation.h, in the order of its sums."""
    (x,) = operands
    cut = slices(t, layer)
    kind = str(layer.get_attr("implementation", "stable"))
    source, result = t.operand(layer), t.result(layer)
    # Slices last, so that one graph does all of them.
    y = x.reshape(cut.outer, cut.length, cut.inner).transpose(0, 2, 1)
    if kind == "argmax":
        y = argmax(y, result)
    elif kind == "legacy":
        y = _legacy(t, layer, y, source, result)
    elif kind in ("stable", "latency"):
        found = tables(t, layer, kind, source, cut.length)
        y = exponential(y, found, kind == "stable", source, result)
    else:
        raise t.refuse(layer, "implementation", repr(kind), "use stable, latency, legacy or argmax")
    return y.transpose(0, 2, 1).reshape(*t.shape(layer))


def slices(t: Translation, layer: Any) -> Slices:
    """io_parallel: by the layer's n_outer and n_inner; without them the whole tensor is one slice, whatever
    its axis. io_stream: the last axis."""
    shape = layer.get_input_variable().shape
    size = int(np.prod(shape))
    if t.io_type == "io_stream":
        return Slices(size // int(shape[-1]), int(shape[-1]), 1)
    outer, inner = (int(layer.get_attr(n, 1)) for n in ("n_outer", "n_inner"))
    return Slices(outer, size // outer // inner, inner)


def tables(t: Translation, layer: Any, kind: str, source: Format, length: int) -> Tables:
    """Sizes and types as hls4ml's configuration template settles them, from the layer's attributes.

    NotImplementedError where the C++ reads beyond a table or beyond a number's bits.
    """
    size = int(layer.get_attr("table_size"))
    exp_size = int(layer.get_attr("exp_table_size") or size)
    inv_size = int(layer.get_attr("inv_table_size") or size)
    exp, inv, total = (t.format(layer, n) for n in ("exp_table", "inv_table", "accum"))
    inv_input = t.format(layer, "inv_inp")
    if layer.get_attr("inv_inp_t").name == "model_default_t":
        inv_input = exp
    if layer.get_attr("inp_norm_t") is not None:
        norm = t.format(layer, "inp_norm")
    else:
        norm = Format(max(source.width - source.signed, 1), source.int_bits - source.signed, signed=False)
        if kind == "stable" and source.signed:
            exp_size = min(inv_size, 1 << (source.width - 1))
    if kind == "latency":
        norm = source
    for what, count, address in (("exp_table", exp_size, norm), ("inv_table", inv_size, inv_input)):
        if count < 2 or count & (count - 1) or count > 1 << address.width:
            raise t.refuse(
                layer, f"{what}_size", f"{count} where its address is {address}",
                f"make it a power of two of 2 to {1 << address.width}, or the type wider",
            )  # fmt: skip
    return Tables(
        exp_size, inv_size, exp, inv, total, inv_input, norm, float(layer.get_attr("exp_scale", 1.0))
    )


def exponential(x: Tensor, of: Tables, stable: bool, source: Format, result: Format) -> Tensor:
    """e_i = exp table[top bits], e_i * inverse table[top bits of their sum], along the last axis.

    The address of e_i is max - x_i, cast to `norm`, or x_i itself. The terms are cast to `sum`, and so is
    every partial sum of a tree that adds neighbours.
    """
    values = clibrary.exponentials(of.exp_size, of.norm, of.scale, stable, of.exp)
    terms = fitted(values, of.exp, of.sum)
    address = (x.max(-1).reshape(*x.shape[:-1], 1) - x).cast(of.norm) if stable else x
    sign = -of.scale if stable else of.scale
    e = top(address, of.norm, of.exp_size, terms, of.sum.frac, "exp", lambda v: np.exp(sign * v))
    inverses = clibrary.inverses(of.inv_size, of.inv_input, of.inv)
    total = tree(e, of.sum).cast(of.inv_input)
    # The greatest term of a stable softmax is 1.
    least = 1.0 if stable else 0.0
    factor = top(total, of.inv_input, of.inv_size, inverses, of.inv.frac, "1/x", lambda v: 1 / v, least)
    return (e * factor.reshape(*factor.shape, 1)).cast(result)


def top(
    x: Tensor, address: Format, size: int, raw: Array, frac: int,
    function: str, real: Callable[[Array], Array], least: float = -np.inf,
) -> Tensor:  # fmt: skip
    """The entry at the number that the top bits of x's code in `address` make, in a block `table`.

    Its `max_error` is the largest distance from the real function over all codes above `least` that x can
    have, in the unit of the result.
    """
    bits = clibrary.address_bits(size)
    codes, dropped = x.cast(address), address.width - bits
    base = -(size // 2) if address.signed else 0
    raw = np.roll(raw, size // 2) if address.signed else raw
    low, high = codes.type.bounds
    index = np.arange(low >> dropped, (high >> dropped) + 1)
    first = index.astype(object) << dropped  # codes may be wider than 64 bits
    ends = np.stack([np.maximum(first, low), np.minimum(first + (1 << dropped) - 1, high)])
    points = np.ldexp(ends.astype(np.float64), -codes.frac)
    with np.errstate(over="ignore", divide="ignore"):
        distance = np.abs(
            real(np.maximum(points, least)) - np.ldexp(raw[index - base].astype(np.float64), -frac)
        )
    error = float(distance[points >= least].max(initial=0.0))
    params = {"function": function, "entries": size, "max_error": error}
    with x.builder.block("table", function, [codes], params) as outputs:
        if dropped:
            codes = codes.cast(Format(bits, address.int_bits, address.signed))
        outputs.append(x.builder.apply(ops.Table(IntArray(exact(raw)), base, frac), codes))
    return outputs[0]


def tree(x: Tensor, form: Format) -> Tensor:
    """hls4ml's `reduce` with addition along the last axis: neighbours in pairs, every sum cast to `form`."""
    low, high = (x.type.lo.astype(object), x.type.hi.astype(object))
    whole_low, whole_high = np.minimum(low, 0).sum(-1), np.maximum(high, 0).sum(-1)
    if x.frac == form.frac and np.all(whole_low >= form.lo + 1) and np.all(whole_high <= form.hi):
        return x.sum(-1)  # no cast of a partial sum can lose anything
    while (n := x.shape[-1]) > 1:
        pairs = (x[..., 0 : n - n % 2 : 2] + x[..., 1:n:2]).cast(form)
        x = concat([pairs, x[..., n - 1 :]], -1) if n % 2 else pairs
    return x.reshape(*x.shape[:-1])


def argmax(x: Tensor, result: Format) -> Tensor:
    """1 at the first greatest element, else 0; 1 is cast to the result's type."""
    length = x.shape[-1]
    one = fitted(np.asarray(1), Format(2, 2), result)
    first = x.argmax(-1)
    chosen = first.reshape(*first.shape, 1) == np.arange(length)
    return (chosen * int(one)) >> result.frac


def _legacy(t: Translation, layer: Any, x: Tensor, source: Format, result: Format) -> Tensor:
    """inverse table[sum over j of exp table[x_j - x_i]], the sums in the table's type, ascending j.

    The layer's table_t is not used; with io_stream its sizes are not either.
    """
    size = int(layer.get_attr("table_size"))
    sizes = [int(layer.get_attr(n) or size) for n in ("exp_table_size", "inv_table_size")]
    exp_size, inv_size = (LEGACY_SIZE, LEGACY_SIZE) if t.io_type == "io_stream" else sizes
    form = LEGACY
    exponentials = clibrary.legacy_exponentials(exp_size, form)
    inverses = fitted(clibrary.legacy_inverses(inv_size, form), form, result)
    one = int(fitted(np.asarray(1), Format(2, 2), form))
    n = x.shape[-1]
    difference = x.reshape(*x.shape[:-1], 1, n) - x.reshape(*x.shape, 1)  # [..., i, j] = x_j - x_i
    index = bounded(whole(difference, source.frac, exp_size, 4) + (exp_size >> 1), exp_size, 0)
    terms = picked(index, exponentials, form.frac)
    # The diagonal is 1 whatever the table says.
    other = 1 - np.eye(n, dtype=np.int64)
    terms = terms * other + t.constant(np.eye(n, dtype=np.int64) * one, form.frac)
    total = terms.accumulate(form)
    place = bounded(whole(total, form.frac, inv_size, 6), inv_size, 0)
    return picked(place, inverses, result.frac)
