"""Digits over a serial line: the design of a board, simulated bit by bit; with a folder, its bitstream too.

python examples/digits_on_board.py [FOLDER]
"""

import sys

import fxsim
import rtl
from fxsim.data import digits_model, digits_samples


def main(folder=None):
    graph = fxsim.load(digits_model()).with_name("digits")
    images, digits = digits_samples()
    raw = graph.encoders[0].encode(images[:2], "image")
    core = rtl.build(graph, schedule="folded(4)")
    print(f"core: {core.adders} adders, a frame in {core.interval} clock cycles")

    # A short bit makes a short simulation.
    serial = rtl.wrap.board(core, "ulx3s-12f", baud=25e6 / 4, lane_bits="packed").serial
    line = rtl.wrap.SimulatedLine(serial)
    (scores,) = serial.run(line, [raw])
    equal = bool((scores == graph.run_raw(raw)).all())
    print(f"line: digits {digits[:2]} read as {scores.argmax(axis=1)}, equal {equal}, {line.cycles} cycles")

    if folder is not None:
        print(rtl.wrap.board(core, "ulx3s-12f").build(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
