"""Table neurons (LogicNets, PolyLUT, NeuraLUT): any function of few bits, enumerated into a truth table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format
from fxsim.integers import Array, IntArray, exact
from fxsim.ops.common import check_int
from fxsim.trace import Tensor

LIMIT = 24
"""Most input bits of a neuron: 2**24 entries."""

Function = Callable[[np.ndarray[Any, Any]], Any]


@dataclass(frozen=True)
class Grid:
    """Codes of `bits` that stand for code * scale, unsigned or (two's complement) signed.

    encode  rounds value / scale to the nearest code, ties to even, clipped to the codes that there are; so
            that an unsigned grid is a ReLU
    """

    bits: int
    scale: float = 1.0
    signed: bool = False

    def __post_init__(self) -> None:
        check_int("bits of Grid", self.bits, 1)
        if not self.scale > 0:
            raise ValueError(f"scale of Grid must be positive, not {self.scale!r}")

    @property
    def least(self) -> int:
        return -(1 << self.bits - 1) if self.signed else 0

    @property
    def most(self) -> int:
        return (1 << self.bits - self.signed) - 1

    def encode(self, values: Any) -> Array:
        reals = np.asarray(values, np.float64)
        if np.any(np.isnan(reals)):
            raise ValueError("values of a table neuron must not be NaN")
        return np.clip(np.rint(reals / self.scale), self.least, self.most).astype(np.int64)


def addresses(inputs: int, grid: Grid) -> np.ndarray[Any, Any]:
    """Real inputs of every address, (2**(inputs * bits), inputs): the first input is the highest field.

    A signed code c is stored as c + 2**(bits - 1). Raises ValueError for more than 24 bits in all.
    """
    x = check_int("inputs of a table neuron", inputs, 1) * grid.bits
    if x > LIMIT:
        raise ValueError(
            f"inputs of a table neuron must have at most {LIMIT} bits, not {inputs} of {grid.bits}: {x}"
        )
    address = np.arange(1 << x)
    fields = [address >> grid.bits * (inputs - 1 - k) & (1 << grid.bits) - 1 for k in range(inputs)]
    return (np.stack(fields, axis=1) + grid.least) * grid.scale


def enumerate_neuron(function: Function, inputs: int, source: Grid, result: Grid) -> Array:
    """The codes of `result` for every address: result.encode(function(inputs of all addresses)).

    function  maps (addresses, inputs) to (addresses,) in float64; batch norm and activation belong inside. It
              runs once, here: whatever it rounds, every reading has the same table.
    """
    found = np.asarray(function(addresses(inputs, source)), np.float64)
    if found.shape != (1 << inputs * source.bits,):
        want = (1 << inputs * source.bits,)
        raise ValueError(f"function must give one value per address, {want}, not shape {found.shape}")
    return result.encode(found)


def table_layer(
    x: Tensor, connections: Any, tables: Any, source: Grid, result: Grid | None = None, name: str = "tables"
) -> Tensor:
    """Neuron j looks its inputs x[connections[j]] up in tables[j].

    x            (..., n) codes of `source`, frac 0
    connections  (m, F) input indices, the highest field of the address first
    tables       (m, 2**(F * bits)) codes, as `enumerate_neuron` gives them
    result       their grid, of which every entry must be a code
    returns      (..., m), frac 0; exact

    Raises ValueError for more than 24 address bits, tables or connections of other shapes, entries that are
    no code of `result`; TypeError for x that is not proven to be codes of `source`.
    """
    c, t = exact(connections), exact(tables)
    if c.ndim != 2 or not c.size:
        raise ValueError(f"connections must have shape (neurons, inputs), not {c.shape}")
    bits = c.shape[1] * source.bits
    if bits > LIMIT:
        raise ValueError(f"inputs of a table neuron must have at most {LIMIT} bits, not {bits}")
    if t.shape != (len(c), 1 << bits):
        raise ValueError(f"tables must have shape {(len(c), 1 << bits)}, not {t.shape}")
    if result is not None and (t.min() < result.least or t.max() > result.most):
        raise ValueError(f"entries must lie in {result.least}..{result.most}, not {t.min()}..{t.max()}")
    low, high = x.type.bounds
    if x.frac or low < source.least or high > source.most:
        raise TypeError(
            f"x must be codes proven in {source.least}..{source.most} with frac 0, not {low}..{high} with "
            f"frac {x.frac}"
        )
    with x.builder.block("table_neurons", name, [x], {"inputs": c.shape[1], "bits": bits}) as out:
        fields = x.take(c, x.ndim - 1)
        if source.signed:
            # The bits as they are, and the table in their order: an offset code is one with its sign flipped.
            fields = fields.cast(Format(source.bits, source.bits, False))
            flipped = sum(1 << source.bits * (k + 1) - 1 for k in range(c.shape[1]))
            t = t[:, np.arange(1 << bits) ^ flipped]
        index = fields[..., 0]
        for k in range(1, c.shape[1]):
            index = shifted(index, source.bits) | fields[..., k]
        y = index._apply(ops.Table(IntArray(t), axis=index.ndim - 1))
        out.append(y)
    return y


def shifted(x: Tensor, k: int) -> Tensor:
    """x * 2**k at the same frac: k zero bits below."""
    return x._apply(ops.Shift(k))._apply(ops.Scale(k))


def linear(weights: Any, bias: float = 0.0, activation: Function | None = None) -> Function:
    """LogicNets: activation(inputs @ weights + bias) of the inputs that a neuron keeps."""
    w = np.asarray(weights, np.float64)
    return lambda x: _activated(x @ w + bias, activation)


def monomials(inputs: int, degree: int) -> tuple[tuple[int, ...], ...]:
    """Inputs of each monomial of degree 0..degree, the constant first: C(inputs + degree, degree) tuples."""
    check_int("inputs of a polynomial", inputs, 1)
    check_int("degree of a polynomial", degree, 0)
    return tuple(m for d in range(degree + 1) for m in combinations_with_replacement(range(inputs), d))


def polynomial(weights: Any, inputs: int, degree: int, activation: Function | None = None) -> Function:
    """PolyLUT: all monomials up to a degree, weights in the order of `monomials`, the bias first."""
    w, terms = np.asarray(weights, np.float64), monomials(inputs, degree)
    if w.shape != (len(terms),):
        raise ValueError(f"weights must have shape ({len(terms)},), one per monomial, not {w.shape}")
    return lambda x: _activated(np.stack([x[:, list(m)].prod(axis=1) for m in terms], axis=1) @ w, activation)


def perceptron(
    layers: Sequence[tuple[Any, Any]], residuals: Sequence[tuple[int, int, Any]] = (),
    activation: Function | None = None,
) -> Function:  # fmt: skip
    """NeuraLUT: a small network within the neuron, of (weights (i, o), bias (o,)) per layer, ReLU between.

    residuals  (a, b, weights): the input of layer a times weights is added to what layer b gives, before its
               ReLU; NeuraLUT has them over two layers
    """
    dense = [(np.asarray(w, np.float64), np.asarray(b, np.float64)) for w, b in layers]
    if not dense or dense[-1][0].shape[1] != 1:
        raise ValueError("the last of layers must have one output")
    skips = [(a, b, np.asarray(w, np.float64)) for a, b, w in residuals]
    if any(not 0 <= a <= b < len(dense) for a, b, _ in skips):
        raise ValueError(f"residuals must go from a layer to it or a later one of {len(dense)}")

    def run(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        entered = []
        for k, (w, bias) in enumerate(dense):
            entered.append(x)
            x = x @ w + bias
            for a, b, skip in skips:
                x = x + entered[a] @ skip if b == k else x
            x = np.maximum(x, 0) if k + 1 < len(dense) else x
        return np.asarray(_activated(x[:, 0], activation))

    return run


def _activated(y: Any, activation: Function | None) -> Any:
    return y if activation is None else activation(y)


def init_vectors(table: Any, bits: int) -> list[str]:
    """INIT of each output bit, lowest first, in hexadecimal: bit i is the output for address i.

    table  2**k entries of one neuron, signed ones read as two's complement of `bits`
    """
    t = exact(table)
    if t.ndim != 1 or not t.size or t.size & t.size - 1:
        raise ValueError(f"table must have 2**k entries, not shape {t.shape}")
    digits = max(t.size // 4, 1)
    words = (sum(1 << i for i, e in enumerate(t.tolist()) if e >> k & 1) for k in range(bits))
    return [f"{w:0{digits}x}" for w in words]


def lut6_count(inputs: int) -> int:
    """LUTs of six inputs for any function of X `inputs`, one output bit: (2**(X - 4) - (-1)**X) / 3, X >= 6.

    1 up to six inputs, then 3, 5, 11, 21, 85 for 12, 341, 683, 1365 for 16. An upper bound: a mapper finds
    less.
    """
    x = check_int("inputs of a table", inputs, 1)
    return 1 if x <= 6 else ((1 << x - 4) - (-1) ** x) // 3


__all__ = [
    "LIMIT", "Grid", "addresses", "enumerate_neuron", "init_vectors", "linear", "lut6_count", "monomials",
    "perceptron", "polynomial", "shifted", "table_layer",
]  # fmt: skip
