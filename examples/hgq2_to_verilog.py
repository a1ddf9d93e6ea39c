"""A Keras model of HGQ2 layers to verified hardware: check against Keras, write Verilog, simulate, export.

python examples/hgq2_to_verilog.py [MODEL.keras DATA.npy]   (by default the digits model that ships)
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np

import fxsim
import hls
import rtl
from fxsim.data import digits_keras, digits_samples

BUILD = Path("build/hgq2")


def main():
    if len(sys.argv) == 3:
        path, x = Path(sys.argv[1]), np.load(sys.argv[2])
    else:
        path, x = digits_keras(), digits_samples()[0].reshape(500, 64)
    graph = fxsim.load(path).with_name("hgq2")
    widths = [b for b in graph.blocks if b.kind == "quantize"]
    print(f"loaded: {len(graph.blocks)} blocks, quantizers inside: {[b.name for b in widths]}")

    if importlib.util.find_spec("keras") and importlib.util.find_spec("hgq"):
        from fxsim.compare.keras import run
        from fxsim.compare.reference import decode

        codes = graph.codes(x)
        for name, real in run(path, graph, [x]).items():
            found, _ = decode(name, graph.names[name], real, len(x))
            print(f"Keras: {name}: {int((found != codes[name]).sum())} of {found.size} codes differ")

    core = rtl.build(graph)
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "hgq2.v").write_text(core.verilog())
    print(f"Verilog: {core.adders} adders, no multipliers, latency {core.latency} cycles: {BUILD / 'hgq2.v'}")

    found = rtl.verify(core, x[:100], idle=0.25, backpressure=0.25)
    print(f"Verilator: {found.vectors} vectors, {found.mismatches} mismatches in {found.cycles} cycles")

    project = hls.export(graph, BUILD / "hls")
    same = np.array_equal(project.predict(x), graph.run(x))
    print(f"hls4ml: C simulation of {len(x)} samples equal: {same}")


if __name__ == "__main__":
    main()
