"""A whole network and a single layer in hardware: our Verilog and alkaid's, same weights, biases, casts.

Both are pipelined at 5 adders a stage and compared code by code on random samples. Seconds are of the
processor, one thread: trace, search and Verilog together, nothing out of a cache, imports not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peers import luts, tools  # before NumPy: limits the threads

# isort: split
import numpy as np

import fxsim
import rtl

STAGE = 5  # adders between two registers


class Network(NamedTuple):
    """Per layer x @ weights + biases, ReLU, cast to 8 bits with 4 of fraction; the last layer is bare."""

    input: fxsim.Format
    weights: list[np.ndarray]
    biases: list[np.ndarray]

    @property
    def samples(self) -> np.ndarray:
        """Raw codes, (2000, inputs)."""
        return np.random.default_rng(1).integers(-128, 128, size=(2000, len(self.weights[0])))


def mlp(widths: tuple[int, ...], seed: int = 0) -> Network:
    """6-bit weights in units of 1/32, 8-bit biases in units of 1/16, inputs of 8 bits with 4 of fraction."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-32, 32, size=shape) / 32 for shape in pairwise(widths)]
    return Network(fxsim.SQ(4, 4), weights, [rng.integers(-128, 128, size=n) / 16 for n in widths[1:]])


def layer(n: int, bits: int, seed: int = 0) -> Network:
    """One n x n product of `bits`-bit integers, 8-bit integer inputs."""
    weights = np.random.default_rng(seed).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), size=(n, n))
    return Network(fxsim.SQ(8, 0), [weights.astype(float)], [np.zeros(n)])


class Design(NamedTuple):
    """What one tool made of a network; `run` maps raw codes (samples, inputs) to values."""

    run: Callable[[np.ndarray], np.ndarray]
    verilog: str
    top: str
    figures: dict[str, Any]


def ours(network: Network) -> Design:
    activation = fxsim.UQ(4, 4, rounding="RND", overflow="SAT")

    def function(x: Any) -> Any:
        for w, b in zip(network.weights[:-1], network.biases[:-1], strict=True):
            x = (x @ w + b).relu().cast(activation)
        return x @ network.weights[-1] + network.biases[-1]

    with tools.uncached():
        graph = fxsim.trace(function, network.input, shape=(len(network.weights[0]),), name="ours")
        core = rtl.build(graph, max_depth_per_stage=STAGE)
        verilog = core.verilog()
    figures = {
        "adders": core.adders,
        "stages": core.latency - 1,
        "register bits": core.registers,
        "depth": core.depth,
    }
    scale = 2.0 ** graph.outputs[0].type.frac
    return Design(lambda raw: graph.run_raw(raw) / scale, verilog, core.top, figures)


def alkaid(network: Network, ternary: bool = False) -> Design:
    from alkaid.codegen import RTLModel
    from alkaid.trace import FVArrayInput, HWConfig, to_pipeline, trace

    inputs = FVArrayInput(len(network.weights[0]), hwconf=HWConfig(1, -1, -1))
    frac = network.input.frac
    x = inputs.quantize(1, 7 - frac, frac)
    for w, b in zip(network.weights[:-1], network.biases[:-1], strict=True):
        x = np.maximum(x @ w + b, 0).quantize(0, 4, 4, "SAT", "RND")
    program = trace(inputs, x @ network.weights[-1] + network.biases[-1])
    pipeline = to_pipeline(program, latency_cutoff=STAGE, verbose=False)
    with tempfile.TemporaryDirectory() as folder:
        model = RTLModel(pipeline, folder, prj_name="alkaid", print_latency=False, ternary_fuse=ternary)
        model.write()
        sources = sorted(p for p in Path(folder, "src").rglob("*.v") if not p.stem.endswith("_wrapper"))
        verilog = "\n".join(p.read_text() for p in sources)
    kinds = Counter(op.opcode for op in program.ops)
    figures = {
        "adders": kinds[0] + kinds[1] + kinds[4],  # of two variables, and of a variable and a constant
        "stages": model.latency,
        "register bits": model.reg_bits,
        "depth": float(max(program.latency)),
    }
    return Design(lambda raw: program.predict(raw / 2.0**frac, n_threads=1), verilog, "alkaid", figures)


TOOLS: dict[str, Callable[[Network], Design]] = {"ours": ours, "alkaid": alkaid}


def measure(network: Network, repeats: int, with_luts: bool, seeds: int) -> dict[str, dict[str, Any]]:
    """Figures of both tools; ArithmeticError where one differs from exact floating-point evaluation."""
    designs: dict[str, Design] = {}
    seconds: dict[str, list[float]] = {name: [] for name in TOOLS}
    for _ in range(repeats):
        for name, build in TOOLS.items():
            start = time.process_time()
            designs[name] = build(network)
            seconds[name].append(time.process_time() - start)
    expected = reference(network)
    for name, design in designs.items():
        wrong = np.count_nonzero(design.run(network.samples) != expected)
        if wrong:
            raise ArithmeticError(f"{wrong} of {expected.size} outputs of {name} are wrong")
    found = {name: {**d.figures, "seconds": statistics.median(seconds[name])} for name, d in designs.items()}
    for name, d in designs.items() if seeds else ():
        from rtl.synth import fmax

        found[name]["MHz"] = fmax(d.verilog, d.top, "ecp5", seeds=seeds, system_verilog=True).mhz
    if with_luts:
        designs["alkaid, ternary"] = alkaid(network, ternary=True)
        found["alkaid, ternary"] = designs["alkaid, ternary"].figures
        for name, d in designs.items():
            cells = luts.synthesize(d.verilog, d.top)
            found[name] |= {
                "LUT": cells.luts,
                "INV": cells.inverters,
                "CARRY4": cells.carries,
                "FF": cells.registers,
            }
    return found


def reference(network: Network) -> np.ndarray:
    """The outputs in float64, which is exact here: ReLU, + 1/32, floor to 1/16, saturation."""
    x = network.samples / 2.0**network.input.frac
    for w, b in zip(network.weights[:-1], network.biases[:-1], strict=True):
        x = np.clip(np.floor(np.maximum(x @ w + b, 0) * 16 + 0.5), 0, 255) / 16
    return np.asarray(x @ network.weights[-1] + network.biases[-1])


def verdicts(name: str, found: dict[str, dict[str, Any]], whole: bool) -> list[tuple[bool, str]]:
    own, peer = found["ours"], found["alkaid"]
    lines = []
    if "MHz" in own:
        passed = own["MHz"] >= peer["MHz"] and own["stages"] <= peer["stages"]
        lines.append((passed, f"{name}: ecp5 at {own['MHz']:.1f} MHz, alkaid at {peer['MHz']:.1f} MHz"))
    if "LUT" in own:
        peers = [figures for figures in found.values() if figures is not own]
        gain = 100 * (1 - own["LUT"] / min(p["LUT"] for p in peers))
        passed = gain >= 8 and own["stages"] <= peer["stages"]
        lines.append(
            (passed, f"{name}: {gain:.1f} % fewer LUTs at {own['stages']} of {peer['stages']} stages")
        )
    if whole:
        ratio = own["seconds"] / peer["seconds"]
        lines.append((ratio <= 1, f"{name}: trace, search and Verilog in {ratio:.2f} of alkaid's CPU time"))
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--networks", nargs="+", default=["layer", "mlp"], choices=["layer", "mlp"], help="default: both")
    add(
        "--widths", type=int, nargs="+", default=[16, 64, 32, 32, 5], help="of the MLP (default: %(default)s)"
    )
    add("--size", type=int, default=16, help="of the layer (default: %(default)s)")
    add("--bits", type=int, default=6, help="of the layer's weights (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the weights (default: %(default)s)")
    add(
        "--repeats",
        type=int,
        default=3,
        help="builds of which the median time is taken (default: %(default)s)",
    )
    add("--luts", action="store_true", help="also LUTs by yosys (about a quarter of an hour for the MLP)")
    add(
        "--seeds",
        type=int,
        default=0,
        help="placements on ecp5 of which the median MHz counts (default: none)",
    )
    add("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    for build in TOOLS.values():  # imports and compilation
        build(mlp((2, 2, 2)))
    networks = {
        "layer": lambda: layer(args.size, args.bits, args.seed),
        "mlp": lambda: mlp(tuple(args.widths), args.seed),
    }
    results = {name: measure(networks[name](), args.repeats, args.luts, args.seeds) for name in args.networks}
    judged = [v for name, found in results.items() for v in verdicts(name, found, name == "mlp")]
    if args.json:
        bars = [{"passed": passed, "bar": text} for passed, text in judged]
        print(json.dumps({"results": results, "bars": bars}, indent=1))
    else:
        for name, found in results.items():
            columns = list(found["ours"])
            print(f"{name:18}" + "".join(f"{c:>15}" for c in columns))
            for tool, figures in found.items():
                print(
                    f"  {tool:16}"
                    + "".join(f"{figures[c]:15.5g}" if c in figures else f"{'':15}" for c in columns)
                )
        for passed, text in judged:
            print("PASS" if passed else "FAIL", "", text)
    return int(not all(passed for passed, _ in judged))


if __name__ == "__main__":
    sys.exit(main())
