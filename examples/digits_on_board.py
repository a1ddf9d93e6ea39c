"""Digits over a serial line: the design of a board, simulated bit by bit; with a folder, its bitstream too.

python examples/digits_on_board.py [FOLDER]
"""

import sys

import fxsim
import rtl
from fxsim.data import digits_model, digits_samples
from rtl.verify import vectors


def main(folder=None):
    core = rtl.build(fxsim.load(digits_model()).with_name("digits"))
    images, digits = digits_samples()
    inputs, expected = vectors(core, images[:1])

    design = rtl.wrap.board(core, "ulx3s", baud=25e6 / 4, lane_bits="packed")
    serial = design.serial
    print(f"ulx3s: {serial.in_beat.octets} bytes to the board, {serial.out_beat.octets} bytes back")
    line = rtl.wrap.SimulatedLine(serial)
    (scores,) = serial.run(line, inputs)
    print(f"digit {digits[0]}: {scores[0].argmax()}, equal {bool((scores == expected[0]).all())}")

    if folder is not None:
        print(rtl.wrap.board(core, "ulx3s").build(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
