"""Recurrent cells solved for all times at once: h_t <- cell(h_(t-1), x_t), swept until nothing changes.

After k sweeps the first k steps are those of the sequential run, bit for bit, whatever the cell is: step t is
a function of step t - 1, and step 0 of none. So T sweeps end at the sequential answer exactly, and a sweep
that changes nothing has found it earlier, because there is no other fixed point. A cell that forgets takes
few sweeps, each of which is parallel over time: the loop of a long sequence becomes a short one.

Source of the cell: ParaGRU of Danieli et al., arXiv 2510.21450, which solves the same equations by Newton.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim.constants import to_raw
from fxsim.formats import SQ, UQ, Format
from fxsim.graph import Graph
from fxsim.integers import Array, exact
from fxsim.iterate.ends import ends
from fxsim.iterate.example import Example
from fxsim.iterate.references import rational
from fxsim.iterate.stops import count, unchanged
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import assign
from fxsim.layers.function_unit import FunctionUnit
from fxsim.trace import Tensor, concat, trace

__all__ = ["gru_scan", "scan"]

Cell = Callable[[Tensor, Tensor], Tensor]


def scan(
    cell: Cell, state: tuple[Format, int], inputs: tuple[Format, int], time: int, **options: Any
) -> Unit:
    """The unit over h (time, d) whose fixed point is h_t = cell(h_(t-1), x_t), h_(-1) = 0.

    cell     cell(h, x) -> the new h, of h (..., d) and x (..., m), elementwise in the leading axes; its
             result is rounded to the state's format, so that a sweep loses nothing more
    state    (format, d);  inputs  (format, m) of the parameter x (time, m)
    options  as of `unit`; stops are (unchanged(), count(time)), after either of which the state is exact
    """
    fmt, d = state
    x_format, m = inputs
    if isinstance(time, bool) or not isinstance(time, int) or time < 1:
        raise ValueError(f"time must be an integer of at least 1, not {time!r}")

    def step(h: Tensor, x: Tensor) -> Tensor:
        first = h.builder.constant(np.zeros((1, d), np.int64))
        before = concat([first, h[:-1]]) if time > 1 else first
        return cell(before, x).cast(fmt)

    given = {"update": assign(), "stop": (unchanged(), count(time)), "cap": time, "name": "scan", **options}
    made = unit(step, {"h": (fmt, (time, d))}, {"x": (x_format, (time, m))}, **given)
    # Both stops are exact, if the sweeps are those of simultaneous assignments; what options change is not
    # spoken for.
    exact_stops = [s for s in made.stops if s in (unchanged(), count(time))]
    if made.update != assign() or not made.schedule.whole or not exact_stops:
        return made
    return ends(
        made,
        {s: (Fraction(0),) * (time * d) for s in exact_stops},
        "the radius is that of the run step by step",
    )


def sequential(cell: Cell, state: tuple[Format, int], inputs: tuple[Format, int], x: Any) -> Array:
    """The raw states (rows, time, d) of the cell run step by step on raw x (rows, time, m)."""
    fmt, d = state
    one: Graph = trace(
        lambda h, x: cell(h, x).cast(fmt), fmt, inputs[0], shape=((d,), (inputs[1],)), name="cell"
    )
    x = exact(x)
    h, found = np.zeros((x.shape[0], d), np.int64), []
    for t in range(x.shape[1]):
        h = one.run_raw(h, x[:, t])
        found.append(h)
    return np.stack(found, axis=1)


def gru_cell(a: Any, B: Any, frac: int = 12, table_frac: int = 8, low_bits: int = 4) -> Cell:
    """z = s(a_z h + B_z x), r = s(a_r h + B_r x), c = tanh(a_h (h r) + B_h x), h' = z c + (1 - z) h.

    a         (3, d): a_z, a_r, a_h;  B  (3, m, d); dyadic
    frac      fraction bits of z, r, c and h
    table_frac  of the arguments in -8..8 of sigmoid and tanh, which are tables with 2**low_bits codes a
                segment, interpolated
    """
    a_raw, a_frac = to_raw(a, "a")
    B_raw, B_frac = to_raw(B, "B")
    if a_raw.ndim != 2 or a_raw.shape[0] != 3 or B_raw.ndim != 3 or B_raw.shape[::2] != a_raw.shape:
        raise ValueError(f"a must have shape (3, d) and B (3, m, d), not {a_raw.shape} and {B_raw.shape}")
    source = SQ(4, table_frac, rounding="RND", overflow="SAT")
    gate = FunctionUnit.of("sigmoid", source, UQ(1, frac), low_bits)
    curve = FunctionUnit.of("tanh", source, SQ(1, frac), low_bits)

    def cell(h: Tensor, x: Tensor) -> Tensor:
        def of(k: int, inner: Tensor) -> Tensor:
            weight = inner.builder.constant(a_raw[k]) >> a_frac
            driven: Tensor = (x @ B_raw[k]) >> B_frac
            return (inner * weight + driven).cast(source)

        z, r = gate(of(0, h)), gate(of(1, h))
        c = curve(of(2, h * r))
        moved: Tensor = z * (c - h)
        return h + moved

    return cell


def gru_scan(
    a: Any, B: Any, time: int, *, frac: int = 12, table_frac: int = 8, low_bits: int = 4,
    x: Format | None = None, **options: Any,
) -> Unit:  # fmt: skip
    """The scan of `gru_cell`, state SQ(1, frac), parameter x of SQ(3, 8) by default."""
    cell, d, m = gru_cell(a, B, frac, table_frac, low_bits), np.shape(a)[1], np.shape(B)[1]
    held = SQ(3, 8) if x is None else x
    return scan(cell, (_state(frac), d), (held, m), time, **{"name": "gru_scan", **options})


def gru_weights(d: int, m: int, seed: int = 0) -> tuple[Array, Array]:
    """Random (a, B), |a| <= 1/2 as the paper clips it, on a grid of 2**-8."""
    rng = np.random.default_rng(seed)
    a = np.round(rng.uniform(-0.5, 0.5, (3, d)) * 256) / 256
    B = np.round(rng.normal(size=(3, m, d)) / np.sqrt(m) * 256) / 256
    return a, B


def reference(a: Any, B: Any, x: Any, frac: int = 12, table_frac: int = 8, low_bits: int = 4) -> Array:
    """The sequential run's states as Fractions: what the scan must end at exactly."""
    cell, d, m = gru_cell(a, B, frac, table_frac, low_bits), np.shape(a)[1], np.shape(B)[1]
    return rational.fractions(sequential(cell, (_state(frac), d), (SQ(3, 8), m), x), frac)


def example() -> Example:
    """Digit images read row by row, the brightness of a row at a time, by a small cell of 2 units."""
    from fxsim.data import digits_samples

    a, B = gru_weights(2, 1)
    rows = np.round(digits_samples()[0][:16].reshape(16, 8, 8).mean(axis=2) * 512).astype(np.int64)
    x = rows[:, :, None] - 256
    small: dict[str, Any] = {"frac": 8, "table_frac": 5, "low_bits": 4}
    return Example(
        gru_scan(a, B, 8, **small), {"x": x}, None, lambda: reference(a, B, x, **small),
        "16 digit images (UCI digits), the brightness of 8 rows one after another into a random gated cell",
    )  # fmt: skip


def _state(frac: int) -> Format:
    return SQ(1, frac, rounding="RND", overflow="SAT")
