"""A trained model from its file to verified hardware: emulate, build, simulate with pauses."""

import fxsim
import rtl
from fxsim.data import digits_model, digits_samples


def main():
    graph = fxsim.load(digits_model()).with_name("digits")
    images, digits = digits_samples()
    right = graph.run(images).argmax(axis=1) == digits
    print(f"emulator: {right.sum()} of {len(digits)} images right")

    core = rtl.build(graph)
    print(f"core: {core.adders} adders, {core.registers} register bits, latency {core.latency} cycles")

    found = rtl.verify(core, images, simulator="native", idle=0.25, backpressure=0.25)
    print(f"Verilog: {found.vectors} vectors, {found.mismatches} mismatches in {found.cycles} cycles")


if __name__ == "__main__":
    main()
