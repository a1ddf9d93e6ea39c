"""Matrix products of number systems in NumPy: as one BLAS product where proven exact, and by the rule.

x (batch, n) by codes (n, m). "rule" computes every product by the integer rule of the system and sums them;
"float64" is NumPy's product of as many numbers. Both give the same integers, which is checked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peers import tools  # noqa: F401  before NumPy: limits the threads

# isort: split
import numpy as np

from fxsim.layers import shift_mac
from fxsim.layers.lmul import LMul
from fxsim.layers.lmul_fast import lmul_matmul_raw, lmul_product_raw
from fxsim.quantizers import KHot, PowerOfTwo, SmallFloat

Call = Callable[[], Any]


def l_mul(x: np.ndarray, w: np.ndarray, form: str) -> tuple[Call, Call]:
    unit = LMul(SmallFloat.named(form))
    a, b = unit.format.encode(x), unit.format.encode(w)

    def rule() -> np.ndarray:
        return np.stack([lmul_product_raw(row[:, None], b, unit).sum(axis=0) for row in a])

    return lambda: lmul_matmul_raw(a, b, unit), rule


def shifts(x: np.ndarray, w: np.ndarray, codec: Any) -> tuple[Call, Call]:
    form = codec.form
    a = np.rint(x * 127 / np.abs(x).max()).astype(np.int64)
    codes = form.of(codec.quantize(w))
    fields = form.raw(codes)

    def rule() -> np.ndarray:
        return np.stack([(row[:, None] * fields).sum(axis=0) for row in a])

    return lambda: shift_mac.shift_matmul_raw(a, codes, form), rule


def systems(x: np.ndarray, w: np.ndarray) -> dict[str, tuple[Call, Call]]:
    w = w / np.abs(w).max()
    return {
        "L-Mul e4m3, no underflow": l_mul(np.sign(x) * (1 + np.abs(x)), np.sign(w) * (1 + np.abs(w)), "e4m3"),
        "L-Mul e4m3, any operands": l_mul(x, w, "e4m3"),
        "power of two": shifts(x, w, PowerOfTwo(-7, 0)),
        "signed 2-hot": shifts(x, w, KHot(2)),
    }


def seconds(call: Call, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=[256, 256, 256], metavar=("BATCH", "N", "M"))
    parser.add_argument("--repeats", type=int, default=5, help="of which the median counts (default 5)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    batch, n, m = args.shape
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(batch, n)), rng.normal(size=(n, m))
    count = batch * n * m
    blas = seconds(lambda: x @ w, args.repeats)
    plain = {"system": "float64", "million MAC/s": count / blas / 1e6, "of float64": 1.0}
    rows: list[dict[str, Any]] = [{**plain, "over the rule": None}]
    for name, (fast, rule) in systems(x, w).items():
        if not np.array_equal(fast(), rule()):
            raise ArithmeticError(f"{name}: the fast product differs from the rule")
        took = seconds(fast, args.repeats)
        rows.append({
            "system": name, "million MAC/s": count / took / 1e6, "of float64": blas / took,
            "over the rule": seconds(rule, args.repeats) / took,
        })  # fmt: skip
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(f"{'system':28}{'million MAC/s':>15}{'of float64':>12}{'over the rule':>15}")
    for row in rows:
        over = "" if row["over the rule"] is None else f"{row['over the rule']:.1f}"
        print(f"{row['system']:28}{row['million MAC/s']:15.0f}{row['of float64']:12.2f}{over:>15}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
