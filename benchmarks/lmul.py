"""Speed of L-Mul matrix products in NumPy: 2**m matrix products, table, integer formula, in MAC/s.

Each row is one format and a band of exponent fields, the way that `lmul_matmul_raw` takes for it, and the
naive loop (the integer formula, one k at a time) on the same codes; the sums are compared. CPU time of one
thread, the median of three.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported

import numpy as np

from fxsim.layers.lmul import LMul
from fxsim.layers.lmul_fast import TABLE_BITS, _as_products, lmul_matmul_raw, lmul_product_raw
from fxsim.quantizers.small_float import SmallFloat

CASES = [
    ("e4m3", "paper", 5, 10),
    ("e4m3", None, 5, 10),
    ("e4m3", "paper", 0, 14),
    ("e5m2", "paper", 10, 20),
    ("e5m2", "paper", 0, 30),
    ("bf16", "paper", 121, 129),
]


def naive(x: np.ndarray, w: np.ndarray, unit: LMul) -> np.ndarray:
    total = np.zeros((len(x), w.shape[1]), np.int64)
    for k in range(len(w)):
        total = total + lmul_product_raw(x[:, k, None], w[k], unit)
    return total


def seconds(call: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    times = []
    for _ in range(3):
        start = time.process_time()
        out = call()
        times.append(time.process_time() - start)
    return out, statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=3, default=(256, 512, 256), metavar=("ROWS", "K", "N"))
    args = parser.parse_args()
    rows, inner, columns = args.size
    rng = np.random.default_rng(0)
    different = 0
    print(f"{rows} x {inner} by {inner} x {columns}")
    for form, l, low, high in CASES:
        f = SmallFloat.named(form)
        unit = LMul(f, l, least=100 if form == "bf16" else 1)
        m = f.mantissa_bits
        x, w = (
            (rng.integers(0, 2, s) << f.magnitude_bits)
            + (rng.integers(low, high + 1, s) << m)
            + rng.integers(0, 1 << m, s)
            for s in ((rows, inner), (inner, columns))
        )
        table = "table" if 2 * f.bits <= TABLE_BITS else "integers"
        way = table if _as_products(x[:1], w[:, :1], unit) is None else f"{1 << m} products"
        fast, short = seconds(lambda x=x, w=w, unit=unit: lmul_matmul_raw(x, w, unit))
        slow, long = seconds(lambda x=x, w=w, unit=unit: naive(x, w, unit))
        macs = rows * inner * columns / 1e6
        different += int(np.sum(fast != slow))
        print(
            f"{form} l = {unit.l}, exponent fields {low}..{high}: {way} {macs / short:.0f} million MAC/s, "
            f"naive {macs / long:.1f}, {long / short:.0f} times"
        )
    print(f"{different} sums differ")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
