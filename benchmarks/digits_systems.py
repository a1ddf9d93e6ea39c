"""The trained digits network with its weights in every weight system, without training: accuracy and LUTs.

The 4-bit weights of the shipped model are the real numbers that each codec is given; activations, biases and
casts stay. A scale that is no power of two is rounded to 8 significant bits and multiplies the sums. Every
network is verified on all 500 images: its Verilog in Verilator against the emulator, code by code.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import fxsim
import rtl
from fxsim import ops
from fxsim.data import digits_model, digits_samples
from fxsim.graph import Graph, Node, Value
from fxsim.layers import LMul, lmul_matmul, small_float_encode
from fxsim.quantizers import (
    INQ,
    APoT,
    Binary,
    Codec,
    DeepShift,
    FixedPoint,
    KHot,
    PowerExponent,
    PowerOfTwo,
    SharedExponent,
    SmallFloat,
    Ternary,
    two_four,
)
from fxsim.trace import Builder, Tensor, maximum

SCALE_BITS = 8  # significant bits of a scale in hardware
COCOTB = ("power of two", "signed 2-hot", "ternary (TWN)")  # simulated in cocotb as well

Product = Callable[[Tensor, np.ndarray], Tensor]
"""x @ weights, the real weights (inputs, outputs) in some system."""


def significant(scale: Fraction, bits: int = SCALE_BITS) -> Fraction:
    """The number of `bits` significant bits nearest to a positive scale."""
    unit = Fraction(2) ** (scale.numerator.bit_length() - scale.denominator.bit_length() - bits)
    return round(scale / unit) * unit


def coded(codec_of: Callable[[np.ndarray], Codec]) -> Product:
    """The product with what the codec makes of the weights, times its scale."""

    def product(x: Tensor, weights: np.ndarray) -> Tensor:
        codec = codec_of(weights)
        y = x @ (codec.quantize(weights) / 2.0**codec.frac)
        return y if codec.scale == 1 else y * float(significant(codec.scale))

    return product


def l_mul(x: Tensor, weights: np.ndarray) -> Tensor:
    """Activations and weights as e4m3 codes, their L-Mul products summed exactly."""
    form = SmallFloat.named("e4m3")
    codes = x.builder.constant(form.encode(weights))
    return lmul_matmul(small_float_encode(x, form), codes, LMul(form))


SYSTEMS: dict[str, Product] = {
    "as trained, 4 bits": lambda x, w: x @ w,
    "fixed point, 3 bits": coded(lambda w: FixedPoint.fit(w, 3, rounding="RND_CONV")),
    "power of two": coded(lambda w: PowerOfTwo.fit(w, 4)),
    "power of two, log": coded(lambda w: PowerOfTwo.fit(w, 4, "log")),
    "DeepShift-Q, 4 bits": coded(lambda w: DeepShift(4)),
    "INQ, 4 bits": coded(lambda w: INQ.fit(w, 4)),
    "signed 2-hot": coded(lambda w: KHot.fit(w, 2, 4)),
    "truncated 1-hot": coded(lambda w: KHot.fit(w, 1, 4, "truncated")),
    "APoT, 3 bits": coded(lambda w: APoT.fit(w, 2)),
    "APoT, 4 bits": coded(lambda w: APoT.fit(w, 3)),
    "shared exponent, 4 bits": coded(lambda w: SharedExponent.fit(w, 4)),
    "shared exponent, 3 bits": coded(lambda w: SharedExponent.fit(w, 3)),
    "power exponent 1/2, 4 bits": coded(lambda w: PowerExponent.fit(w, 4, 0.5)),
    "power exponent 1/2, 3 bits": coded(lambda w: PowerExponent.fit(w, 3, 0.5)),
    "ternary (TWN)": coded(Ternary.twn),
    "ternary (BitNet)": coded(Ternary.bitnet),
    "binary": coded(Binary.fit),
    "2:4 sparse, 4 bits": lambda x, w: x @ two_four.prune(w),
    "L-Mul e4m3": l_mul,
}
"""Name -> how the layers multiply by their weights."""


def requantized(graph: Graph, product: Product, name: str) -> Graph:
    """The graph with other weights: the same values and casts, each sum of its own width."""
    builder = Builder(name)
    made: dict[Node, Tensor] = {}
    for node, encoder in zip(graph.inputs, graph.encoders, strict=True):
        made[node] = builder.input(node.name, node.type, encoder)
    for node in graph.values:
        if isinstance(node, Value):
            made[node] = _value(builder, node, [made[a] for a in node.args], product)
    return builder.finish([made[n] for n in graph.outputs], graph.output_names, graph.output_affines)


def _value(builder: Builder, node: Value, args: list[Tensor], product: Product) -> Tensor:
    match node.op:
        case ops.MatMul():
            weights = node.args[1]
            assert isinstance(weights, Value) and isinstance(weights.op, ops.Const)
            return product(args[0], weights.op.raw.array / 2.0**weights.op.frac)
        case ops.Shift():  # it only aligned two points, which are others now
            return args[0]
        case ops.Add():
            return args[0] + args[1]
        case ops.Max():
            return maximum(*args)
        case ops.Cast():
            return args[0].cast(node.op)
    return builder.apply(node.op, *args)


def measure(name: str, graph: Graph, luts: bool, cocotb: bool) -> dict[str, Any]:
    images, labels = digits_samples()
    raw = graph.encoders[0].encode(images, graph.inputs[0].name)
    core = rtl.build(graph, max_depth_per_stage=5)
    found = {
        "system": name,
        "accuracy": float(np.mean(graph.run(images).argmax(axis=1) == labels)),
        "adders": core.adders,
        "latency": core.latency,
    }
    for simulator in ("native", "cocotb")[: 1 + cocotb]:
        bench = rtl.verify(core, raw, raw=True, simulator=simulator, idle=0.2, backpressure=0.2)
        found[simulator] = f"{bench.vectors} images, {bench.mismatches} mismatches"
        if not bench:
            raise ArithmeticError(f"{name}: {bench.first_difference}")
    if luts:
        cells = rtl.synth.synthesize(core.verilog(), core.top, "xc7")
        found |= {"LUT": cells.lut, "FF": cells.ff}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), metavar="NAME", help="default: all")
    parser.add_argument("--luts", action="store_true", help="also LUTs by yosys (a minute or two each)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    graph = fxsim.load(digits_model())
    rows = []
    for name in args.systems or SYSTEMS:
        other = requantized(graph, SYSTEMS[name], "digits")
        rows.append(measure(name, other, args.luts, name in COCOTB))
        if not args.json:
            row = rows[-1]
            cells = f"{row['LUT']:7}{row['FF']:7}" if args.luts else ""
            print(
                f"{name:28}{100 * row['accuracy']:7.1f} %{row['adders']:7} adders{row['latency']:4} cycles"
                f"{cells}  {row['native']}" + (", cocotb too" if "cocotb" in row else ""), flush=True
            )  # fmt: skip
    if args.json:
        print(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
