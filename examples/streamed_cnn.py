"""A convolutional network from its file to streamed Verilog, one pixel a clock, verified, behind AXI4-Stream.

python examples/streamed_cnn.py [FILE.v]
"""

import sys

import fxsim
import rtl
from fxsim.data import digits_model, digits_samples


def main(path=None):
    graph = fxsim.load(digits_model("digits_cnn_w4a4_pow2")).with_name("digits")
    images, digits = digits_samples()

    core = rtl.build(graph, schedule="streamed")
    print(f"core: {core.adders} adders, {core.memory} memory bits in {len(core.network.parts)} parts")
    print(f"frame: {core.beats_in} beats in, {core.beats_out} out, one every {core.interval} clock cycles")
    mhz = core.predicted_fmax("ecp5")
    print(f"at {mhz:.0f} MHz, as predicted for ecp5: {mhz * 1e6 / core.interval:.0f} frames/s")

    found = rtl.verify(core, images[:50], simulator="native", idle=0.25, backpressure=0.25, check_cycles=True)
    right = (graph.run(images[:50]).argmax(axis=1) == digits[:50]).sum()
    print(f"Verilog: {found.vectors} frames, {found.mismatches} mismatches, {right} digits right")
    print(f"{found.cycles} clock cycles, the cycle model says {found.predicted_cycles}")

    wrapped = rtl.wrap.axi_stream(core)
    payload = [name for name in wrapped.ports if name.endswith("tdata")]
    print(f"wrapper: {wrapped.top}, {', '.join(f'{n} of {wrapped.ports[n][1]} bits' for n in payload)}")
    if path is not None:
        fxsim.files.write_text(path, wrapped.verilog())


if __name__ == "__main__":
    main(*sys.argv[1:])
