"""Write tests/rtl/shift_add_optima.json: the fewest adders of small matrices, by exhaustive search.

Run it from the repository root: python tests/tools/make_shift_add_optima.py. A graph is a sequence of nodes
+-(a << i) +- (b << j), not both negative; an output is a node or input, shifted left. All coefficients on the
way are at most twice the largest of the matrix, rounded up to a power of two; a wider bound changes nothing.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
from numba import njit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from fxsim.files import write_text  # noqa: E402

FIELD = 16  # bits of a coefficient in a packed row: sums and shifts of packed rows are those of the rows
MOST = 12  # nodes


@njit
def within(value, bound, n):
    """Whether all n coefficients of a packed row are in -bound..bound."""
    for _ in range(n):
        low = ((value + (1 << (FIELD - 1))) & ((1 << FIELD) - 1)) - (1 << (FIELD - 1))
        if abs(low) > bound:
            return False
        value = (value - low) >> FIELD
    return True


@njit
def place(values, count, value):
    for k in range(count):
        if values[k] == value:
            return k
    return -1


@njit
def missing(wires, count, targets):
    """Targets, rows of equivalent wires padded by 0, that no wire is."""
    number = 0
    for t in range(targets.shape[0]):
        hit = False
        for j in range(targets.shape[1]):
            if targets[t, j] != 0 and place(wires, count, targets[t, j]) >= 0:
                hit = True
        number += not hit
    return number


@njit
def is_target(value, targets):
    for t in range(targets.shape[0]):
        for j in range(targets.shape[1]):
            if targets[t, j] == value:
                return True
    return False


@njit
def reachable(wires, depths, count, left, code_before, targets, n, bound, span, limit):
    """Whether `left` more nodes can make every target.

    A node that does not read the one before it must come after it in the order of codes: one of all orders.
    """
    absent = missing(wires, count, targets)
    if absent == 0:
        return True
    if absent > left:
        return False
    for b in range(count):
        for a in range(b + 1):
            depth = max(depths[a], depths[b]) + 1
            if depth > limit:
                continue
            for shift in range(-span, span + 1):
                for sign in range(3):
                    code = ((b * MOST * 2 + a) * (2 * span + 1) + shift + span) * 3 + sign
                    if b != count - 1 and code <= code_before:
                        continue
                    u = wires[a] << max(-shift, 0)
                    v = wires[b] << max(shift, 0)
                    value = u + v if sign == 0 else u - v if sign == 1 else v - u
                    if value == 0 or (absent == left and not is_target(value, targets)):
                        continue
                    if place(wires, count, value) >= 0 or not within(value, bound, n):
                        continue
                    wires[count], depths[count] = value, depth
                    if reachable(wires, depths, count + 1, left - 1, code, targets, n, bound, span, limit):
                        return True
    return False


def fewest(weights: np.ndarray, limit: int | None = None) -> int:
    """The fewest adders of x @ weights, at any depth or at most `limit` adders deep."""
    n = len(weights)
    largest = int(abs(weights).max())
    bits = max(largest - 1, 1).bit_length() + 1
    rows: dict[int, list[int]] = {}
    for column in weights.T.tolist():
        packed = sum(v << FIELD * i for i, v in enumerate(column))
        if not packed:
            continue
        odd, shifts = packed, 1
        while all(v % 2 == 0 for v in column):
            column = [v // 2 for v in column]
            odd, shifts = odd >> 1, shifts + 1
        # Of columns that differ by a shift the least is asked for, and it makes the others too.
        kept = rows.setdefault(odd, [odd << k for k in range(shifts)])
        rows[odd] = kept[: min(len(kept), shifts)]
    if not rows:
        return 0
    width = max(map(len, rows.values()))
    targets = np.array([r + [0] * (width - len(r)) for r in rows.values()], np.int64)
    wires, depths = np.zeros(n + MOST, np.int64), np.zeros(n + MOST, np.int64)
    wires[:n] = [1 << FIELD * i for i in range(n)]
    deepest = MOST if limit is None else limit
    for left in range(MOST):
        if reachable(wires, depths, n, left, -1, targets, n, 1 << bits, bits, deepest):
            return left
    raise ValueError(f"weights must need fewer than {MOST} adders, not {weights.tolist()}")


def least_depth(weights: np.ndarray) -> int:
    """By brute force: the least limit at which there is a graph at all, of any number of adders."""
    from rtl.shift_add.problem import make_problem

    return make_problem(weights).least_depth


def matrices() -> dict[str, list[np.ndarray]]:
    """The blocks of the table, by name."""
    rng = np.random.default_rng(0)

    def draw(shape: tuple[int, int], bits: int, count: int) -> list[np.ndarray]:
        return [rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), size=shape) for _ in range(count)]

    return {
        "1x1, 8 bits": [np.array([[w]]) for w in range(-127, 256, 2)],
        "1x2, 5 bits": [np.array([[a, b]]) for a, b in itertools.combinations(range(1, 32, 2), 2)],
        "2x1, 4 bits": [
            np.array([[a], [b]]) for a, b in itertools.combinations_with_replacement(range(-8, 8), 2)
        ],
        "2x2, 3 bits": draw((2, 2), 3, 80),
        "2x2, 4 bits": draw((2, 2), 4, 60),
        "2x2, 5 bits": draw((2, 2), 5, 60),
        "2x3, 3 bits": draw((2, 3), 3, 60),
        "2x3, 4 bits": draw((2, 3), 4, 60),
        "3x2, 3 bits": draw((3, 2), 3, 60),
        "3x3, 2 bits": draw((3, 3), 2, 60),
    }


def main() -> None:
    table: dict[str, list[list[object]]] = {}
    for name, blocks in matrices().items():
        start = time.process_time()
        table[name] = [[w.tolist(), fewest(w), fewest(w, least_depth(w))] for w in blocks]
        print(f"{name}: {len(blocks)} matrices, {time.process_time() - start:.1f} s", flush=True)
    lines = [f'"{name}": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for name, rows in table.items()]
    write_text(ROOT / "tests" / "rtl" / "shift_add_optima.json", "{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
