"""Multiplier cells of binary, distance, sparse and table systems, as graphs: the sizes of the LUT table."""

from __future__ import annotations

import numpy as np

import fxsim
from fxsim.layers import adder_net, few_bit, fracbnn, gates, sparse, table_neurons, xnor
from fxsim.quantizers.few_bit import GELU
from fxsim.trace import Tensor

BIT, BYTE = fxsim.UQ(1, 0), fxsim.SQ(8, 0)


def distance() -> fxsim.Graph:
    """|x - w| of two 8-bit operands, both at run time."""
    return fxsim.trace(adder_net.distance, BYTE, BYTE, name="distance_cell")


def constant_distances() -> fxsim.Graph:
    """-sum |x - w| of 16 inputs of 8 bits, constant weights: 16 cells and the adders of the sum."""
    weights = np.random.default_rng(0).integers(-128, 128, size=16)
    return fxsim.trace(
        lambda x: adder_net.adder_dot(x, weights), BYTE, shape=(16,), name="constant_distances_cell"
    )


def xnor_popcount() -> fxsim.Graph:
    """Popcount of ~(x ^ w), 64 bits each, both at run time: 7 bits."""

    def count(x: Tensor, w: Tensor) -> Tensor:
        return (xnor.xnor_dot(x, w) + 64) >> 1

    return fxsim.trace(count, BIT, BIT, shape=(64,), name="xnor_popcount_cell")


def constant_xnor_popcount() -> fxsim.Graph:
    """The dot product of 64 signs with constant signs."""
    weights = np.random.default_rng(0).choice([-1, 1], size=64)
    return fxsim.trace(
        lambda x: xnor.xnor_dot(x, weights), BIT, shape=(64,), name="constant_xnor_popcount_cell"
    )


def gated_two_bit() -> fxsim.Graph:
    """64 two-bit activations with signs at run time: two dot products, the second behind its gate."""
    return fxsim.trace(
        lambda m, n, w: fracbnn.gated_dot(m, n, w, 4.0).total, BIT, BIT, BIT, shape=(64,), name="gated_cell"
    )


def gather() -> fxsim.Graph:
    """Two 4:1 selections of 8-bit inputs by a nibble, both at run time."""
    return fxsim.trace(sparse.gather_by_nibbles, BYTE, fxsim.UQ(4, 0), shape=[(4,), (1,)], name="gather_cell")


def table_neuron() -> fxsim.Graph:
    """A random function of four 3-bit inputs, 2 bits: at most 2 * 85 LUTs by the formula."""
    entries = np.random.default_rng(0).integers(0, 4, size=(1, 1 << 12))
    return fxsim.trace(
        lambda x: table_neurons.table_layer(x, [[0, 1, 2, 3]], entries, table_neurons.Grid(3)),
        fxsim.UQ(3, 0), shape=(4,), name="table_neuron_cell",
    )  # fmt: skip


def gate_network() -> fxsim.Graph:
    """64 gates of 16 random inputs, 64 gates of those, the ones counted in 4 classes."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 16, size=(2, 64)), rng.integers(0, 64, size=(2, 64))
    ids = rng.integers(1, 15, size=(2, 64))

    def network(x: Tensor) -> Tensor:
        h = gates.gate_layer(x, *first, ids[0])
        return gates.group_sum(gates.gate_layer(h, *second, ids[1]), 4)

    return fxsim.trace(network, BIT, shape=(16,), name="gate_network_cell")


def few_bit_product() -> fxsim.Graph:
    """An 8-bit gradient times the 3-bit GELU slope's nearest power of two."""
    return fxsim.trace(
        lambda g, c: few_bit.slope_shift(g, c, GELU[3]), BYTE, fxsim.UQ(3, 0), name="few_bit_cell"
    )


CELLS = {
    "8-bit |x - w|": distance,
    "16 x 8-bit |x - w|, constant weights": constant_distances,
    "64-bit XNOR-popcount": xnor_popcount,
    "64-bit XNOR-popcount, constant weights": constant_xnor_popcount,
    "64 two-bit activations, gated": gated_two_bit,
    "2:4 gather of 8-bit inputs": gather,
    "table neuron, 12 bits to 2": table_neuron,
    "128 gates and 4 sums": gate_network,
    "8-bit gradient x 3-bit slope, shifted": few_bit_product,
}
"""Name of a row of the LUT table -> function that builds the graph of the cell."""

BARS = {"8-bit |x - w|": 16, "64-bit XNOR-popcount": 139}
"""Most LUTs of a cell by `synth_xilinx -nodsp -flatten`: what a plain description takes."""


def _selected(x: np.ndarray, nibble: np.ndarray) -> np.ndarray:
    codes = nibble.astype(np.int64)
    return np.take_along_axis(x, np.concatenate([codes & 3, codes >> 2], axis=-1), axis=-1)


REAL = {
    "8-bit |x - w|": lambda x, w: np.abs(x - w),
    "64-bit XNOR-popcount": lambda x, w: (x == w).sum(axis=-1),
    "2:4 gather of 8-bit inputs": _selected,
}
"""Name of a row -> the real function of the operands' values that the cell computes."""
