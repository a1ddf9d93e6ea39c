"""Writes the pictures of docs/iteration.md: a limit cycle, convergence into the certified ball, a cobweb.

python benchmarks/iteration_pictures.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from fxsim import SQ, iterate
from fxsim.iterate import plot, zoo

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "images"


def main() -> None:
    state = {"x": (SQ(4, 6, rounding="RND", overflow="SAT"), ())}
    nearest = iterate.unit(lambda x: 1.5 - x * 0.9375, state, update=iterate.assign(), cap=60, name="nearest")
    truncated = iterate.unit(lambda x: 1.5 - x * 0.9375, state, cap=60, name="truncated increments")
    runs = [(u.name, u.solve(np.array([1.5]), certified=False, history=True)) for u in (nearest, truncated)]
    made = [plot.orbits(PICTURES / "iteration-cycle.svg", runs, "x <- 3/2 - 15/16 x, LSB 1/64")]
    made.append(plot.cobweb(PICTURES / "iteration-cobweb.svg", truncated, runs[1][1]))
    example = zoo.example("affine")
    made.append(
        plot.convergence(
            PICTURES / "iteration-convergence.svg", example.unit, example.solve(history=True),
            example.reference() if example.reference else None, example.unit.certify().radius,
        )
    )  # fmt: skip
    for path in made:
        print(f"written: docs/images/{path.name}")


if __name__ == "__main__":
    main()
