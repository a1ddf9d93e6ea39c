"""Pictures of iterations: convergence into the certified ball, cobwebs, limit cycles; with Matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.files import atomic_path
from fxsim.integers import Array
from fxsim.iterate.solution import Solution
from fxsim.iterate.unit import Unit

SUFFIXES = (".svg", ".png", ".pdf")
MOST_ROWS = 64  # curves in one picture
INK, BALL, QUIET = "#1f4e79", "#c0504d", "#8a8a8a"


def convergence(
    path: Any, unit: Unit, solution: Solution, reference: Any = None, radius: Any = None, title: str = ""
) -> Path:
    """Writes max_i |x_i - x*_i| against sweeps, a line per row, and the certified radius.

    solution   with its history
    reference  x* per row and component, of the first state, in value units; None: the last state of the row
    radius     certified |x - x*| of the first state in value units, one number or one per component, of which
               the largest is drawn; None: no line

    The error is in LSB of the state, on a logarithmic axis that is linear below one LSB. Raises ValueError
    for a solution without history and for a file that is no picture.
    """
    states = _history(solution)
    lsb = Fraction(2) ** -unit.formats[0].frac
    sweeps, rows = states.shape[:2]
    flat = states.reshape(sweeps, rows, -1).astype(np.float64)
    if reference is None:
        goal = flat[-1]
    else:
        goal = np.array([float(v / lsb) for v in np.ravel(reference)]).reshape(flat.shape[1:])
    errors = np.abs(flat - goal).max(axis=2)
    steps = np.atleast_1d(solution.steps)
    with _figure(path, title or unit.name) as (axes, _):
        for row in range(min(rows, MOST_ROWS)):
            last = int(steps[row]) + 1
            axes.plot(range(last), errors[:last, row], color=INK, alpha=0.5, linewidth=1)
            axes.plot([last - 1], [errors[last - 1, row]], ".", color=INK, markersize=4)
        if radius is not None:
            level = max(float(Fraction(r) / lsb) for r in np.ravel(radius))
            axes.axhline(level, color=BALL, linestyle="--", linewidth=1.2)
            axes.annotate(
                f"certified: {level:.3g} LSB", (0.99, level), xycoords=("axes fraction", "data"), ha="right",
                va="bottom", color=BALL, fontsize=8,
            )  # fmt: skip
        axes.set_yscale("symlog", linthresh=1.0)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("sweeps")
        against = "the last state" if reference is None else "the exact solution"
        axes.set_ylabel(f"largest distance to {against}, LSB")
    return Path(path)


def cobweb(path: Any, unit: Unit, solution: Solution, row: int = 0, title: str = "", **held: Any) -> Path:
    """Writes the path of a scalar state over its rounded map x' = Q(T(x)) and the diagonal.

    held  raw parameters of that row, by name

    Raises ValueError for a state that is no scalar.
    """
    states = _history(solution)
    if len(unit.state) != 1 or unit.map.inputs[0].type.size != 1:
        raise ValueError(f"a cobweb needs a unit of one scalar state, not {unit}")
    last = int(np.atleast_1d(solution.steps)[row])
    xs = [int(v) for v in states.reshape(len(states), -1)[: last + 1, row]]
    room = max(max(xs) - min(xs), 4) // 4 + 1
    fmt = unit.formats[0]
    codes = np.arange(max(fmt.lo, min(xs) - room), min(fmt.hi, max(xs) + room) + 1)
    images = next_states(unit, codes, held)
    with _figure(path, title or unit.name) as (axes, _):
        axes.plot(codes, codes, color=QUIET, linewidth=1)
        axes.step(codes, images, where="mid", color=INK, linewidth=1.2)
        web = [(xs[0], xs[0])]
        for a, b in pairwise(xs):
            web += [(a, b), (b, b)]
        axes.plot([p[0] for p in web], [p[1] for p in web], color=BALL, linewidth=1)
        axes.plot([xs[0]], [xs[0]], "o", color=BALL, markersize=4)
        axes.set_xlabel("x, raw")
        axes.set_ylabel("x', raw")
        axes.set_aspect("equal", adjustable="box")
    return Path(path)


def orbits(path: Any, runs: Sequence[tuple[str, Solution]], title: str = "", row: int = 0) -> Path:
    """Writes the components of the first state against sweeps, one panel per (label, solution with history).

    Made for showing a limit cycle beside the update that ends it.
    """
    with _figure(path, title, len(runs)) as (first, panels):
        for axes, (label, solution) in zip(panels, runs, strict=True):
            states = _history(solution)
            last = int(np.atleast_1d(solution.steps)[row])
            flat = states.reshape(states.shape[0], states.shape[1], -1)[: last + 1, row]
            axes.plot(flat, drawstyle="steps-post", linewidth=1.2)
            status = np.atleast_1d(np.asarray(solution.status, object))[row]
            axes.set_title(f"{label}: {status} after {last}", fontsize=9)
            axes.set_xlabel("sweeps")
        first.set_ylabel("x, raw")
    return Path(path)


def next_states(unit: Unit, codes: Array, held: dict[str, Any]) -> Array:
    """The state after one sweep from each of the raw scalar states."""
    loop = unit.loop
    nodes = loop.graph.inputs
    n = len(codes)
    first = codes.reshape(n, *nodes[0].type.shape)
    kept = [
        first,
        *(first if m.source == 0 else np.zeros((n, *nodes[1].type.shape), int) for m in loop.memory),
    ]
    fixed = [np.broadcast_to(np.asarray(held[p]), (n, *node.type.shape))
             for p, node in zip(unit.parameters, nodes[loop.kept :], strict=True)]  # fmt: skip
    result = loop.graph.run_raw(*kept, np.zeros(n, np.int64), *fixed)
    assert isinstance(result, tuple)
    images: Array = result[0].reshape(n)
    return images


def _history(solution: Solution) -> Array:
    """(sweeps + 1, rows, *shape) of the first state."""
    if solution.histories is None:
        raise ValueError("solution must have its history: solve with history=True")
    states = np.stack(solution.histories[0])
    return states if np.ndim(solution.steps) else states[:, None]


class _figure:
    """A picture that is written whole or not at all; gives (its first axes, all axes)."""

    def __init__(self, path: Any, title: str, panels: int = 1) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"a picture must end in {', '.join(SUFFIXES)}, not {str(path)!r}")
        self.title, self.panels = title, panels

    def __enter__(self) -> tuple[Any, list[Any]]:
        try:
            import matplotlib
        except ImportError:
            raise ImportError("pictures need Matplotlib: pip install 'fxsim-hdl[report]'") from None
        matplotlib.use("agg")
        matplotlib.rcParams["svg.hashsalt"] = "fxsim"  # the same picture, the same bytes
        from matplotlib import pyplot

        self.pyplot = pyplot
        size = (3.2 * self.panels + (2.2 if self.panels == 1 else 0.6), 3.6)
        self.figure, axes = pyplot.subplots(
            1, self.panels, figsize=size, layout="constrained", squeeze=False, sharey=True
        )
        for a in axes[0]:
            a.spines[["top", "right"]].set_visible(False)
            a.tick_params(labelsize=8)
            a.xaxis.get_major_locator().set_params(integer=True)
        if self.title:
            self.figure.suptitle(self.title, fontsize=10)
        return axes[0][0], list(axes[0])

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        try:
            if kind is None:
                kind_of_file = self.path.suffix[1:].lower()
                date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind_of_file)
                with atomic_path(self.path) as temporary:
                    self.figure.savefig(temporary, format=kind_of_file, dpi=120, metadata=date)
        finally:
            self.pyplot.close(self.figure)
