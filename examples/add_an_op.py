"""A new op from outside the project: one dataclass with its typing rule, and one rule in each table.

Popcount counts the ones of a non-negative code. After the five rules it works in the emulator, in Verilog, in
HLS C++, in z3 and in the cost estimate; nothing else in the project changes.
"""

from dataclasses import dataclass

import numpy as np

import fxsim
import rtl
from fxsim.cost import Cost, cost, cost_rules
from fxsim.emulate import numpy_rules
from fxsim.graph import Op
from fxsim.smt import smt_rules
from fxsim.types import TensorType
from hls import compile_graphs
from hls.lower.table import cpp_rules, elementwise
from rtl.lower import amaranth_rules, each


@dataclass(frozen=True)
class Popcount(Op):
    """The number of ones of a raw code >= 0; frac 0."""

    def infer(self, *args: TensorType) -> TensorType:
        (x,) = args
        if x.bounds[0] < 0:
            raise TypeError(f"Popcount needs an operand proven non-negative, not from {x.bounds[0]}")
        return TensorType(x.shape, 0, np.zeros(x.shape, np.int64), x.width)


@numpy_rules.rule(Popcount)
def _numpy(_, node, a):
    return np.bitwise_count(a).astype(np.int64)


@amaranth_rules.rule(Popcount)
def _amaranth(netlist, node, a):
    def count(bounds, wire):
        bits = [(netlist.bit(wire, k), 1) for k in range(int(wire.hi).bit_length())]
        return netlist.sum(bits, bounds)

    return each(node, count, a)


@cpp_rules.rule(Popcount)
def _cpp(function, node, a):
    bits = range(node.args[0].type.max_width)
    return elementwise(function, node, lambda x: " + ".join(f"int({x}[{k}])" for k in bits), a)


@smt_rules.rule(Popcount)
def _smt(algebra, node, a):
    out = np.empty(a.shape, object)
    for i in np.ndindex(a.shape):
        total = 0
        for k in range(node.args[0].type.max_width):
            floor = algebra.floor(a[i], k)
            total = algebra.add(total, algebra.sub(floor, algebra.shift_left(algebra.floor(floor, 1), 1)))
        out[i] = total
    return out


@cost_rules.rule(Popcount)
def _cost(_, node, a):
    bits = node.args[0].type.width
    return Cost(int(bits.sum()), int((bits - 1).sum()), a.depth + float(np.ceil(np.log2(bits.max()))))


def main():
    graph = fxsim.trace(lambda x: x.builder.apply(Popcount(), x).sum(), fxsim.UQ(5, 0), shape=(3,)).with_name(
        "popcount"
    )
    codes = np.random.default_rng(0).integers(0, 32, (100, 3))
    want = np.array([[int(c).bit_count() for c in row] for row in codes]).sum(axis=1)
    print("emulator:", np.array_equal(graph.run_raw(codes), want))
    print("Verilog mismatches:", rtl.verify(graph, codes, raw=True, simulator="native").mismatches)
    print("C++:", np.array_equal(compile_graphs([graph])[0](codes), want))
    print("cost:", cost(graph).total)


if __name__ == "__main__":
    main()
