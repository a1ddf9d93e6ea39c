"""Sums of products with runtime weights of shift fields: one matrix product beside the loop over shifts.

MAC/s of processor time, the median of five calls: x of 8 bits (rows, n) by codes (n, m) of two fields {zero,
sign, shift} with shifts up to 7. Every figure is of the same integers.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import fxsim
from fxsim.layers import dense, shift_matmul_raw, shift_product
from fxsim.quantizers.fields import Fields

FORM = Fields(2, 7)


def seconds(call: Callable[[], object]) -> float:
    """Median processor time of five calls, after one that is not counted."""
    found = []
    for _ in range(6):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return statistics.median(found[1:])


def loop(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The sum as the hardware takes it: one shift and one sign at a time, for all rows at once."""
    zero, sign, shift = (f.tolist() for f in FORM.unpack(codes))
    out = np.zeros((len(x), codes.shape[1]), np.int64)
    for k in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            for f in range(FORM.terms):
                if not zero[k][j][f]:
                    term = x[:, k] << shift[k][j][f]
                    out[:, j] += -term if sign[k][j][f] else term
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--n", type=int, default=256)
    parser.add_argument("--m", type=int, default=64)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (args.rows, args.n))
    codes = rng.integers(0, 1 << FORM.bits, (args.n, args.m))
    constant = fxsim.trace(lambda x: dense(x, FORM.raw(codes)), fxsim.SQ(8, 0), shape=(args.n,))
    cell = fxsim.trace(lambda x, c: shift_product(x, c, FORM), fxsim.SQ(8, 0), fxsim.UQ(FORM.bits, 0))
    want = loop(x, codes)
    assert np.array_equal(shift_matmul_raw(x, codes, FORM), want)
    assert np.array_equal(constant.run_raw(x), want)
    macs = args.rows * args.n * args.m
    operands = x.ravel(), np.resize(codes, x.size)
    figures = {
        "loop over shifts": macs / seconds(lambda: loop(x, codes)),
        "graph of single products": x.size / seconds(lambda: cell.run_raw(*operands)),
        "graph of the layer, constant weights": macs / seconds(lambda: constant.run_raw(x)),
        "one matrix product, codes decoded in the call": macs
        / seconds(lambda: shift_matmul_raw(x, codes, FORM)),
    }
    for name, figure in figures.items():
        print(f"{name:46} {figure:9.3g} MAC/s")


if __name__ == "__main__":
    main()
