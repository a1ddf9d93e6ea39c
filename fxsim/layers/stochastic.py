"""Stochastic rounding: q' = (q + r) >> s with random low bits r, shared bit by bit with the hardware."""

from __future__ import annotations

from math import prod
from typing import Any

from fxsim.casting import cast_raw
from fxsim.formats import UQ, Format, Rounding
from fxsim.integers import Array, IntArray, exact
from fxsim.layers.lfsr import Lfsr
from fxsim.machine import Machine
from fxsim.trace import Tensor, trace


def stochastic_cast(x: Tensor, random: Tensor, fmt: Format) -> Tensor:
    """x in `fmt`, rounded up or down by chance: raw' = overflow((raw + r) >> s), s = x.frac - fmt.frac.

    random   r, unsigned integers of s bits in x's shape (or one for all): 0 .. 2**s - 1

    The mean over all r is exactly x, for negative x too, as long as nothing overflows. Lost: the s low bits,
    and what fmt's overflow takes; its own rounding is not used. Raises ValueError where fmt is not coarser
    than x or r has another range.
    """
    s = x.frac - fmt.frac
    if s < 1:
        raise ValueError(f"fmt must have fewer than the {x.frac} fraction bits of x, not {fmt.frac}")
    if random.frac or random.type.bounds != (0, (1 << s) - 1):
        raise ValueError(f"random must be integers of raw 0..{(1 << s) - 1}, not {random.type}")
    with x.builder.block("stochastic_cast", "stochastic_cast", [x, random], {"format": str(fmt)}) as outputs:
        out = (x + (random >> x.frac)).cast(fmt.replace(rounding=Rounding.TRN))
        outputs.append(out)
    return out


def stochastic_rounder(
    source: Format,
    target: Format,
    shape: tuple[int, ...] = (),
    lfsr: Lfsr | None = None,
    steps: int | None = None,
) -> Machine:
    """A machine that casts its input, a tensor of `source`, to `target` by draws from a register.

    state   of the register, scalar; every step draws one r of s = source.frac - target.frac bits an element,
            row by row, each behind `steps` steps of the register (default s: no bit is used twice)

    Gives the rounded tensor. Raises what `stochastic_cast` and `Lfsr.draws` raise.
    """
    register = lfsr or Lfsr()
    s = source.frac - target.frac
    if s < 1:
        raise ValueError(
            f"target must have fewer than the {source.frac} fraction bits of source, not {target.frac}"
        )

    def step(state: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        random, state = register.draw(state, shape, s, steps)
        return state, stochastic_cast(x, random, target)

    graph = trace(step, UQ(register.width, 0), source, shape=[(), shape], name="stochastic_rounder")
    return Machine((IntArray(register.seed),), graph)


def round_raw(
    raw: Any, source: Format, target: Format, lfsr: Lfsr | None = None, steps: int | None = None
) -> Array:
    """What `stochastic_rounder` gives for one stream of raw integers (time, *shape), by plain integers."""
    register = lfsr or Lfsr()
    q, s = exact(raw), source.frac - target.frac
    drawn, _ = register.draws(prod(q.shape), s, steps)
    return cast_raw(
        q + drawn.reshape(q.shape), src_frac=source.frac, frac=target.frac, width=target.width,
        signed=int(target.signed), rounding=Rounding.TRN, overflow=target.overflow,
        n=target.saturation_bits,
    )  # fmt: skip
